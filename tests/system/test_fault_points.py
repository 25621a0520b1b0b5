"""kill -9 of the supervisor at every fault point of each change: old state or new state, no garbage."""
import re

import moody
import pytest
from conftest import SOURCE, Host, eventually, name_of

POINTS = re.findall(r'^X\("([a-z_.]+)"', (SOURCE / 'core' / 'base' / 'fault.def').read_text(), re.M)

# What passes the points of a group: the state before, the command, the states it may leave after a kill and a restart.
COMMANDS = {
    'store': ('available', ['install'], {'available', 'installed', 'failed'}),
    'stage': ('available', ['install'], {'available', 'installed', 'failed'}),
    'install': ('available', ['install'], {'available', 'installed', 'failed'}),
    'disable': ('installed', ['disable'], {'installed', 'disabled'}),
    'enable': ('disabled', ['enable'], {'disabled', 'installed'}),
    'uninstall': ('installed', ['uninstall'], {'installed', 'disabled', 'available'}),
}


@pytest.fixture(scope='module')
def host(publisher):
    host = Host()
    try:
        host.up()
        host.trust(publisher)
        yield host
    finally:
        host.destroy()


def sql(host, query):
    return host.ok('db', 'psql', '--', '-Atc', query).strip()


def state(host):
    items = [item for item in host.json('plugin', 'list') if item['plugin'] == 'mortise/hello']
    return items[0]['state'] if items else 'available'


def act(host, publisher, command):
    if command == 'install':
        return host.cli('plugin', 'install', publisher.sign('hello'), '--yes')
    return host.cli('plugin', command, 'hello', '--yes')


def bring_to(host, publisher, wanted):
    """Walk to the wanted state with ordinary commands; each must work from where a kill left it."""
    now = state(host)
    if now == 'failed' or (now != 'available' and wanted == 'available'):
        assert act(host, publisher, 'uninstall').returncode == 0, host.log()
        now = 'available'
    steps = {('available', 'installed'): ['install'], ('available', 'disabled'): ['install', 'disable'],
             ('installed', 'disabled'): ['disable'], ('disabled', 'installed'): ['enable']}
    for step in steps.get((now, wanted), []):
        done = act(host, publisher, step)
        assert done.returncode == 0, (step, done.stderr, host.log())
    assert state(host) == wanted


def garbage(host):
    """What lies in the data folder that no row names."""
    named = set(sql(host, "SELECT substr(digest, 8) FROM packages").split())
    stored = {path.name for path in (host.data / 'store' / 'sha256').iterdir()}
    return sorted(stored - named) + sorted(str(path) for path in (host.data / 'staging').iterdir())


def test_the_list_of_fault_points_is_covered():
    elsewhere = {'audit', 'key_ring'}  # test_audit.py, test_secrets.py
    assert {point.split('.')[0] for point in POINTS} - elsewhere == set(COMMANDS) | {'configure', 'update'}
    assert len(POINTS) >= 30


@pytest.mark.parametrize('point', [point for point in POINTS if point.split('.')[0] in COMMANDS])
def test_a_kill_leaves_the_old_state_or_the_new_one(point, host, publisher):
    before, command, allowed = COMMANDS[point.split('.')[0]]
    bring_to(host, publisher, before)
    if point.split('.')[0] in ('store', 'stage'):
        # A package that is stored is not stored again, so these points take a host that has never seen it.
        host.destroy()
        host.__init__()
        host.up()
        host.trust(publisher)
    host.down()
    host.up(env={'MORTISE_FAULT': f'{point}:kill'})
    pid = host.pid
    done = act(host, publisher, command[0])
    eventually(lambda: name_of(pid) != 'mortised', timeout=30)
    host.up()
    eventually(lambda: sql(host, "SELECT count(*) FROM changes WHERE state = 'running'") == '0')
    now = state(host)
    assert now in allowed, (now, done.stderr, host.log())
    assert (host.status('/api/hello/ping') == 200) == (now == 'installed'), (now, host.log())
    eventually(lambda: not garbage(host))


def points_of(group):
    return [point for point in POINTS if point.split('.')[0] == group]


@pytest.fixture(scope='module')
def moody_host(publisher, request):
    """A host with fixture/moody 1.0.0, which takes a configuration while it runs or does not."""
    host = Host()
    try:
        host.up()
        host.trust(publisher)
        host.install(moody.package(publisher, library=request.param))
        yield host
    finally:
        host.destroy()


def die_at(host, point, command):
    """Give the command to a host that dies at the point; start it again and see the change end."""
    host.down()
    host.up(env={'MORTISE_FAULT': f'{point}:kill'})
    pid = host.pid
    command()
    eventually(lambda: name_of(pid) != 'mortised', timeout=30)
    host.up()
    eventually(lambda: sql(host, "SELECT count(*) FROM changes WHERE state = 'running'") == '0')


@pytest.mark.parametrize('point', points_of('configure'))
@pytest.mark.parametrize('moody_host', ['moody', 'moody_fixed'], indirect=True)
def test_a_kill_leaves_the_old_configuration_or_the_new_one(point, moody_host):
    host = moody_host
    old = host.json('plugin', 'config', 'moody')
    new = {'word': point}
    die_at(host, point, lambda: host.cli('plugin', 'configure', 'moody', f'word={point}'))
    now = host.json('plugin', 'config', 'moody')
    assert now in (old, new)
    assert (now == new) == (host.json('history')[0]['state'] == 'done')
    assert eventually(lambda: moody.show(host))['config'] == now
    eventually(lambda: len(host.workers()) == 1)
    eventually(lambda: not garbage(host))


@pytest.mark.parametrize('point', points_of('update'))
@pytest.mark.parametrize('moody_host', ['moody'], indirect=True)
def test_a_kill_leaves_the_old_version_or_the_new_one(point, moody_host, publisher):
    host = moody_host

    def version():
        return host.json('plugin', 'list')[0]['version']
    old = version()
    new = '1.0.1' if old == '1.0.0' else '1.0.0'
    package = moody.package(publisher, new, 'moody_next' if new == '1.0.1' else 'moody')
    status, _, body = host.request('POST', '/v1/packages', body=package.read_bytes(),
                                   headers={'Content-Type': 'application/vnd.mortise.package'})
    assert status in (200, 201), body
    die_at(host, point, lambda: sql(host, f"""
        SELECT set_config('app.current_user_id', (SELECT id FROM users WHERE provider = 'system'), true);
        SELECT change_open('update', 'fixture/moody', 'development', '{new}', NULL, NULL, NULL, '{{}}', NULL)"""))
    now = version()
    assert now in (old, new)
    assert (now == new) == (host.json('history')[0]['state'] == 'done')
    assert eventually(lambda: moody.show(host))
    eventually(lambda: len(host.workers()) == 1)
    eventually(lambda: not garbage(host))
