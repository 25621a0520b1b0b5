"""Row-level security alone: the front of this file's host checks nothing (tests/open_access), and the database still shows and takes
nothing that is not the asker's.

Everything of the team red carries a word that no answer to a stranger may hold. The strangers: a developer of another team, a VIEWER,
nobody at all, and another plugin.
"""
import contextlib
import hashlib
import json
import os
import re

import psycopg2
import psycopg2.sql
import pytest

from conftest import BUILD, SOURCE, Host, User

WORD = 'crimson' + os.urandom(4).hex()
TENANT = 'tenant_' + WORD


class World:
    def __init__(self, host, publisher):
        self.host = host
        host.install(publisher.sign('hello'), '-m', WORD)
        host.install(publisher.sign('notify'))
        self.owner = psycopg2.connect(host.ok('db', 'url').strip())
        self.owner.autocommit = True
        self.admin = self.row("SELECT id FROM users WHERE provider = 'system'")
        self.alice, self.bob, self.vera, self.ruth = (User(host, role, 'correct horse battery', name) for role, name in (
            ('DEVELOPER', 'alice'), ('DEVELOPER', 'bob'), ('VIEWER', 'vera'), ('VIEWER', 'ruth')))
        self.red, self.blue = (self.row('INSERT INTO teams(name, display_name) VALUES (%s, %s) RETURNING id', n, n) for n in ('red', 'blue'))
        for team, user, role in ((self.red, self.alice, 'OWNER'), (self.red, self.ruth, 'MEMBER'), (self.blue, self.bob, 'OWNER'), (self.blue, self.vera, 'MEMBER')):
            self.row('INSERT INTO team_members(team_id, user_id, role) VALUES (%s, %s, %s)', team, user.id, role)
        self.hello, self.notify = (self.row('SELECT i.id FROM plugin_installations i JOIN plugins p ON p.id = i.plugin_id WHERE p.name = %s', f'mortise/{n}')
                                   for n in ('hello', 'notify'))
        self.accounts = {i: self.row("SELECT id FROM users WHERE provider = 'plugin' AND provider_id = %s", i) for i in (self.hello, self.notify)}
        self.fill()

    def row(self, statement, *values):
        with self.owner.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchone()[0] if cursor.description else None

    def service(self, name, team):
        return self.row("INSERT INTO services(name, display_name, description, type, lifecycle, team_id) VALUES (%s, %s, %s, 'service', 'production', %s) RETURNING id",
                        name, name, name, team)

    def fill(self):
        """Something of red in every protected table."""
        self.pay, self.ledger, self.shop = self.service(f'{WORD}-pay', self.red), self.service(f'{WORD}-ledger', self.red), self.service('shop', self.blue)
        for source, target in ((self.pay, self.ledger), (self.pay, self.shop), (self.shop, self.pay)):
            self.row("INSERT INTO service_relationships(source_id, target_id, relationship_type, metadata) VALUES (%s, %s, 'depends_on', %s)",
                     source, target, json.dumps({'note': WORD}))
        self.row("INSERT INTO service_deployments(service_id, version, environment, status) VALUES (%s, %s, 'production', 'completed')", self.pay, WORD)
        for service, team, user, plugin in ((self.pay, None, None, None), (self.pay, self.blue, self.bob.id, None), (None, self.red, None, None),
                                            (None, None, self.alice.id, None), (None, None, None, 'mortise/hello')):
            plugin = plugin and self.row('SELECT id FROM plugins WHERE name = %s', plugin)
            self.row("INSERT INTO metrics(\"time\", metric_name, metric_type, service_id, team_id, user_id, plugin_id, value, labels) "
                     "VALUES (now(), 'm', 'gauge', %s, %s, %s, %s, 1, %s)", service, team, user, plugin, json.dumps({'note': WORD}))
            self.row('INSERT INTO events(event_type, service_id, team_id, user_id, plugin_id, data) VALUES (%s, %s, %s, %s, %s, %s)',
                     'e', service, team, user, plugin, json.dumps({'note': WORD}))
        self.row('INSERT INTO plugin_kv(installation_id, key, value) VALUES (%s, %s, %s)', self.hello, WORD, '1')
        self.row("INSERT INTO call_operations(installation_id, operation, method, result) VALUES (%s, %s, 'm', %s)", self.hello, WORD, '1')
        sync = self.row("INSERT INTO catalog_syncs(provider, state, result) VALUES (%s, 'running', %s) RETURNING id", self.hello, json.dumps({'note': WORD}))
        self.row('INSERT INTO catalog_sync_seen(sync_id, row_id) VALUES (%s, %s)', sync, self.pay)
        self.row('SELECT job_tenant_create(%s)', TENANT)
        self.row('INSERT INTO tenant_data(tenant_id, id, data) VALUES (%s, %s, %s)', TENANT, 'a', json.dumps({'note': WORD}))
        self.row('UPDATE plugin_installations SET config = %s WHERE id = %s', json.dumps({'note': WORD}), self.hello)
        self.row("INSERT INTO plugin_terminations(installation_id, node_id, plugin_name, kind, reason) VALUES (%s, 'n', 'mortise/hello', 'exit', %s)", self.hello, WORD)
        self.row('UPDATE plugin_instances SET failure = %s WHERE installation_id = %s', json.dumps({'note': WORD}), self.hello)
        self.row("UPDATE users SET email = %s, phone_number = '+4930123456' WHERE id = %s", f'{WORD}@example.org', self.alice.id)
        self.public = public = os.urandom(32)
        self.trust = 'ed25519:' + hashlib.sha256(public).hexdigest()
        BODIES['POST /v1/trust'] = {'key_id': self.trust, 'public_key': public.hex(), 'name': 'x', 'namespaces': ['x']}
        status, key = self.host.get('/v1/keys', method='POST', token=self.alice.token, body={'name': WORD, 'scopes': ['*']})
        assert status == 201
        self.key = key['id']
        status, session = self.host.get('/v1/sessions', method='POST', token=None,
                                        body={'login': 'alice', 'password': self.alice.password, 'device_name': WORD})
        assert status == 201
        self.session = session['id']
        status, privacy = self.host.get('/v1/privacy', method='POST', token=self.alice.token, body={'type': 'access', 'reason': WORD})
        self.privacy = privacy.get('id') if status in (201, 202) else None
        assert self.privacy, (status, privacy)
        self.change = self.row('SELECT number FROM changes ORDER BY number LIMIT 1')
        self.digest = self.row('SELECT installed_digest FROM plugin_installations WHERE id = %s', self.hello)

    @contextlib.contextmanager
    def as_(self, user='', plugin='', tenant=''):
        """A cursor of a transaction that asks as the front does; it leaves nothing behind."""
        connection = psycopg2.connect(self.owner.dsn.replace('xxx', self.owner.info.password))
        try:
            with connection.cursor() as cursor:
                cursor.execute('SET ROLE application_role')
                cursor.execute("SELECT set_config('app.current_user_id', %s, true), set_config('app.current_plugin', %s, true), "
                               "set_config('app.current_tenant_id', %s, true)", (user, plugin, tenant))
                yield cursor
        finally:
            connection.rollback()
            connection.close()


