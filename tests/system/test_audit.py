"""The audit trail: what is in it, who may read it, and that no change of it goes unseen."""
import contextlib
import hashlib
import http.client
import http.server
import json
import os
import re
import shutil
import signal
import threading

import psycopg2
import pytest
from conftest import eventually, name_of

COLUMNS = ('id user_id action resource_type resource_id resource_name old_value new_value ip_address user_agent session_id request_id '
           'status error_message metadata created_at xact').split()


@contextlib.contextmanager
def superuser(host):
    """A connection that no trigger stops."""
    with contextlib.closing(psycopg2.connect((host.data / 'superuser.url').read_text().strip().replace('/postgres?', '/mortise?'))) as database:
        database.autocommit = True
        with database.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            yield cursor


@contextlib.contextmanager
def owner(host):
    """One transaction of the schema's owner."""
    with contextlib.closing(psycopg2.connect(host.ok('db', 'url').strip())) as database, database, database.cursor() as cursor:
        yield cursor


def rows(cursor, query, *values):
    cursor.execute(query, values)
    return cursor.fetchall() if cursor.description else []


def one(host, query, *values):
    with superuser(host) as cursor:
        found = rows(cursor, query, *values)
        return found[0][0] if found else None


def make_key(host, name='test'):
    return host.get('/v1/keys', method='POST', body={'name': name, 'scopes': ['catalog.read']})[1]['id']


UNSEALED = '''SELECT count(*) FROM audit_logs a WHERE NOT EXISTS (SELECT 1 FROM audit_seals s WHERE s.row_id = a.id)'''


def sealed(host):
    """Wait until every row has its seal and the last seal its anchor."""
    eventually(lambda: one(host, UNSEALED) == 0)
    chain, sequence = one(host, "SELECT chain || ' ' || max(sequence) FROM audit_seals WHERE chain = (SELECT chain FROM audit_sealer) GROUP BY chain").split()
    eventually(lambda: any(line.split()[2] == sequence for path in (host.data / 'audit').glob(f'{chain}.*.anchors')
                           for line in path.read_text().splitlines()))


def verify(host, *options):
    done = host.cli('audit', 'verify', '--json', *options)
    assert done.returncode in (0, 7), done.stderr + host.log()
    answer = json.loads(done.stdout)
    assert (done.returncode == 7) == bool(answer['findings']), (done.returncode, answer)
    return answer


def findings(host, *options):
    return [(f['found'], f['row']) for f in verify(host, *options)['findings']]


# ---- the chain --------------------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope='module')
def trail(host):
    """A trail of some rows, all sealed; gives the id of one in the middle."""
    for n in range(6):
        make_key(host, f'key {n}')
        if n % 2:
            sealed(host)
    sealed(host)
    return one(host, "SELECT id FROM audit_logs WHERE resource_name = 'key 2'")


@pytest.fixture
def untouched(host, trail):
    """What a test does to the trail is undone behind it."""
    tables = ('audit_logs', 'audit_seals', 'audit_chains', 'audit_sealer')
    with superuser(host) as cursor:
        for table in tables:
            cursor.execute(f'CREATE TABLE copy_of_{table} AS SELECT * FROM {table}')
        yield trail
        for table in reversed(tables):
            cursor.execute(f'DELETE FROM {table}')
        for table in tables:
            columns = 'id, ' + ', '.join(COLUMNS[1:]) if table == 'audit_logs' else '*'
            target = f'audit_logs({columns})' if table == 'audit_logs' else table
            cursor.execute(f'INSERT INTO {target} SELECT {columns} FROM copy_of_{table}; DROP TABLE copy_of_{table}')
    assert findings(host) == []


def test_an_untouched_trail_verifies(host, trail):
    answer = verify(host)
    assert answer['findings'] == [] and answer['anchors'] > 0
    assert answer['rows'] == one(host, 'SELECT count(*) FROM audit_logs')
    done = host.cli('audit', 'verify')
    assert done.returncode == 0 and 'as they were written' in done.stderr


