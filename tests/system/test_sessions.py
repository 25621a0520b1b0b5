"""Sessions: their tokens, their limits, their end; browsers' cookies; the command line's."""
import concurrent.futures
import fcntl
import json
import os
import pty
import re
import select
import signal
import stat
import subprocess
import termios

import pytest

from conftest import BIN, Host, eventually

PASSWORD = 'correct horse battery'
COOKIE, REFRESH_COOKIE = '__Host-mortise', '__Host-mortise-refresh'


@pytest.fixture(scope='module')
def host(publisher):
    host = Host(env={'MORTISE_AUTH_BCRYPT_COST': '4', 'MORTISE_FRONTS': '2', 'MORTISE_SESSION_GRACE_MS': '10000',
                     'MORTISE_LOG_LEVEL': 'debug', 'MORTISE_ACCESS_LOG': 'true'})
    try:
        host.up()
        host.trust(publisher)
        yield host
    finally:
        host.destroy()


def sql(host, statement):
    return host.ok('db', 'psql', '--', '-Atc', statement).strip()


@pytest.fixture
def ada(make_user):
    return make_user('DEVELOPER', PASSWORD)


def login(host, user, headers=None, **members):
    status, fields, body = host.request('POST', '/v1/sessions', {'login': user.username, 'password': PASSWORD, **members},
                                        token=None, headers=headers)
    answer = json.loads(body)
    assert status == 201, answer
    return answer


def refresh(host, token):
    status, _, body = host.request('POST', '/v1/sessions/refresh', {'refresh_token': token}, token=None)
    return status, json.loads(body)


def delete(host, path, token):
    status, _, body = host.request('DELETE', path, token=token)
    return status, json.loads(body)


def works(host, token):
    return host.status('/v1/whoami', token=token) == 200


def ends(host, token, within=2):
    """Not on one connection, so that both fronts are asked."""
    return eventually(lambda: all(host.status('/v1/whoami', token=token) == 401 for _ in range(8)), timeout=within)


# ---- tokens ----------------------------------------------------------------------------------------


def test_tokens_are_long_never_the_same_and_never_stored(host, ada):
    sessions = [login(host, ada) for _ in range(3)]
    tokens = {s[kind] for s in sessions for kind in ('token', 'refresh_token')}
    assert len(tokens) == 6 and all(len(token) == 53 for token in tokens)
    stored = sql(host, 'SELECT s::text FROM sessions s')
    assert not any(token in stored for token in tokens)
    assert re.search('[0-9a-f]{64}', stored)


def test_a_session_acts_as_its_user_with_his_role_now(host, ada):
    token = login(host, ada)['token']
    status, who = host.get('/v1/whoami', token=token)
    assert status == 200 and who['id'] == ada.id and who['role'] == 'DEVELOPER' and who['scopes'] == ['*']
    assert host.status('/v1/trust', token=token) == 403
    ada.sql("UPDATE users SET role = 'VIEWER' WHERE id = %s", ada.id)
    assert eventually(lambda: host.get('/v1/whoami', token=token)[1].get('role') == 'VIEWER', timeout=2)


def test_a_gain_of_privilege_takes_a_new_token(host, ada):
    session = login(host, ada)
    ada.sql("UPDATE users SET role = 'ADMIN' WHERE id = %s", ada.id)
    assert ends(host, session['token'])
    status, fresh = refresh(host, session['refresh_token'])
    assert status == 200 and fresh['token'] != session['token'] and fresh['user']['role'] == 'ADMIN'
    assert host.status('/v1/trust', token=fresh['token']) == 200


def test_a_token_that_a_client_brings_is_never_taken_over(host, ada):
    """Fixation: whatever is sent along, a login makes new tokens."""
    planted = login(host, ada)
    session = login(host, ada, headers={'Cookie': f'{COOKIE}={planted["token"]}', 'Authorization': f'Bearer {planted["token"]}'})
    assert session['token'] != planted['token'] and session['id'] != planted['id']


