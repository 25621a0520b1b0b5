"""API keys: what they may do, from where, how long, how often; on one node and on two."""
import concurrent.futures
import http.client
import json
import os
import threading
import time

import pytest

from conftest import eventually

SECOND = 1.05  # how long a change may need to reach every front, with the test's own clock beside it


def ask(host, method, path, body=None, token='', headers=None):
    status, fields, answer = host.request(method, path, body=body, token=token, headers=headers)
    return status, json.loads(answer) if answer else None, fields


def make(host, token='', headers=None, **members):
    """A key, as POST /v1/keys answered it."""
    status, key, fields = ask(host, 'POST', '/v1/keys', {'name': 'test', 'scopes': ['read'], **members}, token, headers)
    assert status == 201, key
    assert fields['Location'] == f"/v1/keys/{key['id']}"
    return key


def refused(host, token='', headers=None, **members):
    """(status, detail) of a key that may not be made."""
    status, answer, _ = ask(host, 'POST', '/v1/keys', {'name': 'test', 'scopes': ['read'], **members}, token, headers)
    assert status >= 400, answer
    assert 'key' not in answer
    return status, answer['detail']


def sql(host, statement):
    return host.ok('db', 'psql', '--', '-Atc', statement).strip()


def on_every_front(host, token, path='/v1/plugins', headers=None, connections=24):
    """The statuses on so many connections of their own: the kernel spreads them over the fronts."""
    return {host.status(path, token=token, headers=headers) for _ in range(connections)}


def a_second_later(changed):
    """The wait is the promise itself: a change counts everywhere a second after it was answered."""
    threading.Event().wait(max(0, changed + SECOND - time.monotonic()))


@pytest.fixture(scope='module', autouse=True)
def hello(host, publisher):
    host.install(publisher.sign('hello'))


# ---- what a key may do ---------------------------------------------------------------------------------------------------------------


def test_a_key_is_shown_once_and_has_a_form_that_scanners_know(host):
    import binascii
    key = make(host, name='shown')
    text = key['key']
    assert text.startswith('mrt_') and len(text) == 53 and key['prefix'] == text[:10]
    digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
    number, checksum = binascii.crc32(text[4:47].encode()), ''
    for _ in range(6):
        number, digit = divmod(number, 62)
        checksum = digits[digit] + checksum
    assert text[47:] == checksum
    shown = ask(host, 'GET', f"/v1/keys/{key['id']}")[1]
    assert shown['name'] == 'shown' and 'key' not in shown and text not in json.dumps(shown)
    assert text not in json.dumps(ask(host, 'GET', '/v1/keys?limit=500')[1])


def test_a_demoted_owners_key_loses_it_within_a_second_on_every_front(host, make_user):
    user = make_user('PLATFORM_ENGINEER')
    key = make(host, user.token, scopes=['host.read'])['key']
    assert on_every_front(host, key, '/v1/trust') == {200}
    assert ask(host, 'PATCH', f'/v1/users/{user.id}', {'role': 'DEVELOPER'})[0] == 200
    changed = time.monotonic()
    a_second_later(changed)
    assert on_every_front(host, key, '/v1/trust') == {403}
    assert ask(host, 'PATCH', f'/v1/users/{user.id}', {'role': 'PLATFORM_ENGINEER'})[0] == 200
    eventually(lambda: on_every_front(host, key, '/v1/trust') == {200})


def test_a_key_ends_with_its_owner_within_a_second_on_every_front(host, make_user):
    user = make_user()
    assert on_every_front(host, user.token) == {200}
    user.sql('UPDATE users SET is_active = false WHERE id = %s', user.id)
    a_second_later(time.monotonic())
    assert on_every_front(host, user.token) == {401}


def test_revocation_and_expiry_count_within_a_second_on_every_front(host):
    key = make(host)
    assert on_every_front(host, key['key']) == {200}
    assert ask(host, 'POST', f"/v1/keys/{key['id']}/revoke", {'reason': 'lost'})[1] == {'revoked': True, 'was_active': True}
    a_second_later(time.monotonic())
    assert on_every_front(host, key['key']) == {401}
    assert ask(host, 'POST', f"/v1/keys/{key['id']}/revoke", {})[1] == {'revoked': True, 'was_active': False}
    shown = ask(host, 'GET', f"/v1/keys/{key['id']}")[1]
    assert shown['active'] is False and shown['revoked_reason'] == 'lost'

    ends = time.time() + 5
    text = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(int(ends) + 1))
    key = make(host, expires_at=text)
    assert key['expires_at'].startswith(text[:19]) and on_every_front(host, key['key'], connections=8) <= {200, 401}
    threading.Event().wait(max(0, int(ends) + 1 - time.time()))
    assert on_every_front(host, key['key']) == {401}