# What is done to row R of the trail, and what is found, at which row.
TAMPERINGS = {
    'an action is edited': ("UPDATE audit_logs SET action = 'x' WHERE id = R", [('changed', 'R')]),
    'a time is edited by a microsecond': ("UPDATE audit_logs SET created_at = created_at + interval '1 us' WHERE id = R", [('changed', 'R')]),
    'a value is edited': ("UPDATE audit_logs SET new_value = new_value || '{\"rate_limit\": 0}' WHERE id = R", [('changed', 'R')]),
    'nobody in place of who it was': ("UPDATE audit_logs SET user_id = NULL WHERE id = R", [('changed', 'R')]),
    'a row is deleted': ("DELETE FROM audit_logs WHERE id = R", [('deleted', 'R')]),
    'a row and its seal are deleted': ("DELETE FROM audit_logs WHERE id = R; DELETE FROM audit_seals WHERE row_id = R", [('seal', 'NEXT')]),
    'a row is moved to another month': ("UPDATE audit_logs SET created_at = created_at + interval '31 days' WHERE id = R",
                                        [('deleted', 'R'), ('inserted', 'R')]),
    'a row is inserted where all is sealed': ("""INSERT INTO audit_logs(id, action, status, created_at, xact)
        SELECT 777777, 'x', 'success', created_at, xact FROM audit_logs WHERE id = R""", [('inserted', 777777)]),
    'a row is inserted that no sealer will see': ("""INSERT INTO audit_logs(id, action, status, created_at, xact)
        SELECT 777777, 'x', 'success', created_at, '9000000000000' FROM audit_logs WHERE id = R""", [('inserted', 777777)]),
    'a second row of the same number is inserted': ("""INSERT INTO audit_logs(id, action, status, created_at, xact)
        SELECT id, 'x', 'success', created_at - interval '1 us', xact FROM audit_logs WHERE id = R""", [('inserted', 'R')]),
    'two rows change places': ("""UPDATE audit_logs SET id = -1 WHERE id = R; UPDATE audit_logs SET id = R WHERE id = NEXT;
        UPDATE audit_logs SET id = NEXT WHERE id = -1""", [('changed', 'R'), ('changed', 'NEXT')]),
    'the end is cut off, seals too': ("""DELETE FROM audit_logs WHERE id >= R; DELETE FROM audit_seals WHERE row_id >= R;
        UPDATE audit_sealer SET max_id = R - 1""", [('truncated', 'LAST')]),
    'all of it is truncated': ("TRUNCATE audit_logs; DELETE FROM audit_sealer; TRUNCATE audit_seals, audit_chains, audit_sealer; "
                               "INSERT INTO audit_sealer DEFAULT VALUES", [('truncated', 'LAST')]),
    'a seal is edited': ("UPDATE audit_seals SET row_hash = sha256('x') WHERE row_id = R", [('seal', 'R'), ('changed', 'R')]),
}


@pytest.mark.parametrize('what', TAMPERINGS)
def test_tampering_is_found_at_the_row(host, untouched, what):
    statements, expected = TAMPERINGS[what]
    names = {'R': untouched, 'NEXT': untouched + 1, 'LAST': one(host, 'SELECT max(id) FROM audit_logs')}
    with superuser(host) as cursor:
        cursor.execute(re.sub(r'\b(R|NEXT|LAST)\b', lambda m: str(names[m[1]]), statements))
    wanted = [(found, names.get(row, row)) for found, row in expected]
    assert sorted(findings(host)) == sorted(wanted)


@contextlib.contextmanager
def between(host, change):
    """A way to the host on which change(path, body) sees each answer before it goes on, and gives what goes on."""
    class Between(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, headers, body = host.request('GET', self.path)
            body = change(self.path, body)
            self.send_response(status)
            self.send_header('Content-Type', headers['Content-Type'])
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Between) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield {'MORTISE_HOST': f'127.0.0.1:{server.server_port}', 'MORTISE_TOKEN': host.token}
        finally:
            server.shutdown()


