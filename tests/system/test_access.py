"""Who may do what: keys, scopes, roles."""
import hashlib
import json
import os

import pytest


@pytest.fixture(scope='module', autouse=True)
def hello(host, publisher):
    host.install(publisher.sign('hello'))


def make_key(host, *options):
    return host.ok('api-key', 'create', 'test', '--quiet', *options).strip()


def test_a_key_does_what_its_scopes_say_and_nothing_more(host):
    key = make_key(host, '--scopes', 'hello.read')
    assert host.status('/api/hello/ping', token=key) == 200
    assert host.status('/v1/services', token=key) == 403
    assert host.request('POST', '/v1/packages', body=b'x', token=key)[0] == 403
    key = make_key(host, '--scopes', 'catalog.read')
    assert host.status('/api/hello/ping', token=key) == 403
    assert host.status('/v1/services', token=key) == 200


def test_what_is_no_key_is_401_and_says_why(host):
    good = make_key(host)
    flipped = good[:-1] + ('0' if good[-1] != '0' else '1')
    for bad in ('x', 'mrt_', flipped, good + 'x', 'mrt_' + 'a' * 49):
        status, headers, body = host.request('GET', '/v1/plugins', token=bad)
        assert status == 401 and 'WWW-Authenticate' in headers, bad
        problem = json.loads(body)
        assert problem['code'].startswith('MRT-') and problem['status'] == 401


def test_a_revoked_key_ends_within_a_second(host):
    from conftest import eventually
    key = make_key(host)
    assert host.status('/v1/plugins', token=key) == 200
    for item in host.json('api-key', 'list'):
        if item['prefix'] == key[:10]:
            host.ok('api-key', 'revoke', item['id'], '-m', 'test')
    assert eventually(lambda: host.status('/v1/plugins', token=key) == 401, timeout=2)


def test_a_key_is_never_stored(host):
    key = make_key(host)
    dump = host.ok('db', 'psql', '--', '-Atc', "SELECT key_hash, key_prefix FROM api_keys")
    assert key not in dump and key[:10] in dump


def test_the_rate_limit_refuses_with_429(host):
    key = make_key(host, '--rate', '5')
    statuses = [host.status('/v1/plugins', token=key) for _ in range(12)]
    assert statuses.count(200) == 5 and statuses[-1] == 429


def test_problems_carry_no_sql_and_no_path(host):
    for method, path, body in (('GET', "/v1/services/'%22%3B", None), ('GET', '/v1/changes/abc', None),
                               ('POST', '/v1/installations', {'plugin': 'x'}), ('POST', '/v1/installations', [1]),
                               ('GET', '/v1/services?limit=x', None), ('GET', '/nope', None)):
        status, headers, answer = host.request(method, path, body=body)
        assert 400 <= status < 500, (path, status)
        assert headers['Content-Type'] == 'application/problem+json'
        text = answer.decode().lower()
        assert 'select' not in text and '/var/' not in text and '.c:' not in text


def test_a_user_agent_may_hold_any_byte(host):
    assert host.status('/v1/plugins', headers={'User-Agent': b'caf\xe9'}) == 200


def test_a_malformed_trusted_key_is_refused_by_name_and_stops_no_install(host, publisher):
    public = os.urandom(32)
    good = {'key_id': 'ed25519:' + hashlib.sha256(public).hexdigest(), 'public_key': public.hex(), 'name': 'acme',
            'namespaces': ['acme']}
    for member, value, said in (('namespaces', ['../..'], '../..'), ('namespaces', ['acme *'], 'acme *'),
                                ('namespaces', [''], 'namespaces'), ('namespaces', [], 'namespaces'),
                                ('name', '', 'name'), ('roles', ['god'], 'role'),
                                ('key_id', 'ed25519:' + '0' * 64, 'key_id')):
        status, _, body = host.request('POST', '/v1/trust', body={**good, member: value})
        detail = json.loads(body)['detail']
        assert status == 400 and said in detail and 'statement' not in detail, (member, value, status, body)
    assert host.request('POST', '/v1/packages', body=publisher.sign('hello').read_bytes())[0] == 201
