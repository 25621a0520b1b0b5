"""Every action that changes something leaves its row, with who, what, on what, from where; refused and failed ones too."""
import hashlib
import http.client
import itertools
import json
import os
import pathlib
import re
import shutil
import signal

import psycopg2
import pytest
from conftest import SOURCE, eventually
from person import Person
from test_audit import one, rows, superuser

AGENT = 'audit-test/1'


def routes():
    """Method and pattern of every route that may change something, from the tables in core/api."""
    found = set()
    for path in (SOURCE / 'core' / 'api').glob('*.c'):
        source = path.read_text()
        macros = dict(re.findall(r'^#define (\w+)\s+(.*"[^"\n]*")$', source, re.M))

        def resolve(words):
            return ''.join(word[1:-1] if word[0] == '"' else resolve(macros[word]) for word in re.findall(r'"[^"]*"|\w+', words))
        for method, pattern in re.findall(r'REST_ROUTE\(\s*"(\w+)",\s*((?:"[^"]*"|[A-Z_]+)(?:\s*"[^"]*")*),', source):
            if method not in ('GET', 'HEAD'):
                found.add(f'{method} {resolve(pattern)}')
    return found


class Stage:
    """What the actions have made so far; each request names itself."""

    numbers = itertools.count(1)

    def __init__(self, host, publisher, make_user):
        self.host, self.publisher = host, publisher
        self.name = f'ada{os.urandom(3).hex()}'
        self.make_user = make_user
        self.person = Person(host, make_user())
        self.package = publisher.sign('hello')
        self.admin = one(host, "SELECT id FROM users WHERE provider = 'system'")

    def ask(self, method, path, body=None, token='', binary=None):
        """The answer of one request that must be taken; self.request names it."""
        self.request = f'audit-{os.getpid()}-{next(self.numbers)}'
        headers = {'X-Request-Id': self.request, 'User-Agent': AGENT}
        if binary is not None:
            headers['Content-Type'] = 'application/octet-stream'
        status, _, answer = self.host.request(method, path, body=body if binary is None else binary, token=token, headers=headers)
        assert status < 300, (method, path, status, answer)
        self.answer = json.loads(answer) if answer else None
        return self.answer

    def change(self, method, path, body):
        """A change of an installation, to its end."""
        number = self.ask(method, path, body)['number']
        request = self.request
        eventually(lambda: self.host.get(f'/v1/changes/{number}?wait=30s')[1]['state'] != 'running', timeout=60)
        assert self.host.get(f'/v1/changes/{number}')[1]['state'] == 'done', self.host.get(f'/v1/changes/{number}')
        self.request = request

    def login(self):
        return self.ask('POST', '/v1/sessions', {'login': self.person.user.username, 'password': self.person.user.password}, token=None)

    def session(self):
        """A full session of the person, made aside."""
        return self.person.login()['token']


def trusted(s):
    public = os.urandom(32)
    s.trust_key = 'ed25519:' + hashlib.sha256(public).hexdigest()
    return s.ask('POST', '/v1/trust', {'key_id': s.trust_key, 'public_key': public.hex(), 'name': 'Acme', 'namespaces': ['acme']})


def keep(name, member='id'):
    def act(s, answer):
        setattr(s, name, answer[member])
    return act


def enrol(s):
    s.token = s.session()
    s.person.seed = s.ask('POST', '/v1/users/me/second-factor/totp', {}, token=s.token)['secret']


def confirm(s):
    s.ask('POST', '/v1/users/me/second-factor/totp/confirm', {'code': s.person.code()}, token=s.token)
    s.person.forget_steps()


def finish(s):
    half = s.person.login()['token']
    s.token = s.ask('POST', '/v1/sessions/current/second-factor', {'code': s.person.code()}, token=half)['token']
    s.person.forget_steps()


def by_factor(method, path):
    def act(s):
        s.ask(method, '/v1/users/me/second-factor' + path, {'code': s.person.code(), 'password': s.person.user.password}, token=s.token)
        s.person.forget_steps()
    return act


def retire(s):
    """The key that a finished rotation has left behind."""
    def old():
        running = one(s.host, "SELECT count(*) FROM key_ring_rotations WHERE finished_at IS NULL")
        return not running and [key['id'] for key in s.host.get('/v1/key-ring')[1]['keys'] if key['state'] == 'old']
    s.ask('POST', f'/v1/key-ring/keys/{eventually(old, timeout=60)[0]}/retire', {})


def ask_for_data(s):
    s.privacy = s.ask('POST', '/v1/privacy', {'type': 'access', 'user': s.person.user.username})['id']


def complete_request(s):
    ask_for_data(s)
    s.ask('POST', f'/v1/privacy/{s.privacy}/complete', {})