@pytest.fixture(scope='module')
def host(publisher):
    host = Host(env={'MORTISE_PROGRAM_DIR': str(BUILD / 'bin-open')})
    try:
        host.up()
        host.trust(publisher)
        yield host
    finally:
        host.destroy()


@pytest.fixture(scope='module')
def world(host, publisher):
    return World(host, publisher)


# ---- the front without checks --------------------------------------------------------------------------------------------------------


def test_the_front_checks_nothing_and_says_so(host, world):
    assert 'OPEN ACCESS' in (host.data / 'mortised.log').read_text()
    assert host.status('/v1/services', token=None) == 200  # nobody passes
    scopeless = host.get('/v1/keys', method='POST', body={'name': 'x', 'scopes': ['nothing.read'], 'allowed_ips': ['203.0.113.1']})[1]['key']
    assert host.status('/v1/services', token=scopeless) == 200


def test_no_other_environment_and_no_install_has_it(new_host):
    refused = new_host(environment='production', env={'MORTISE_PROGRAM_DIR': str(BUILD / 'bin-open')}).cli('up')
    assert refused.returncode != 0 and 'development' in refused.stderr, refused.stderr
    assert b'OPEN ACCESS' not in (BUILD / 'bin' / 'mortise-front').read_bytes()
    assert b'OPEN ACCESS' in (BUILD / 'bin-open' / 'mortise-front').read_bytes()
    for script in BUILD.rglob('cmake_install.cmake'):
        assert 'bin-open' not in script.read_text(), script


