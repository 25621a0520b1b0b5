"""The whole data model is there, and the host lives through a database that is gone."""
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest
from conftest import SOURCE, descendants, eventually, name_of


@pytest.fixture(scope='module', autouse=True)
def hello(host, publisher):
    host.install(publisher.sign('hello'))


def postmaster(host):
    return int((host.data / 'pg' / 'postmaster.pid').read_text().split()[0])


def test_the_schema_is_the_specification(host):
    url = host.ok('db', 'url').strip()
    done = subprocess.run([SOURCE / 'tests' / 'lint' / 'check-schema', url], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def test_psql_needs_no_password_on_its_command_line(host):
    assert host.ok('db', 'psql', '--', '-Atc', 'SELECT 1').strip() == '1'


def test_with_the_database_stopped_the_host_says_so_and_resumes(host):
    pid = postmaster(host)
    os.kill(pid, signal.SIGSTOP)
    backends = [p for p in descendants(pid)]
    for p in backends:
        os.kill(p, signal.SIGSTOP)
    try:
        assert eventually(lambda: host.status('/readyz', token=None) == 503, timeout=15)
        assert host.status('/livez', token=None) == 200
        status, headers, body = host.request('GET', '/v1/plugins')
        assert status == 503 and 'Retry-After' in headers, body
        assert json.loads(body)['detail']
        assert host.workers()
    finally:
        for p in backends + [pid]:
            os.kill(p, signal.SIGCONT)
    assert eventually(lambda: host.status('/readyz', token=None) == 200, timeout=20)
    assert eventually(lambda: host.status('/api/hello/ping') == 200, timeout=10)


def another_postmaster(host, before):
    try:
        return postmaster(host) != before
    except (OSError, ValueError, IndexError):
        return False


def test_with_the_database_killed_it_is_started_again(host):
    before = postmaster(host)
    os.kill(before, signal.SIGKILL)
    assert eventually(lambda: host.status('/livez', token=None) == 200, timeout=5)
    # Its backends may answer a moment longer than it lives.
    assert eventually(lambda: another_postmaster(host, before), timeout=30)
    assert eventually(lambda: host.status('/readyz', token=None) == 200, timeout=30)
    assert eventually(lambda: host.status('/v1/plugins') == 200, timeout=10)
    assert eventually(lambda: host.status('/api/hello/ping') == 200, timeout=10)


def test_a_database_of_your_own_serves_in_place_of_the_embedded_one(host, new_host, publisher):
    superuser = (host.data / 'superuser.url').read_text().strip()

    def psql(statement):
        done = subprocess.run(['psql', '-X', '-q', '-d', superuser, '-c', statement], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    psql("CREATE ROLE outside LOGIN CREATEROLE PASSWORD 'out:si/de'")
    psql('CREATE DATABASE outside OWNER outside')
    url = re.sub(r'//[^@]*@(.*)/[^/?]*\?', r'//outside:out%3Asi%2Fde@\1/outside?', superuser)
    other = new_host(env={'MORTISE_DATABASE': url})
    other.up()
    assert not (other.data / 'pg').exists()
    other.trust(publisher)
    other.install(publisher.sign('hello'))
    assert other.status('/api/hello/ping') == 200
    assert 'out:si/de' not in other.log()
    assert other.ok('db', 'psql', '--', '-Atc', 'SELECT current_database()').strip() == 'outside'
    done = new_host(env={'MORTISE_DATABASE': 'postgresql://nobody@127.0.0.1:1/x'}).cli('up')
    assert done.returncode == 75 and '--database' in done.stderr