# Route, action in the trail, the type of what it is done to, how it is done. In the order of one long story.
ACTIONS = [
    ('POST /v1/users', 'user.create', 'user', lambda s: keep('user')(s, s.ask('POST', '/v1/users', {
        'name': 'Ada Lovelace', 'username': s.name, 'email': f'{s.name}@example.org', 'password': 'correct horse battery', 'role': 'DEVELOPER'}))),
    ('PATCH /v1/users/{user}', 'user.change', 'user', lambda s: s.ask('PATCH', f'/v1/users/{s.user}', {'name': 'Ada King'})),
    ('POST /v1/users/{user}/deactivate', 'user.deactivate', 'user', lambda s: s.ask('POST', f'/v1/users/{s.user}/deactivate', {'reason': 'test'})),
    ('POST /v1/users/{user}/activate', 'user.activate', 'user', lambda s: s.ask('POST', f'/v1/users/{s.user}/activate', {})),
    ('POST /v1/teams', 'team.create', 'team', lambda s: s.ask('POST', '/v1/teams', {'name': s.name, 'display_name': 'Ada'})),
    ('PATCH /v1/teams/{name}', 'team.change', 'team', lambda s: s.ask('PATCH', f'/v1/teams/{s.name}', {'description': 'x'})),
    ('POST /v1/teams/{name}/members', 'member.add', 'team', lambda s: s.ask('POST', f'/v1/teams/{s.name}/members', {'user': s.name, 'role': 'MEMBER'})),
    ('PATCH /v1/teams/{name}/members/{user}', 'member.change', 'team',
     lambda s: s.ask('PATCH', f'/v1/teams/{s.name}/members/{s.name}', {'role': 'MAINTAINER'})),
    ('DELETE /v1/teams/{name}/members/{user}', 'member.remove', 'team', lambda s: s.ask('DELETE', f'/v1/teams/{s.name}/members/{s.name}')),
    ('DELETE /v1/teams/{name}', 'team.delete', 'team', lambda s: s.ask('DELETE', f'/v1/teams/{s.name}')),
    ('DELETE /v1/users/{user}', 'user.delete', 'user', lambda s: s.ask('DELETE', f'/v1/users/{s.user}')),
    ('POST /v1/keys', 'api_key.create', 'api_key', lambda s: keep('key')(s, s.ask('POST', '/v1/keys', {'name': 'k', 'scopes': ['catalog.read']}))),
    ('PATCH /v1/keys/{id}', 'api_key.change', 'api_key', lambda s: s.ask('PATCH', f'/v1/keys/{s.key}', {'name': 'k2'})),
    ('POST /v1/keys/{id}/revoke', 'api_key.revoke', 'api_key', lambda s: s.ask('POST', f'/v1/keys/{s.key}/revoke', {'reason': 'test'})),
    ('POST /v1/trust', 'trust.add', 'trust_key', trusted),
    ('POST /v1/trust/{key_id}/revoke', 'trust.revoke', 'trust_key', lambda s: s.ask('POST', f'/v1/trust/{s.trust_key}/revoke', {'reason': 'test'})),
    ('PUT /v1/settings/{name}', 'setting.put', 'host_setting', lambda s: s.ask('PUT', '/v1/settings/catalog.visibility', {'value': 'everyone'})),
    ('POST /v1/packages', 'package.register', 'package', lambda s: s.ask('POST', '/v1/packages', binary=s.package.read_bytes())),
    ('POST /v1/installations', 'plugin.install.open', 'change', lambda s: s.change('POST', '/v1/installations', {'plugin': 'mortise/hello'})),
    ('POST /v1/installations/{publisher}/{plugin}/configure', 'plugin.configure.open', 'change',
     lambda s: s.change('POST', '/v1/installations/mortise/hello/configure', {'config': {}})),
    ('PUT /v1/installations/{publisher}/{plugin}/secrets/{name}', 'secret.set', 'plugin_secret',
     lambda s: s.ask('PUT', '/v1/installations/mortise/hello/secrets/word', {'value': 'hunter2'})),
    ('DELETE /v1/installations/{publisher}/{plugin}/secrets/{name}', 'secret.remove', 'plugin_secret',
     lambda s: s.ask('DELETE', '/v1/installations/mortise/hello/secrets/word')),
    ('POST /v1/installations/{publisher}/{plugin}/disable', 'plugin.disable.open', 'change',
     lambda s: s.change('POST', '/v1/installations/mortise/hello/disable', {})),
    ('POST /v1/installations/{publisher}/{plugin}/enable', 'plugin.enable.open', 'change',
     lambda s: s.change('POST', '/v1/installations/mortise/hello/enable', {})),
    ('POST /v1/installations/{publisher}/{plugin}/uninstall', 'plugin.uninstall.open', 'change',
     lambda s: s.change('POST', '/v1/installations/mortise/hello/uninstall', {})),
    ('POST /v1/sessions', 'session.create', 'session', lambda s: keep('refresh', 'refresh_token')(s, s.login())),
    ('POST /v1/sessions/refresh', 'session.refresh', 'session',
     lambda s: keep('token', 'token')(s, s.ask('POST', '/v1/sessions/refresh', {'refresh_token': s.refresh}, token=None))),
    ('DELETE /v1/sessions/{id}', 'session.end', 'session',
     lambda s: s.ask('DELETE', '/v1/sessions/' + s.person.login()['id'], token=s.token)),
    ('DELETE /v1/sessions', 'session.end', 'session', lambda s: (s.session(), s.ask('DELETE', '/v1/sessions', token=s.token))),
    ('DELETE /v1/sessions/current', 'session.end', 'session', lambda s: s.ask('DELETE', '/v1/sessions/current', token=s.token)),
    ('POST /v1/users/{user}/second-factor/{method}', 'second_factor.begin', 'user', enrol),
    ('POST /v1/users/{user}/second-factor/{method}/confirm', 'second_factor.enable', 'user', confirm),
    ('POST /v1/sessions/current/second-factor', 'second_factor.pass', 'user', finish),
    ('POST /v1/users/{user}/second-factor/backup-codes', 'second_factor.backup_codes', 'user', by_factor('POST', '/backup-codes')),
    ('DELETE /v1/users/{user}/second-factor', 'second_factor.disable', 'user', by_factor('DELETE', '')),
    ('POST /v1/users/{user}/password', 'user.password', 'user', lambda s: s.ask('POST', '/v1/users/me/password', {
        'current': s.person.user.password, 'new': s.person.user.password + ' again'}, token=s.session())),
    ('POST /v1/key-ring/rotate', 'key_ring.rotate', 'key_ring', lambda s: s.ask('POST', '/v1/key-ring/rotate', {'reason': 'test'})),
    ('POST /v1/key-ring/keys/{id}/retire', 'key_ring.retire', 'key_ring', retire),
    ('POST /v1/privacy', 'privacy.request', 'data_privacy_record', ask_for_data),
    ('POST /v1/privacy/{id}/reject', 'privacy.reject', 'data_privacy_record', lambda s: s.ask('POST', f'/v1/privacy/{s.privacy}/reject', {'reason': 'test'})),
    ('POST /v1/privacy/{id}/complete', 'privacy.complete', 'data_privacy_record', complete_request),
]