# ---- every protected table -----------------------------------------------------------------------------------------------------------

# Who sees red's row of it: the positive control, without which "no row" would prove nothing.
PRIVATE = {
    'services': 'alice', 'service_relationships': 'alice', 'service_deployments': 'alice', 'metrics': 'alice', 'events': 'alice',
    'plugin_installations': 'admin', 'plugin_instances': 'admin', 'plugin_terminations': 'admin', 'changes': 'admin',
    'plugin_kv': 'hello', 'call_operations': 'hello', 'catalog_syncs': 'hello', 'tenant_data': 'tenant',
}
# Its rows hold no word of ours: whoever sees their parent sees them.
FOLLOWS = {'catalog_sync_seen': 'hello'}
# Everyone known reads it, nobody else.
KNOWN = {'users', 'teams', 'team_members', 'trust_keys', 'trust_pins', 'host_settings'}


def askers(world):
    return {'bob': (world.bob.id,), 'vera': (world.vera.id,), 'nobody': ('',), 'no such user': ('c' + '0' * 24,), 'notify': (world.accounts[world.notify], world.notify),
            'bob through notify': (world.bob.id, world.notify), 'nobody through notify': ('', world.notify)}


def control(world, name):
    return {'alice': (world.alice.id,), 'admin': (world.admin,), 'hello': (world.accounts[world.hello], world.hello), 'tenant': ('', '', TENANT)}[name]


def readable(cursor, table):
    cursor.execute("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped "
                   "AND has_column_privilege('application_role', attrelid, attnum, 'SELECT')", (table,))
    return [name for name, in cursor.fetchall()]


def rows_with_the_word(cursor, table):
    columns = psycopg2.sql.SQL(', ').join(map(psycopg2.sql.Identifier, readable(cursor, table)))
    cursor.execute(psycopg2.sql.SQL('SELECT count(*) FROM (SELECT {} FROM {}) t WHERE t::text LIKE %s').format(columns, psycopg2.sql.Identifier(table)), (f'%{WORD}%',))
    return cursor.fetchone()[0]


def count(cursor, table):
    cursor.execute(psycopg2.sql.SQL('SELECT count(*) FROM {}').format(psycopg2.sql.Identifier(table)))
    return cursor.fetchone()[0]


def test_every_protected_table_is_judged_here(world):
    with world.as_() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relrowsecurity AND NOT relispartition")
        assert {name for name, in cursor.fetchall()} == set(PRIVATE) | set(FOLLOWS) | KNOWN
        # What is readable without a policy is the same for everybody and of nobody; 0017 says so.
        cursor.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND NOT relrowsecurity AND relkind IN ('r', 'p', 'v', 'm') "
                       "AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e') AND has_any_column_privilege('application_role', oid, 'SELECT')")
        assert {name for name, in cursor.fetchall()} == {'plugins', 'plugin_versions', 'packages', 'plugin_signatures', 'schema_migrations', 'authority_feed',
                                                         'catalog_feed', 'service_health_dashboard'}
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolname IN ('application_role', 'mortise_front', 'mortise_supervisor') AND (rolsuper OR rolbypassrls)")
        assert cursor.fetchall() == []
        cursor.execute("SELECT count(*) FROM pg_class WHERE relowner IN ('application_role'::regrole, 'mortise_front'::regrole, 'mortise_supervisor'::regrole)")
        assert cursor.fetchone()[0] == 0


@pytest.mark.parametrize('table', sorted(PRIVATE))
def test_a_stranger_reads_no_row_of_it(world, table):
    with world.as_(*control(world, PRIVATE[table])) as cursor:
        assert rows_with_the_word(cursor, table) > 0, 'the test itself sees nothing'
    for name, who in askers(world).items():
        with world.as_(*who) as cursor:
            assert rows_with_the_word(cursor, table) == 0, name
            assert not name.startswith('no ') and not name.startswith('nobody') or count(cursor, table) == 0, name


