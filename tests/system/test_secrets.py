"""Sealed secrets: the key ring and its rotation, secrets of plugins, and a dump that holds none of them in the clear."""
import base64
import contextlib
import hashlib
import hmac
import json
import os
import pty
import re
import shutil
import stat
import subprocess
import threading

import psycopg2
import pytest
from conftest import BUILD, User, eventually, name_of
from person import Person

MORTISE = BUILD / 'bin' / 'mortise'
SCHEMA = {'type': 'object', 'additionalProperties': False, 'properties': {
    'word': {'type': 'string'}, 'token': {'type': 'string', 'x-secret': True}}, 'required': ['token']}
NOT_FOUND, PERMISSION, INTERNAL = -1005, -1006, -1015
POINTS = ['write', 'coming', 'switch', 'reseal', 'finish', 'destroy']


def package(publisher, plugin='relay', permissions=('secret',)):
    """A plugin that calls whatever extension its client names, with a configuration that has a secret."""
    folder = publisher.folder / f'secrets-{plugin}-{len(permissions)}'
    (folder / 'lib').mkdir(parents=True, exist_ok=True)
    library = 'relay' if plugin == 'relay' else 'relay_twin'
    shutil.copy(BUILD / 'fixtures' / 'plugins' / f'{library}.so', folder / 'lib' / 'relay.so')
    (folder / 'manifest.json').write_text(json.dumps({
        'name': f'fixture/{plugin}', 'version': '1.0.0', 'display_name': 'Relay',
        'entry': {'x86_64-linux-gnu': 'lib/relay.so'},
        'routes': [{'name': 'call', 'method': 'POST', 'pattern': '/call', 'scope': f'{plugin}.write'}],
        'permissions': list(permissions), 'config': {'schema': SCHEMA}}))
    return publisher.pack(folder, publisher.folder / f'{folder.name}.mpk')


def get_secret(host, name, plugin='relay', own='', token=''):
    """What secret/1 gives a plugin: (rc, value or text)."""
    status, answer = host.get(f'/api/{plugin}/call?extension=secret/1&method=get&own={own}', method='POST',
                              body={'name': name}, token=token)
    assert status == 200, answer
    return answer['rc'], answer['result']['value'] if answer['rc'] == 0 else answer['text']


def sql(host, statement, *values):
    """Rows of one statement, as the owner of the database."""
    with contextlib.closing(psycopg2.connect(host.ok('db', 'url').strip())) as database, database:
        with database.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []


def set_secret(host, plugin, name, value):
    done = subprocess.run([MORTISE, 'plugin', 'secret', 'set', plugin, name, '--data', host.data], input=value, text=True,
                          capture_output=True, env={**os.environ, **host.env})
    assert done.returncode == 0, done.stderr
    assert len(value) < 4 or value not in done.stdout + done.stderr


def password_of(host, login):
    """The password of one of the database's logins, as the host derives it."""
    secret = [line.split()[1] for line in ring_file(host).read_text().splitlines() if line.startswith('login ')][0]
    owner = host.ok('db', 'url').strip().split('//')[1].split('@')[0].partition(':')[2]
    return hmac.new(owner.encode() if owner else bytes.fromhex(secret), f'mortise login mortise_{login}'.encode(), hashlib.sha256).hexdigest()


def connect_as(host, login):
    return psycopg2.connect(host.ok('db', 'url').strip(), user=f'mortise_{login}', password=password_of(host, login))


def ring_file(host):
    return host.data / 'key-ring'


def master_of(host, key):
    for line in ring_file(host).read_text().splitlines():
        words = line.split()
        if words[:2] == ['key', key]:
            return bytes.fromhex(words[3])
    return None


def ring(host):
    return host.json('key-ring', 'list')


def key_in(host, state):
    return [key['id'] for key in ring(host)['keys'] if key['state'] == state]


def envelopes(host):
    return dict(sql(host, 'SELECT place, envelope FROM envelopes()'))


def key_of(envelope):
    return envelope.split(':')[2]


@pytest.fixture(scope='module')
def relay(host, publisher):
    host.install(package(publisher))
    host.install(package(publisher, 'twin'))
    return host


# ---- secrets of plugins ------------------------------------------------------------------------------------------------------------