def test_a_key_gives_no_more_than_its_maker_has(host, make_user):
    user = make_user()
    maker = make(host, user.token, scopes=['access.write', 'access.read', 'catalog.*', 'hello.read:x'])['key']
    for scope in ('*', 'read', 'plugins.read', 'hello.read', 'hello.*', 'kv.write'):
        status, detail = refused(host, maker, scopes=[scope])
        assert status == 403 and scope in detail
    for scope in ('catalog.read', 'catalog.*', 'access.read', 'hello.read:x'):
        make(host, maker, scopes=[scope])
    assert refused(host, user.token, user='admin')[0] in (403, 404)
    assert refused(host, user.token, rate_limit=0)[0] == 403
    assert refused(host, make(host, scopes=['read'])['key'])[0] == 403  # no access.write at all


def test_what_a_bound_key_makes_is_bound_as_it_is(host, make_user):
    user = make_user()
    until = '2099-01-01T00:00:00Z'
    maker = make(host, user.token, scopes=['*'], allowed_ips=['127.0.0.0/8', '10.0.0.0/8'], allowed_origins=['https://a.example'],
                 rate_limit=500, expires_at=until)['key']
    plain = make(host, maker)
    assert plain['allowed_ips'] == ['127.0.0.0/8', '10.0.0.0/8'] and plain['allowed_origins'] == ['https://a.example']
    assert plain['rate_limit'] == 500 and plain['expires_at'].startswith('2099-01-01T00:00:00')
    narrower = make(host, maker, allowed_ips=['10.1.0.0/16'], rate_limit=5, expires_at='2098-01-01T00:00:00Z')
    assert narrower['allowed_ips'] == ['10.1.0.0/16'] and narrower['rate_limit'] == 5
    for members in ({'allowed_ips': ['0.0.0.0/0']}, {'allowed_ips': []}, {'allowed_ips': ['10.1.2.3', '11.0.0.1']},
                    {'allowed_origins': ['https://b.example']}, {'allowed_origins': []}, {'rate_limit': 501}, {'rate_limit': 0},
                    {'expires_at': '2099-01-02T00:00:00Z'}, {'expires_at': None}):
        assert refused(host, maker, **members)[0] == 403, members
        # Nor does it take the bounds off a key that is there, itself included.
        assert ask(host, 'PATCH', f"/v1/keys/{plain['id']}", members, maker)[0] == 403, members


def test_what_a_key_may_not_be(host):
    for members, said in (
            ({'allowed_ips': ['10.0.0.5/8']}, 'behind its length'), ({'allowed_ips': ['10.0.0.0/33']}, 'no address'),
            ({'allowed_ips': ['nonsense']}, 'no address'), ({'allowed_ips': [7]}, 'no string'), ({'allowed_ips': '10.0.0.0/8'}, 'allowed_ips'),
            ({'allowed_ips': ['10.0.0.1'] * 33}, 'allowed_ips'), ({'allowed_origins': ['https://a.example/']}, 'no origin'),
            ({'allowed_origins': ['null']}, 'no origin'), ({'allowed_origins': ['*']}, 'no origin'), ({'scopes': []}, 'scopes'),
            ({'scopes': ['Not A Scope']}, 'no scope'), ({'scopes': ['a.b'] * 65}, 'scopes'), ({'scopes': None}, 'scopes'),
            ({'name': ''}, 'name'), ({'name': 'x' * 256}, 'name'), ({'rate_limit': -1}, 'rate_limit'), ({'rate_limit': 1.5}, 'rate_limit'),
            ({'rate_limit': 10 ** 10}, 'rate_limit'), ({'expires_at': '2020-01-01T00:00:00Z'}, 'past'), ({'expires_at': 'soon'}, 'expires_at'),
            ({'is_active': False}, 'is_active'), ({'key_hash': '0' * 64}, 'key_hash'), ({'usage_count': 0}, 'usage_count'),
            ({'user_id': 'x'}, 'user_id')):
        status, detail = refused(host, **members)
        assert status == 400 and said in detail, (members, status, detail)
    assert refused(host, user='nobody-has-this-name')[0] == 404 and refused(host, team='no-such-team')[0] == 404


