"""What people may ask about what is kept of them, and that nothing is forgotten in the answer."""
import glob
import json
import os
import stat
import subprocess

import pytest
from conftest import eventually


def sql(host, query):
    return host.ok('db', 'psql', '--', '-Atc', query).strip()


def call(host, method, path, body=None, who=None):
    return host.get(path, method=method, body=body, token=who.token if who else '')


def ask(host, who, kind, **members):
    status, request = call(host, 'POST', '/v1/privacy', {'type': kind, **members}, who)
    assert status == 201, request
    assert request['status'] == 'pending' and request['archive'] is None
    return request


def complete(host, request, **members):
    status, answer = call(host, 'POST', f'/v1/privacy/{request["id"]}/complete', members)
    assert status == 200, answer
    assert answer['status'] == 'completed' and answer['processed_at']
    return answer


def archive(host, request, who=None):
    status, answer = call(host, 'GET', f'/v1/privacy/{request["id"]}/archive', who=who)
    assert status == 200, answer
    assert answer['complete'] is True and answer['format'] == 'mortise.privacy/1'
    return answer


def log_in(host, user):
    status, session = call(host, 'POST', '/v1/sessions', {'login': user.username, 'password': user.password})
    assert status == 201, session
    return session


def dump(host):
    """The whole database as text."""
    program = sorted(glob.glob('/usr/lib/postgresql/*/bin/pg_dump'))[-1]
    url = (host.data / 'superuser.url').read_text().strip().replace('/postgres?', '/mortise?')
    return subprocess.run([program, url], check=True, capture_output=True, text=True).stdout


def test_a_person_gets_all_that_is_kept_of_him_and_no_secret(host, make_user):
    amy, bob = make_user(), make_user()
    session = log_in(host, amy)
    assert call(host, 'PATCH', f'/v1/users/{amy.id}', {'name': 'Amy the Second'})[0] == 200
    assert call(host, 'PATCH', f'/v1/users/{bob.id}', {'name': 'Bob the Other'})[0] == 200
    amy.sql("""INSERT INTO events(event_type, event_category, user_id, ip_address, data, source)
        SELECT 'test', 'user', %s, '192.0.2.7', '{}', 'system' FROM generate_series(1, 450)""", amy.id)

    request = ask(host, amy, 'access', reason='I want to know')
    path = f'/v1/privacy/{request["id"]}'
    assert call(host, 'GET', path + '/archive', who=amy)[0] == 409
    assert call(host, 'POST', path + '/complete', {}, amy)[0] == 403
    assert call(host, 'GET', path, who=bob)[0] == 404 == call(host, 'POST', path + '/reject', {'reason': 'no'}, bob)[0]
    done = complete(host, request, note='as asked')
    assert done['result']['rows']['events'] == 450 and done['result']['note'] == 'as asked'
    assert call(host, 'GET', path + '/archive', who=bob)[0] == 404

    answer = archive(host, request, amy)
    data = answer['data']
    assert data['users'][0]['email'] == amy.email and data['users'][0]['name'] == 'Amy the Second'
    assert [row['ip_address'] for row in data['sessions']] and len(data['api_keys']) == 1
    assert len(data['events']) == 450 == len({row['id'] for row in data['events']})
    assert 'plugin_kv' in answer['about']['not_searched'] and answer['about']['retention_days']['sessions'] == 30
    changed = [row for row in data['audit_logs'] if row['action'] == 'user.change']
    assert len(changed) == 1 and changed[0]['new_value']['name'] == 'Amy the Second'
    assert not {'ip_address', 'user_agent', 'session_id'} & set(changed[0]), 'those are of the administrator'
    text = json.dumps(answer)
    assert 'Bob' not in text and bob.email not in text
    hashes = sql(host, f"""SELECT token FROM sessions WHERE user_id = '{amy.id}' UNION SELECT refresh_token FROM sessions WHERE user_id = '{amy.id}'
        UNION SELECT key_hash FROM api_keys WHERE user_id = '{amy.id}' UNION SELECT password FROM users WHERE id = '{amy.id}'""").split()
    for secret in [*hashes, session['token'], session['refresh_token'], amy.token]:
        assert secret and secret not in text