def test_a_secret_reaches_its_plugin_and_nobody_else(relay, make_user):
    set_secret(relay, 'relay', 'token', 'hunter2 für alle\n')
    assert get_secret(relay, 'token') == (0, 'hunter2 für alle')
    assert get_secret(relay, 'token', own='1') == (0, 'hunter2 für alle'), 'in the background, as its own account'
    assert get_secret(relay, 'token', token=make_user('DEVELOPER').token) == (0, 'hunter2 für alle')
    rc, text = get_secret(relay, 'token', plugin='twin')
    assert rc == NOT_FOUND and 'token' in text
    set_secret(relay, 'twin', 'token', 'another')
    assert get_secret(relay, 'token', plugin='twin') == (0, 'another')
    assert get_secret(relay, 'token') == (0, 'hunter2 für alle')


def test_a_value_goes_in_and_never_comes_out(relay):
    set_secret(relay, 'relay', 'token', 'write-only-value')
    listed = relay.json('plugin', 'secret', 'list', 'relay')
    one = [item for item in listed if item['name'] == 'token'][0]
    assert one['key'] == key_in(relay, 'current')[0] and one['set_at'] and one['set_by']
    assert 'write-only-value' not in json.dumps(listed)
    for path in ('', '/token'):
        status, answer = relay.get(f'/v1/installations/fixture/relay/secrets{path}')
        assert status == (405 if path else 200) and 'write-only-value' not in str(answer)
    status, answer = relay.get('/v1/installations/fixture/relay')
    assert status == 200 and 'enc:v1' not in str(answer)
    assert relay.ok('plugin', 'secret', 'remove', 'relay', 'token', '--yes') == ''
    assert get_secret(relay, 'token')[0] == NOT_FOUND
    assert relay.cli('plugin', 'secret', 'remove', 'relay', 'token', '--yes').returncode == 5


def test_bad_input_is_told_apart(relay, make_user):
    path = '/v1/installations/fixture/relay/secrets/'
    for name, body, status in [('token', {}, 400), ('token', {'value': ''}, 400), ('token', {'value': 1}, 400),
                               ('token', {'value': 'x' * 8193}, 400), ('token', {'value': 'x', 'more': 1}, 400),
                               ('1token', {'value': 'x'}, 400), ('a%20b', {'value': 'x'}, 400), ('x' * 65, {'value': 'x'}, 400)]:
        got, answer = relay.get(path + name, method='PUT', body=body)
        assert got in (status, 404 if len(name) > 64 else status), (name, body, answer)
    assert relay.get(path + 'big', method='PUT', body={'value': 'x' * 8192})[0] == 200
    assert get_secret(relay, 'big') == (0, 'x' * 8192)
    assert relay.get('/v1/installations/fixture/nothing/secrets/a', method='PUT', body={'value': 'x'})[0] == 404
    viewer, developer = make_user('VIEWER').token, make_user('DEVELOPER').token
    assert relay.get(path + 'token', method='PUT', body={'value': 'x'}, token=viewer)[0] == 403
    assert relay.get(path + 'token', method='PUT', body={'value': 'x'}, token=developer)[0] == 403
    assert relay.get(path + 'big', method='DELETE', token=developer)[0] == 403
    assert relay.get(path[:-1], token=viewer)[0] == 404, 'as the installation itself'


def test_a_secret_is_typed_unseen_or_read_from_a_file(relay, tmp_path):
    (tmp_path / 'value').write_text('from a file\n')
    relay.ok('plugin', 'secret', 'set', 'relay', 'typed', '--file', tmp_path / 'value')
    assert get_secret(relay, 'typed') == (0, 'from a file')
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(relay.env, TERM='dumb')
        os.execv(MORTISE, [MORTISE, 'plugin', 'secret', 'set', 'relay', 'typed', '--data', str(relay.data)])
    seen = b''
    answered = 0
    with contextlib.suppress(OSError):
        while True:
            piece = os.read(terminal, 1024)
            seen += piece
            if not piece:
                break
            if seen.count(b': ') > answered:
                answered += 1
                os.write(terminal, b'typed by hand\n')
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, seen
    assert b'typed by hand' not in seen and answered == 2
    assert get_secret(relay, 'typed') == (0, 'typed by hand')