def test_keys_are_listed_changed_and_revoked_by_who_may(host, make_user):
    user, other = make_user(), make_user()
    made = [make(host, user.token, name=f'k{i}')['id'] for i in range(5)]
    found, after = [], ''
    while after is not None:
        status, page, _ = ask(host, 'GET', '/v1/keys?limit=2' + (f'&after={after}' if after else ''), token=user.token)
        assert status == 200 and len(page['items']) <= 2
        found += [key['id'] for key in page['items']]
        after = page['next']
    assert found[:5] == made[::-1] and len(found) == len(set(found)) == 6  # and the one he asks with
    path = f'/v1/keys/{made[0]}'
    members = {'name': 'other', 'scopes': ['catalog.read'], 'rate_limit': 7, 'allowed_ips': ['127.0.0.1', '10.0.0.0/8'],
               'allowed_origins': ['https://a.example'], 'expires_at': '2099-01-01T00:00:00Z'}
    status, key, _ = ask(host, 'PATCH', path, members, user.token)
    assert status == 200 and {k: key[k] for k in members} == {**members, 'expires_at': key['expires_at']}
    assert key['expires_at'].startswith('2099')
    status, key, _ = ask(host, 'PATCH', path, {'allowed_ips': None, 'allowed_origins': [], 'expires_at': None}, user.token)
    assert status == 200 and key['allowed_ips'] == key['allowed_origins'] == [] and key['expires_at'] is None and key['name'] == 'other'
    for members in ({'key_hash': '0' * 64}, {'user': other.id}, {'active': True}, {'scopes': []}, {'scopes': None}, {'name': ''}):
        assert ask(host, 'PATCH', path, members, user.token)[0] == 400, members
    assert ask(host, 'PATCH', path, {'rate_limit': 0}, user.token)[0] == 403
    for method, place, body in (('GET', path, None), ('PATCH', path, {'name': 'x'}), ('POST', path + '/revoke', {})):
        foreign, none = (ask(host, method, p, body, other.token)[:2] for p in (place, place.replace(made[0], 'c' + '0' * 24)))
        assert foreign[0] == none[0] == 404 and foreign[1]['code'] == none[1]['code'], (foreign, none)
    assert ask(host, 'GET', f'/v1/keys?user={user.username}', token=other.token)[0] == 403
    assert len(ask(host, 'GET', f'/v1/keys?user={user.username}')[1]['items']) == 6  # the administrator
    assert ask(host, 'POST', path + '/revoke', {}, user.token)[0] == 200
    assert ask(host, 'PATCH', path, {'name': 'late'}, user.token)[0] == 409


def test_a_teams_key_acts_as_the_team(host, make_user):
    name = f'red-{os.urandom(3).hex()}'
    team = ask(host, 'POST', '/v1/teams', {'name': name, 'display_name': 'Red'})[1]
    owner, viewer, member, stranger = make_user(), make_user('VIEWER'), make_user(), make_user()
    for user, role in ((owner, 'OWNER'), (viewer, 'MAINTAINER'), (member, 'MEMBER')):
        assert ask(host, 'POST', f'/v1/teams/{name}/members', {'user': user.id, 'role': role})[0] in (200, 201)
    key = make(host, owner.token, team=name, scopes=['*'])
    assert key['team'] == name and key['user_id'] is None and key['created_by'] == owner.id
    status, who, _ = ask(host, 'GET', '/v1/whoami', token=key['key'])
    assert status == 200 and who['provider'] == 'team' and who['team_id'] == team['id'] and who['role'] == 'DEVELOPER' and who['id'] != owner.id
    # The account is a DEVELOPER: who is less does not become one through it.
    assert refused(host, viewer.token, team=name)[0] == 403
    # What holds it makes no other one behind the team's back.
    assert refused(host, key['key'])[0] == 403 and refused(host, key['key'], team=name)[0] == 403
    for user in (member, stranger):
        assert refused(host, user.token, team=name)[0] == 403
        assert ask(host, 'GET', f'/v1/keys?team={name}', token=user.token)[0] == 403
        assert ask(host, 'GET', f"/v1/keys/{key['id']}", token=user.token)[0] == 404
    assert [k['id'] for k in ask(host, 'GET', f'/v1/keys?team={name}', token=viewer.token)[1]['items']] == [key['id']]
    # The owner leaves, the team's key stays; the team ends, and so does its key.
    owner.sql("UPDATE team_members SET role = 'OWNER' WHERE user_id = %s", member.id)
    owner.sql('DELETE FROM team_members WHERE user_id = %s', owner.id)
    a_second_later(time.monotonic())
    assert on_every_front(host, key['key']) == {200}
    owner.sql('UPDATE teams SET is_active = false WHERE id = %s', team['id'])
    a_second_later(time.monotonic())
    assert on_every_front(host, key['key']) == {401}


