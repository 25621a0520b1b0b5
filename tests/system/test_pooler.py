"""Fronts through a real PgBouncer in transaction mode, and what holds there as without one: no request sees another's user."""
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.parse

import psycopg2
import pytest

from conftest import SOURCE, Host, User, eventually

PGBOUNCER = shutil.which('pgbouncer', path='/usr/sbin:/usr/bin:/usr/local/sbin')
REQUESTS = 10000


def load_cluster():
    loader = importlib.machinery.SourceFileLoader('with_postgres', str(SOURCE / 'tests/lib/with-postgres'))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader('with_postgres', loader))
    loader.exec_module(module)
    return module.Cluster()


class Bouncer:
    """PgBouncer on a Unix socket of its own, as the account of the cluster."""

    def __init__(self, cluster, url):
        self.cluster, self.process = cluster, None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='mortise-bouncer-', dir='/tmp'))
        self.folder.chmod(0o755)
        password = urllib.parse.urlsplit(url).password
        (self.folder / 'users').write_text(f'"postgres" "{password}"\n')
        (self.folder / 'users').chmod(0o600)
        (self.folder / 'pgbouncer.ini').write_text(f'''[databases]
* = host={cluster.folder}
[pgbouncer]
pool_mode = transaction
default_pool_size = 3
listen_addr =
listen_port = 6432
unix_socket_dir = {self.folder}
auth_type = scram-sha-256
auth_file = {self.folder}/users
auth_user = postgres
admin_users = postgres
logfile = {self.folder}/log
''')
        self.url = f'postgresql:///postgres?host={self.folder}&port=6432'
        self.console = f'host={self.folder} port=6432 dbname=pgbouncer user=postgres password={password}'
        if cluster.account:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, cluster.account.pw_uid, cluster.account.pw_gid)

    def start(self):
        self.process = subprocess.Popen([PGBOUNCER, '-q', self.folder / 'pgbouncer.ini'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, cwd=self.folder, **self.cluster.identity())
        eventually(lambda: (self.folder / '.s.PGSQL.6432').exists())

    def stop(self):
        self.process.send_signal(signal.SIGINT if self.process.poll() is None else 0)
        self.process.kill()
        self.process.wait()
        (self.folder / '.s.PGSQL.6432').unlink(missing_ok=True)

    def show(self, what):
        """Rows of the console as dictionaries."""
        connection = psycopg2.connect(self.console)
        connection.autocommit = True
        try:
            cursor = connection.cursor()
            cursor.execute('SHOW ' + what)
            return [dict(zip([c.name for c in cursor.description], row)) for row in cursor.fetchall()]
        finally:
            connection.close()


@pytest.fixture(scope='module')
def cluster():
    cluster = load_cluster()
    try:
        cluster.url = cluster.make()
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture(scope='module')
def bouncer(cluster):
    assert PGBOUNCER, 'PgBouncer is not installed: packaging/install test'
    bouncer = Bouncer(cluster, cluster.url)
    try:
        bouncer.start()
        yield bouncer
    finally:
        bouncer.stop()
        shutil.rmtree(bouncer.folder, ignore_errors=True)


@pytest.fixture(scope='module')
def pooled(cluster, bouncer, publisher):
    host = Host(env={'MORTISE_DATABASE': cluster.url, 'MORTISE_DATABASE_FRONT': bouncer.url, 'MORTISE_DATABASE_POOLER': 'true'})
    try:
        host.up()
        host.trust(publisher)
        yield host
    finally:
        host.destroy()


def test_the_host_works_through_a_pooler(pooled, publisher):
    pooled.install(publisher.sign('hello'))
    assert pooled.status('/api/hello/ping') == 200 and pooled.status('/readyz', token=None) == 200
    key = pooled.json('api-key', 'create', 'x')
    assert pooled.status('/v1/plugins', token=key['key']) == 200
    pooled.ok('api-key', 'revoke', key['id'])
    eventually(lambda: pooled.status('/v1/plugins', token=key['key']) == 401)
    assert '\nhello' in pooled.ok('plugin', 'list') or 'hello' in pooled.ok('plugin', 'list')


def test_only_fronts_go_through_it_and_listening_is_direct(pooled, bouncer, cluster):
    clients = {c['user'] for c in bouncer.show('CLIENTS') if c['database'] != 'pgbouncer'}
    assert clients == {'mortise_front'}
    assert 1 <= sum(s['user'] == 'mortise_front' for s in bouncer.show('SERVERS')) <= 3
    with psycopg2.connect(cluster.url) as database, database.cursor() as cursor:
        cursor.execute("SELECT application_name, usename FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR application_name = 'mortised listen'")
        assert ('mortised listen', 'mortise_supervisor') in cursor.fetchall()


def test_no_prepared_statement_has_a_name_there(pooled, cluster):
    log = pathlib.Path(cluster.folder) / 'log'
    set_log_statement(cluster, 'all')
    begin = log.stat().st_size
    try:
        for path in ('/v1/services', '/v1/plugins', '/v1/whoami', '/v1/keys'):
            assert pooled.status(path) == 200
        said = eventually(lambda: (lambda text: text if 'services' in text and 'auth_api_keys_list' in text else None)(log.read_bytes()[begin:].decode(errors='replace')))
    finally:
        set_log_statement(cluster, 'none')
    lines = [line for line in said.splitlines() if 'execute ' in line and ('auth_api_keys_list' in line or 'set_config' in line)]
    assert lines
    # The supervisor goes the direct way and names its statements; who sets the asker is a front.
    assert all('execute <unnamed>' in line for line in lines), lines


def set_log_statement(cluster, value):
    """For all sessions, those that are there included; done when it counts."""
    connection = psycopg2.connect(cluster.url)
    connection.autocommit = True
    try:
        cursor = connection.cursor()
        cursor.execute('ALTER SYSTEM SET log_statement = %s', (value,))
        cursor.execute("ALTER SYSTEM SET log_min_messages = 'log'")  # LOG is above ERROR there
        cursor.execute('SELECT pg_reload_conf()')

        def counts():
            cursor.execute('SHOW log_statement')
            return cursor.fetchone()[0] == value
        eventually(counts)
    finally:
        connection.close()


def interleave(host, askers, requests):
    """Pipelined requests of all askers in turn, over a few connections; how many answers held what another one may see."""
    connections, mixed, wrong = 8, 0, []
    per = requests // connections
    tokens = list(askers)
    sockets = [socket.create_connection(tuple(host.address.rsplit(':', 1))) for _ in range(connections)]
    files = [s.makefile('rb') for s in sockets]
    try:
        for begin in range(0, per, 16):
            batch = [tokens[(begin + i + i // 3) % len(tokens)] for i in range(min(16, per - begin))]
            for s in sockets:
                s.sendall(b''.join(b'GET /v1/services?limit=5 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n' % t.encode() for t in batch))
            for f in files:
                for token in batch:
                    body = read_answer(f)
                    names = [item['name'] for item in json.loads(body)['items']]
                    mixed += names != [askers[token]]
                    if names != [askers[token]]:
                        wrong.append((askers[token], names))
    finally:
        for s in (*files, *sockets):
            s.close()
    return mixed, wrong[:3]


def read_answer(f):
    status, length = f.readline().split()[1], 0
    while (line := f.readline()) != b'\r\n':
        if line.lower().startswith(b'content-length:'):
            length = int(line.split(b':')[1])
    body = f.read(length)
    assert status == b'200', body.decode()
    return body


def two_users(host):
    """token -> the one service that its user sees"""
    askers = {}
    for word in ('red', 'blue'):
        name = f'{word}-{os.urandom(3).hex()}'
        user = User(host, 'DEVELOPER', 'correct horse battery', name)
        user.sql('WITH t AS (INSERT INTO teams(name, display_name) VALUES (%s, %s) RETURNING id), m AS (INSERT INTO team_members(team_id, user_id, role) '
                 "SELECT id, %s, 'OWNER' FROM t) INSERT INTO services(name, display_name, type, lifecycle, team_id) SELECT %s, %s, 'service', 'production', id FROM t",
                 name, name, user.id, f'svc-{name}', name)
        askers[user.token] = f'svc-{name}'
    user.sql('UPDATE api_keys SET rate_limit = 0')
    return askers


def transactions(cluster):
    with psycopg2.connect(cluster.url) as database, database.cursor() as cursor:
        cursor.execute('SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()')
        return cursor.fetchone()[0]


def test_interleaved_requests_of_two_users_never_mix_through_pgbouncer(pooled, bouncer, cluster):
    before = transactions(cluster)
    assert interleave(pooled, two_users(pooled), REQUESTS) == (0, [])
    # Each of them asked the database, over the few connections that PgBouncer keeps.
    eventually(lambda: transactions(cluster) - before >= REQUESTS)
    assert 1 <= sum(s['user'] == 'mortise_front' for s in bouncer.show('SERVERS')) <= 3


def test_interleaved_requests_of_two_users_never_mix_through_the_pool(host):
    assert interleave(host, two_users(host), REQUESTS) == (0, [])


def test_a_pooler_that_comes_back_is_used_again(pooled, bouncer):
    bouncer.stop()
    eventually(lambda: pooled.status('/v1/plugins') == 503)
    assert pooled.status('/livez', token=None) == 200
    bouncer.start()
    eventually(lambda: pooled.status('/v1/plugins') == 200)


def test_a_url_that_no_login_fits_into_is_refused(new_host):
    done = new_host(env={'MORTISE_DATABASE_FRONT': 'host=/tmp dbname=x'}).cli('up')
    assert done.returncode == 2 and 'database.front' in done.stderr, done.stderr