def test_a_plugin_without_the_permission_reads_nothing(host, publisher, relay):
    twin = package(publisher, 'twin', ())
    relay.ok('plugin', 'uninstall', 'twin', '--yes')
    assert 'token' not in str(sql(relay, "SELECT secrets FROM plugin_installations i JOIN plugins p ON p.id = plugin_id "
                                         "WHERE p.name = 'fixture/twin'")), 'uninstalling takes the secrets away'
    folder = publisher.folder / 'secrets-twin-0'
    manifest = json.loads((folder / 'manifest.json').read_text())
    (folder / 'manifest.json').write_text(json.dumps({**manifest, 'version': '1.0.0'}))
    relay.ok('plugin', 'install', package(publisher, 'twin'), '--yes')
    sql(relay, "UPDATE plugin_installations SET granted_permissions = '{}' FROM plugins p "
               "WHERE p.id = plugin_id AND p.name = 'fixture/twin'")
    relay.down()
    relay.up()
    set_secret(relay, 'twin', 'token', 'not for it')
    rc, text = get_secret(relay, 'token', plugin='twin')
    assert rc == PERMISSION and "'secret'" in text, text
    assert twin


def test_an_envelope_that_was_moved_does_not_open_and_is_reported(relay):
    set_secret(relay, 'relay', 'token', 'mine')
    set_secret(relay, 'relay', 'other', 'yours')
    sql(relay, '''UPDATE plugin_installations i SET secrets = secrets || jsonb_build_object('other', secrets ->> 'token')
        FROM plugins p WHERE p.id = i.plugin_id AND p.name = 'fixture/relay' ''')
    rc, text = get_secret(relay, 'other')
    assert rc == INTERNAL and 'does not open' in text and 'mine' not in text
    sql(relay, '''UPDATE plugin_installations t SET secrets = t.secrets || jsonb_build_object('token', s.secrets ->> 'token')
        FROM plugin_installations s, plugins p, plugins q
        WHERE p.id = s.plugin_id AND p.name = 'fixture/relay' AND q.id = t.plugin_id AND q.name = 'fixture/twin' ''')
    sql(relay, "UPDATE plugin_installations i SET granted_permissions = '{secret}' FROM plugins p "
               "WHERE p.id = plugin_id AND p.name = 'fixture/twin'")
    relay.down()
    relay.up()
    assert get_secret(relay, 'token', plugin='twin')[0] == INTERNAL
    assert get_secret(relay, 'token') == (0, 'mine')
    failures = sql(relay, "SELECT resource_name, status FROM audit_logs WHERE action = 'secret.read' AND status = 'failure'")
    assert sorted(failures) == [('other', 'failure'), ('token', 'failure')]
    assert relay.log().count('does not open in its place') >= 1
    reads = sql(relay, "SELECT count(*) FROM audit_logs WHERE action = 'secret.read' AND status = 'success'")
    assert reads[0][0] > 0
    relay.ok('plugin', 'secret', 'remove', 'relay', 'other', '--yes')
    relay.ok('plugin', 'secret', 'remove', 'twin', 'token', '--yes')


def test_a_secret_does_not_go_into_the_configuration(new_host, publisher, tmp_path):
    host = new_host()
    host.up()
    host.trust(publisher)
    (tmp_path / 'config.json').write_text(json.dumps({'word': 'a', 'token': 'slipped-in-by-mistake'}))
    done = host.cli('plugin', 'install', package(publisher), '--config', tmp_path / 'config.json', '--yes')
    assert done.returncode == 2 and "'token' is a secret" in done.stderr, done.stderr
    assert 'mortise plugin secret set fixture/relay token' in done.stderr
    assert 'slipped-in' not in done.stderr
    with open(tmp_path / 'dump', 'w') as dump:
        assert subprocess.run([pg_dump(), host.ok('db', 'url').strip()], stdout=dump).returncode == 0
    assert 'slipped-in-by-mistake' not in (tmp_path / 'dump').read_text()
    host.install(package(publisher))


# ---- the form, both ways -----------------------------------------------------------------------------------------------------------


def seal(master, key, context, plain, iv):
    """The envelope step by step from its description, with openssl's command line for the cipher."""
    cipher = hmac.new(master, b'enc', hashlib.sha256).digest()
    mac = hmac.new(master, b'mac', hashlib.sha256).digest()
    sealed = iv + subprocess.run(['openssl', 'enc', '-aes-256-cbc', '-K', cipher.hex(), '-iv', iv.hex()], input=plain,
                                 capture_output=True, check=True).stdout
    tag = hmac.new(mac, b'v1:' + key.encode() + b':' + context.encode() + b'\0' + sealed, hashlib.sha256).digest()
    return f'enc:v1:{key}:' + base64.b64encode(sealed + tag).decode()