def test_without_a_setting_there_are_no_rows(world):
    for setting in (None, ''):
        connection = psycopg2.connect(world.owner.dsn.replace('xxx', world.owner.info.password))
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute('SET ROLE application_role')
            if setting is not None:
                cursor.execute("SELECT set_config('app.current_user_id', '', true)")
            for table in [*PRIVATE, *FOLLOWS, 'teams', 'team_members', 'trust_keys', 'trust_pins', 'host_settings', 'service_health_dashboard']:
                assert count(cursor, table) == 0, table
            cursor.execute('SELECT count(id) FROM users')
            assert cursor.fetchone()[0] == 0
    with world.as_(world.bob.id) as cursor:
        for table in ('teams', 'team_members', 'trust_keys'):
            assert count(cursor, table) > 0, table
    with world.as_(*control(world, 'hello')) as cursor:
        assert count(cursor, 'catalog_sync_seen') == 1


def test_what_belongs_to_a_service_is_no_more_visible_than_it(world):
    """For each asker: whatever row names a service names one that he sees."""
    people = {**askers(world), 'alice': (world.alice.id,), 'ruth': (world.ruth.id,), 'admin': (world.admin,)}
    for name, who in people.items():
        with world.as_(*who) as cursor:
            for table, columns in (('service_relationships', ('source_id', 'target_id')), ('service_deployments', ('service_id',)), ('metrics', ('service_id',)),
                                   ('events', ('service_id',)), ('service_health_dashboard', ('id',))):
                for column in columns:
                    cursor.execute(f'SELECT count(*) FROM {table} t WHERE t.{column} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM services s WHERE s.id = t.{column})')
                    assert cursor.fetchone()[0] == 0, (name, table, column)
    # An event that names bob's team and bob himself, but a service of red, is red's.
    with world.as_(world.bob.id) as cursor:
        cursor.execute('SELECT count(*) FROM events WHERE user_id = %s', (world.bob.id,))
        assert cursor.fetchone()[0] == 0


def attempt(cursor, statement, values=()):
    """How many rows it changed; 0 when it was refused."""
    cursor.execute('SAVEPOINT attempt')
    try:
        cursor.execute(statement, values)
        return cursor.rowcount
    except psycopg2.errors.InsufficientPrivilege:
        cursor.execute('ROLLBACK TO attempt')
        return 0


@pytest.mark.parametrize('table', sorted({*PRIVATE, *FOLLOWS} | KNOWN))
def test_a_stranger_changes_and_removes_no_row_of_it(world, table):
    for name, who in {**askers(world), 'ruth, a VIEWER of red': (world.ruth.id,)}.items():
        with world.as_(*who) as cursor:
            cursor.execute("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped "
                           "AND has_column_privilege('application_role', attrelid, attnum, 'UPDATE') ORDER BY attnum DESC LIMIT 1", (table,))
            column = cursor.fetchone()
            mine = {'plugin_kv': 'installation_id <> %(p)s', 'call_operations': 'installation_id <> %(p)s', 'catalog_syncs': 'provider <> %(p)s',
                    'services': 'team_id = %(red)s', 'teams': 'id = %(red)s', 'team_members': 'team_id = %(red)s AND user_id <> %(u)s',
                    'service_relationships': 'source_id IN (%(pay)s, %(ledger)s)', 'service_deployments': 'service_id = %(pay)s'}.get(table, 'true')
            values = {'p': (who + ('',))[1], 'u': who[0], 'red': world.red, 'pay': world.pay, 'ledger': world.ledger}
            if column:
                assert attempt(cursor, f'UPDATE {table} SET {column[0]} = {column[0]} WHERE {mine}', values) == 0, name
            assert attempt(cursor, f'DELETE FROM {table} WHERE {mine}', values) == 0, name