def test_a_session_ends_when_it_is_idle_or_old_and_its_token_when_it_expires(host, ada):
    for column, value in (('last_activity', "now() - interval '3 days 1 second'"), ('absolute_expires_at', 'now()')):
        session = login(host, ada)
        assert works(host, session['token'])
        ada.sql(f"UPDATE sessions SET {column} = {value}, revoked_reason = 'a test touched it' WHERE id = %s", session['id'])
        ada.sql("INSERT INTO authority_feed(kind, key) VALUES ('session', %s); NOTIFY mortise_authority", session['id'])
        assert ends(host, session['token']), column
        assert refresh(host, session['refresh_token'])[0] == 401, column
    session = login(host, ada)
    ada.sql("UPDATE sessions SET expires_at = created_at + interval '1 microsecond' WHERE id = %s", session['id'])
    assert ends(host, session['token'])
    assert refresh(host, session['refresh_token'])[0] == 200


def test_the_limits_are_settings(new_host, make_user):
    host = new_host(env={'MORTISE_SESSION_TOKEN_MS': '60000', 'MORTISE_SESSION_ABSOLUTE_MS': '120000', 'MORTISE_SESSION_IDLE_MS': '90000',
                         'MORTISE_AUTH_BCRYPT_COST': '4'})
    host.up()
    sql(host, f"""INSERT INTO users(email, name, username, provider, provider_id, password)
        VALUES ('a@b.c', 'A', 'ada', 'local', 'ada', crypt('{PASSWORD}', gen_salt('bf', 4)))""")
    status, _, _ = host.request('POST', '/v1/sessions', {'login': 'ada', 'password': PASSWORD}, token=None)
    assert status == 201
    assert sql(host, """SELECT round(extract(epoch FROM expires_at - created_at)), round(extract(epoch FROM absolute_expires_at - created_at)),
        round(extract(epoch FROM idle_limit)) FROM sessions""") == '60|120|90'


def test_use_is_noted_without_a_write_per_request(host, ada):
    session = login(host, ada)
    ada.sql("UPDATE sessions SET last_activity = now() - interval '1 hour' WHERE id = %s", session['id'])
    before = sql(host, "SELECT n_tup_upd FROM pg_stat_all_tables WHERE relname = 'sessions'")
    for _ in range(50):
        assert works(host, session['token'])
    assert eventually(lambda: ada.sql("SELECT last_activity > now() - interval '1 minute' FROM sessions WHERE id = %s", session['id']))
    eventually(lambda: sql(host, 'SELECT pg_stat_force_next_flush()') == '')
    after = sql(host, "SELECT n_tup_upd FROM pg_stat_all_tables WHERE relname = 'sessions'")
    assert int(after or 0) - int(before or 0) < 25


# ---- refresh ---------------------------------------------------------------------------------------


def test_a_refresh_replaces_both_tokens(host, ada):
    session = login(host, ada)
    status, fresh = refresh(host, session['refresh_token'])
    assert status == 200 and fresh['id'] == session['id']
    assert works(host, fresh['token'])
    assert ends(host, session['token'])
    assert refresh(host, fresh['refresh_token'])[0] == 200


def test_a_second_refresh_at_the_same_time_gets_409_and_revokes_nothing(host, ada):
    session = login(host, ada)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: refresh(host, session['refresh_token']), range(8)))
    statuses = sorted(status for status, _ in answers)
    assert statuses == [200] + [409] * 7
    fresh = next(answer for status, answer in answers if status == 200)
    assert works(host, fresh['token'])
    assert refresh(host, fresh['refresh_token'])[0] == 200


def test_a_refresh_token_that_is_used_again_ends_the_family(host, ada):
    session, other = login(host, ada), login(host, ada)
    fresh = refresh(host, session['refresh_token'])[1]
    fresh = refresh(host, fresh['refresh_token'])[1]
    assert works(host, fresh['token'])
    ada.sql("UPDATE session_tokens_spent SET spent_at = spent_at - interval '11 seconds' WHERE session_id = %s", session['id'])
    status, answer = refresh(host, session['refresh_token'])
    assert status == 401 and answer['code'] == 'MRT-5127'
    assert ends(host, fresh['token'])
    assert refresh(host, fresh['refresh_token'])[0] == 401
    assert works(host, other['token'])
    assert ada.sql("SELECT count(*) FROM audit_logs WHERE action = 'session.end' AND status = 'failure' AND resource_id = %s", session['id']) == 1