def test_what_is_sealed_while_verifying_is_not_taken_for_cut_off(host, trail):
    file = next((host.data / 'audit').glob('*.anchors'))
    before, seen = file.read_text(), []

    def seal_more(path, body):
        if re.match(r'/v1/audit/chains/[0-9_]+\?', path) and not seen:
            make_key(host, 'meanwhile')
            sealed(host)
            seen.append(path)
        return body

    with between(host, seal_more) as env:
        done = host.cli('audit', 'verify', '--json', env=env)
    assert seen and file.read_text() != before
    assert done.returncode == 0, (done.stdout, done.stderr)


def test_a_chain_that_begins_while_verifying_is_not_taken_for_gone(host, trail):
    asked = []

    def know_no_chain_yet(path, body):
        if path.split('?')[0] == '/v1/audit/chains':
            asked.append(path)
            if len(asked) == 1:
                return json.dumps({'items': [], 'next': None}).encode()
        return body

    with between(host, know_no_chain_yet) as env:
        done = host.cli('audit', 'verify', '--json', env=env)
    assert len(asked) > 1 and done.returncode == 0, (done.stdout, done.stderr)


def test_a_row_written_backdated_is_found_once_it_is_sealed(host, untouched):
    with superuser(host) as cursor:
        cursor.execute("INSERT INTO audit_logs(id, action, status) VALUES (-7, 'x', 'success')")
    eventually(lambda: one(host, 'SELECT count(*) FROM audit_seals WHERE row_id = -7') == 1)
    assert findings(host) == [('inserted', -7)]


def test_a_later_chain_knows_the_end_of_the_one_before(host, untouched):
    """Anchors that nobody has any more are not all that tells of an end that is missing."""
    chain = one(host, 'SELECT chain FROM audit_sealer')
    with superuser(host) as cursor:
        cursor.execute("INSERT INTO audit_logs(action, status, created_at) VALUES ('x', 'success', now() - interval '100 days')")
    sealed(host)
    later = one(host, 'SELECT chain FROM audit_sealer')
    for path in (host.data / 'audit').glob(f'{later}.*'):  # it is no more when the test is over
        path.unlink()
    assert later != chain and findings(host, '--no-anchors') == []
    with superuser(host) as cursor:
        cursor.execute('DELETE FROM audit_logs WHERE id >= %s AND id IN (SELECT row_id FROM audit_seals WHERE chain = %s)', (untouched, chain))
        cursor.execute('DELETE FROM audit_seals WHERE row_id >= %s AND chain = %s', (untouched, chain))
    assert ('truncated', None) in findings(host, '--no-anchors')
    with superuser(host) as cursor:
        cursor.execute('DELETE FROM audit_seals WHERE chain = %s', (chain,))
        cursor.execute('DELETE FROM audit_chains WHERE name = %s', (chain,))
        cursor.execute('DELETE FROM audit_logs WHERE id IN (SELECT id FROM copy_of_audit_logs)')
    assert ('truncated', None) in findings(host, '--no-anchors')


# The form of core/codec/chain.h, once more.
def frame(text):
    return b'-' if text is None else str(len(text.encode())).encode() + b':' + text.encode()


def digest(*texts):
    return hashlib.sha256(b''.join(frame(text) for text in texts)).hexdigest()


def pages(host, path):
    after = ''
    while True:
        status, answer = host.get(f'{path}?limit=3{after}')
        assert status == 200, answer
        yield from answer['items']
        if not answer['next']:
            return
        after = f"&after={answer['next']}"


def chain_of(host, described):
    """(seal, whether it follows) of each seal, hashed by this page's own code."""
    head = digest('mortise-audit-chain-1', described['chain'], described['previous'], described['previous_sequence'], described['previous_hash'])
    for seal in pages(host, f"/v1/audit/chains/{described['chain']}"):
        row = digest('mortise-audit-row-1', *seal['row'])
        head = digest('mortise-audit-seal-1', head, str(seal['sequence']), str(seal['row_id']), seal['horizon'], row)
        yield seal, head


