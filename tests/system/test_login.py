"""Local login: which passwords, which answers, how often."""
import concurrent.futures
import json
import os
import re

import pytest

from conftest import Host, User, eventually

PASSWORD = 'correct horse battery'
COST = 6
FREE = 5


@pytest.fixture(scope='module')
def host():
    host = Host(env={'MORTISE_AUTH_BCRYPT_COST': str(COST), 'MORTISE_FRONTS': '2', 'MORTISE_LOG_LEVEL': 'debug',
                     'MORTISE_AUTH_BLOCK_MS': '3600000', 'MORTISE_AUTH_FREE_ATTEMPTS': str(FREE)})
    try:
        host.up()
        yield host
    finally:
        host.destroy()


@pytest.fixture(autouse=True)
def no_attempts(host):
    """Each test begins with an address that has failed at nothing."""
    yield
    sql(host, 'DELETE FROM login_attempts')


def sql(host, statement):
    return host.ok('db', 'psql', '--', '-Atc', statement).strip()


@pytest.fixture
def ada(make_user):
    return make_user('DEVELOPER', PASSWORD)


def login(host, name, password, **members):
    status, headers, body = host.request('POST', '/v1/sessions', {'login': name, 'password': password, **members}, token=None)
    return status, headers, json.loads(body)


def comparable(answer):
    """What a client sees of a refusal, without what names the request."""
    status, headers, body = answer
    for name in ('Date', 'X-Request-Id'):
        headers.pop(name, None)
    body.pop('instance', None)
    body.pop('request_id', None)
    return status, headers, body


def rounds(host):
    """Rounds of bcrypt that the fronts have computed, as they say in their log."""
    return [int(n) for n in re.findall(r'password hashed.*?rounds=(\d+)', (host.data / 'mortised.log').read_text())]


def test_a_name_or_an_address_and_a_password_log_in(host, ada):
    for name in (ada.username, ada.username.upper(), ada.email, ada.email.title()):
        status, headers, answer = login(host, name, PASSWORD, device_name='a test')
        assert status == 201, answer
        assert answer['user'] == {'id': ada.id, 'username': ada.username, 'name': ada.username.title(), 'role': 'DEVELOPER'}
        assert re.fullmatch(r'mss_\w{49}', answer['token']) and re.fullmatch(r'msr_\w{49}', answer['refresh_token'])
        assert answer['second_factor'] is None and 'Set-Cookie' not in headers
        assert host.get('/v1/whoami', token=answer['token'])[1]['id'] == ada.id


def test_every_refusal_is_the_same_answer_and_the_same_work(host, make_user):
    inactive, deleted, blocked, foreign = (make_user('DEVELOPER', PASSWORD) for _ in range(4))
    blocked.sql("UPDATE users SET is_active = false WHERE id = %s", inactive.id)
    blocked.sql("UPDATE users SET deleted_at = now(), is_active = false WHERE id = %s", deleted.id)
    blocked.sql("""INSERT INTO login_attempts(kind, key, failures, blocked_until)
        VALUES ('account', %s, 50, now() + interval '1 hour')""", blocked.id)
    blocked.sql('UPDATE users SET password = crypt(%s, gen_salt(\'bf\', 5)) WHERE id = %s', PASSWORD, foreign.id)
    cases = {
        'unknown name': ('nobody', PASSWORD),
        'wrong password': (foreign.username, 'wrong horse battery'),
        'a much too long one': (foreign.username, 'x' * 3000),
        'inactive user': (inactive.username, PASSWORD),
        'deleted user': (deleted.username, PASSWORD),
        'right password in a block': (blocked.username, PASSWORD),
        'wrong password in a block': (blocked.username, 'wrong horse battery'),
        'an account without a password': ('admin', PASSWORD),
        'a name with a quote': ("'; --", PASSWORD),
        'a name of any script': ('имя' * 20, PASSWORD),
    }
    answers = {}
    for case, (name, password) in cases.items():
        before = len(rounds(host))
        answers[case] = comparable(login(host, name, password))
        work = eventually(lambda: rounds(host)[before:])
        assert work == [1 << COST], case
    first = answers['unknown name']
    assert first[0] == 401 and first[2]['code'] == 'MRT-5122'
    for case, answer in answers.items():
        assert answer == first, case