def test_what_is_no_refresh_token_refreshes_nothing(host, ada):
    session = login(host, ada)
    for token in ('', 'x', session['token'], ada.token, 'msr_' + 'a' * 49, session['refresh_token'][:-1]):
        assert refresh(host, token)[0] == 401, token
    status, _, body = host.request('GET', '/v1/whoami', token=session['refresh_token'])
    assert status == 401 and b'MRT-5124' in body
    assert works(host, session['token'])


# ---- the end ---------------------------------------------------------------------------------------


def test_logout_ends_the_session_at_once(host, ada):
    session, other = login(host, ada), login(host, ada)
    assert delete(host, '/v1/sessions/current', session['token']) == (200, {'ended': 1})
    assert ends(host, session['token'])
    assert refresh(host, session['refresh_token'])[0] == 401
    assert works(host, other['token'])
    assert delete(host, '/v1/sessions/current', ada.token)[0] == 409  # a key


def test_users_see_and_end_their_own_sessions_and_administrators_any(host, ada, make_user):
    eve = make_user('PLATFORM_ENGINEER', PASSWORD)
    first, second = login(host, ada, device_name='first'), login(host, ada, device_name='second')
    hers = login(host, eve)
    status, answer = host.get('/v1/sessions', token=first['token'])
    assert status == 200
    shown = {s['id']: s for s in answer['items']}
    assert set(shown) == {first['id'], second['id']}
    assert shown[first['id']]['current'] and not shown[second['id']]['current']
    assert shown[second['id']]['device_name'] == 'second' and shown[second['id']]['ip_address'] == '127.0.0.1'
    assert 'token' not in json.dumps(answer)
    # Another's are not there.
    assert host.status(f'/v1/sessions?user={ada.id}', token=hers['token']) == 404
    assert delete(host, f'/v1/sessions/{first["id"]}', hers['token'])[0] == 404
    assert delete(host, '/v1/sessions/nothing', hers['token'])[0] == 404
    assert delete(host, f'/v1/sessions?user={ada.username}', hers['token'])[0] == 404
    assert works(host, first['token'])
    assert delete(host, f'/v1/sessions/{second["id"]}', first['token']) == (200, {'ended': 1})
    assert delete(host, f'/v1/sessions/{second["id"]}', first['token']) == (200, {'ended': 0})
    assert ends(host, second['token'])
    # An administrator's.
    assert len(host.get(f'/v1/sessions?user={ada.username}')[1]['items']) == 1
    assert delete(host, f'/v1/sessions/{first["id"]}', '') == (200, {'ended': 1})
    assert ends(host, first['token'])


def test_ending_the_others_spares_the_one_that_asks(host, ada):
    sessions = [login(host, ada) for _ in range(4)]
    assert delete(host, '/v1/sessions', sessions[0]['token']) == (200, {'ended': 3})
    assert all(ends(host, s['token']) for s in sessions[1:])
    assert works(host, sessions[0]['token'])


@pytest.mark.parametrize('change', ['is_active = false', 'is_active = false, deleted_at = now()'])
def test_a_user_who_is_deactivated_is_out_on_every_front_within_a_second(host, ada, change):
    session = login(host, ada)
    assert all(works(host, session['token']) for _ in range(8))  # both fronts have it in their cache
    ada.sql(f'UPDATE users SET {change} WHERE id = %s', ada.id)
    assert ends(host, session['token'])
    assert refresh(host, session['refresh_token'])[0] == 401
    ada.sql('UPDATE users SET is_active = true, deleted_at = NULL WHERE id = %s', ada.id)
    assert ends(host, session['token'])  # what ended stays so