def row_of(host, request, action):
    with superuser(host) as cursor:
        found = rows(cursor, """SELECT row_to_json(a)::text FROM audit_logs a WHERE action = %s AND (request_id = %s OR %s IS NULL)
            ORDER BY id DESC LIMIT 1""", action, request, request)
        return json.loads(found[0][0]) if found else None


def test_the_table_has_every_route_that_changes_something():
    assert len(routes()) >= 25
    assert routes() - {route for route, *_ in ACTIONS} == set()


def test_every_action_leaves_its_row(host, publisher, make_user):
    stage = Stage(host, publisher, make_user)
    failures = []
    for route, action, resource, act in ACTIONS:
        act(stage)
        # The supervisor registers a package, for whoever sent it: its row knows no request.
        request = None if action == 'package.register' else stage.request
        row = row_of(host, request, action)
        seen = row and {'resource': row['resource_type'], 'result': row['status'], 'named': bool(row['resource_id'])}
        if seen != {'resource': resource, 'result': 'success', 'named': True}:
            failures.append((route, action, seen))
            continue
        by_person = any(word in route for word in ('/sessions', '/password', '/second-factor'))
        assert row['user_id'] == (stage.person.user.id if by_person else stage.admin), (route, row)
        if request:
            shown = host.json('audit', 'search', '--request', request, '--action', action, '--personal')[0]
            assert shown['address'] == '127.0.0.1' and shown['user_agent'] == AGENT, (route, shown)
        assert row['created_at'] and 'hunter2' not in json.dumps(row) and 'correct horse' not in json.dumps(row)
    assert not failures, failures


# ---- what was refused or failed ---------------------------------------------------------------------------------------------------------

def refusals(host, request):
    with superuser(host) as cursor:
        return [json.loads(row) for row, in rows(cursor, "SELECT row_to_json(a)::text FROM audit_logs a WHERE request_id = %s AND status <> 'success'", request)]