def test_malformed_hashes_in_the_database_never_verify_and_never_crash(host, ada):
    ada.sql('ALTER TABLE users DROP CONSTRAINT IF EXISTS users_password_check')
    fronts = host.fronts()
    for stored in ('', 'x', '*', '$2b$', '$2b$31$' + 'a' * 53, '$2b$99$' + 'a' * 53, '$2x$05$' + 'a' * 53, '$2b$05$' + ':' * 53,
                   '$6$salt$hash', '$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$iJZNuTO4gPOJvNVBCFkR1g', PASSWORD, 'x' * 255):
        ada.sql('UPDATE users SET password = %s WHERE id = %s', stored, ada.id)
        ada.sql('DELETE FROM login_attempts')
        for password in (PASSWORD, stored or 'x'):
            assert login(host, ada.username, password)[0] == 401, stored
    assert host.fronts() == fronts


def test_an_imported_hash_is_raised_at_login(host, ada):
    assert ada.sql('SELECT password FROM users WHERE id = %s', ada.id).startswith('$2a$04$')
    assert login(host, ada.username, PASSWORD)[0] == 201
    raised = ada.sql('SELECT password FROM users WHERE id = %s', ada.id)
    assert raised.startswith(f'$2b${COST:02}$')
    assert login(host, ada.username, PASSWORD)[0] == 201
    assert ada.sql('SELECT password FROM users WHERE id = %s', ada.id) == raised


def test_an_imported_hash_of_a_long_password_is_replaced_by_one_over_all_of_it(host, ada):
    """pgcrypto, as all of bcrypt, sees 72 bytes. Ours sees all."""
    long_one = 'a long password, ' * 6
    ada.sql("UPDATE users SET password = crypt(%s, gen_salt('bf', 4)), password_prehashed = false WHERE id = %s", long_one, ada.id)
    assert login(host, ada.username, long_one)[0] == 201
    assert ada.sql('SELECT password_prehashed FROM users WHERE id = %s', ada.id)
    assert login(host, ada.username, long_one)[0] == 201
    assert login(host, ada.username, long_one[:72])[0] == 401
    assert login(host, ada.username, long_one[:-1] + 'x')[0] == 401


def change(host, token, new, current=PASSWORD, user='me', **members):
    body = {'new': new, **({'current': current} if current else {}), **members}
    status, _, answer = host.request('POST', f'/v1/users/{user}/password', body, token=token)
    return status, json.loads(answer)


@pytest.mark.parametrize('new', ['njd7 kq0', '        x', 'пароль-мой', '密码是这八个字符', '🦊🦊🐻🐻🐻🦊🦊🦊', 'x1' * 500, 'tab\tand\nline',
                                 'e\u0301' * 8 + '\u00e9'])
def test_any_characters_make_a_password_and_all_of_them_count(host, ada, new):
    status, answer = change(host, ada.token, new)
    assert status == 200, answer
    assert login(host, ada.username, new)[0] == 201
    assert login(host, ada.username, new[:-1])[0] == 401
    assert login(host, ada.username, new + new[-1])[0] == 401


@pytest.mark.parametrize('new', ['', '1234567', 'парольм', '🦊🐻🦊🐻🦊🐻🦊', 'password', 'PASSWORD1', 'qwertyuiop', 'aaaaaaaa', 'x1' * 513])
def test_short_and_common_passwords_are_refused(host, ada, new):
    status, answer = change(host, ada.token, new)
    assert status == (400 if new == '' else 422), answer
    assert login(host, ada.username, PASSWORD)[0] == 201


def test_ones_own_names_are_no_password(host, ada):
    for new in (ada.username, ada.username + '1', ada.username.upper(), ada.email):
        assert change(host, ada.token, new)[1]['code'] == 'MRT-5130', new


def test_a_password_with_nul_is_refused(host, ada):
    for path, body in (('/v1/sessions', {'login': ada.username, 'password': 'eight\0chars'}),
                       ('/v1/users/me/password', {'current': PASSWORD, 'new': 'eight\0chars'})):
        assert host.request('POST', path, body, token=ada.token if 'users' in path else None)[0] in (400, 422)