def test_a_user_who_is_deactivated_is_out_on_every_node(host, ada, new_host):
    """Two nodes on one database."""
    other = new_host(env={'MORTISE_DATABASE': host.ok('db', 'url').strip(), 'MORTISE_FRONTS': '1', 'MORTISE_KEY_RING': str(host.data / 'key-ring')})
    other.up()
    session = login(host, ada)
    assert other.status('/v1/whoami', token=session['token']) == 200
    assert host.request('POST', f'/v1/users/{ada.username}/deactivate', {})[0] == 200
    assert ends(host, session['token'])
    assert ends(other, session['token'])


def test_a_new_password_gives_new_tokens_and_ends_the_others_where_asked(host, ada):
    session, other = login(host, ada), login(host, ada)
    status, _, body = host.request('POST', '/v1/users/me/password', {'current': PASSWORD, 'new': 'another good one'}, token=session['token'])
    answer = json.loads(body)
    assert status == 200 and answer['ended'] == 0 and answer['session']['id'] == session['id']
    assert ends(host, session['token']) and works(host, answer['session']['token']) and works(host, other['token'])
    status, _, body = host.request('POST', '/v1/users/me/password', {'current': 'another good one', 'new': PASSWORD, 'end_others': True},
                                   token=answer['session']['token'])
    answer = json.loads(body)
    assert status == 200 and answer['ended'] == 1
    assert ends(host, other['token']) and works(host, answer['session']['token'])


# ---- cookies ---------------------------------------------------------------------------------------


def own(host):
    return f'http://{host.address}'


def login_with_cookies(host, user):
    status, headers, body = host.request('POST', '/v1/sessions', {'login': user.username, 'password': PASSWORD, 'cookie': True},
                                         token=None, headers={'Origin': own(host)})
    assert status == 201, body
    return json.loads(body)


def cookies_of(host, method, path, body, headers):
    """The answer and its cookies; http.client folds none of them."""
    import http.client
    connection = http.client.HTTPConnection(host.address, timeout=30)
    connection.request(method, path, body=json.dumps(body) if body is not None else None,
                       headers={'Content-Type': 'application/json', **headers})
    answer = connection.getresponse()
    fields = answer.headers.get_all('Set-Cookie') or []
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text), fields


@pytest.fixture
def browser(host, ada):
    """Its cookies as a Cookie field."""
    status, answer, fields = cookies_of(host, 'POST', '/v1/sessions', {'login': ada.username, 'password': PASSWORD, 'cookie': True},
                                        {'Origin': own(host)})
    assert status == 201 and answer['token'] is None and answer['refresh_token'] is None
    assert len(fields) == 2
    for field in fields:
        parts = field.split('; ')
        assert {'Path=/', 'Secure', 'HttpOnly', 'SameSite=Lax'} <= set(parts) and not any(p.startswith('Domain') for p in parts)
    return dict(field.split(';')[0].split('=', 1) for field in fields)


def test_a_browser_gets_cookies_and_no_token(host, ada, browser):
    assert set(browser) == {COOKIE, REFRESH_COOKIE}
    cookie = {'Cookie': f'theme=dark; {COOKIE}={browser[COOKIE]}; lang=de'}
    status, _, body = host.request('GET', '/v1/whoami', token=None, headers=cookie)
    assert status == 200 and json.loads(body)['id'] == ada.id
    # Read out of the browser it is worth nothing.
    assert host.status('/v1/whoami', token=browser[COOKIE]) == 401
    assert refresh(host, browser[REFRESH_COOKIE])[0] == 401
    # And a bearer's token is no cookie.
    token = login(host, ada)['token']
    assert host.request('GET', '/v1/whoami', token=None, headers={'Cookie': f'{COOKIE}={token}'})[0] == 401
    assert host.request('GET', '/v1/whoami', token=None, headers={'Cookie': f'{COOKIE}={ada.token}'})[0] == 401