def test_host_sql_and_description_make_and_open_the_same_envelopes(relay):
    key = key_in(relay, 'current')[0]
    master = base64.b64encode(master_of(relay, key)).decode()
    values = ['a', 'x' * 15, 'x' * 16, 'x' * 17, 'straße\tund\\mehr', 'y' * 8192]
    with contextlib.closing(psycopg2.connect(relay.ok('db', 'url').strip())) as database, database, database.cursor() as cursor:
        cursor.execute("SELECT set_config('app.encryption_key', %s, true), set_config('app.encryption_key_id', %s, true)", (master, key))
        cursor.execute("SELECT i.id FROM plugin_installations i JOIN plugins p ON p.id = plugin_id WHERE p.name = 'fixture/relay'")
        place = f'plugin_installations.secrets:{cursor.fetchone()[0]}:'
        for i, value in enumerate(values):
            set_secret(relay, 'relay', f'host{i}', value)
            cursor.execute('SELECT decrypt_sensitive(%s, %s)', (envelopes(relay)[f'{place}host{i}'], f'{place}host{i}'))
            assert cursor.fetchone()[0] == value, 'SQL opens what the host made'
            cursor.execute('SELECT encrypt_sensitive(%s, %s)', (value, f'{place}sql{i}'))
            made = cursor.fetchone()[0]
            by_hand = seal(base64.b64decode(master), key, f'{place}hand{i}', value.encode(), bytes([i]) * 16)
            sql(relay, '''UPDATE plugin_installations i SET secrets = secrets || jsonb_build_object(%s, %s, %s, %s)
                FROM plugins p WHERE p.id = plugin_id AND p.name = 'fixture/relay' ''', f'sql{i}', made, f'hand{i}', by_hand)
            assert get_secret(relay, f'sql{i}') == (0, value), 'the host opens what SQL made'
            assert get_secret(relay, f'hand{i}') == (0, value)
    sql(relay, "UPDATE plugin_installations SET secrets = '{}'")


# ---- the ring and its rotation -----------------------------------------------------------------------------------------------------


def test_a_seed_that_is_being_enrolled_is_sealed_anew_too(host, make_user):
    person = Person(host, make_user())
    token = person.login()['token']
    person.seed = person.factor('POST', '/totp', {}, token)[1]['secret']
    host.ok('key-ring', 'rotate')
    assert set(map(key_of, envelopes(host).values())) == set(key_in(host, 'current'))
    status, done = person.factor('POST', '/totp/confirm', {'code': person.code()}, token)
    assert status == 200, done
    person.codes = done['backup_codes']
    person.forget_steps()
    before = key_in(host, 'current')[0]
    host.ok('key-ring', 'rotate')
    for key in key_in(host, 'old'):
        host.ok('key-ring', 'retire', key, '--yes')
    eventually(lambda: master_of(host, before) is None)
    person.whole()
    half = person.login()
    assert person.finish(half['token'], backup_code=person.codes[0])[0] == 200, 'a backup code outlives the key that was current when it was made'


def add_seeds(host, count):
    """MFA seeds of `count` users, sealed by the repair functions with the ring's current key."""
    key = key_in(host, 'current')[0]
    master = base64.b64encode(master_of(host, key)).decode()
    with contextlib.closing(psycopg2.connect(host.ok('db', 'url').strip())) as database, database, database.cursor() as cursor:
        cursor.execute("SELECT set_config('app.encryption_key', %s, true), set_config('app.encryption_key_id', %s, true)", (master, key))
        cursor.execute('''INSERT INTO users(id, email, name, provider, provider_id, mfa_secret)
            SELECT id, id || '@example.org', id, 'github', id, 'SEED' || id
            FROM (SELECT generate_cuid() AS id FROM generate_series(1, %s)) made''', (count,))


def seeds_open(host):
    """Does every seed open in its place, with the key that it names?"""
    with contextlib.closing(psycopg2.connect(host.ok('db', 'url').strip())) as database, database, database.cursor() as cursor:
        for key in key_in(host, 'current') + key_in(host, 'old'):
            master = base64.b64encode(master_of(host, key)).decode()
            cursor.execute("SELECT set_config('app.encryption_key', %s, true)", (master,))
            cursor.execute('''SELECT count(*) FROM users WHERE provider = 'github' AND split_part(mfa_secret, ':', 3) = %s
                AND decrypt_sensitive(mfa_secret, 'users.mfa_secret:' || id) <> 'SEED' || id''', (key,))
            assert cursor.fetchone()[0] == 0
    return True


