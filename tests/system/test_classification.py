"""data_classification: every column has its class, and logs, audit rows and exports keep to it."""
import contextlib
import json
import re

import psycopg2
import pytest
from conftest import SOURCE, eventually


@pytest.fixture(scope='module')
def database(host):
    with contextlib.closing(psycopg2.connect(host.ok('db', 'url').strip())) as database:
        database.autocommit = True
        with database.cursor() as cursor:
            yield cursor


def rows(cursor, query, *values):
    cursor.execute(query, values)
    return cursor.fetchall()


# Tables of ours, partitions aside: they have their parent's columns.
COLUMNS = """SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
        AND NOT EXISTS (SELECT 1 FROM audit_archives d WHERE d.name = c.relname)"""


def test_every_column_has_a_class(database):
    classes = set(rows(database, 'SELECT table_name, column_name FROM data_classification'))
    columns = rows(database, COLUMNS)
    assert len(columns) > 300
    missing = [column for column in columns if column not in classes and (column[0], '*') not in classes]
    assert not missing, f'core/store/schema/0010_governance.sql has no row for {missing}'
    gone = {c for c in classes - set(columns) if c[1] != '*'} | {c for c in classes if c[1] == '*' and c[0] not in {t for t, _ in columns}}
    assert not gone, f'it has rows for what is not there: {gone}'


def test_a_table_with_a_personal_or_restricted_column_is_judged_column_by_column(database):
    """So that a new column of it fails the test above; or the whole table is held for it. audit_logs has the seed's row for all of it."""
    loose = rows(database, """SELECT table_name FROM data_classification WHERE column_name = '*' AND table_name <> 'audit_logs'
        AND NOT contains_pii AND classification <> 'restricted' AND table_name IN
        (SELECT table_name FROM data_classification WHERE contains_pii OR classification = 'restricted')""")
    assert not loose
    judged = {c for t, c in rows(database, "SELECT table_name, column_name FROM data_classification") if t == 'audit_logs'}
    assert {c for t, c in rows(database, COLUMNS) if t == 'audit_logs'} <= judged


def test_what_looks_like_a_secret_is_restricted(database):
    """A column whose name says so, or whose check wants an envelope or a hash, is in no log, audit row or export."""
    suspects = {(t, c) for t, c in rows(database, COLUMNS) if re.search(r'password$|secret|token$|_hash$|backup_codes|private', c)}
    checked = rows(database, r"""SELECT f.conrelid::regclass::text, a.attname FROM pg_constraint f JOIN pg_attribute a
        ON a.attrelid = f.conrelid AND a.attnum = ANY (f.conkey) WHERE f.contype = 'c' AND pg_get_constraintdef(f.oid) ~ 'enc:v1'""")
    known = {  # names that say more than they hold
        ('nodes', 'fencing_token'), ('leases', 'fencing_token'), ('changes', 'fencing_token'), ('plugin_instances', 'fencing_token'),
        ('audit_seals', 'row_hash'), ('audit_seals', 'chain_hash'), ('audit_chains', 'previous_hash'),
    }
    restricted = set(rows(database, "SELECT table_name, column_name FROM data_classification WHERE classification = 'restricted'"))
    assert len(restricted) >= 8
    assert (suspects | set(checked)) - known <= restricted


def test_the_list_of_personal_columns_names_their_persons(database):
    personal = {(t, c): s for t, c, s in rows(database, 'SELECT * FROM personal_columns')}
    assert personal[('users', 'email')] == ['id'] and personal[('sessions', 'ip_address')] == ['user_id']
    assert set(personal) == set(rows(database, 'SELECT table_name, column_name FROM data_classification WHERE contains_pii'))


def test_audit_rows_hold_no_restricted_value_at_any_depth(host, database):
    """Every restricted column's name, as a member of old and new, plain and nested, for every table."""
    for table, column in rows(database, "SELECT table_name, column_name FROM data_classification WHERE classification = 'restricted'"):
        value = json.dumps({column: 'hunter2', 'list': [{'deep': {column: 'hunter2'}}], 'other': 'shown'})
        database.execute("SELECT audit_write('test.redaction', %s, 'x', NULL, %s, %s, p_metadata => %s)", (table[:-1], value, value, value))
    stored = rows(database, "SELECT row_to_json(a)::text FROM audit_logs a WHERE action = 'test.redaction'")
    assert stored and all('hunter2' not in row and 'shown' in row and '[redacted]' in row for row, in stored)


