"""Second factors: enrolling, finishing a login, backup codes, locks, who may take one away."""
import base64
import concurrent.futures
import hashlib
import os
import pty
import re
import select
import threading
import time
import urllib.parse

import pytest
from conftest import BUILD, SOURCE, eventually
from person import PERIOD, Person, code_of, now_step


@pytest.fixture
def person(host, make_user):
    return Person(host, make_user())


@pytest.fixture
def enrolled(person):
    person.enrol()
    return person


# ---- enrolling -----------------------------------------------------------------------------------

def test_enrolment_counts_only_when_a_code_confirmed_it(person):
    token = person.login()['token']
    status, begun = person.factor('POST', '/totp', {}, token)
    assert status == 201 and person.login()['second_factor'] is None
    person.seed = begun['secret']
    status, answer = person.factor('POST', '/totp/confirm', {'code': person.wrong_code()}, token)
    assert (status, answer['code']) == (401, 'MRT-5151')
    assert person.login()['second_factor'] is None
    status, answer = person.factor('GET', '', token=token)
    assert not answer['enabled'] and answer['pending'] == 'TOTP'
    status, answer = person.factor('POST', '/totp/confirm', {'code': person.code()}, token)
    assert status == 200 and len(answer['backup_codes']) == 10
    assert sorted(person.login()['second_factor']['methods']) == ['BACKUP', 'TOTP']
    status, answer = person.factor('GET', '', token=token)
    assert answer['enabled'] and answer['method'] == 'TOTP' and answer['backup_codes'] == 10


def test_six_wrong_codes_end_an_enrolment(person):
    token = person.login()['token']
    person.seed = person.factor('POST', '/totp', {}, token)[1]['secret']
    statuses = [person.factor('POST', '/totp/confirm', {'code': person.wrong_code()}, token)[0] for _ in range(7)]
    assert statuses == [401] * 6 + [409]
    assert person.factor('POST', '/totp/confirm', {'code': person.code()}, token)[0] == 409


@pytest.mark.parametrize('algorithm, digits, bits', [('SHA1', 6, 160), ('SHA256', 8, 256), ('SHA512', 6, 512)])
def test_every_algorithm_works_with_seeds_of_at_least_160_bits(person, algorithm, digits, bits):
    token = person.login()['token']
    status, begun = person.factor('POST', '/totp', {'algorithm': algorithm, 'digits': digits}, token)
    assert status == 201, begun
    seed = begun['secret']
    assert len(base64.b32decode(seed + '=' * (-len(seed) % 8))) * 8 == bits >= 160
    uri = urllib.parse.urlsplit(begun['uri'])
    query = dict(urllib.parse.parse_qsl(uri.query))
    assert (uri.scheme, uri.netloc) == ('otpauth', 'totp')
    assert (query['secret'], query['algorithm'], query['digits'], query['period']) == (seed, algorithm, str(digits), '30')
    assert person.user.username in urllib.parse.unquote(uri.path)
    assert begun['svg'].startswith('<svg ') and 'href' not in begun['svg']
    code = code_of(seed, now_step(), algorithm, digits)
    assert person.factor('POST', '/totp/confirm', {'code': code}, token)[0] == 200
    half = person.login()['token']
    person.forget_steps()
    assert person.finish(half, code=code_of(seed, now_step(), algorithm, digits))[0] == 200


def test_a_seed_is_never_stored_in_the_clear(host, enrolled):
    person = enrolled
    stored = person.user.sql('SELECT mfa_secret FROM users WHERE id = %s', person.user.id)
    assert stored.startswith('enc:v1:')
    tables = person.user.sql("""SELECT array_agg(quote_ident(relname)) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')""")
    secrets = [person.seed, *person.codes, *(c.replace('-', '') for c in person.codes)]
    for table in tables:
        found = person.user.sql(f'SELECT count(*) FROM {table} t WHERE t::text ILIKE ANY (%s)', [f'%{s}%' for s in secrets])
        assert found == 0, table
    assert not any(s in host.log() for s in secrets)