def test_the_file_is_private_and_the_database_holds_no_key(relay):
    mode = ring_file(relay).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    key = key_in(relay, 'current')[0]
    dump = subprocess.run([pg_dump(), relay.ok('db', 'url').strip()], capture_output=True, text=True, check=True).stdout
    for secret in (master_of(relay, key), bytes.fromhex([line.split()[1] for line in ring_file(relay).read_text().splitlines()
                                                         if line.startswith('login ')][0])):
        assert secret.hex() not in dump and base64.b64encode(secret).decode() not in dump
    assert key in dump
    fingerprint = [item['fingerprint'] for item in ring(relay)['keys'] if item['id'] == key][0]
    assert fingerprint == hmac.new(master_of(relay, key), b'fingerprint', hashlib.sha256).hexdigest()


def test_rotation_seals_everything_anew_while_requests_go_on(relay):
    add_seeds(relay, 350)
    set_secret(relay, 'relay', 'token', 'kept through it')
    before = key_in(relay, 'current')[0]
    failures, count, stop = [], [0], threading.Event()

    def ask():
        while not stop.is_set():
            got = get_secret(relay, 'token')
            count[0] += 1
            if got != (0, 'kept through it'):
                failures.append(got)

    def write():
        i = 0
        while not stop.is_set():
            i += 1
            status, answer = relay.get('/v1/installations/fixture/relay/secrets/busy', method='PUT', body={'value': f'v{i}'})
            if status != 200:
                failures.append(answer)

    threads = [threading.Thread(target=ask), threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    done = relay.cli('key-ring', 'rotate', '--reason', 'yearly')
    stop.set()
    for thread in threads:
        thread.join()
    assert done.returncode == 0, done.stderr + relay.log()
    assert not failures and count[0] > 0
    after = key_in(relay, 'current')[0]
    assert after != before and key_in(relay, 'old') == [before]
    assert {key_of(envelope) for envelope in envelopes(relay).values()} == {after}
    assert seeds_open(relay) and get_secret(relay, 'token') == (0, 'kept through it')
    rotation = ring(relay)['rotation']
    assert rotation['state'] == 'done' and rotation['resealed'] >= 351 and rotation['reason'] == 'yearly'
    actions = {row[0] for row in sql(relay, "SELECT action FROM audit_logs WHERE action LIKE 'key_ring.%%'")}
    assert {'key_ring.rotate', 'key_ring.switch', 'key_ring.reseal'} <= actions


def test_only_what_the_ring_knows_holds_its_envelopes(relay):
    """The view of all envelopes misses none: no text or JSON column elsewhere names a key of the ring."""
    known = sorted(envelope for envelope in envelopes(relay).values())
    found = []
    for table, column in sql(relay, '''SELECT c.table_name, c.column_name FROM information_schema.columns c
            JOIN information_schema.tables t USING (table_schema, table_name)
            WHERE table_schema = 'public' AND t.table_type = 'BASE TABLE'
                AND (data_type IN ('text', 'character varying', 'jsonb') OR data_type = 'ARRAY')'''):
        for row in sql(relay, f'''SELECT (regexp_matches("{column}"::text, 'enc:v1:k[0-9]+-[0-9a-f]{{8}}:[A-Za-z0-9+/=]+', 'g'))[1]
                FROM public."{table}"'''):
            found.append(row[0])
    assert sorted(found) == known and known


def test_an_old_key_is_destroyed_once_nothing_names_it(relay):
    old, current = key_in(relay, 'old')[0], key_in(relay, 'current')[0]
    refused = relay.cli('key-ring', 'retire', current, '--yes')
    assert refused.returncode == 6 and 'Rotate the key ring first' in refused.stderr
    user = sql(relay, "SELECT id FROM users WHERE mfa_secret IS NOT NULL AND provider = 'github' LIMIT 1")[0][0]
    good = sql(relay, 'SELECT mfa_secret FROM users WHERE id = %s', user)[0][0]
    sql(relay, 'UPDATE users SET mfa_secret = replace(mfa_secret, %s, %s) WHERE id = %s', current, old, user)
    refused = relay.cli('key-ring', 'retire', old, '--yes')
    assert refused.returncode == 6 and f'users.mfa_secret:{user}' in refused.stderr, refused.stderr
    # What does not open is left alone, named, and keeps the old key from being retired.
    failed = relay.cli('key-ring', 'rotate')
    assert failed.returncode == 1 and f'users.mfa_secret:{user}' in failed.stderr, failed.stderr
    assert ring(relay)['rotation']['unreadable'] == [f'users.mfa_secret:{user}']
    assert relay.cli('key-ring', 'retire', old, '--yes').returncode == 6
    sql(relay, 'UPDATE users SET mfa_secret = %s WHERE id = %s', good, user)
    assert relay.cli('key-ring', 'rotate').returncode == 0
    for key in key_in(relay, 'old'):
        relay.ok('key-ring', 'retire', key, '--yes')
    eventually(lambda: master_of(relay, old) is None and master_of(relay, current) is None)
    assert seeds_open(relay) and get_secret(relay, 'token') == (0, 'kept through it')
    assert relay.cli('key-ring', 'retire', old, '--yes').returncode == 6
    relay.down()
    relay.up()
    assert get_secret(relay, 'token') == (0, 'kept through it')


def test_rights_of_the_key_ring(relay, make_user):
    engineer, developer = make_user('PLATFORM_ENGINEER').token, make_user('DEVELOPER').token
    assert relay.get('/v1/key-ring', token=engineer)[0] == 200
    assert relay.get('/v1/key-ring', token=developer)[0] == 403
    assert relay.get('/v1/key-ring/rotate', method='POST', body={}, token=engineer)[0] == 403
    assert relay.get('/v1/key-ring/keys/k1-0/retire', method='POST', body={}, token=engineer)[0] == 403
    assert relay.get('/v1/key-ring/keys/k1-0/retire', method='POST', body={})[0] == 404
    assert relay.get('/v1/key-ring/rotate', method='POST', body={'key': 'x'})[0] == 400


def test_an_envelope_of_a_key_that_is_not_in_use_is_not_written(relay):
    """A front with another ring, or one that slept since its key was retired, is refused by the database."""
    admin = sql(relay, "SELECT id FROM users WHERE role = 'ADMIN' LIMIT 1")[0][0]
    installation, secrets = sql(relay, "SELECT i.id, secrets FROM plugin_installations i JOIN plugins p ON p.id = plugin_id "
                                       "WHERE p.name = 'fixture/relay'")[0]
    body = base64.b64encode(b'x' * 64).decode()
    with contextlib.closing(connect_as(relay, 'front')) as database:
        for key, written in [('k99-deadbeef', False), *[(key, False) for key in key_in(relay, 'retired')],
                             (key_in(relay, 'current')[0], True)]:
            with database.cursor() as cursor:
                cursor.execute("SELECT set_config('app.current_user_id', %s, true)", (admin,))
                statement = 'SELECT secret_put(%s, %s, %s)', (installation, 'forged', f'enc:v1:{key}:{body}')
                if written:
                    cursor.execute(*statement)
                else:
                    with pytest.raises(psycopg2.Error) as refused:
                        cursor.execute(*statement)
                    assert refused.value.pgcode == 'MS001'
            database.rollback()
    assert secrets == sql(relay, 'SELECT secrets FROM plugin_installations WHERE id = %s', installation)[0][0]


@pytest.mark.parametrize('point', POINTS)
def test_a_kill_in_the_middle_of_a_rotation_loses_nothing(new_host, point):
    host = new_host()
    host.up()
    add_seeds(host, 250)
    host.down()
    host.up(env={'MORTISE_FAULT': f'key_ring.{point}:kill'})
    pid = host.pid
    before = key_in(host, 'current')[0]
    if point == 'destroy':
        host.ok('key-ring', 'rotate')
        host.cli('key-ring', 'retire', before, '--yes')
    else:
        host.cli('key-ring', 'rotate')
    eventually(lambda: name_of(pid) != 'mortised', timeout=30)
    host.up()
    eventually(lambda: ring(host)['rotation']['state'] == 'done', timeout=30)
    after = key_in(host, 'current')[0]
    assert after != before and seeds_open(host)
    assert {key_of(envelope) for envelope in envelopes(host).values()} == {after}
    assert len([line for line in ring_file(host).read_text().splitlines() if line.startswith('key ')]) <= 2, 'no key is made twice'
    if point == 'destroy':
        eventually(lambda: master_of(host, before) is None)
    assert not [path for path in host.data.iterdir() if path.name.startswith('key-ring.')]


def test_a_key_that_cannot_be_made_fails_the_rotation_and_nothing_else(new_host):
    host = new_host()
    host.up()
    host.down()
    host.up(env={'MORTISE_FAULT': 'key_ring.write:fail'})
    before = key_in(host, 'current')
    done = host.cli('key-ring', 'rotate')
    assert done.returncode == 2 and 'the key ring was not rotated' in done.stderr and str(ring_file(host)) in done.stderr, done.stderr
    assert key_in(host, 'current') == before and ring(host)['rotation']['state'] == 'failed'
    host.ok('key-ring', 'rotate')
    assert key_in(host, 'old') == before


# ---- several nodes -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def second_node(new_host):
    """A second node on the first one's database."""
    def make(first, **env):
        other = new_host(env={'MORTISE_DATABASE': first.ok('db', 'url').strip(), **env})
        return other
    return make


def test_a_node_with_another_ring_is_refused(new_host, second_node):
    host = new_host()
    host.up()
    other = second_node(host)
    done = other.cli('up')
    assert done.returncode == 2 and 'there is no key ring' in done.stderr, done.stderr
    assert 'copy the key ring of a node that runs' in done.stderr
    assert not ring_file(other).exists()
    stranger = new_host()
    stranger.up()
    shutil.copy(ring_file(stranger), ring_file(other))
    ring_file(other).chmod(0o600)
    done = other.cli('up')
    assert done.returncode == 2 and f"lacks key '{key_in(host, 'current')[0]}'" in done.stderr, done.stderr
    ring_file(other).write_text(ring_file(host).read_text())
    ring_file(other).chmod(0o644)
    done = other.cli('up')
    assert done.returncode == 2 and 'mode 0600' in done.stderr, done.stderr
    ring_file(other).chmod(0o600)
    other.up()
    eventually(lambda: len(ring(host)['nodes']) == 2)


def test_a_rotation_waits_for_the_node_that_lacks_the_new_key(new_host, second_node):
    host = new_host()
    host.up()
    other = second_node(host)
    other.data.mkdir()
    shutil.copy(ring_file(host), ring_file(other))
    other.up()
    add_seeds(host, 20)
    before = key_in(host, 'current')[0]
    eventually(lambda: len(ring(host)['nodes']) == 2, timeout=30)
    host.ok('key-ring', 'rotate', '--no-wait')
    eventually(lambda: ring(host)['rotation']['waits_for'], timeout=30)
    rotation = ring(host)['rotation']
    lacking, maker = (host, other) if rotation['to'] not in ring_file(host).read_text() else (other, host)
    assert rotation['state'] == 'spreading' and rotation['waits_for'] == (lacking.data / 'node').read_text().strip()
    assert key_in(host, 'current') == [before], 'nothing is sealed with a key that a node cannot open'
    assert host.cli('key-ring', 'rotate').returncode == 6
    ring_file(lacking).write_text(ring_file(maker).read_text())
    eventually(lambda: ring(host)['rotation']['state'] == 'done', timeout=30)
    after = key_in(host, 'current')[0]
    assert {node['used'] for node in ring(host)['nodes']} == {after}
    assert {key_of(envelope) for envelope in envelopes(host).values()} == {after}


def test_nodes_that_share_the_file_rotate_by_themselves(new_host, second_node):
    host = new_host()
    host.up()
    other = second_node(host, MORTISE_KEY_RING=str(ring_file(host)))
    other.up()
    eventually(lambda: len(ring(host)['nodes']) == 2, timeout=30)
    before = key_in(host, 'current')[0]
    host.ok('key-ring', 'rotate')
    assert {node['used'] for node in ring(other)['nodes']} == set(key_in(host, 'current'))
    host.ok('key-ring', 'retire', before, '--yes')
    eventually(lambda: master_of(host, before) is None)


# ---- a dump ------------------------------------------------------------------------------------------------------------------------


def pg_dump():
    found = sorted(path for path in os.listdir('/usr/lib/postgresql'))
    return f'/usr/lib/postgresql/{found[-1]}/bin/pg_dump'


def forms(secret):
    """A secret as itself, in hex and in base64 at any of the three offsets, in both alphabets."""
    raw = secret.encode()
    yield secret
    yield raw.hex()
    for offset in range(3):
        whole = base64.b64encode(b'\0' * offset + raw).decode()
        # Without the characters that neighbouring bytes have a part in.
        middle = whole[4 if offset else 0:len(whole) // 4 * 4 - 4]
        yield middle
        yield middle.replace('+', '-').replace('/', '_')


def test_a_full_dump_holds_no_secret_in_the_clear(new_host, publisher, tmp_path):
    host = new_host()
    host.up()
    host.trust(publisher)
    host.install(package(publisher))
    secrets = {'admin token': host.token, 'api key': host.json('api-key', 'create', 'dump')['key']}
    set_secret(host, 'relay', 'token', 'a plugin secret of some length')
    secrets['plugin secret'] = 'a plugin secret of some length'
    assert get_secret(host, 'token') == (0, secrets['plugin secret'])
    for login in ('front', 'supervisor'):
        connect_as(host, login).close()
        secrets[f'password of {login}'] = password_of(host, login)
    secrets.update(secrets_of_a_person(host))
    dump = tmp_path / 'dump'
    with open(dump, 'w') as out:
        assert subprocess.run([pg_dump(), host.ok('db', 'url').strip()], stdout=out).returncode == 0
    logs = [path for path in (host.data / 'logs').rglob('*') if path.is_file()] + [host.data / 'mortised.log']
    for place in [dump, *logs]:
        text = place.read_text(errors='replace')
        for name, secret in secrets.items():
            for form in forms(secret):
                assert len(form) >= 8 and form not in text, f'{name} stands in {place.name}'
    assert 'enc:v1:' in dump.read_text()


def secrets_of_a_person(host):
    """Of one who logged in with a second factor: password, tokens, seed, backup codes."""
    password = 'analytical engine no. 1'
    person = Person(host, User(host, 'DEVELOPER', password, 'ada'))
    first = person.enrol()
    session = person.whole()
    pending = Person(host, User(host, 'DEVELOPER', password, 'grace'))
    status, begun = pending.factor('POST', '/totp', {}, pending.login()['token'])
    assert status == 201 and len(person.codes) == 10
    return {'password': password, 'user key': person.user.token, 'first session': first, 'session token': session['token'],
            'refresh token': session['refresh_token'], 'seed': person.seed, 'seed of an enrolment': begun['secret'],
            **{f'backup code {i}': code for i, code in enumerate(person.codes)}}


def test_what_shall_be_encrypted_is_or_is_listed_as_an_exception(host, make_user):
    """data_classification and encryption_means name the same columns, and every value there is has the form that is claimed."""
    person = Person(host, make_user())
    person.enrol()
    person.whole()
    listed = host.json('key-ring', 'columns')
    wanted = sql(host, 'SELECT table_name, column_name FROM data_classification WHERE encryption_required')
    assert sorted((item['table'], item['column']) for item in listed) == sorted(wanted)
    assert not [item for item in listed if not item['means'] or not item['note']]
    assert not sql(host, '''SELECT table_name, column_name FROM encryption_means
        EXCEPT SELECT table_name, column_name FROM data_classification WHERE encryption_required''')
    assert {(item['table'], item['column']) for item in listed if item['means'] == 'storage'} == {('users', 'email'), ('audit_logs', '*')}
    shapes = {'hash': r'^([0-9a-f]{64}|\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53})$', 'envelope': r'^enc:v1:k[0-9]+-[0-9a-f]{8}:[A-Za-z0-9+/=]+$'}
    for item in listed:
        table, column, means = item['table'], item['column'], item['means']
        if means == 'storage':
            continue
        checks = [row[0] for row in sql(host, '''SELECT pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN pg_attribute a
            ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey) WHERE c.contype = 'c' AND c.conrelid = %s::regclass AND a.attname = %s''',
            table, column)]
        assert any('{64}' in check or '$2[aby]' in check.replace('\\', '') or 'enc:v1' in check for check in checks), (item, checks)
        value = {'mfa_backup_codes': 'unnest(mfa_backup_codes)', 'secrets': '(jsonb_each_text(secrets)).value'}.get(column, column)
        for (one,) in sql(host, f'SELECT {value} FROM {table} WHERE {column} IS NOT NULL'):
            assert re.fullmatch(shapes[means].strip('^$'), one), (table, column)
    assert 'rest on the encryption of disk and backups' in host.cli('key-ring', 'columns').stderr