def test_a_repeated_request_makes_one_key_and_leaks_none(host):
    operation = {'Idempotency-Key': os.urandom(8).hex()}
    key = make(host, headers=operation, name='once')
    status, detail = refused(host, headers=operation, name='once')
    assert status == 409 and key['id'] in detail and key['key'] not in detail
    assert refused(host, headers=operation, name='twice')[0] == 409
    assert make(host, headers={'Idempotency-Key': os.urandom(8).hex()}, name='once')['id'] != key['id']
    assert refused(host, headers={'Idempotency-Key': 'a b'})[0] == 400
    operation = {'Idempotency-Key': os.urandom(8).hex()}
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: ask(host, 'POST', '/v1/keys', {'name': 'race', 'scopes': ['read']}, '', operation)[0], range(20)))
    assert sorted(answers) == [201] + [409] * 19
    assert sql(host, "SELECT count(*) FROM api_keys WHERE name = 'race'") == '1'


def test_uses_are_counted_without_a_write_each(host):
    key = make(host, rate_limit=0)
    token = key['key']
    connection = http.client.HTTPConnection(host.address)
    writes = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'api_keys'"
    before = int(sql(host, writes))
    for _ in range(400):
        connection.request('GET', '/api/hello/ping', headers={'Authorization': f'Bearer {token}'})
        assert connection.getresponse().read() is not None
    counted = eventually(lambda: (lambda k: k if k['usage_count'] == 400 else None)(ask(host, 'GET', f"/v1/keys/{key['id']}")[1]))
    assert counted['last_used_at']
    assert int(sql(host, writes)) - before < 100


# ---- from where ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('networks, status', (
    (['127.0.0.1'], 200), (['127.0.0.0/8'], 200), (['::ffff:127.0.0.0/104'], 200), (['::ffff:127.0.0.1'], 200), (['0.0.0.0/0'], 200),
    (['10.0.0.0/8', '127.0.0.1'], 200), (['127.0.0.2'], 403), (['126.0.0.0/8'], 403), (['::1'], 403), (['2001:db8::/32'], 403),
    (['::ffff:10.0.0.0/104'], 403), (['128.0.0.0/1'], 403)))
def test_a_key_is_used_from_its_networks_only(host, networks, status):
    key = make(host, allowed_ips=networks)
    assert key['allowed_ips'] == networks
    assert on_every_front(host, key['key'], connections=4) == {status}


def test_the_address_is_looked_at_with_each_request_of_a_connection(host):
    anywhere, elsewhere = make(host)['key'], make(host, allowed_ips=['203.0.113.0/24'])['key']
    connection = http.client.HTTPConnection(host.address)
    for token, status in ((anywhere, 200), (elsewhere, 403), (anywhere, 200), (elsewhere, 403)):
        connection.request('GET', '/v1/plugins', headers={'Authorization': f'Bearer {token}', 'X-Forwarded-For': '203.0.113.7'})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == status, body
        assert status == 200 or json.loads(body)['code'] == 'MRT-5003'


def test_a_key_is_used_by_pages_of_its_origins_only(host):
    key = make(host, allowed_origins=['https://a.example', 'http://localhost:3000'])['key']
    for origin, status in (('https://a.example', 200), ('http://localhost:3000', 200), (None, 200), ('https://A.example', 403),
                           ('http://a.example', 403), ('https://a.example:8443', 403), ('https://a.example.evil', 403),
                           ('https://b.a.example', 403), ('null', 403), ('https://a.example/', 403), ('*', 403)):
        assert host.status('/v1/plugins', token=key, headers={'Origin': origin} if origin else {}) == status, origin