def test_no_table_with_a_reference_to_users_is_forgotten(host, make_user):
    every = sql(host, """SELECT string_agg(DISTINCT c.relname || '.' || a.attname, ' ') FROM pg_constraint f
        JOIN pg_class c ON c.oid = f.conrelid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (f.conkey)
        WHERE f.contype = 'f' AND f.confrelid = 'users'::regclass AND NOT c.relispartition""").split()
    known = sql(host, "SELECT string_agg(table_name || '.' || column_name, ' ') FROM user_references").split()
    assert sorted(every) == sorted(known) and len(every) > 25
    # A table that nobody had thought of: its own rows, rows that name somebody, and a column that is a secret.
    amy, bob = make_user(), make_user()
    amy.sql("""CREATE TABLE diaries (id int PRIMARY KEY, user_id varchar REFERENCES users ON DELETE CASCADE, entry text, lock text);
        CREATE TABLE letters (id int, page int, user_id varchar NOT NULL REFERENCES users, carrier varchar REFERENCES users, text text DEFAULT '', PRIMARY KEY (id, page));
        INSERT INTO data_classification(table_name, column_name, classification, contains_pii) VALUES
            ('diaries', '*', 'confidential', true), ('diaries', 'lock', 'restricted', false), ('letters', '*', 'confidential', true)""")
    try:
        amy.sql('''INSERT INTO diaries SELECT n, %s, 'dear diary', 'combination' FROM generate_series(1, 3) n''', amy.id)
        amy.sql('''INSERT INTO letters VALUES (1, 1, %s, %s, 'dear bob'), (1, 2, %s, %s, 'dear amy')''', amy.id, bob.id, bob.id, amy.id)
        request = ask(host, amy, 'portability')
        complete(host, request)
        data = archive(host, request, amy)['data']
        tables = {name.split('.')[0] for name in every} | {'users', 'diaries', 'letters'}
        assert set(data) == tables
        assert [row['entry'] for row in data['diaries']] == ['dear diary'] * 3 and 'lock' not in data['diaries'][0]
        assert [row.get('text') for row in data['letters']] == ['dear bob', None], 'what she carried is not hers to read'
        done = complete(host, ask(host, amy, 'deletion'))
        assert done['result']['removed']['diaries'] == 3 and done['result']['emptied']['letters'] == 1
        assert sql(host, 'SELECT count(*) FROM diaries') == '0'
        assert sql(host, "SELECT string_agg(page || text, ' ' ORDER BY page) FROM letters") == '1 2dear amy'
    finally:
        amy.sql("DROP TABLE diaries, letters; DELETE FROM data_classification WHERE table_name IN ('diaries', 'letters')")


