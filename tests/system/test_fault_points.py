"""kill -9 of the supervisor at every fault point of install and uninstall: old state or new, no garbage."""
import os
import re

import pytest
from conftest import BUILD, SOURCE, Host, eventually, name_of

POINTS = re.findall(r'^X\("([a-z_.]+)"', (SOURCE / 'core' / 'base' / 'fault.def').read_text(), re.M)


def garbage(host):
    """What lies in the data folder that no row names."""
    named = set(host.ok('db', 'psql', '--', '-Atc', "SELECT substr(digest, 8) FROM packages").split())
    stored = {path.name for path in (host.data / 'store' / 'sha256').iterdir()}
    return sorted(stored - named) + sorted(str(path) for path in (host.data / 'staging').iterdir())


def run_until_killed(host, *command):
    """The command's result, and whether the supervisor died during it."""
    pid = host.pid
    done = host.cli(*command)
    return done, name_of(pid) != 'mortised'


def check_whole(host, allowed):
    """After restart: one of the allowed states, no running change, nothing left lying about."""
    host.up()
    eventually(lambda: host.ok('db', 'psql', '--', '-Atc',
                               "SELECT count(*) FROM changes WHERE state = 'running'").strip() == '0')
    items = [item for item in host.json('plugin', 'list') if item['plugin'] == 'mortise/hello']
    state = items[0]['state'] if items else 'available'
    assert state in allowed, (state, host.log())
    serves = host.status('/api/hello/ping')
    assert (serves == 200) == (state == 'installed'), (state, serves)
    eventually(lambda: not garbage(host))
    return state


def points(prefix):
    return [point for point in POINTS if point.split('.')[0] in prefix]


@pytest.mark.parametrize('point', points(('package', 'store', 'stage', 'install', 'change')))
def test_install(point, publisher):
    host = Host()
    try:
        host.up()
        host.trust(publisher)
        host.down()
        host.up(env={'MORTISE_FAULT': f'{point}:kill'})
        done, died = run_until_killed(host, 'plugin', 'install', publisher.sign('hello'), '--yes')
        assert died, f'{point} was not reached: {done.stderr}'
        state = check_whole(host, ('available', 'installed', 'failed'))
        if state == 'failed':
            host.ok('plugin', 'uninstall', 'hello', '--yes')
        if state != 'installed':
            host.install(publisher.sign('hello'))
        assert host.status('/api/hello/ping') == 200
    finally:
        host.destroy()


@pytest.mark.parametrize('point', points(('uninstall', 'disable')))
def test_uninstall(point, publisher):
    host = Host()
    try:
        host.up()
        host.trust(publisher)
        host.install(publisher.sign('hello'))
        host.down()
        host.up(env={'MORTISE_FAULT': f'{point}:kill'})
        assert host.status('/api/hello/ping') == 200
        done, died = run_until_killed(host, 'plugin', 'uninstall', 'hello', '--yes')
        assert died, f'{point} was not reached: {done.stderr}'
        state = check_whole(host, ('available', 'installed', 'disabled', 'failed'))
        if state != 'installed':
            if state != 'available':
                host.ok('plugin', 'uninstall', 'hello', '--yes')
            host.install(publisher.sign('hello'))
        assert host.status('/api/hello/ping') == 200
    finally:
        host.destroy()