def test_only_a_trusted_proxy_says_where_a_request_comes_from(new_host):
    bad = new_host(env={'MORTISE_HTTP_TRUSTED_PROXIES': '10.0.0.1/8'}).cli('up')
    assert bad.returncode == 2 and 'http.trusted_proxies' in bad.stderr, bad.stderr
    host = new_host(env={'MORTISE_HTTP_TRUSTED_PROXIES': '127.0.0.0/8, 10.0.0.0/8', 'MORTISE_FRONTS': '1'})
    host.up()
    key = make(host, allowed_ips=['203.0.113.0/24'])['key']
    for fields, status in (
            ([], 403), (['203.0.113.7'], 200), (['198.51.100.1'], 403), (['203.0.113.7, 198.51.100.1'], 403),
            (['198.51.100.1, 203.0.113.7'], 200), (['203.0.113.7, 10.1.1.1'], 200), (['203.0.113.7,10.1.1.1 , 127.0.0.9'], 200),
            (['203.0.113.7', '198.51.100.1'], 403), (['198.51.100.1', '203.0.113.7'], 200), (['::ffff:203.0.113.7'], 200),
            (['203.0.113.7, unknown'], 403), (['unknown'], 403), ([''], 403), (['203.0.113.7,'], 403), (['203.0.113.7:443'], 403),
            (['10.1.1.1'], 403)):
        connection = http.client.HTTPConnection(host.address)
        connection.putrequest('GET', '/v1/plugins')
        connection.putheader('Authorization', f'Bearer {key}')
        for field in fields:
            connection.putheader('X-Forwarded-For', field)
        connection.endheaders()
        assert connection.getresponse().status == status, fields


# ---- how often -----------------------------------------------------------------------------------------------------------------------


def begin_hour(host, key):
    """An hour of requests that does not end while a test runs."""
    sql(host, f"INSERT INTO rate_windows(key_id, hour, taken) VALUES ('{key['id']}', date_trunc('hour', now(), 'UTC') + interval '1 hour', 0)")


def hammer(hosts, token, clients, refusals=5):
    """So many clients ask each host until each of them was refused some times; the numbers of each status, per host."""
    def client(host):
        connection, seen = http.client.HTTPConnection(host.address, timeout=60), {}
        while seen.get(429, 0) < refusals:
            connection.request('GET', '/v1/keys?limit=1', headers={'Authorization': f'Bearer {token}'})
            answer = connection.getresponse()
            answer.read()
            seen[answer.status] = seen.get(answer.status, 0) + 1
        return seen
    with concurrent.futures.ThreadPoolExecutor(clients * len(hosts)) as pool:
        futures = [(i, pool.submit(client, host)) for _ in range(clients) for i, host in enumerate(hosts)]
    sums = [{} for _ in hosts]
    for i, future in futures:
        for status, n in future.result().items():
            sums[i][status] = sums[i].get(status, 0) + n
    return sums


@pytest.fixture(scope='module')
def four_fronts():
    from conftest import Host
    host = Host(env={'MORTISE_FRONTS': '4'})
    try:
        host.up()
        yield host
    finally:
        host.destroy()


@pytest.mark.parametrize('limit', (1, 7, 64, 300, 1500))
def test_exactly_the_limit_is_admitted_over_all_fronts(four_fronts, limit):
    key = make(four_fronts, scopes=['*'], rate_limit=limit)
    begin_hour(four_fronts, key)
    [seen] = hammer([four_fronts], key['key'], 20)
    assert seen[200] == limit and set(seen) == {200, 429}


def test_answers_say_what_is_left(host):
    key = make(host, rate_limit=5)
    begin_hour(host, key)
    left = []
    for _ in range(5):
        status, fields, _ = host.request('GET', '/v1/plugins', token=key['key'])
        assert status == 200 and fields['RateLimit-Policy'] == '"hour";q=5;w=3600'
        name, rest, reset = fields['RateLimit'].split(';')
        assert name == '"hour"' and 0 < int(reset.removeprefix('t=')) <= 7200
        left.append(int(rest.removeprefix('r=')))
    assert left == [4, 3, 2, 1, 0]
    status, fields, body = host.request('GET', '/v1/plugins', token=key['key'])
    assert status == 429 and json.loads(body)['code'] == 'MRT-5004'
    assert 0 < int(fields['Retry-After']) <= 7200 and fields['RateLimit'] == f'"hour";r=0;t={fields["Retry-After"]}'
    # A plugin's answer says so, too, and one that is refused for another reason.
    key = make(host, rate_limit=3, scopes=['hello.read'])
    begin_hour(host, key)
    assert 'RateLimit' in host.request('GET', '/api/hello/ping', token=key['key'])[1]
    assert 'RateLimit' in host.request('GET', '/v1/trust', token=key['key'])[1]
    assert 'RateLimit' not in host.request('GET', '/v1/plugins')[1]  # the administrator's has no limit