def test_the_form_is_enough_for_another_implementation(host, trail):
    compared = 0
    for described in host.get('/v1/audit/chains')[1]['items']:
        for seal, head in chain_of(host, described):
            assert seal['hash'] == head, seal
            compared += 1
    assert compared == one(host, 'SELECT count(*) FROM audit_seals')


def test_a_chain_made_anew_does_not_fit_its_anchors(host, untouched):
    """Who may write everything in the database edits a row and recomputes every hash behind it."""
    with superuser(host) as cursor:
        cursor.execute("UPDATE audit_logs SET action = 'x' WHERE id = %s", (untouched,))
    for described in host.get('/v1/audit/chains')[1]['items']:
        with superuser(host) as cursor:
            for seal, head in chain_of(host, described):
                cursor.execute("UPDATE audit_seals SET row_hash = decode(%s, 'hex'), chain_hash = decode(%s, 'hex') WHERE chain = %s AND sequence = %s",
                               (digest('mortise-audit-row-1', *seal['row']), head, described['chain'], seal['sequence']))
    found = findings(host)
    # The first anchor behind the edit; the row lies between it and the anchor before.
    assert found and {what for what, _ in found} == {'seal'} and 0 <= found[0][1] - untouched <= 2, found
    assert findings(host, '--no-anchors') == []


def test_without_its_anchors_it_says_what_it_cannot_see(host, trail, tmp_path):
    done = host.cli('audit', 'verify', '--anchors', tmp_path / 'none')
    assert done.returncode == 1 and '--no-anchors' in done.stderr
    shutil.copytree(host.data / 'audit', tmp_path / 'copies')
    assert findings(host, '--anchors', tmp_path / 'copies') == []
    (tmp_path / 'copies' / '2020_01.elsewhere.anchors').write_text('2020-01-01T00:00:00Z 2020_01 1 1 ' + 'a' * 64 + '\n')
    assert findings(host, '--anchors', tmp_path / 'copies') == [('truncated', None)]


def test_no_role_but_the_owner_may_change_the_trail(host, trail):
    with superuser(host) as cursor:
        tables = [name for name, in rows(cursor, r"SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relname ~ '^audit_'")]
        assert len(tables) > 6
        for role, table in rows(cursor, """SELECT r.rolname, t FROM pg_roles r, unnest(%s) t WHERE NOT r.rolsuper AND r.rolname !~ '^pg_'
                AND r.oid <> (SELECT relowner FROM pg_class WHERE relname = 'audit_logs')""", tables):
            for right in ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER'):
                assert not rows(cursor, 'SELECT has_table_privilege(%s, %s, %s)', role, table, right)[0][0], (role, table, right)
        for column in ('id', 'created_at', 'xact'):
            assert not rows(cursor, "SELECT has_column_privilege('application_role', 'audit_logs', %s, 'INSERT')", column)[0][0]
    # The owner may by right, and is stopped by triggers.
    for statement in ("UPDATE audit_logs SET action = 'x'", 'DELETE FROM audit_logs', 'TRUNCATE audit_logs', 'DELETE FROM audit_seals',
                      'TRUNCATE audit_seals CASCADE', 'UPDATE audit_chains SET previous = NULL'):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege), owner(host) as cursor:
            cursor.execute(statement)


def test_an_open_transaction_holds_sealing_up_and_verifying_says_so(host, trail):
    with owner(host) as cursor:
        cursor.execute('SELECT pg_current_xact_id()')
        make_key(host, 'waits')
        answer = verify(host)
        assert answer['findings'] == [] and answer['waiting_since']
        assert 'no seal yet' in host.cli('audit', 'verify').stderr
        assert one(host, UNSEALED) > 0
    sealed(host)
    assert verify(host)['waiting_since'] is None