def test_what_is_malformed_is_refused_by_name(person):
    token = person.login()['token']
    for path, body, said in (('/totp', {'algorithm': 'MD5'}, 'algorithm'), ('/totp', {'digits': 9}, 'digits'),
                             ('/totp', {'secret': 'MINE'}, 'secret'), ('/totp', {'phone': '+49'}, 'phone'),
                             ('/totp/confirm', {}, 'code'), ('/totp/confirm', {'code': 123456}, 'code'),
                             ('/sms', {'phone': 'call me'}, 'phone'),
                             ('/totp', {'code': '1', 'backup_code': '2'}, 'backup_code')):
        status, answer = person.factor('POST', path, body, token)
        assert status in (400, 422) and said in answer['detail'], (path, body, status, answer)
    assert person.factor('POST', '/fax', {}, token)[0] == 404


def test_without_a_provider_of_messages_the_refusal_says_what_to_install(person):
    status, answer = person.factor('POST', '/email', {}, person.login()['token'])
    assert (status, answer['code']) == (503, 'MRT-5157')
    assert 'mortise/notify' in answer['fix'][0]['text']


# ---- finishing a login ---------------------------------------------------------------------------

def test_a_code_gives_new_tokens_and_the_old_one_ends(enrolled):
    half = enrolled.login()
    assert half['second_factor']['methods'] == ['TOTP', 'BACKUP'] and half['refresh_token'] is None
    status, whole = enrolled.finish(half['token'], code=enrolled.code())
    assert status == 200 and whole['second_factor'] is None, whole
    assert whole['token'] != half['token'] and whole['refresh_token'].startswith('msr_')
    assert whole['id'] == half['id']
    assert enrolled.host.status('/v1/whoami', token=whole['token']) == 200
    assert enrolled.host.status('/v1/whoami', token=half['token']) == 401


def test_a_step_is_usable_once(enrolled):
    one, two = enrolled.login()['token'], enrolled.login()['token']
    code = enrolled.code()
    assert enrolled.finish(one, code=code)[0] == 200
    status, answer = enrolled.finish(two, code=code)
    assert (status, answer['code']) == (401, 'MRT-5151')


def test_a_step_is_usable_once_under_parallel_requests(enrolled):
    for _ in range(5):
        halves = [enrolled.login()['token'] for _ in range(4)]
        code, together = enrolled.code(), threading.Barrier(len(halves))

        def finish(token):
            together.wait()
            return enrolled.finish(token, code=code)[0]

        with concurrent.futures.ThreadPoolExecutor(len(halves)) as pool:
            statuses = sorted(pool.map(finish, halves))
        assert statuses == [200, 401, 401, 401], statuses
        enrolled.forget_steps()
        # Tries that were counted behind the one that passed stay counted: six of them would lock.
        enrolled.user.sql('UPDATE second_factors SET failures = 0 WHERE user_id = %s', enrolled.user.id)


def test_no_older_step_counts_after_a_newer_one(enrolled):
    one, two = enrolled.login()['token'], enrolled.login()['token']
    older, newer = enrolled.code(), enrolled.code(1)
    assert enrolled.finish(one, code=newer)[0] == 200
    assert enrolled.finish(two, code=older)[0] == 401
    enrolled.forget_steps()
    assert enrolled.finish(two, code=enrolled.code())[0] == 200


def test_a_code_outside_the_window_is_wrong(enrolled):
    half = enrolled.login()['token']
    for step in (-10, -3, 4, 10):
        assert enrolled.finish(half, code=enrolled.code(step))[0] == 401
    assert enrolled.finish(half, code=enrolled.code())[0] == 200