def test_erasure_leaves_nobody_behind_and_everything_whole(host, make_user):
    word = 'zq' + os.urandom(6).hex()
    amy = make_user(name=word)
    session = log_in(host, amy)
    assert call(host, 'PATCH', f'/v1/users/{amy.id}', {'name': f'Amy {word}', 'phone_number': '+43660987654321'})[0] == 200
    amy.sql("UPDATE users SET metadata = %s, avatar = %s WHERE id = %s", json.dumps({'note': word}), f'https://x.org/{word}', amy.id)
    amy.sql("""INSERT INTO events(event_type, event_category, user_id, ip_address, user_agent, data, source)
        VALUES ('test', 'user', %s, '203.0.113.99', %s, '{}', 'system')""", amy.id, f'agent {word}')
    assert call(host, 'GET', '/v1/audit', who=amy)[0] == 403
    assert eventually(lambda: sql(host, f"SELECT count(*) FROM audit_logs WHERE user_id = '{amy.id}' AND action = 'audit.read'") == '1')
    first = ask(host, amy, 'rectification', changes={'name': f'Ann {word}'}, reason=word)
    complete(host, first)
    assert word in dump(host)
    before = json.loads(sql(host, f"SELECT to_jsonb(u) FROM users u WHERE id = '{amy.id}'"))

    request = ask(host, amy, 'deletion', reason=f'{word} leaves')
    done = complete(host, request)
    assert done['result']['removed']['sessions'] == 1 and done['result']['removed']['api_keys'] == 1
    assert eventually(lambda: call(host, 'GET', '/v1/whoami', who=amy)[0] == 401)
    assert eventually(lambda: host.get('/v1/whoami', token=session['token'])[0] == 401)
    assert call(host, 'POST', '/v1/sessions', {'login': word, 'password': amy.password})[0] == 401
    after = json.loads(sql(host, f"SELECT to_jsonb(u) FROM users u WHERE id = '{amy.id}'"))
    personal = sql(host, "SELECT column_name FROM data_classification WHERE table_name = 'users' AND (contains_pii OR classification = 'restricted')").split()
    assert len(personal) >= 10
    for column in personal:
        assert word not in json.dumps(after[column]) and (after[column] != before[column] or before[column] in (None, {})), column
    # Nothing of her in the whole database, in words; what names her by id still does.
    text = dump(host)
    for trace in (word, '203.0.113.99', '+43660987654321'):
        assert trace not in text, [line for line in text.splitlines() if trace in line][:3]
    assert sql(host, f"SELECT count(*) > 0 FROM audit_logs WHERE user_id = '{amy.id}'") == 't'
    # The chain covers the ciphertext, so it holds.
    assert eventually(lambda: host.cli('audit', 'verify').returncode == 0)
    found = host.json('audit', 'search', '--who', amy.id, '--personal')
    assert word not in json.dumps(found)
    # Her names are free.
    again = make_user(name=word)
    assert again.id != amy.id and log_in(host, again)
    # The request of one who is gone stays on record, and is handled by no one else's rights.
    status, record = call(host, 'GET', f'/v1/privacy/{request["id"]}')
    assert status == 200 and record['details'] == {} and record['user'] == 'erased'


def test_the_last_administrator_cannot_be_erased(host):
    request = ask(host, None, 'deletion')
    status, problem = call(host, 'POST', f'/v1/privacy/{request["id"]}/complete', {})
    assert (status, problem['code']) == (409, 'MRT-5102'), problem
    assert call(host, 'GET', f'/v1/privacy/{request["id"]}')[1]['status'] == 'pending'
    assert call(host, 'GET', '/v1/whoami')[0] == 200


def test_rectification_changes_and_restriction_deactivates(host, make_user):
    amy = make_user()
    done = complete(host, ask(host, amy, 'rectification', changes={'name': 'Right', 'email': f'r.{amy.email}'}))
    assert sorted(done['result']['changed']) == ['email', 'name']
    assert call(host, 'GET', '/v1/users/me', who=amy)[1]['email'] == f'r.{amy.email}'
    complete(host, ask(host, amy, 'restriction'))
    assert eventually(lambda: call(host, 'GET', '/v1/whoami', who=amy)[0] == 401)
    assert call(host, 'GET', f'/v1/users/{amy.id}')[1]['active'] is False
    assert call(host, 'POST', f'/v1/users/{amy.id}/activate', {})[0] == 200
    assert eventually(lambda: call(host, 'GET', '/v1/whoami', who=amy)[0] == 200)


def test_a_request_is_decided_once_and_asked_once(host, make_user):
    amy = make_user()
    request = ask(host, amy, 'access')
    assert call(host, 'POST', '/v1/privacy', {'type': 'access'}, amy)[0] == 409
    status, answer = call(host, 'POST', f'/v1/privacy/{request["id"]}/reject', {'reason': 'not any more'}, amy)
    assert status == 200 and answer['status'] == 'rejected' and answer['result'] == {'reason': 'not any more'}
    for how, body in (('complete', {}), ('reject', {'reason': 'again'})):
        assert call(host, 'POST', f'/v1/privacy/{request["id"]}/{how}', body)[0] == 409
    ask(host, amy, 'access')


