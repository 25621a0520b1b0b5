"""kill -9 of every process: what must not notice does not, and all comes back."""
import os
import signal
import threading

import pytest
from conftest import descendants, eventually, name_of


@pytest.fixture(scope='module', autouse=True)
def plugins(host, publisher):
    host.install(publisher.sign('hello'))
    host.install(publisher.sign('os-catalog'))


def worker_of(host, plugin):
    """The worker's pid as the host itself says it."""
    return int(host.ok('db', 'psql', '--', '-Atc',
                       "SELECT pid FROM plugin_instances i JOIN plugin_installations s ON s.id = i.installation_id "
                       f"JOIN plugins p ON p.id = s.plugin_id WHERE p.name = 'mortise/{plugin}'").strip())


def test_a_killed_worker_is_back_within_a_second_and_the_others_never_notice(host):
    other = worker_of(host, 'os-catalog')
    os.kill(worker_of(host, 'hello'), signal.SIGKILL)
    assert eventually(lambda: host.status('/api/hello/ping') == 200, timeout=1.0)
    assert worker_of(host, 'os-catalog') == other and name_of(other) == 'mortise-worker'


def test_the_crash_is_recorded(host):
    count = eventually(lambda: int(host.ok('db', 'psql', '--', '-Atc',
                                           'SELECT count(*) FROM plugin_terminations WHERE signal = 9').strip()))
    assert count >= 1


def test_a_killed_front_is_back_and_the_port_never_closes(host):
    stop = threading.Event()
    refused = []

    def ask():
        while not stop.is_set():
            try:
                host.request('GET', '/livez', token=None)
            except ConnectionRefusedError as error:
                refused.append(error)
            except OSError:
                pass
    asker = threading.Thread(target=ask)
    asker.start()
    before = set(host.fronts())
    victim = sorted(before)[0]
    os.kill(victim, signal.SIGKILL)
    assert eventually(lambda: len(host.fronts()) == len(before) and victim not in host.fronts(), timeout=2.0)
    assert eventually(lambda: host.status('/api/hello/ping') == 200, timeout=2.0)
    stop.set()
    asker.join()
    assert not refused


def test_a_killed_supervisor_leaves_no_orphan_and_the_next_start_converges(host):
    below = descendants(host.pid)
    assert len(below) > 4
    os.kill(host.pid, signal.SIGKILL)
    eventually(lambda: not [pid for pid in below if name_of(pid) and open(f'/proc/{pid}/stat').read().split(')')[1].split()[0] != 'Z'],
               timeout=2.0)
    host.up()
    assert eventually(lambda: host.status('/api/hello/ping') == 200, timeout=5.0)
    assert {item['state'] for item in host.json('plugin', 'list')} == {'installed'}


def test_an_installed_plugin_is_never_denied_while_the_host_starts(host):
    address = host.address
    seen, stop = set(), threading.Event()

    def ask():
        while not stop.is_set():
            seen.add(host.status('/api/hello/ping'))
    host.down()
    (host.data / 'listen').write_text(address)
    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    host.up(env={'MORTISE_LISTEN': address})
    assert eventually(lambda: host.status('/api/hello/ping') == 200, timeout=5.0)
    stop.set()
    for asker in askers:
        asker.join()
    assert 200 in seen and seen <= {None, 200, 503}, seen
