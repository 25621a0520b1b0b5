"""What a plugin's health check brings about."""
import json

import moody
import pytest
from conftest import eventually


@pytest.fixture(scope='module', autouse=True)
def plugin(host, publisher):
    host.install(moody.package(publisher))


def sql(host, query):
    return host.ok('db', 'psql', '--', '-Atc', query).strip()


def test_what_stays_unhealthy_is_started_anew(host):
    before = moody.show(host)['pid']
    assert host.get('/api/moody/feel')[0] == 200
    eventually(lambda: (moody.show(host) or {'pid': before})['pid'] != before)
    kind, reason = eventually(lambda: sql(host, 'SELECT kind, reason FROM plugin_terminations')).split('|')
    assert kind == 'health' and reason == 'its health check said unhealthy 4 times in a row: out of sorts', reason
    assert eventually(lambda: host.json('plugin', 'health', 'moody')['health'] == 'healthy')
    assert host.json('plugin', 'list')[0]['state'] == 'installed'


def test_what_never_gets_well_is_failed_with_its_reason(host):
    # The start reads the configuration, so each life of it is unhealthy from its first answer on.
    sql(host, """UPDATE plugin_installations SET config = '{"word": "unhealthy"}'""")
    host.down()
    host.up()
    assert eventually(lambda: host.json('plugin', 'list')[0]['state'] == 'failed', timeout=60)
    failure = json.loads(sql(host, 'SELECT failure FROM plugin_instances'))
    assert failure['code'] == 'MRT-3006' and 'out of sorts' in failure['text'], failure
    restarts = int(sql(host, 'SELECT count(*) FROM plugin_terminations')) - 1
    assert restarts == 6, 'a start and the five restarts of worker.restarts'
    assert host.status('/api/moody/show') == 404