def test_deadlines_are_shown_and_missed_ones_are_seen(host, make_user):
    amy = make_user()
    request = ask(host, amy, 'access')
    days = sql(host, f"SELECT extract(day FROM '{request['due_at']}'::timestamptz - '{request['requested_at']}'::timestamptz)")
    assert days == '30' and request['overdue'] is False
    amy.sql("UPDATE data_privacy_records SET requested_at = now() - interval '31 days' WHERE id = %s", request['id'])
    assert call(host, 'GET', f'/v1/privacy/{request["id"]}', who=amy)[1]['overdue'] is True
    listed = call(host, 'GET', f'/v1/privacy?user={amy.id}&status=pending')[1]['items']
    assert [item['id'] for item in listed] == [request['id']]


@pytest.mark.parametrize('body, status', [
    ({}, 400), ({'type': 'oblivion'}, 400), ({'type': 'access', 'because': 'x'}, 400),
    ({'type': 'rectification'}, 400), ({'type': 'access', 'changes': {'name': 'x'}}, 400),
    ({'type': 'rectification', 'changes': {'role': 'ADMIN'}}, 400), ({'type': 'rectification', 'changes': {'email': 'no address'}}, 400),
    ({'type': 'access', 'user': 'nobody-of-that-name'}, 404), ({'type': 'deletion', 'user': 'ADMIN'}, 403)])
def test_what_is_wrong_is_named(host, make_user, body, status):
    amy = make_user()
    if body.get('user') == 'ADMIN':
        body = {**body, 'user': sql(host, "SELECT id FROM users WHERE provider = 'system' LIMIT 1")}
    got, problem = call(host, 'POST', '/v1/privacy', body, amy)
    assert got == status and problem['detail'], (got, problem)


def test_the_command_line_does_all_of_it(host, make_user, tmp_path):
    amy = make_user()
    mine = {'MORTISE_TOKEN': amy.token}
    number = host.ok('privacy', 'request', 'portability', '-m', 'moving house', env=mine).strip()
    assert number in host.ok('privacy', 'list', '--status', 'pending')
    assert host.json('privacy', 'show', number)['details'] == {'reason': 'moving house'}
    file = tmp_path / 'amy.json'
    assert host.cli('privacy', 'export', number, file, env=mine).returncode == 6 and not list(tmp_path.iterdir())
    host.ok('privacy', 'complete', number)
    host.ok('privacy', 'export', number, file, env=mine)
    assert json.loads(file.read_text())['data']['users'][0]['id'] == amy.id
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and len(list(tmp_path.iterdir())) == 1
    number = host.ok('privacy', 'request', 'deletion', '--user', amy.username).strip()
    assert host.cli('privacy', 'complete', number).returncode == 2, 'nobody there to confirm'
    assert host.cli('privacy', 'reject', number).returncode == 2, 'without a reason'
    host.ok('privacy', 'complete', number, '--yes')
    assert host.json('privacy', 'show', number)['status'] == 'completed'


def test_months_of_the_audit_trail_that_were_detached_are_told_too(host, make_user):
    amy = make_user()
    amy.sql("""CREATE TABLE audit_logs_2021_03 PARTITION OF audit_logs FOR VALUES FROM ('2021-03-01 00:00Z') TO ('2021-04-01 00:00Z');
        INSERT INTO audit_logs(user_id, action, status, created_at) VALUES (%s, 'test.long_ago', 'success', '2021-03-05 00:00Z')""", amy.id)
    assert eventually(lambda: sql(host, "SELECT count(*) FROM job_audit_archive() WHERE name = 'audit_logs_2021_03'") == '1')
    request = ask(host, amy, 'access')
    complete(host, request)
    data = archive(host, request, amy)['data']
    assert data['audit_logs'][0]['action'] == 'test.long_ago' and 'audit_logs_2021_03' not in data
