"""The configuration of an installed plugin, changed while it runs."""
import json

import moody
import pytest
from conftest import eventually


@pytest.fixture(scope='module', autouse=True)
def plugin(host, publisher):
    host.install(moody.package(publisher))


def configure(host, *arguments):
    return host.cli('plugin', 'configure', 'moody', *arguments)


def last_change(host):
    return host.json('history', host.json('history')[0]['number'])


def config(host):
    return host.json('plugin', 'config', 'moody')


def test_a_plugin_that_can_takes_it_where_it_runs(host):
    before = moody.show(host)
    assert before['config'] == {'word': 'fine'} and before['applied'] == 0
    done = configure(host, 'word=good', 'size=3', '-m', 'CHG-7')
    assert done.returncode == 0, done.stderr
    now = moody.show(host)
    assert (now['pid'], now['applied']) == (before['pid'], 1)
    assert now['config'] == {'word': 'good', 'size': 3} == config(host)
    change = last_change(host)
    assert (change['action'], change['state'], change['reason']) == ('configure', 'done', 'CHG-7')
    phases = {phase['name']: phase['state'] for phase in change['phases']}
    assert phases == {'verify': 'done', 'apply': 'done', 'start': 'skipped', 'gate': 'done'}, phases


def test_unset_goes_back_to_the_default_and_a_file_sets_the_whole(host, tmp_path):
    assert configure(host, '--unset', 'word').returncode == 0
    assert config(host) == {'word': 'fine', 'size': 3}
    (tmp_path / 'config.json').write_text('{"word": "from a file"}')
    assert configure(host, '--file', tmp_path / 'config.json').returncode == 0
    assert moody.show(host)['config'] == {'word': 'from a file'}


@pytest.mark.parametrize('argument, code, text', [
    ('size=10', 1, 'size'), ('size=many', 1, 'size'), ('colour=red', 1, 'colour'),  # by the schema
    ('word=refuse-check', 8, 'check says no'), ('word=refuse-apply', 8, 'apply says no'),  # by the plugin
    ('word=crash-apply', 8, ''),  # it dies of it
    ('word=unhealthy', 8, 'out of sorts'),  # it takes it, and is not well with it
])
def test_what_is_refused_leaves_the_old_configuration(host, argument, code, text):
    old = config(host)
    done = configure(host, argument)
    assert done.returncode != 0 and text in done.stderr, (done.returncode, done.stderr)
    assert config(host) == old
    assert eventually(lambda: moody.show(host))['config'] == old
    assert last_change(host)['state'] == 'failed'
    assert host.json('plugin', 'list')[0]['state'] == 'installed'
    if code == 8:
        assert done.returncode == 8, done.stderr


def test_bad_arguments_are_named(host):
    for arguments in ([], ['word'], ['=x']):
        done = configure(host, *arguments)
        assert done.returncode == 2, done.stderr
    assert configure(host, '--unset', 'nothing').returncode == 5
    status, _ = host.get('/v1/installations/fixture/moody/configure', method='POST', body={'config': []})
    assert status in (400, 422)


def test_a_change_since_it_was_read_is_a_conflict(host):
    _, installation = host.get('/v1/installations/fixture/moody')
    body = {'config': {'word': 'late'}, 'revision': installation['revision'] - 1}
    status, problem = host.get('/v1/installations/fixture/moody/configure', method='POST', body=body)
    assert status == 409 and 'has changed since' in problem['detail'], problem


def test_a_plugin_that_cannot_starts_anew_beside_the_old_one(new_host, publisher):
    host = new_host()
    host.up()
    host.trust(publisher)
    host.install(moody.package(publisher, library='moody_fixed'))
    before = moody.show(host)
    done = configure(host, 'word=other')
    assert done.returncode == 0, done.stderr
    now = moody.show(host)
    assert now['config']['word'] == 'other' and now['applied'] == 0 and now['pid'] != before['pid']
    eventually(lambda: len(host.workers()) == 1)
    assert configure(host, 'word=refuse-start').returncode == 8
    assert moody.show(host) == now == moody.show(host)
    # What is disabled starts with it one day.
    host.ok('plugin', 'disable', 'moody', '--yes')
    assert configure(host, 'word=asleep').returncode == 0
    assert host.json('plugin', 'list')[0]['state'] == 'disabled'
    host.ok('plugin', 'enable', 'moody', '--yes')
    assert moody.show(host)['config']['word'] == 'asleep'


def test_what_follows_at_once_waits_for_the_old_one_to_leave_and_it_leaves_at_once(new_host, publisher):
    host = new_host()
    host.up()
    host.trust(publisher)
    host.install(moody.package(publisher, library='moody_fixed'))
    pid = host.pid
    for number in range(5):
        assert configure(host, f'word=w{number}').returncode == 0
        assert moody.show(host)['config']['word'] == f'w{number}'
    # Its change is done when the new configuration serves; the worker before may still be leaving.
    host.ok('plugin', 'uninstall', 'moody', '--yes')
    host.install(moody.package(publisher, library='moody_fixed'))
    assert host.pid == pid and 'drain deadline passed' not in host.log()
    eventually(lambda: len(host.workers()) == 1)


def test_it_holds_over_a_restart_and_stands_in_the_audit_trail(host):
    assert configure(host, 'word=lasting').returncode == 0
    host.down()
    host.up()
    assert eventually(lambda: moody.show(host))['config']['word'] == 'lasting'
    row = host.ok('db', 'psql', '--', '-Atc', "SELECT new_value->'config' FROM audit_logs "
                  "WHERE action = 'plugin.configure.commit' ORDER BY id DESC LIMIT 1").strip()
    assert json.loads(row)['word'] == 'lasting'