def insertions(world):
    """table -> a row of red that a stranger would like to write."""
    return {
        'services': ("INSERT INTO services(name, display_name, type, lifecycle, team_id) VALUES ('x1', 'x', 'service', 'production', %s)", (world.red,)),
        'services of nobody': ("INSERT INTO services(name, display_name, type, lifecycle) VALUES ('x2', 'x', 'service', 'production')", ()),
        'services of a plugin': ("INSERT INTO services(name, display_name, type, lifecycle, provider) VALUES ('x3', 'x', 'service', 'production', %s)", (world.hello,)),
        'service_relationships': ("INSERT INTO service_relationships(source_id, target_id, relationship_type) VALUES (%s, %s, 'consumes_api')", (world.pay, world.ledger)),
        'service_relationships into red': ("INSERT INTO service_relationships(source_id, target_id, relationship_type) VALUES (%s, %s, 'consumes_api')", (world.shop, world.ledger)),
        'service_deployments': ("INSERT INTO service_deployments(service_id, version, environment, status) VALUES (%s, '2', 'production', 'completed')", (world.pay,)),
        'teams': ("INSERT INTO teams(name, display_name) VALUES ('x', 'x')", ()),
        'team_members': ("INSERT INTO team_members(user_id, team_id, role) VALUES (%s, %s, 'OWNER')", (world.vera.id, world.red)),
        'changes': ("INSERT INTO changes(action, plugin_name, environment, actor_id) VALUES ('install', 'acme/x', 'development', %s)", (world.admin,)),
        'trust_keys': ("INSERT INTO trust_keys(key_id, public_key, name, namespaces) VALUES (%s, %s, 'x', '{x}')", (world.trust, world.public)),
        'trust_pins': ("INSERT INTO trust_pins(digest, reason, expires_at) VALUES (%s, 'x', now())", ('sha256:' + '0' * 64,)),
        'host_settings': ("INSERT INTO host_settings(environment, name, value) VALUES ('', 'catalog.visibility', '\"everyone\"')", ()),
        'plugin_installations': ("INSERT INTO plugin_installations(plugin_id, environment, installed_version, installed_by) SELECT id, 'x', '1', %s FROM plugins LIMIT 1", (world.bob.id,)),
        'plugin_kv': ("INSERT INTO plugin_kv(installation_id, key, value) VALUES (%s, 'x', '1')", (world.hello,)),
        'call_operations': ("INSERT INTO call_operations(installation_id, operation, method, result) VALUES (%s, 'x', 'm', '1')", (world.hello,)),
        'catalog_syncs': ("INSERT INTO catalog_syncs(provider, state, started_by) VALUES (%s, 'done', nullif(current_setting('app.current_user_id'), ''))", (world.hello,)),
        'tenant_data': ("INSERT INTO tenant_data(tenant_id, id, data) VALUES (%s, 'b', '{}')", (TENANT,)),
        'metrics': ("INSERT INTO metrics(\"time\", metric_name, metric_type, service_id, value) VALUES (now(), 'x', 'gauge', %s, 1)", (world.pay,)),
        'events': ("INSERT INTO events(event_type, service_id) VALUES ('x', %s)", (world.pay,)),
        'users': ("INSERT INTO users(email, name, provider, provider_id, role) VALUES ('x@x', 'x', 'x', 'x', 'ADMIN')", ()),
        'api_keys': ("INSERT INTO api_keys(user_id, name, key_hash, key_prefix) VALUES (%s, 'x', %s, 'mrt_abcdef')", (world.alice.id, '0' * 64)),
        'sessions': ("INSERT INTO sessions(user_id, token, expires_at) VALUES (%s, %s, now() + interval '1 day')", (world.alice.id, '0' * 64)),
    }


def test_a_stranger_writes_no_row_for_red(world):
    for what, (statement, values) in insertions(world).items():
        for name, who in askers(world).items():
            with world.as_(*who) as cursor:
                assert attempt(cursor, statement, values) == 0, (what, name)
    # And those who may, may: the statements themselves are sound.
    for what, who in (('services', (world.alice.id,)), ('service_relationships', (world.alice.id,)), ('service_deployments', (world.alice.id,)), ('teams', (world.admin,)),
                      ('plugin_kv', control(world, 'hello')), ('call_operations', control(world, 'hello')), ('catalog_syncs', control(world, 'hello')),
                      ('services of a plugin', control(world, 'hello')), ('tenant_data', ('', '', TENANT)), ('host_settings', (world.admin,)), ('trust_keys', (world.admin,))):
        statement, values = insertions(world)[what]
        with world.as_(*who) as cursor:
            assert attempt(cursor, statement, values) == 1, what
    with world.as_(world.ruth.id) as cursor:  # a VIEWER of red reads what is red's and writes none of it
        assert rows_with_the_word(cursor, 'services') == 2
        for what in ('services', 'service_relationships', 'service_deployments'):
            assert attempt(cursor, *insertions(world)[what]) == 0, what