@pytest.mark.parametrize('who', ['nobody', 'a viewer'])
def test_every_refused_action_leaves_its_row(host, make_user, who):
    """Each route that changes something, asked by one who may not."""
    user = make_user(role='VIEWER') if who == 'a viewer' else None
    scopeless = host.get('/v1/keys', method='POST', token=user.token, body={'name': 'x', 'scopes': ['nothing.read']})[1]['key'] if user else None
    asked = {}
    for number, route in enumerate(sorted(routes())):
        method, pattern = route.split()
        request = f'refused-{who[:1]}-{os.getpid()}-{number}'
        path = re.sub(r'\{\w+\}', 'x', pattern)
        status, _, answer = host.request(method, path, body={}, token=scopeless, headers={'X-Request-Id': request, 'User-Agent': AGENT})
        assert status >= 400, (route, status)
        asked[request] = (route, pattern, status, json.loads(answer)['code'])
    eventually(lambda: all(refusals(host, request) for request in asked))
    for request, (route, pattern, status, code) in asked.items():
        row = refusals(host, request)[0]
        # Whoever logs in is nobody yet.
        asker = user.id if user and route not in ('POST /v1/sessions', 'POST /v1/sessions/refresh') else None
        assert row['status'] == 'failure' and row['user_id'] == asker, (route, row)
        assert row['metadata']['code'] == code and row['metadata']['method'] == route.split()[0], (route, row)
        if status != 401:
            assert row['metadata']['path'] == pattern and row['action'] != 'request', (route, row)
        if not asker:
            assert row['ip_address'] == '127.0.0.1' and row['user_agent'] == AGENT, row


def test_a_key_that_is_none_a_wrong_place_and_a_spent_rate_leave_rows(host):
    host.request('GET', '/v1/plugins', token='mrt_nonsense', headers={'X-Request-Id': 'bad-key'})
    elsewhere = host.get('/v1/keys', method='POST', body={'name': 'x', 'scopes': ['*'], 'allowed_ips': ['203.0.113.0/24']})[1]['key']
    host.request('GET', '/v1/plugins', token=elsewhere, headers={'X-Request-Id': 'wrong-place'})
    spent = host.get('/v1/keys', method='POST', body={'name': 'x', 'scopes': ['*'], 'rate_limit': 1})[1]['key']
    assert host.status('/v1/plugins', token=spent) == 200
    host.request('GET', '/v1/plugins', token=spent, headers={'X-Request-Id': 'spent'})
    host.request('POST', '/v1/sessions', token=None, body={'login': 'admin', 'password': 'wrong'}, headers={'X-Request-Id': 'wrong-password'})
    for request, code in (('bad-key', 'MRT-5001'), ('wrong-place', 'MRT-5003'), ('spent', 'MRT-5004')):
        row = eventually(lambda: refusals(host, request))[0]
        assert row['metadata']['code'] == code, row
    assert 'wrong' not in json.dumps(eventually(lambda: refusals(host, 'wrong-password'))[0]['new_value'])


def test_a_read_that_is_allowed_or_finds_nothing_leaves_none(host):
    host.request('GET', '/v1/plugins', headers={'X-Request-Id': 'harmless'})
    host.request('GET', '/v1/services/none', headers={'X-Request-Id': 'not-there'})
    host.request('GET', '/v1/plugins', token='mrt_nonsense', headers={'X-Request-Id': 'last'})
    eventually(lambda: refusals(host, 'last'))
    assert not refusals(host, 'harmless') and not refusals(host, 'not-there')


def test_a_flood_of_refusals_is_a_handful_of_rows_and_none_is_lost(host):
    before = one(host, "SELECT coalesce(sum(coalesce((metadata ->> 'count')::int, 1)), 0) FROM audit_logs WHERE user_agent = 'flood'")
    connection = http.client.HTTPConnection(host.address, timeout=30)
    for number in range(400):
        connection.request('GET', '/v1/plugins', headers={'User-Agent': 'flood', 'Authorization': 'Bearer mrt_nonsense'})
        answer = connection.getresponse()
        assert answer.read() and answer.status == 401
    connection.close()
    counted = "SELECT coalesce(sum(coalesce((metadata ->> 'count')::int, 1)), 0) FROM audit_logs WHERE user_agent = 'flood'"
    eventually(lambda: one(host, counted) - before == 400)
    assert one(host, "SELECT count(*) FROM audit_logs WHERE user_agent = 'flood'") <= 100


def test_more_different_refusals_than_a_batch_takes_are_counted(host):
    connection = http.client.HTTPConnection(host.address, timeout=30)
    for number in range(700):
        connection.request('GET', f'/v1/nothing-{number}', headers={'User-Agent': 'scan', 'Authorization': 'Bearer mrt_nonsense'})
        answer = connection.getresponse()
        assert answer.read() and answer.status == 401
    connection.close()
    written = """SELECT (SELECT count(*) FROM audit_logs WHERE user_agent = 'scan') + (SELECT coalesce(sum((metadata ->> 'count')::int), 0)
        FROM audit_logs WHERE error_message LIKE 'more refusals than%%')"""
    eventually(lambda: one(host, written) == 700)
