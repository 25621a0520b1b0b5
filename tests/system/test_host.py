"""Start, stop and settings of a host."""
import os
import select
import socket
import stat
import subprocess

import pytest
from conftest import BIN, descendants, eventually, name_of, processes


def test_up_down_up_leaves_nothing_behind(new_host):
    host = new_host()
    assert 'url' in host.up()
    assert 'runs already' in host.cli('up').stderr
    assert stat.S_IMODE((host.data / 'admin.token').stat().st_mode) == 0o600
    assert stat.S_IMODE((host.data / 'owner.url').stat().st_mode) == 0o600
    token = host.token
    below = descendants(host.pid)
    assert host.get('/readyz')[0] == 200
    host.down()
    assert not [pid for pid in below if os.path.exists(f'/proc/{pid}')]
    assert not processes(str(host.data))
    assert 'does not run' in host.cli('down').stderr
    host.up()
    assert host.token == token and host.get('/v1/plugins')[0] == 200


def test_the_token_stands_in_its_file_and_nowhere_else(new_host):
    host = new_host()
    shown = host.up()
    token = host.token
    assert token.startswith('mrt_') and token not in shown and token not in host.log()
    for path in host.data.rglob('*'):
        if path.is_file() and path.name != 'admin.token':
            assert token.encode() not in path.read_bytes(), path


def test_a_taken_port_is_named(new_host):
    with socket.create_server(('127.0.0.1', 0)) as server:
        host = new_host(env={'MORTISE_LISTEN': '127.0.0.1:%d' % server.getsockname()[1]})
        done = host.cli('up')
        assert done.returncode != 0 and str(server.getsockname()[1]) in done.stderr
        assert '--listen' in done.stderr
        assert not processes(str(host.data))


def test_bad_settings_are_named(new_host):
    for name, value in (('MORTISE_FRONTS', 'two'), ('MORTISE_LISTEN', 'nowhere'), ('MORTISE_LOG_LEVEL', 'loud')):
        done = new_host(env={name: value}).cli('up')
        assert done.returncode == 2 and value in done.stderr, (name, done.stderr)


@pytest.mark.skipif(os.getuid() != 0, reason='only root serves under another user')
def test_a_data_folder_that_the_service_cannot_reach_is_refused(new_host):
    host = new_host()
    locked = host.folder / 'locked'
    locked.mkdir(mode=0o700)
    host.data = locked / 'data'
    done = host.cli('up')
    assert done.returncode != 0 and str(locked) in done.stderr


def test_workers_and_fronts_are_not_root(host, publisher):
    host.install(publisher.sign('hello'))
    for pid in host.workers() + host.fronts():
        status = open(f'/proc/{pid}/status').read()
        assert 'NoNewPrivs:\t1' in status
        if os.getuid() == 0:
            assert '\nUid:\t0\t' not in status


def test_liveness_needs_no_key_and_everything_else_does(host):
    assert [host.status(path, token=None) for path in ('/livez', '/readyz', '/startupz')] == [200, 200, 200]
    assert host.status('/v1/plugins', token=None) == 401
    assert host.status('/api/hello/ping', token=None) == 401


def test_children_hold_no_descriptor_that_is_not_theirs(host):
    worker = eventually(host.workers)[0]
    links = [os.readlink(f'/proc/{worker}/fd/{fd}') for fd in os.listdir(f'/proc/{worker}/fd')]
    assert not [link for link in links if '/pg/' in link or 'owner.url' in link or 'key-ring' in link], links


def test_a_host_holds_nothing_of_its_starter_open(new_host):
    host = new_host()
    reader, writer = os.pipe()
    done = subprocess.run([BIN / 'mortise', 'up'], env={**os.environ, **host.env, 'MORTISE_DATA': str(host.data)},
                          pass_fds=[writer], capture_output=True, text=True)
    os.close(writer)
    assert done.returncode == 0, done.stderr
    assert select.select([reader], [], [], 5)[0] and os.read(reader, 1) == b''
    os.close(reader)


@pytest.mark.skipif(os.geteuid() != 0, reason='without root all processes have one user')
def test_a_front_has_no_way_to_the_files_of_the_database(host):
    def user(pid):
        with open(f'/proc/{pid}/status') as status:
            return int(next(line for line in status if line.startswith('Uid:')).split()[1])
    owner = (host.data / 'pg').stat()
    database = {user(pid) for pid in descendants(host.pid) if name_of(pid) == 'postgres'}
    fronts = {user(pid) for pid in host.fronts()}
    assert database == {owner.st_uid} and owner.st_mode & 0o77 == 0
    assert len(fronts) == 1 and not fronts & {0, owner.st_uid}