def test_a_row_cannot_be_moved_to_where_its_writer_may_not_write(world):
    with world.as_(world.bob.id) as cursor:
        for statement, values in (('UPDATE services SET team_id = %s WHERE id = %s', (world.red, world.shop)),
                                  ('UPDATE services SET team_id = NULL WHERE id = %s', (world.shop,)),
                                  ('UPDATE service_relationships SET target_id = %s WHERE source_id = %s', (world.ledger, world.shop)),
                                  ('UPDATE team_members SET team_id = %s WHERE user_id = %s', (world.red, world.bob.id))):
            assert attempt(cursor, statement, values) == 0, statement
        assert attempt(cursor, "UPDATE services SET description = 'mine' WHERE id = %s", (world.shop,)) == 1


# ---- every route ---------------------------------------------------------------------------------------------------------------------

# Of no protected row: files of the host, what anybody may ask, and explanations, which ask the code that is switched off.
WITHOUT_ROWS = {
    'POST /v1/packages': 'a file on its way to the supervisor', 'GET /v1/installations/{publisher}/{plugin}/logs': 'files of the host',
    'GET /v1/access': 'asks the code', 'GET /v1/access/explain': 'asks the code', 'POST /v1/sessions': 'anybody',
    'POST /v1/sessions/refresh': 'anybody', 'DELETE /v1/sessions/current': 'the asker\'s own', 'POST /v1/sessions/current/second-factor': 'the asker\'s own',
}
BODIES = {
    'POST /v1/installations': {'plugin': 'mortise/hello'}, 'POST /v1/installations/{publisher}/{plugin}/configure': {'config': {}},
    'POST /v1/installations/{publisher}/{plugin}/uninstall': {}, 'PUT /v1/installations/{publisher}/{plugin}/secrets/{name}': {'value': 'x'},
    'PATCH /v1/users/{user}': {'name': 'Mallory'}, 'POST /v1/users': {'name': 'x', 'username': 'x', 'email': 'x@example.org', 'password': 'a lovely long password'},
    'POST /v1/users/{user}/password': {'new': 'another lovely password'}, 'POST /v1/teams': {'name': 'grey', 'display_name': 'Grey'},
    'PATCH /v1/teams/{name}': {'display_name': 'Taken'}, 'POST /v1/teams/{name}/members': {'user': 'bob', 'role': 'OWNER'},
    'PATCH /v1/teams/{name}/members/{user}': {'role': 'MEMBER'}, 'PATCH /v1/keys/{id}': {'name': 'taken'},
    'PUT /v1/settings/{name}': {'value': 'everyone'},
    'POST /v1/trust/{key_id}/revoke': {'reason': 'no'}, 'POST /v1/privacy/{id}/reject': {'reason': 'no'}, 'POST /v1/privacy': {'type': 'access', 'user': 'alice'}, 'POST /v1/keys': {'name': 'x', 'scopes': ['*'], 'user': 'alice'},
}


def routes():
    """Every route there is: the table of core/api/README.md, which a unit test compares with the code."""
    text = (SOURCE / 'core/api/README.md').read_text()
    found = {f'{m} {p}' for m, p in re.findall(r'`(GET|POST|PUT|PATCH|DELETE) (/v1/[^`? ]*)`', text[text.index('<!-- access table -->'):text.index('<!-- end -->')])}
    assert len(found) > 70
    return sorted(found)


def path_of(world, route):
    """The route's path, of what is red's."""
    path = route.split(' ')[1]
    names = {'publisher': 'mortise', 'plugin': 'hello', 'number': world.change, 'user': 'alice', 'digest': world.digest, 'chain': 'audit_logs', 'key_id': world.trust,
             'method': 'TOTP', 'name': {'/v1/services': f'{WORD}-pay', '/v1/settings': 'catalog.visibility', '/v1/teams': 'red'}.get(path[:path.find('/{')], 'greeting'),
             'id': {'/v1/keys': world.key, '/v1/sessions': world.session, '/v1/privacy': world.privacy}.get(path[:path.find('/{')], 'k1')}
    return re.sub(r'\{(\w+)\}', lambda m: str(names[m[1]]), path)