def test_a_raised_limit_counts_in_the_same_hour(host):
    key = make(host, rate_limit=2)
    begin_hour(host, key)
    assert [host.status('/v1/plugins', token=key['key']) for _ in range(3)] == [200, 200, 429]
    assert ask(host, 'PATCH', f"/v1/keys/{key['id']}", {'rate_limit': 4})[0] == 200
    a_second_later(time.monotonic())
    assert [host.status('/v1/plugins', token=key['key']) for _ in range(3)] == [200, 200, 429]


def test_a_front_that_dies_gives_no_request_twice(four_fronts):
    import signal
    key = make(four_fronts, scopes=['*'], rate_limit=400)
    begin_hour(four_fronts, key)
    admitted = sum(four_fronts.status('/v1/keys', token=key['key']) == 200 for _ in range(100))
    assert admitted == 100
    for pid in four_fronts.fronts():
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: four_fronts.status('/v1/plugins') == 200)
    admitted, spent = 100, 0
    while spent < 20:
        status = four_fronts.status('/v1/keys', token=key['key'])
        admitted += status == 200
        spent += status == 429
    assert admitted == 400  # what the node held outlives its fronts


def test_two_nodes_never_admit_more_than_the_limit(four_fronts, new_host):
    other = new_host(env={'MORTISE_DATABASE': four_fronts.ok('db', 'url').strip(), 'MORTISE_FRONTS': '2',
                          'MORTISE_KEY_RING': str(four_fronts.data / 'key-ring')})
    other.up()
    for limit in (10, 500, 2000):
        key = make(four_fronts, scopes=['*'], rate_limit=limit)
        begin_hour(four_fronts, key)
        seen = hammer([four_fronts, other], key['key'], 10)
        assert all(set(s) == {200, 429} or set(s) == {429} for s in seen), seen
        assert sum(s.get(200, 0) for s in seen) == limit, seen
    # A node that ends takes with it what it held, at most as much as it had admitted; nothing is admitted twice.
    key = make(four_fronts, scopes=['*'], rate_limit=1000)
    begin_hour(four_fronts, key)
    first = 100
    assert [other.status('/v1/keys', token=key['key']) for _ in range(first)] == [200] * first
    other.destroy()
    [seen] = hammer([four_fronts], key['key'], 20)
    assert 1000 - first - first <= seen[200] <= 1000 - first


# ---- on the command line -------------------------------------------------------------------------------------------------------------


def test_the_command_line_makes_shows_changes_and_revokes(host, make_user):
    name = f'cli-{os.urandom(3).hex()}'
    ask(host, 'POST', '/v1/teams', {'name': name, 'display_name': 'CLI'})
    made = host.json('api-key', 'create', 'ci', '--scopes', 'catalog.read,hello.read', '--days', '3', '--rate', '50', '--ips',
                     '127.0.0.1,10.0.0.0/8', '--origins', 'https://a.example', '--team', name)
    assert host.status('/v1/services', token=made['key']) == 200
    assert [key['id'] for key in host.json('api-key', 'list', '--team', name)] == [made['id']]
    shown = host.ok('api-key', 'show', made['id'])
    for word in ('catalog.read,hello.read', '127.0.0.1,10.0.0.0/8', 'https://a.example', '50', name):
        assert word in shown
    assert made['key'] not in shown
    host.ok('api-key', 'change', made['id'], '--name', 'deploy', '--ips', '', '--days', '0', '--scopes', 'hello.read')
    key = host.json('api-key', 'show', made['id'])
    assert (key['name'], key['allowed_ips'], key['expires_at'], key['scopes'], key['rate_limit']) == ('deploy', [], None, ['hello.read'], 50)
    nothing = host.cli('api-key', 'change', made['id'])
    assert nothing.returncode == 2 and 'what to change' in nothing.stderr
    bad = host.cli('api-key', 'create', 'x', '--ips', '10.0.0.5/8')
    assert bad.returncode == 2 and 'behind its length' in bad.stderr
    host.ok('api-key', 'revoke', made['id'], '-m', 'lost')
    assert 'revoked' in host.ok('api-key', 'list', '--team', name) and 'lost' in host.ok('api-key', 'show', made['id'])
    user = make_user()
    assert len(host.json('api-key', 'list', '--user', user.username)) == 1
    assert host.ok('api-key', 'create', 'his', '--user', user.username, '--quiet').startswith('mrt_')
