"""The life of a plugin, from its package to its removal."""
import http.client
import json
import os
import subprocess

import pytest
from conftest import BUILD, eventually


@pytest.fixture(scope='module')
def hello(publisher):
    return publisher.sign('hello')


def test_a_package_becomes_a_served_plugin(host, hello):
    host.install(hello, '-m', 'CHG-1')
    status, headers, body = host.request('GET', '/api/hello/ping')
    assert (status, body) == (200, b'pong') and headers['Content-Type'].startswith('text/plain')
    status, answer = host.get('/api/hello/world')
    assert status == 200 and 'world' in json.dumps(answer)


def test_list_show_health_and_history_say_so(host, hello):
    item = host.json('plugin', 'list')[0]
    assert item['plugin'] == 'mortise/hello' and item['state'] == 'installed'
    assert host.json('plugin', 'show', 'hello')['name'] == 'mortise/hello'
    assert eventually(lambda: host.json('plugin', 'health', 'hello')['health'] == 'healthy', timeout=10)
    assert host.json('plugin', 'list')[0]['health'] == 'healthy'
    change = host.json('history')[0]
    assert (change['action'], change['state'], change['reason']) == ('install', 'done', 'CHG-1')
    phases = [phase['name'] for phase in host.json('history', change['number'])['phases']]
    assert len(phases) >= 3


def test_installing_it_again_is_a_conflict(host, hello):
    done = host.cli('plugin', 'install', hello, '--yes')
    assert done.returncode == 6, done.stderr


def test_usage_reaches_top(host):
    def sampled():
        item = host.json('top')[0]
        return item['memory_bytes'] and int(item['memory_bytes']) > 0 and int(item['cpu_ns']) > 0
    assert eventually(sampled)


def test_disable_and_enable(host):
    host.ok('plugin', 'disable', 'hello')
    assert host.status('/api/hello/ping') in (404, 503)
    assert not host.workers()
    assert host.cli('plugin', 'disable', 'hello').returncode == 6
    host.ok('plugin', 'enable', 'hello')
    assert host.status('/api/hello/ping') == 200


def test_logs_are_shown(host):
    lines = eventually(lambda: host.cli('plugin', 'logs', 'hello', '--json').stdout)
    assert all('message' in json.loads(line) for line in lines.splitlines())


def test_uninstall_takes_it_away_and_install_brings_it_back(host, hello):
    host.ok('plugin', 'uninstall', 'hello', '--yes')
    assert host.status('/api/hello/ping') == 404
    assert not host.workers()
    host.install(hello)
    assert host.status('/api/hello/ping') == 200


def test_names_that_are_not_there_exit_5(host):
    for command in (['plugin', 'show', 'nope'], ['plugin', 'disable', 'mortise/nope'], ['history', '999999'],
                    ['plugin', 'install', '/nowhere.mpk']):
        assert host.cli(*command).returncode == 5, command


def test_an_untrusted_package_is_refused_and_changes_nothing(host, publisher, tmp_path):
    from conftest import run
    other = tmp_path / 'other.key'
    assert run('key', 'generate', other).returncode == 0
    package = publisher.pack(BUILD / 'plugins' / 'os-catalog' / 'os-catalog.package', tmp_path / 'other.mpk', other)
    before = sorted(path.name for path in (host.data / 'store' / 'sha256').iterdir())
    done = host.cli('plugin', 'install', package, '--yes')
    assert done.returncode == 7 and 'trust add' in done.stderr
    assert sorted(path.name for path in (host.data / 'store' / 'sha256').iterdir()) == before
    assert not list((host.data / 'staging').iterdir())


def test_a_damaged_package_is_refused(host, hello, tmp_path):
    data = bytearray(hello.read_bytes())
    data[len(data) // 2] ^= 1
    bad = tmp_path / 'bad.mpk'
    bad.write_bytes(data)
    assert host.cli('plugin', 'install', bad, '--yes').returncode == 7


def test_nobody_there_to_confirm_is_usage(host, hello):
    assert host.cli('plugin', 'install', hello).returncode == 2


def test_a_revoked_key_starts_nothing_that_is_already_stored(new_host, publisher, hello):
    host = new_host()
    host.up()
    host.trust(publisher)
    host.install(hello)
    host.ok('plugin', 'disable', 'hello')
    host.ok('trust', 'revoke', publisher.key_id, '-m', 'lost', '--yes')
    done = host.cli('plugin', 'enable', 'hello')
    assert done.returncode == 7 and 'revoked' in done.stderr
    host.ok('plugin', 'uninstall', 'hello', '--yes')
    status, _, body = host.request('POST', '/v1/installations', body={'plugin': 'mortise/hello', 'version': '1.0.0'})
    assert status == 422 and json.loads(body)['code'] == 'MRT-2008'


def test_a_name_reaches_no_other_resource(host):
    for name in ('../plugins/mortise/hello', 'mortise/hello?limit=1', 'mortise/hello/versions', '../whoami'):
        done = host.cli('plugin', 'show', name)
        assert done.returncode != 0 and done.stdout == '', (name, done.stdout)


def test_what_is_no_file_is_no_package(host, tmp_path):
    for path in (tmp_path, '/dev/null'):
        done = host.cli('plugin', 'install', path, '--yes')
        assert done.returncode == 2 and str(path) in done.stderr, done.stderr


def test_head_of_a_stream_ends_and_holds_nothing_up(host):
    connection = http.client.HTTPConnection(host.address, timeout=10)
    fields = {'Authorization': 'Bearer ' + host.token, 'Accept': 'text/event-stream'}
    for path in ('/v1/installations/mortise/hello/logs', '/livez'):
        connection.request('HEAD', path, headers=fields)
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read() == b''
    connection.close()


def test_what_a_plugin_says_cannot_move_the_cursor_or_forge_a_line(host):
    log = host.data / 'logs' / 'mortise.hello.log'
    line = {'time': '2026-01-01T00:00:00Z', 'level': 'info', 'message': 'a\r\nb\x1b[2J\x7f\u009b1m', 'fields': {'k': '\x1b]0;x'}}
    with open(log, 'a') as file:
        file.write(json.dumps(line) + '\n')
    shown = subprocess.run([BUILD / 'bin' / 'mortise', 'plugin', 'logs', 'hello'], capture_output=True,
                           env={**os.environ, 'MORTISE_DATA': str(host.data)}).stdout.decode()
    assert shown.endswith('info  a? b?[2J??1m k=?]0;x\n'), shown
    assert host.cli('plugin', 'show', 'x\x1b[2J').stderr.startswith("✗ no plugin 'x?[2J'")