def test_a_change_by_cookie_needs_an_origin_of_ours(host, browser):
    def change(headers, method='DELETE', path='/v1/sessions'):
        return host.request(method, path, token=None, headers={'Cookie': f'{COOKIE}={browser[COOKIE]}', **headers})[0]

    for headers in ({}, {'Origin': 'https://evil.example'}, {'Origin': 'null'}, {'Origin': own(host) + '.evil.example'},
                    {'Origin': f'http://{host.address}0'}, {'Origin': 'http://'}, {'Referer': own(host) + '/'},
                    {'Origin': own(host), 'Sec-Fetch-Site': 'cross-site'}, {'Origin': own(host), 'Sec-Fetch-Site': 'same-site'},
                    {'Sec-Fetch-Site': 'none'}, {'Sec-Fetch-Site': 'cross-site'}, {'Host': 'evil.example', 'Origin': own(host)}):
        assert change(headers) == 403, headers
        assert change(headers, 'POST', '/v1/keys') == 403, headers
        assert change(headers, 'POST', '/api/hello/ping') == 403, headers
    for headers in ({'Origin': own(host)}, {'Origin': own(host).upper().replace('HTTP', 'http')}, {'Origin': f'https://{host.address}'},
                    {'Sec-Fetch-Site': 'same-origin'}, {'Origin': own(host), 'Sec-Fetch-Site': 'same-origin'}):
        assert change(headers) == 200, headers
    # Reading needs none.
    assert host.request('GET', '/v1/whoami', token=None,
                        headers={'Cookie': f'{COOKIE}={browser[COOKIE]}', 'Origin': 'https://evil.example'})[0] == 200


def test_a_login_or_refresh_by_cookie_needs_an_origin_of_ours(host, ada, browser):
    body = {'login': ada.username, 'password': PASSWORD, 'cookie': True}
    for headers in ({}, {'Origin': 'https://evil.example'}, {'Sec-Fetch-Site': 'cross-site'}):
        assert host.request('POST', '/v1/sessions', body, token=None, headers=headers)[0] == 403, headers
        assert host.request('POST', '/v1/sessions/refresh', {}, token=None,
                            headers={'Cookie': f'{REFRESH_COOKIE}={browser[REFRESH_COOKIE]}', **headers})[0] == 403, headers
    status, answer, fields = cookies_of(host, 'POST', '/v1/sessions/refresh', {},
                                        {'Cookie': f'{REFRESH_COOKIE}={browser[REFRESH_COOKIE]}', 'Origin': own(host)})
    assert status == 200 and answer['token'] is None and len(fields) == 2
    fresh = dict(field.split(';')[0].split('=', 1) for field in fields)
    assert fresh[COOKIE] != browser[COOKIE] and fresh[REFRESH_COOKIE] != browser[REFRESH_COOKIE]
    assert host.request('GET', '/v1/whoami', token=None, headers={'Cookie': f'{COOKIE}={fresh[COOKIE]}'})[0] == 200


def test_logging_out_takes_the_cookies_away(host, browser):
    status, _, fields = cookies_of(host, 'DELETE', '/v1/sessions/current', None,
                                   {'Cookie': f'{COOKIE}={browser[COOKIE]}', 'Origin': own(host)})
    assert status == 200 and len(fields) == 2
    assert all(re.match(r'__Host-mortise(-refresh)?=; .*Max-Age=0', field) for field in fields)
    assert eventually(lambda: host.request('GET', '/v1/whoami', token=None, headers={'Cookie': f'{COOKIE}={browser[COOKIE]}'})[0] == 401)


def test_other_origins_are_a_setting(new_host):
    host = new_host(env={'MORTISE_HTTP_ORIGINS': 'https://portal.example https://other.example'})
    host.up()
    for origin, status in (('https://portal.example', 401), ('https://other.example', 401), ('https://portal.example.evil', 403)):
        assert host.request('POST', '/v1/sessions', {'login': 'x', 'password': 'y', 'cookie': True}, token=None,
                            headers={'Origin': origin})[0] == status


# ---- one kind of credentials -----------------------------------------------------------------------