def test_personal_values_are_envelopes_that_administrators_open_until_the_person_is_forgotten(host, database, make_user):
    user = make_user(role='VIEWER')
    database.execute("SELECT audit_write('test.personal', 'user', %s, %s, %s, %s)", (
        user.id, 'Ada Lovelace', json.dumps({'email': 'old@example.org', 'role': 'VIEWER'}), json.dumps({'email': 'ada@example.org'})))
    stored = rows(database, "SELECT row_to_json(a)::text FROM audit_logs a WHERE action = 'test.personal'")[0][0]
    assert 'Ada' not in stored and 'example.org' not in stored and 'VIEWER' in stored

    def shown(*options):
        return host.json('audit', 'search', '--action', 'test.personal', *options)[0]
    assert shown()['old'] == {'email': '[personal]', 'role': 'VIEWER'} and shown()['resource']['name'] == '[personal]'
    clear = shown('--personal')
    assert clear['resource']['name'] == 'Ada Lovelace' and clear['new'] == {'email': 'ada@example.org'}
    assert host.json('audit', 'search', '--action', 'audit.read_personal'), 'who reads personal values is a row too'
    exported = host.ok('audit', 'export', '--action', 'test.personal')
    assert 'Ada' not in exported and '[personal]' in exported
    assert 'Ada' in host.ok('audit', 'export', '--action', 'test.personal', '--personal', '--format', 'csv')
    # Who is no administrator reads nothing at all.
    assert host.status('/v1/audit', token=user.token) == 403
    assert host.status('/v1/audit/chains', token=user.token) == 403
    # Forgotten: the rows stand as they stood, nobody can read them, and the chain holds.
    eventually(lambda: rows(database, 'SELECT count(*) FROM audit_logs a WHERE NOT EXISTS (SELECT 1 FROM audit_seals s WHERE s.row_id = a.id)')[0][0] == 0)
    database.execute('SELECT audit_forget(%s)', (user.id,))
    clear = shown('--personal')
    assert clear['resource']['name'] == '[personal]' and clear['new'] == {'email': '[personal]'}
    assert host.cli('audit', 'verify').returncode == 0
    database.execute("SELECT audit_write('test.after', 'user', %s, 'Ada Lovelace')", (user.id,))
    assert 'Ada' not in host.ok('audit', 'export', '--action', 'test.after', '--personal')


def test_addresses_of_persons_are_kept_as_networks(host, database, make_user):
    user = make_user()
    for address, network in (('203.0.113.77', '203.0.113.0/24'), ('2001:db8:1:2::3', '2001:db8:1::/48')):
        database.execute("""BEGIN; SELECT set_config('app.ip_address', %s, true), set_config('app.current_user_id', %s, true),
            set_config('app.user_agent', 'Firefox', true); SELECT audit_write('test.address', 'x', '1', '1'); COMMIT""", (address, user.id))
        newest = host.json('audit', 'search', '--action', 'test.address')[0]
        assert newest['address'] == network and newest['user_agent'] == '[personal]'
        newest = host.json('audit', 'search', '--action', 'test.address', '--personal')[0]
        assert newest['address'] == address and newest['user_agent'] == 'Firefox'
        assert address not in rows(database, "SELECT string_agg(row_to_json(a)::text, '') FROM audit_logs a WHERE action = 'test.address'")[0][0]


def test_a_damaged_envelope_reads_as_damaged(host, database, make_user):
    user = make_user()
    envelope = rows(database, "SELECT audit_personal(%s, 'here', 'secret')", user.id)[0][0]
    head, body = envelope.rsplit(':', 1)
    for bad in (head + ':AAAA', head + ':' + body[::-1], head + ':' + body[:-4], head + ':=', f"{head}:{'B' if body[0] != 'B' else 'C'}{body[1:]}"):
        assert rows(database, "SELECT audit_open('here', %s)", bad)[0][0] == '[damaged]', bad
    assert rows(database, "SELECT audit_open('here', %s)", envelope)[0][0] == 'secret'
    assert rows(database, "SELECT audit_open('elsewhere', %s)", envelope)[0][0] == '[damaged]'


def test_the_csv_export_forms_no_formula(host, database):
    database.execute("""SELECT audit_write('test.csv', 'x', '=1+1', E'say "hi"\n,there')""")
    text = host.ok('audit', 'export', '--action', 'test.csv', '--format', 'csv')
    assert '"\'=1+1"' in text and '"say ""hi""\n,there"' in text


def test_no_restricted_value_reaches_a_log(host):
    """Log fields named like a restricted column are withheld by the logger itself, whoever writes them."""
    source = (SOURCE / 'core' / 'store' / 'schema' / '0010_governance.sql').read_text()
    restricted = set(re.findall(r"\('\w+', '(\w+)', 'restricted'", source))
    assert {'password', 'token', 'mfa_secret'} <= restricted
    written = {}
    for path in (SOURCE / 'core').rglob('*.c'):
        for name in re.findall(r'LOG_(?:STR|SPAN|INT)\("(\w+)"', path.read_text()):
            written.setdefault(name, path.name)
    assert not {name: written[name] for name in restricted & set(written)}