def test_the_clock_is_the_hosts_alone(enrolled):
    half, hour = enrolled.login()['token'], 3600 // PERIOD
    then = time.strftime('%a, %d %b %Y %H:%M:%S GMT', time.gmtime(time.time() - 3600))
    status, _, _ = enrolled.host.request('POST', '/v1/sessions/current/second-factor', token=half,
                                         body={'code': enrolled.code(-hour)}, headers={'Date': then})
    assert status == 401
    for member in ('time', 'timestamp', 'step'):
        assert enrolled.finish(half, code=enrolled.code(-hour), **{member: time.time() - 3600})[0] == 400


def test_six_wrong_codes_lock_the_second_factor_and_end_the_half_session(enrolled):
    half = enrolled.login()['token']
    statuses = [enrolled.finish(half, code=enrolled.wrong_code())[0] for _ in range(6)]
    assert statuses == [401] * 6
    assert enrolled.host.status('/v1/whoami', token=half) == 401
    half = enrolled.login()['token']  # the first factor is not locked
    status, headers, _ = enrolled.host.request('POST', '/v1/sessions/current/second-factor', token=half,
                                               body={'code': enrolled.code()})
    assert status == 429 and 0 < int(headers['Retry-After']) <= 60
    assert enrolled.finish(half, backup_code=enrolled.codes[0])[0] == 429
    enrolled.user.sql('UPDATE second_factors SET locked_until = now() WHERE user_id = %s', enrolled.user.id)
    assert enrolled.finish(half, code=enrolled.wrong_code())[0] == 401
    left = enrolled.user.sql('SELECT extract(epoch FROM locked_until - now()) FROM second_factors WHERE user_id = %s',
                             enrolled.user.id)
    assert 60 < left <= 120  # the next lock is twice as long
    enrolled.user.sql('UPDATE second_factors SET locked_until = now() WHERE user_id = %s', enrolled.user.id)
    assert enrolled.finish(enrolled.login()['token'], code=enrolled.code())[0] == 200
    assert enrolled.user.sql('SELECT failures FROM second_factors WHERE user_id = %s', enrolled.user.id) == 0


def test_parallel_wrong_codes_are_each_counted(enrolled):
    halves = [enrolled.login()['token'] for _ in range(3)]
    code = enrolled.wrong_code()
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(lambda i: enrolled.finish(halves[i % 3], code=code)[0], range(30)))
    assert enrolled.user.sql('SELECT failures FROM second_factors WHERE user_id = %s', enrolled.user.id) == 6
    assert statuses.count(401) + statuses.count(429) == 30
    assert enrolled.user.sql("""SELECT count(*) FROM audit_logs WHERE action = 'second_factor.fail' AND resource_id = %s""",
                             enrolled.user.id) == 6


def routes():
    """Every route of /v1 with its rule, as the sources name them."""
    found = []
    for source in sorted((SOURCE / 'core' / 'api').glob('rest_*.c')):
        found += re.findall(r'REST_ROUTE\(\s*"(\w+)",\s*"([^"]+)",\s*(\w+)', source.read_text())
    return found


def test_a_half_session_can_do_nothing_but_finish(enrolled):
    rules = dict(re.findall(r'^ACTION\((\w+), "[^"]+", "([^"]*)"\)', (SOURCE / 'core/identity/access.def').read_text(), re.M))
    half = enrolled.login()['token']
    tried = 0
    for method, pattern, rule in routes():
        if rules[rule] == 'public' or pattern in ('/v1/sessions/current/second-factor', '/v1/sessions/current'):
            continue
        path = re.sub(r'\{user\}', 'me', pattern)
        path = re.sub(r'\{method\}', 'totp', path)
        path = re.sub(r'\{\w+\}', 'x', path)
        body = {'code': '123456'} if path.endswith('confirm') else {} if method in ('POST', 'PUT', 'PATCH') else None
        status, answer = enrolled.ask(method, path, body, half)
        assert (status, answer['code']) == (401, 'MRT-5121'), (method, path, status, answer)
        tried += 1
    assert tried > 30
    status, _ = enrolled.host.get('/api/hello/ping', token=half)
    assert status in (401, 404)
    assert enrolled.finish(half, code=enrolled.code())[0] == 200