def test_credentials_of_two_kinds_or_in_two_places_are_refused(host, ada, browser):
    token = login(host, ada)['token']
    for headers in ({'Authorization': f'Bearer {token}', 'Cookie': f'{COOKIE}={browser[COOKIE]}'},
                    {'Authorization': f'Bearer {token}', 'Cookie': f'{COOKIE}={token}'},
                    {'Authorization': f'Bearer {ada.token}', 'Cookie': f'{COOKIE}={browser[COOKIE]}'},
                    {'Cookie': f'{COOKIE}={browser[COOKIE]}; {COOKIE}={browser[COOKIE]}'}):
        status, _, body = host.request('GET', '/v1/whoami', token=None, headers=headers)
        assert status == 400 and b'MRT-5128' in body, headers
    session = login(host, ada)
    status, _, body = host.request('POST', '/v1/sessions/refresh', {'refresh_token': session['refresh_token']}, token=None,
                                   headers={'Cookie': f'{REFRESH_COOKIE}={browser[REFRESH_COOKIE]}', 'Origin': own(host)})
    assert status == 400 and b'MRT-5128' in body


def test_a_token_in_the_url_counts_nowhere_and_none_is_logged(host, ada, browser):
    session = login(host, ada)
    for name in ('token', 'access_token', 'key', 'session'):
        assert host.status(f'/v1/whoami?{name}={session["token"]}', token=None) == 401
    fresh = refresh(host, session['refresh_token'])[1]
    assert works(host, fresh['token'])
    secrets = [session['token'], session['refresh_token'], fresh['token'], fresh['refresh_token'], *browser.values(), PASSWORD]
    log = (host.data / 'mortised.log').read_text()
    assert not [secret for secret in secrets if secret in log]


def test_a_plugin_never_sees_a_token(host, ada, publisher, browser):
    host.install(publisher.sign('hello'))
    cookie = {'Cookie': f'{COOKIE}={browser[COOKIE]}'}
    status, _, body = host.request('GET', '/api/hello/ping', token=None, headers=cookie)
    assert status == 200 and browser[COOKIE].encode() not in body


# ---- the command line ------------------------------------------------------------------------------


@pytest.fixture
def shell(host, ada, tmp_path):
    """The command line of somebody who has no admin token, with a state folder of his own."""
    class Shell:
        env = {'MORTISE_HOST': f'http://{host.address}', 'XDG_STATE_HOME': str(tmp_path / 'state'), 'MORTISE_DATA': str(tmp_path / 'data')}

        def file(self, text):
            path = tmp_path / f'secret{os.urandom(4).hex()}'
            path.write_text(text)
            return path

        def run(self, *args, env=None):
            from conftest import run
            return run(*args, env={**self.env, **(env or {})})

        def ok(self, *args, env=None):
            done = self.run(*args, env=env)
            assert done.returncode == 0, done.stderr
            return done.stdout

        def login(self):
            self.ok('login', ada.username, '--password-file', self.file(PASSWORD))
            return next((tmp_path / 'state' / 'mortise').glob('*.json'))

    return Shell()


def test_the_command_line_logs_in_and_keeps_the_session_to_itself(host, ada, shell):
    assert shell.run('api', 'GET', '/v1/whoami').returncode == 4
    kept = shell.login()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert json.loads(shell.ok('api', 'GET', '/v1/whoami'))['id'] == ada.id
    # MORTISE_TOKEN comes first.
    assert json.loads(shell.ok('api', 'GET', '/v1/whoami', env={'MORTISE_TOKEN': host.token}))['username'] != ada.username
    sessions = json.loads(shell.ok('session', 'list', '--json'))
    assert [s['current'] for s in sessions['items']] == [True]
    shell.ok('logout')
    assert not kept.exists()
    assert shell.run('logout').returncode == 6
    assert host.get(f'/v1/sessions?user={ada.id}')[1]['items'] == []


def test_the_kept_session_comes_before_the_admin_token_and_is_for_its_host_alone(host, ada, shell):
    admin = {'MORTISE_DATA': str(host.data)}
    assert json.loads(shell.ok('api', 'GET', '/v1/whoami', env=admin))['role'] == 'ADMIN'
    shell.login()
    assert json.loads(shell.ok('api', 'GET', '/v1/whoami', env=admin))['id'] == ada.id
    # Another host gets neither.
    port = int(host.address.rsplit(':', 1)[1])
    assert shell.run('api', 'GET', '/v1/whoami', env={**admin, 'MORTISE_HOST': f'http://localhost:{port}'}).returncode == 4