def snapshot(world):
    """What is red's, or the host's; not what use alone changes."""
    watched = {
        'services': ('*', f"team_id = '{world.red}'"), 'service_relationships': ('*', f"source_id IN ('{world.pay}', '{world.ledger}')"),
        'service_deployments': ('*', f"service_id = '{world.pay}'"), 'teams': ('*', f"id = '{world.red}'"), 'team_members': ('*', f"team_id = '{world.red}'"),
        'users': ('id, email, name, username, avatar, role, is_active, password, phone_number, mfa_enabled, mfa_secret, preferences, deleted_at',
                  f"id IN ('{world.alice.id}', '{world.ruth.id}', '{world.admin}')"),
        'api_keys': ('id, name, scopes, rate_limit, allowed_ips, expires_at, is_active, revoked_at', f"user_id IN ('{world.alice.id}', '{world.admin}')"),
        'sessions': ('id, user_id, is_active, revoked_at', f"user_id = '{world.alice.id}'"), 'data_privacy_records': ('*', f"user_id = '{world.alice.id}'"),
        'plugin_installations': ('id, plugin_id, installed_version, config, secrets, is_enabled, granted_permissions, revision, uninstalled_at', 'true'),
        'plugin_kv': ('*', 'true'), 'host_settings': ('*', 'true'), 'trust_keys': ('*', 'true'), 'trust_pins': ('*', 'true'), 'tenant_data': ('*', 'true'),
        'changes': ('number, action, plugin_name, state', 'true'), 'key_ring_keys': ('*', 'true'),
    }
    found = {}
    for table, (columns, where) in watched.items():
        if world.row('SELECT to_regclass(%s)', table):
            found[table] = world.row(f"SELECT coalesce(string_agg(t::text, E'\n' ORDER BY t::text), '') FROM (SELECT {columns} FROM {table} WHERE {where}) t")
    return found


def ask(world, route, token):
    status, _, body = world.host.request(route.split(' ')[0], path_of(world, route), body=BODIES.get(route), token=token)
    return status, body.decode(errors='replace')


def test_what_the_owner_and_the_administrator_see_holds_the_word(world):
    """Without this the next test would prove nothing."""
    seen = {name: {route for route in routes() if route.startswith('GET') and WORD in ask(world, route, token)[1]}
            for name, token in (('alice', world.alice.token), ('admin', world.host.token))}
    for route in ('/v1/services', '/v1/services/{name}', '/v1/services/{name}/dependencies', '/v1/keys', '/v1/keys/{id}', '/v1/sessions', '/v1/users/{user}',
                  '/v1/privacy', '/v1/privacy/{id}'):
        assert f'GET {route}' in seen['alice'], (route, ask(world, f'GET {route}', world.alice.token))
    for route in ('/v1/services', '/v1/changes', '/v1/changes/{number}', '/v1/keys/{id}', '/v1/users', '/v1/audit', '/v1/installations/{publisher}/{plugin}'):
        assert f'GET {route}' in seen['admin'], (route, ask(world, f'GET {route}', world.host.token))


@pytest.mark.parametrize('stranger', ('bob', 'vera', 'nobody'))
def test_no_route_shows_or_changes_what_is_reds(world, stranger):
    token = None if stranger == 'nobody' else getattr(world, stranger).token
    before = snapshot(world)
    assert set(before) >= {'services', 'api_keys', 'host_settings'} and WORD in before['services'] and WORD in before['api_keys']
    done = {}
    for route in routes():
        if route in WITHOUT_ROWS:
            continue
        status, body = ask(world, route, token)
        assert WORD not in body.replace(path_of(world, route), '').replace(f'{WORD}-pay', '' if status == 404 else f'{WORD}-pay'), (route, status, body)
        assert status < 500 or status == 501, (route, status, body)
        if not route.startswith('GET') and status < 300:
            done[route] = body
        after = snapshot(world)
        assert after == before, (route, status, body, {t: (before[t], after[t]) for t in before if before[t] != after[t]})
    # What a stranger may do is his own: a key, a request about himself, a session.
    assert set(done) <= {'POST /v1/keys', 'DELETE /v1/sessions'}, done
    for path in ('/v1/installations', '/v1/usage', '/v1/changes', '/v1/audit', '/v1/privacy', '/v1/keys', '/v1/sessions'):
        _, answer = world.host.get(path, token=token)
        assert 'mortise/hello' not in json.dumps(answer), path


def test_what_the_strangers_sent_was_well_formed(world):
    """A refusal of a malformed request would hide the wall. Last: what the administrator asks for happens."""
    assert set(BODIES) | set(WITHOUT_ROWS) <= set(routes())
    wrong = {}
    for route in routes():
        if not route.startswith('GET') and route not in WITHOUT_ROWS:
            status, body = ask(world, route, world.host.token)
            if status in (400, 405, 415, 422):
                wrong[route] = (status, body)
    assert not wrong, wrong
