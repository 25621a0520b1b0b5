"""A host for each test file, driven through the programs as an administrator drives them."""
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import psycopg2
import pytest

SOURCE = pathlib.Path(os.environ['MORTISE_SOURCE'])
BUILD = pathlib.Path(os.environ['MORTISE_BUILD'])
BIN = BUILD / 'bin'


def eventually(condition, timeout=20.0):
    """Ask until the answer is true; give the answer, or fail after the timeout in seconds."""
    pause = threading.Event()
    end = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, f'still not so after {timeout} s: {condition}'
        pause.wait(0.01)


def run(*args, env=None, data=None, **options):
    """Run the command line and give its CompletedProcess; it never asks."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith('MORTISE_')}
    environment.update(env or {})
    if data:
        environment['MORTISE_DATA'] = str(data)
    return subprocess.run([BIN / 'mortise', *map(str, args)], env=environment, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, capture_output=True, **options)


def processes(word):
    """The pids whose command line or environment of descriptors names word."""
    found = {}
    for entry in pathlib.Path('/proc').iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / 'cmdline').read_bytes().replace(b'\0', b' ').decode(errors='replace')
        except OSError:
            continue
        if word in line:
            found[int(entry.name)] = line
    return found


def descendants(pid):
    """The pids of all processes below pid."""
    children = {}
    for entry in pathlib.Path('/proc').iterdir():
        if entry.name.isdigit():
            try:
                after = (entry / 'stat').read_text().rsplit(')', 1)[1].split()
            except OSError:
                continue
            if after[0] != 'Z':
                children.setdefault(int(after[1]), []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def name_of(pid):
    try:
        return pathlib.Path(f'/proc/{pid}/comm').read_text().strip()
    except OSError:
        return None


class Host:
    """One host on a data folder of its own."""

    def __init__(self, environment='development', env=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='mortise-', dir='/tmp'))
        self.folder.chmod(0o755)
        self.data = self.folder / 'data'
        self.env = {'MORTISE_ENVIRONMENT': environment, 'MORTISE_LISTEN': '127.0.0.1:0', **(env or {})}

    def cli(self, *args, env=None):
        return run(*args, env={**self.env, **(env or {})}, data=self.data)

    def ok(self, *args, env=None):
        """Run a command that must succeed; give its stdout."""
        done = self.cli(*args, env=env)
        assert done.returncode == 0, f'{args}: exit {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.log()}'
        return done.stdout

    def json(self, *args):
        return json.loads(self.ok(*args, '--json'))

    def up(self, env=None):
        return self.ok('up', env=env)

    def down(self):
        return self.ok('down')

    def log(self):
        try:
            return (self.data / 'mortised.log').read_text()[-6000:]
        except OSError:
            return ''

    @property
    def pid(self):
        return int((self.data / 'mortised.pid').read_text())

    @property
    def address(self):
        return (self.data / 'listen').read_text().strip()

    @property
    def token(self):
        return (self.data / 'admin.token').read_text().strip()

    def workers(self):
        return [pid for pid in descendants(self.pid) if name_of(pid) == 'mortise-worker']

    def fronts(self):
        return [pid for pid in descendants(self.pid) if name_of(pid) == 'mortise-front']

    def request(self, method, path, body=None, token='', headers=None, timeout=30):
        """(status, headers, body) of one request; token '' sends the admin's, None sends none."""
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        fields = dict(headers or {})
        if token is not None:
            fields['Authorization'] = 'Bearer ' + (token or self.token)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            fields.setdefault('Content-Type', 'application/json')
        try:
            connection.request(method, path, body=body, headers=fields)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def get(self, path, method='GET', **options):
        """(status, answer) with JSON read."""
        status, _, body = self.request(method, path, **options)
        return status, json.loads(body) if body[:1] in b'{[' and body else body

    def status(self, path, **options):
        """The status alone; None when nobody answers."""
        try:
            return self.request('GET', path, **options)[0]
        except (OSError, http.client.HTTPException):
            return None

    def trust(self, publisher):
        self.ok('trust', 'add', publisher.key.with_suffix('.key.pub'), '--namespace', '*', '--development', '--yes')

    def install(self, package, *options):
        return self.ok('plugin', 'install', package, '--yes', *options)

    def destroy(self):
        try:
            self.cli('down')
            pid = self.data / 'mortised.pid'
            if pid.exists() and name_of(int(pid.read_text() or 0)) == 'mortised':
                os.kill(int(pid.read_text()), signal.SIGKILL)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


class Publisher:
    """A signing key and packages made with it."""

    def __init__(self, folder):
        self.folder = folder
        self.key = folder / 'publisher.key'
        done = run('key', 'generate', self.key)
        assert done.returncode == 0, done.stderr
        self.key_id = done.stdout.strip()

    def sign(self, plugin, key=None):
        """The package of one of our own plugins, as its build left it."""
        return self.pack(BUILD / 'plugins' / plugin / f'{plugin}.package', self.folder / f'{plugin}.mpk', key)

    def pack(self, source, package, key=None):
        done = run('package', 'build', source, '--key', key or self.key, '--output', package)
        assert done.returncode == 0, done.stderr
        return package


@pytest.fixture(scope='module')
def publisher():
    folder = pathlib.Path(tempfile.mkdtemp(prefix='mortise-', dir='/tmp'))
    yield Publisher(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope='module')
def host(publisher):
    """A running host that trusts the publisher."""
    host = Host()
    try:
        host.up()
        host.trust(publisher)
        yield host
    finally:
        host.destroy()


@pytest.fixture
def new_host():
    """Makes hosts that are not started yet."""
    made = []

    def make(**options):
        made.append(Host(**options))
        return made[-1]

    yield make
    for host in made:
        host.destroy()


class User:
    """A local user with a password and a key that holds all scopes."""

    def __init__(self, host, role, password, name):
        self.host, self.role, self.password, self.username = host, role, password, name
        self.email = f'{name}@example.org'
        self.id = self.sql('''INSERT INTO users(email, name, username, provider, provider_id, role, password)
            VALUES (%s, %s, %s, 'local', %s, %s, crypt(%s, gen_salt('bf', 4))) RETURNING id''',
            self.email, name.title(), name, name, role, password)
        status, answer = host.get('/v1/keys', method='POST', body={'name': 'test', 'scopes': ['*'], 'user': self.id})
        assert status == 201, answer
        self.token = answer['key']

    def sql(self, statement, *values):
        """One statement as the owner of the database; the first value of its first row."""
        with contextlib.closing(psycopg2.connect(self.host.ok('db', 'url').strip())) as database, database:
            with database.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchone()[0] if cursor.description else None


@pytest.fixture
def make_user(host):
    """Makes users: make_user('VIEWER').token asks as one of them."""
    made = itertools.count(1)

    def make(role='DEVELOPER', password='correct horse battery', name=None):
        return User(host, role, password, name or f'user{os.urandom(4).hex()}-{next(made)}')

    return make


@pytest.fixture
def session_of(host):
    """Logs a user in: session_of(user) is his session as POST /v1/sessions answered it, with its token."""
    def login(user, **members):
        status, answer = host.get('/v1/sessions', method='POST', token=None,
                                  body={'login': user.username, 'password': user.password, **members})
        assert status == 201, answer
        return answer

    return login