def test_partitions_may_move_and_leave(host, trail):
    """A row of a past month goes to the default partition, then to its own, and that one is detached: one chain all the while."""
    with superuser(host) as cursor:
        cursor.execute("INSERT INTO audit_logs(action, status, created_at) VALUES ('long.ago', 'success', now() - interval '6 months')")
        sealed(host)
        assert findings(host) == []
        chain, start = rows(cursor, "SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY_MM'), date_trunc('month', created_at, 'UTC') "
                            "FROM audit_logs_default WHERE action = 'long.ago'")[0]
    with owner(host) as cursor:
        cursor.execute("SET timezone = 'UTC'")
        cursor.execute("SELECT partition_make('audit_logs', %s, %s, %s + interval '1 month', '0.05')", (f'audit_logs_{chain}', start, start))
    assert one(host, 'SELECT count(*) FROM audit_logs_default') == 0
    assert findings(host) == []
    with owner(host) as cursor:
        assert [name for name, *_ in rows(cursor, 'SELECT * FROM job_audit_archive()')] == [f'audit_logs_{chain}']
    assert one(host, "SELECT count(*) FROM audit_logs WHERE action = 'long.ago'") == 0
    assert findings(host) == []
    found = host.json('audit', 'search', '--action', 'long.ago')
    assert [row['action'] for row in found] == ['long.ago']
    exported = host.ok('audit', 'export', '--action', 'long.*').splitlines()
    assert len(exported) == 1 and json.loads(exported[0])['action'] == 'long.ago'
    with superuser(host) as cursor:
        cursor.execute(f"UPDATE audit_logs_{chain} SET action = 'x'")
        row = rows(cursor, f'SELECT id FROM audit_logs_{chain}')[0][0]
        assert findings(host) == [('changed', row)]
        cursor.execute(f"UPDATE audit_logs_{chain} SET action = 'long.ago'")
    assert findings(host) == []


def test_a_sealer_that_dies_behind_its_seals_leaves_a_trail_that_verifies(new_host):
    host = new_host()
    host.up(env={'MORTISE_FAULT': 'audit.anchor:kill:2'})
    pid = host.pid
    for _ in range(50):
        if name_of(pid) != 'mortised':
            break
        with contextlib.suppress(OSError, http.client.HTTPException, KeyError):
            make_key(host)
        eventually(lambda: name_of(pid) != 'mortised' or one_or_none(host, UNSEALED) == 0)
    assert name_of(pid) != 'mortised', 'the build has no fault points'
    host.up()
    # Nothing is written any more: the head that the dead sealer left without an anchor gets one all the same.
    sealed(host)
    assert findings(host) == []


def one_or_none(host, query):
    try:
        return one(host, query)
    except psycopg2.OperationalError:
        return None


def test_two_nodes_keep_one_chain(new_host, tmp_path):
    first = new_host()
    first.up()
    second = new_host(env={'MORTISE_DATABASE': first.ok('db', 'url').strip(), 'MORTISE_KEY_RING': str(first.data / 'key-ring')})
    second.up()
    threads = [threading.Thread(target=lambda at=at: [make_key(at) for _ in range(10)]) for at in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sealed(first)

    def holder():
        return one(first, "SELECT node_id FROM leases WHERE environment = '' AND name = 'audit' AND lease_until > clock_timestamp()")
    assert holder() == (first.data / 'node').read_text().strip()
    # The holder falls asleep; the other one goes on where it was, and the sleeper finds itself overtaken.
    os.kill(first.pid, signal.SIGSTOP)
    try:
        eventually(lambda: holder() == (second.data / 'node').read_text().strip())
        make_key(second)
        eventually(lambda: one(first, UNSEALED) == 0)
    finally:
        os.kill(first.pid, signal.SIGCONT)
    make_key(second)
    eventually(lambda: one(first, UNSEALED) == 0)
    for node in (first, second):
        files = list((node.data / 'audit').glob('*.anchors'))
        assert files
        for path in files:
            shutil.copy(path, tmp_path)
    assert findings(second, '--anchors', tmp_path) == []