def test_a_change_needs_the_current_password(host, ada):
    assert change(host, ada.token, 'another good one', current=None)[0] == 400
    status, answer = change(host, ada.token, 'another good one', current='wrong horse battery')
    assert status == 403 and answer['code'] == 'MRT-5131'
    assert change(host, ada.token, 'another good one')[0] == 200
    assert login(host, ada.username, 'another good one')[0] == 201
    assert login(host, ada.username, PASSWORD)[0] == 401


def test_an_administrator_sets_anothers_password_and_nobody_else_does(host, ada, make_user):
    eve = make_user('PLATFORM_ENGINEER', PASSWORD)
    assert change(host, eve.token, 'another good one', user=ada.username)[0] == 404
    session = login(host, ada.username, PASSWORD)[2]
    status, answer = change(host, host.token, 'another good one', current=None, user=ada.username)
    assert status == 200 and answer == {'ended': 1, 'session': None}
    assert eventually(lambda: host.status('/v1/whoami', token=session['token']) == 401)
    assert login(host, ada.username, 'another good one')[0] == 201
    status, answer = change(host, host.token, 'another good one', current='x')
    assert status == 409 and answer['code'] == 'MRT-5133'


def test_a_key_that_may_not_change_users_sets_no_others_password(host, ada):
    key = {scope: host.get('/v1/keys', method='POST', body={'name': scope, 'scopes': ['access.write', scope]})[1]['key']
           for scope in ('access.read', 'access.users')}
    status, answer = change(host, key['access.read'], 'another good one', current=None, user=ada.username)
    assert status == 403 and 'access.users' in answer['detail']
    assert login(host, ada.username, PASSWORD)[0] == 201
    assert change(host, key['access.users'], 'another good one', current=None, user=ada.username)[0] == 200


def attempts(host, kind, key):
    return int(sql(host, f"SELECT coalesce(max(failures), 0) FROM login_attempts WHERE kind = '{kind}' AND key = '{key}'"))


def test_fifty_wrong_passwords_at_once_count_fifty(host, ada):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda n: login(host, ada.username, f'wrong horse {n}')[0], range(50)))
    assert set(statuses) == {401}
    assert attempts(host, 'account', ada.id) == 50
    assert attempts(host, 'address', '127.0.0.1/32') == 50
    assert login(host, ada.username, PASSWORD)[0] == 401


def test_a_block_outlives_a_restart(host, ada):
    for n in range(FREE + 1):
        login(host, ada.username, f'wrong horse {n}')
    for n in range(6):  # the block grows with each that comes after it
        ada.sql("UPDATE login_attempts SET blocked_until = '-infinity'")
        login(host, ada.username, 'wrong horse')
    before = attempts(host, 'account', ada.id)
    host.down()
    host.up()
    assert attempts(host, 'account', ada.id) == before
    assert login(host, ada.username, PASSWORD)[0] == 401
    ada.sql("UPDATE login_attempts SET blocked_until = '-infinity'")
    assert login(host, ada.username, PASSWORD)[0] == 201
    assert attempts(host, 'account', ada.id) == 0


def test_strangers_do_not_lock_the_owner_out(host, ada):
    """He has logged in from here; they come from elsewhere, and whatever they do to the account does not count here."""
    assert login(host, ada.username, PASSWORD)[0] == 201
    ada.sql("""INSERT INTO login_attempts(kind, key, failures, blocked_until)
        VALUES ('account', %s, 1000, now() + interval '1 hour'), ('address', '127.0.0.1/32', 1000, now() + interval '1 hour')
        ON CONFLICT (kind, key) DO UPDATE SET failures = 1000, blocked_until = now() + interval '1 hour'""", ada.id)
    assert login(host, ada.username, PASSWORD)[0] == 201
    for n in range(FREE + 1):
        assert login(host, ada.username, 'wrong horse')[0] == 401
    assert attempts(host, 'place', f'{ada.id} 127.0.0.1/32') == FREE + 1
    assert login(host, ada.username, PASSWORD)[0] == 401