def test_a_key_and_a_whole_session_have_nothing_to_finish(enrolled):
    assert enrolled.finish(enrolled.user.token, code=enrolled.code())[0] == 409
    assert enrolled.finish(enrolled.whole()['token'], code=enrolled.code())[0] == 409
    assert enrolled.host.status('/v1/sessions/current/second-factor', token=None) in (401, 405)


# ---- backup codes --------------------------------------------------------------------------------

def test_a_backup_code_has_112_bits_and_is_kept_as_a_digest(enrolled):
    for code in enrolled.codes:
        assert re.fullmatch(r'([0-9A-HJKMNP-TV-Z]{6}-){3}[0-9A-HJKMNP-TV-Z]{6}', code)
    assert 24 * 5 >= 112 and len(set(enrolled.codes)) == 10
    stored = enrolled.user.sql('SELECT mfa_backup_codes FROM users WHERE id = %s', enrolled.user.id)
    assert len(stored) == 10 and all(re.fullmatch('[0-9a-f]{64}', digest) for digest in stored)
    for code in enrolled.codes:  # nor a plain hash, which a stolen dump could be searched with
        assert hashlib.sha256(code.encode()).hexdigest() not in stored


def test_a_backup_code_counts_once_also_in_parallel(enrolled):
    halves = [enrolled.login()['token'] for _ in range(3)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        statuses = sorted(pool.map(lambda t: enrolled.finish(t, backup_code=enrolled.codes[0])[0], halves))
    assert statuses == [200, 401, 401]
    typed = enrolled.codes[1].lower().replace('-', ' ').replace('1', 'l').replace('0', 'o')
    assert enrolled.finish(enrolled.login()['token'], backup_code=typed)[0] == 200
    assert enrolled.factor('GET', '')[1]['backup_codes'] == 8


def test_new_backup_codes_end_the_old_ones(enrolled):
    token = enrolled.whole()['token']
    status, answer = enrolled.factor('POST', '/backup-codes', {'code': enrolled.code()}, token)
    assert status == 201 and len(answer['backup_codes']) == 10
    assert not set(answer['backup_codes']) & set(enrolled.codes)
    half = enrolled.login()['token']
    assert enrolled.finish(half, backup_code=enrolled.codes[0])[0] == 401
    assert enrolled.finish(half, backup_code=answer['backup_codes'][0])[0] == 200


# ---- changing and ending -------------------------------------------------------------------------

def test_turning_it_off_needs_a_proof_and_leaves_its_traces(enrolled):
    whole = enrolled.whole()
    token = whole['token']
    enrolled.age(whole['id'])

    def off(**body):
        status, answer = enrolled.factor('DELETE', '', body, token)
        return status, answer.get('code')

    assert off() == (403, 'MRT-5158')
    assert off(password='not the password') == (403, 'MRT-5131')
    assert off(password=enrolled.user.password) == (403, 'MRT-5158')  # the code is missing
    assert off(code=enrolled.code()) == (403, 'MRT-5158')             # the password is
    assert off(password=enrolled.user.password, code=enrolled.wrong_code()) == (401, 'MRT-5151')
    assert enrolled.login()['second_factor']
    assert off(password=enrolled.user.password, code=enrolled.code()) == (200, None)
    assert enrolled.login()['second_factor'] is None
    for table, column in (('audit_logs', 'action'), ('events', 'event_type')):
        assert enrolled.user.sql(f"SELECT count(*) FROM {table} WHERE {column} = 'second_factor.disable' AND user_id = %s",
                                 enrolled.user.id) == 1
    assert enrolled.user.sql('SELECT mfa_secret IS NULL AND mfa_backup_codes IS NULL FROM users WHERE id = %s', enrolled.user.id)


def test_another_factor_is_enrolled_by_proof_only(enrolled):
    whole = enrolled.whole()
    enrolled.age(whole['id'])
    status, answer = enrolled.factor('POST', '/totp', {'password': enrolled.user.password}, whole['token'])
    assert (status, answer['code']) == (403, 'MRT-5158')
    status, answer = enrolled.factor('POST', '/totp', {'password': enrolled.user.password, 'code': enrolled.code()},
                                     whole['token'])
    assert status == 201, answer
    # The old one counts until the new one is confirmed.
    enrolled.forget_steps()
    assert enrolled.finish(enrolled.login()['token'], code=enrolled.code())[0] == 200


def test_a_half_session_enrols_no_factor_in_place_of_the_one_it_owes(enrolled):
    half = enrolled.login()['token']
    for body in ({}, {'password': enrolled.user.password}):
        status, answer = enrolled.factor('POST', '/totp', body, half)
        assert (status, answer['code']) == (401, 'MRT-5121')


def test_a_key_enrols_by_password_and_scope(person):
    narrow = person.ask('POST', '/v1/keys', {'name': 'narrow', 'scopes': ['catalog.read']})[1]['key']
    assert person.factor('POST', '/totp', {'password': person.user.password}, narrow)[0] == 403
    status, answer = person.factor('POST', '/totp', {})
    assert (status, answer['code']) == (403, 'MRT-5158')
    assert person.factor('POST', '/totp', {'password': person.user.password})[0] == 201


def test_a_new_password_does_not_bypass_the_second_factor(enrolled):
    status, answer = enrolled.ask('POST', f'/v1/users/{enrolled.user.id}/password', {'new': 'another horse battery'},
                                  enrolled.host.token)
    assert status in (200, 201), answer
    half = enrolled.login('another horse battery')
    assert half['second_factor']['methods'] == ['TOTP', 'BACKUP']
    assert enrolled.host.status('/v1/whoami', token=half['token']) == 401


def test_an_administrator_resets_the_factor_of_another(enrolled, make_user):
    other = make_user('DEVELOPER')
    path = f'/v1/users/{enrolled.user.username}/second-factor'
    assert enrolled.ask('DELETE', path, {}, other.token)[0] in (403, 404)
    assert enrolled.ask('GET', path, None, other.token)[0] == 404
    assert enrolled.login()['second_factor']
    assert enrolled.ask('DELETE', path, {}, enrolled.host.token)[0] == 200
    assert enrolled.login()['second_factor'] is None
    admin = enrolled.user.sql("""SELECT u.role FROM audit_logs a JOIN users u ON u.id = a.user_id
        WHERE a.action = 'second_factor.reset' AND a.resource_id = %s""", enrolled.user.id)
    assert admin == 'ADMIN'


def test_an_administrators_old_session_proves_itself_before_a_reset(enrolled, make_user):
    admin = Person(enrolled.host, make_user('ADMIN'))
    session = admin.login()
    admin.age(session['id'])
    path = f'/v1/users/{enrolled.user.id}/second-factor'
    assert admin.ask('DELETE', path, {}, session['token'])[0] == 403
    assert admin.ask('DELETE', path, {'password': admin.user.password}, session['token'])[0] == 200


def test_a_deleted_user_leaves_no_factor_behind(enrolled):
    enrolled.user.sql('UPDATE users SET deleted_at = now(), is_active = false WHERE id = %s', enrolled.user.id)
    assert enrolled.user.sql('SELECT count(*) FROM second_factors WHERE user_id = %s', enrolled.user.id) == 0


# ---- the policy ----------------------------------------------------------------------------------

@pytest.fixture
def policy(host):
    def put(value):
        status, answer = host.get('/v1/settings/auth.second_factor', method='PUT', body={'value': value})
        assert status == 200, answer

    yield put
    put('optional')


def test_who_owes_a_factor_and_has_none_can_only_enrol(person, policy):
    policy('everyone')
    half = person.login()
    assert half['second_factor'] == {'methods': []}
    token = half['token']
    assert person.host.status('/v1/whoami', token=token) == 401
    assert person.finish(token, code='123456')[0] == 409
    person.seed = person.factor('POST', '/totp', {}, token)[1]['secret']
    status, whole = person.factor('POST', '/totp/confirm', {'code': person.code()}, token)
    assert status == 200 and len(whole['backup_codes']) == 10 and whole['token'] != token
    assert person.host.status('/v1/whoami', token=whole['token']) == 200
    status, answer = person.factor('DELETE', '', {}, whole['token'])
    assert (status, answer['code']) == (409, 'MRT-5154')


def test_a_session_from_before_the_policy_owes_the_factor_too(person, policy):
    session = person.login()
    token = session['token']
    assert person.host.status('/v1/whoami', token=token) == 200
    policy('everyone')
    assert eventually(lambda: person.host.status('/v1/whoami', token=token) == 401, timeout=5)
    person.age(session['id'])
    assert person.factor('POST', '/totp', {}, token)[0] == 403
    status, begun = person.factor('POST', '/totp', {'password': person.user.password}, token)
    person.seed = begun['secret']
    status, whole = person.factor('POST', '/totp/confirm', {'code': person.code()}, token)
    assert status == 200 and person.host.status('/v1/whoami', token=whole['token']) == 200
    assert person.ask('DELETE', f'/v1/users/{person.user.id}/second-factor', {}, person.host.token)[0] == 200
    assert eventually(lambda: person.host.status('/v1/whoami', token=whole['token']) == 401, timeout=5)


def test_the_policy_may_name_administrators_only(person, policy, make_user):
    policy('admins')
    assert person.login()['second_factor'] is None
    assert Person(person.host, make_user('ADMIN')).login()['second_factor'] == {'methods': []}
    session = person.login()
    person.user.sql("UPDATE users SET role = 'ADMIN' WHERE id = %s", person.user.id)
    assert eventually(lambda: person.host.status('/v1/whoami', token=session['token']) == 401, timeout=5)
    status, answer = person.ask('POST', '/v1/sessions/refresh', {'refresh_token': session['refresh_token']})
    assert status == 401, answer  # nor does what he had before become an administrator's


def test_only_an_administrator_sets_the_policy_and_only_to_what_it_knows(person):
    for token, body, expected in ((person.user.token, {'value': 'everyone'}, 403), (None, {'value': 'some'}, 400),
                                  (None, {}, 400), (None, {'value': 1}, 400)):
        assert person.ask('PUT', '/v1/settings/auth.second_factor', body, token or person.host.token)[0] == expected


# ---- the command line ----------------------------------------------------------------------------

@pytest.fixture
def terminal(person, tmp_path):
    """The command line of one person: his session is kept in a folder of his own."""
    (tmp_path / 'password').write_text(person.user.password + '\n')
    return {'XDG_STATE_HOME': str(tmp_path / 'state'), 'MORTISE_TOKEN': ''}, tmp_path


def test_the_command_line_enrols_logs_in_and_disables(person, terminal):
    env, folder = terminal
    ok, password = person.host.ok, ('--password-file', folder / 'password')
    ok('login', person.user.username, *password, env=env)
    uri = ok('mfa', 'enroll', '--svg', folder / 'qr.svg', env=env).strip()
    person.seed = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(uri).query))['secret']
    svg = folder / 'qr.svg'
    assert svg.read_text().startswith('<svg ') and svg.stat().st_mode & 0o777 == 0o600
    wrong = person.host.cli('mfa', 'confirm', person.wrong_code(), env=env)
    assert wrong.returncode == 4 and 'MRT-5151' in wrong.stderr
    person.codes = ok('mfa', 'confirm', person.code(), env=env).split()
    assert len(person.codes) == 10
    assert 'TOTP' in ok('mfa', 'status', env=env)
    again = person.host.cli('mfa', 'enroll', '--svg', svg, env=env)
    assert again.returncode == 1 and 'File exists' in again.stderr
    assert person.factor('GET', '', token=person.user.token)[1]['pending'] is None
    sent = person.host.cli('mfa', 'send', env=env)
    assert sent.returncode == 6 and 'authenticator' in sent.stderr
    ok('logout', env=env)
    refused = person.host.cli('login', person.user.username, *password, env=env)
    assert refused.returncode == 4 and '--code' in refused.stderr
    ok('login', person.user.username, *password, '--code', person.codes[0], env=env)
    assert len(ok('mfa', 'backup-codes', env=env).split()) == 10
    person.age(person.user.sql("SELECT id FROM sessions WHERE user_id = %s AND is_active AND NOT half", person.user.id))
    refused = person.host.cli('mfa', 'disable', '--yes', env=env)
    assert refused.returncode == 4 and '--password-file' in refused.stderr
    person.forget_steps()
    ok('mfa', 'disable', '--yes', *password, '--code', person.code(), env=env)
    assert person.login()['second_factor'] is None