def test_the_command_line_refreshes_by_itself(host, ada, shell):
    kept = shell.login()
    before = json.loads(kept.read_text())
    ada.sql("UPDATE sessions SET expires_at = created_at + interval '1 microsecond' WHERE id = %s", before['id'])
    assert eventually(lambda: host.status('/v1/whoami', token=before['token']) == 401)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda _: shell.ok('api', 'GET', '/v1/whoami'), range(4)):
            assert json.loads(answer)['id'] == ada.id
    after = json.loads(kept.read_text())
    assert after['id'] == before['id'] and after['token'] != before['token']
    # Nearly expired: refreshed before it is used.
    kept.write_text(json.dumps({**after, 'expires_at': '2020-01-01T00:00:00.000000Z'}))
    shell.ok('api', 'GET', '/v1/whoami')
    assert json.loads(kept.read_text())['refresh_token'] != after['refresh_token']


def test_a_session_that_is_over_is_forgotten_and_the_way_back_is_said(host, ada, shell):
    kept = shell.login()
    assert delete(host, f'/v1/sessions?user={ada.id}', '')[0] == 200
    assert eventually(lambda: shell.run('api', 'GET', '/v1/whoami').returncode == 4)
    assert not kept.exists()
    done = shell.run('login', ada.username, '--password-file', shell.file('wrong horse battery'))
    assert done.returncode == 4 and 'MRT-5122' in done.stderr


def test_a_password_is_changed_by_command(host, ada, shell):
    kept = shell.login()
    before = json.loads(kept.read_text())
    shell.ok('user', 'password', '--current-file', shell.file(PASSWORD), '--password-file', shell.file('another good one'))
    assert json.loads(kept.read_text())['token'] != before['token']
    assert json.loads(shell.ok('api', 'GET', '/v1/whoami'))['id'] == ada.id
    host.ok('user', 'password', ada.username, '--password-file', shell.file(PASSWORD))
    assert eventually(lambda: shell.run('api', 'GET', '/v1/whoami').returncode == 4)


def test_a_password_is_typed_unseen(host, ada, shell):
    """On a terminal: it asks, and echoes nothing."""
    pid, terminal = pty.fork()
    if pid == 0:
        environment = {k: v for k, v in os.environ.items() if not k.startswith('MORTISE_')}
        os.execve(BIN / 'mortise', ['mortise', 'login', ada.username], {**environment, **shell.env})
    shown = b''
    while b'Password' not in shown:
        select.select([terminal], [], [], 30)
        shown += os.read(terminal, 1024)
    os.write(terminal, PASSWORD.encode() + b'\n')
    try:
        while True:
            data = os.read(terminal, 1024)
            if not data:
                break
            shown += data
    except OSError:
        pass  # the terminal is gone with its program
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown
    assert PASSWORD.encode() not in shown and b'logged in' in shown


def test_an_interrupted_prompt_leaves_the_terminal_as_it_was(host, ada, shell):
    """Ctrl-C at a hidden prompt: the shell that comes back shows what is typed."""
    terminal, end = pty.openpty()
    assert termios.tcgetattr(end)[3] & termios.ECHO
    environment = {k: v for k, v in os.environ.items() if not k.startswith('MORTISE_')}
    login = subprocess.Popen([BIN / 'mortise', 'login', ada.username], env={**environment, **shell.env}, stdin=end, stdout=end, stderr=end,
                             start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    shown = b''
    while b'Password' not in shown:
        assert select.select([terminal], [], [], 30)[0], shown
        shown += os.read(terminal, 1024)
    assert not termios.tcgetattr(end)[3] & termios.ECHO
    os.write(terminal, b'half a pass\x03')
    assert login.wait(30) == -signal.SIGINT
    assert termios.tcgetattr(end)[3] & termios.ECHO
    os.close(end)
    os.close(terminal)