def test_no_block_is_longer_than_the_setting_and_none_grows_within_itself(host, ada):
    ada.sql("""INSERT INTO login_attempts(kind, key, failures) VALUES ('account', %s, 100000)""", ada.id)
    login(host, ada.username, 'wrong horse')
    end = ada.sql("SELECT blocked_until FROM login_attempts WHERE kind = 'account' AND key = %s", ada.id)
    assert ada.sql("SELECT %s <= now() + interval '1 hour' AND %s > now() + interval '50 minutes'", end, end)
    login(host, ada.username, 'wrong horse')
    assert ada.sql("SELECT blocked_until FROM login_attempts WHERE kind = 'account' AND key = %s", ada.id) == end


def test_the_peer_counts_and_not_what_it_says_of_others(host, ada):
    for n in range(3):
        host.request('POST', '/v1/sessions', {'login': ada.username, 'password': 'wrong horse'}, token=None,
                     headers={'X-Forwarded-For': f'192.0.2.{n}'})
    assert attempts(host, 'address', '127.0.0.1/32') == 3
    assert sql(host, "SELECT count(*) FROM login_attempts WHERE key LIKE '192%'") == '0'


def test_one_address_cannot_try_all_accounts(host, make_user):
    users = [make_user('VIEWER', PASSWORD) for _ in range(2)]
    for n in range(4 * FREE):
        login(host, f'nobody{n}', 'password1')
    assert attempts(host, 'address', '127.0.0.1/32') == 4 * FREE
    # Those were free. What is right gives back its own attempt and no other.
    assert login(host, users[0].username, PASSWORD)[0] == 201
    assert attempts(host, 'address', '127.0.0.1/32') == 4 * FREE
    sql(host, "UPDATE login_attempts SET failures = 100 WHERE kind = 'address'")
    login(host, 'nobody', 'password1')
    assert login(host, users[1].username, PASSWORD)[0] == 401
    assert login(host, users[0].username, PASSWORD)[0] == 201  # who is known here


def test_too_many_logins_at_once_get_503_and_count_nothing(new_host, ada, make_user):
    host = new_host(env={'MORTISE_AUTH_BCRYPT_COST': '13', 'MORTISE_FRONTS': '1', 'MORTISE_AUTH_HASHES': '1', 'MORTISE_AUTH_HASH_QUEUE': '2',
                         'MORTISE_AUTH_FREE_ATTEMPTS': '1000'})
    host.up()
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(login, host, 'nobody', 'wrong horse') for _ in range(12)]
        # The loop answers others meanwhile.
        assert host.status('/v1/whoami') == 200
        answers = [answer.result() for answer in answers]
    busy = [headers for status, headers, _ in answers if status == 503]
    assert len(busy) >= 1 and all(int(headers['Retry-After']) >= 1 for headers in busy)
    assert {status for status, _, _ in answers} == {401, 503}
    assert int(sql(host, "SELECT sum(failures) FROM login_attempts WHERE kind = 'account'")) == 12 - len(busy)


def test_bad_bodies_say_what_is_wrong(host):
    for body in ({}, {'login': 'x'}, {'login': 'x', 'password': 5}, {'login': 'x', 'password': 'y' * 5000},
                 {'login': 'x' * 300, 'password': 'y'}, {'login': 'x', 'password': 'y', 'role': 'ADMIN'},
                 {'login': 'x', 'password': 'y', 'cookie': 'yes'}):
        status, _, answer = host.request('POST', '/v1/sessions', body, token=None)
        assert status == 400 and b'yyyy' not in answer, body
    assert host.request('POST', '/v1/sessions', 'login=x&password=y', token=None,
                        headers={'Content-Type': 'application/x-www-form-urlencoded'})[0] == 415


def test_no_password_is_in_log_audit_or_database(host, ada):
    secret = 'a very secret ' + os.urandom(8).hex()
    assert change(host, ada.token, secret)[0] == 200
    assert login(host, ada.username, secret)[0] == 201
    assert login(host, secret, secret)[0] == 401  # typed in the wrong field
    assert change(host, ada.token, 'password', current=secret)[0] == 422
    assert secret not in (host.data / 'mortised.log').read_text()
    tables = sql(host, "SELECT string_agg(quote_ident(relname), ' ') FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
    for table in tables.split():
        assert secret not in sql(host, f'SELECT t::text FROM {table} t'), table