def test_a_terminal_shows_the_code_to_scan_and_asks_for_the_other(person, terminal):
    env, folder = terminal
    person.host.ok('login', person.user.username, '--password-file', folder / 'password', env=env)
    environment = {**os.environ, **env, **person.host.env, 'MORTISE_DATA': str(person.host.data), 'TERM': 'xterm'}
    child, main = pty.fork()
    if child == 0:
        os.execve(BUILD / 'bin' / 'mortise', ['mortise', 'mfa', 'enroll'], environment)
    shown = b''

    def read_until(word):
        nonlocal shown
        while word not in shown:
            ready = select.select([main], [], [], 60)[0]
            try:
                shown += os.read(main, 65536) if ready else pytest.fail(f'still without {word}: {shown}')
            except OSError:
                pytest.fail(f'it ended: {shown}')
        text, shown = shown, b''
        return text.decode(errors='replace')

    text = read_until(b'The code: ')
    assert '\x1b[38;5;16;48;5;231m' in text and '▀' in text
    person.seed = re.search(r'secret=([A-Z2-7]+)', text).group(1)
    os.write(main, person.code().encode() + b'\n')
    text = read_until(b'next login')
    assert os.waitpid(child, 0)[1] == 0
    assert len(re.findall(r'(?:[0-9A-Z]{6}-){3}[0-9A-Z]{6}', text)) == 10
    os.close(main)
    assert person.login()['second_factor']['methods'] == ['TOTP', 'BACKUP']


def test_who_owes_a_factor_enrols_at_the_command_line(person, terminal, policy):
    env, folder = terminal
    policy('everyone')
    person.host.ok('login', person.user.username, '--password-file', folder / 'password', env=env)
    assert person.host.cli('service', 'list', env=env).returncode == 4
    uri = person.host.ok('mfa', 'enroll', env=env)
    person.seed = re.search(r'secret=([A-Z2-7]+)', uri).group(1)
    person.host.ok('mfa', 'confirm', person.code(), env=env)
    person.host.ok('service', 'list', env=env)  # by the tokens of the whole session


def test_the_command_line_sets_the_policy(host):
    try:
        host.ok('setting', 'set', 'auth.second_factor', 'admins')
        assert {'auth.second_factor': 'admins'}.items() <= {s['name']: s['value'] for s in host.json('setting', 'list')}.items()
        done = host.cli('setting', 'set', 'auth.second_factor', 'nobody')
        assert done.returncode == 2 and 'value' in done.stderr
    finally:
        host.ok('setting', 'set', 'auth.second_factor', 'optional')
