"""Users, teams and members, over HTTP and on the command line; who may do what, and why."""
import json

import pytest


def ask(host, method, path, body=None, who=None, headers=None):
    status, fields, answer = host.request(method, path, body=body, token=who.token if who else '', headers=headers)
    return status, json.loads(answer) if answer else None, fields


def must(host, method, path, body=None, who=None, status=200):
    got, answer, _ = ask(host, method, path, body, who)
    assert got == status, (method, path, got, answer)
    return answer


def refused(host, method, path, body=None, who=None, headers=None):
    """(status, code) of what must not work."""
    status, answer, _ = ask(host, method, path, body, who, headers)
    assert status >= 400 and answer['status'] == status, (method, path, status, answer)
    return status, answer['code']


@pytest.fixture
def names():
    """Names that no other test has."""
    import itertools
    import os
    counter = itertools.count(1)
    base = os.urandom(3).hex()
    return lambda word: f'{word}-{base}-{next(counter)}'


def test_a_local_user_is_made_with_a_password_and_others_without(host, names):
    name = names('ada')
    user = must(host, 'POST', '/v1/users', {'name': 'Ada', 'username': name, 'email': f'{name}@example.org', 'role': 'VIEWER',
                                            'password': 'a lovely long password'}, status=201)
    assert user['username'] == name and user['role'] == 'VIEWER' and user['active'] and 'password' not in user
    stored = host.ok('db', 'psql', '--', '-Atc', f"SELECT password, password_prehashed FROM users WHERE id = '{user['id']}'")
    assert stored.startswith('$2') and stored.strip().endswith('|t')
    other = names('hub')
    user = must(host, 'POST', '/v1/users', {'name': 'Hub', 'username': other, 'email': f'{other}@example.org', 'provider': 'github',
                                            'provider_id': other}, status=201)
    assert user['provider'] == 'github' and user['role'] == 'DEVELOPER'


def new_user(host, names, **members):
    name = names('user')
    return must(host, 'POST', '/v1/users', {'name': name, 'username': name, 'email': f'{name}@example.org',
                                            'password': 'a lovely long password', **members}, status=201)


def test_what_a_new_user_may_not_be(host, names):
    good = {'name': 'x', 'username': names('x'), 'email': f'{names("x")}@example.org', 'password': 'a lovely long password'}
    taken = new_user(host, names)
    for change, status, said in (
            ({'id': 'cabc'}, 400, '/id'), ({'is_admin': True}, 400, '/is_admin'), ({'active': False}, 400, '/active'),
            ({'created_at': '2020-01-01T00:00:00Z'}, 400, '/created_at'), ({'teams': []}, 400, '/teams'), ({'name': ''}, 400, '/name'),
            ({'name': None}, 400, '/name'), ({'name': 'x' * 256}, 400, '/name'), ({'name': 'a\nb'}, 400, '/name'),
            ({'email': 'nobody'}, 400, '/email'), ({'email': 'a@b\r\nBcc: c@d'}, 400, '/email'), ({'username': 'Me'}, 400, '/username'),
            ({'username': 'a b'}, 400, '/username'), ({'username': 'a@b'}, 400, '/username'), ({'role': 'ROOT'}, 400, '/role'),
            ({'role': 1}, 400, '/role'), ({'phone_number': '0301234'}, 400, '/phone_number'), ({'avatar': 'javascript:x'}, 400, '/avatar'),
            ({'preferences': []}, 400, '/preferences'), ({'preferences': {'x': 'y' * 20000}}, 400, '/preferences'),
            ({'provider': 'plugin', 'provider_id': '1', 'password': ...}, 400, 'host alone'),
            ({'provider': 'github', 'password': ...}, 400, 'provider_id'), ({'password': ...}, 400, 'password'),
            ({'password': 'short'}, 422, 'password'), ({'password': 'password1'}, 422, 'password'),
            ({'username': taken['username'].upper()}, 409, 'is taken'), ({'email': taken['email'].upper()}, 409, 'e-mail')):
        body = {k: v for k, v in {**good, **change}.items() if v is not ...}
        got, answer, _ = ask(host, 'POST', '/v1/users', body)
        assert got in (status, 400) and got >= 400 and said in json.dumps(answer), (change, got, answer)
    must(host, 'POST', '/v1/users', good, status=201)


def test_lists_are_filtered_and_go_on_behind_a_cursor(host, names):
    word = names('list')
    made = [must(host, 'POST', '/v1/users', {'name': f'{word} {i}', 'email': f'{word}-{i}@example.org', 'provider': 'github',
                                             'provider_id': f'{word}-{i}', 'role': 'VIEWER'}, status=201)['id'] for i in range(5)]
    found, after = [], ''
    while after is not None:
        page = must(host, 'GET', f'/v1/users?q={word}&limit=2' + (f'&after={after}' if after else ''))
        found += [u['id'] for u in page['items']]
        after = page['next']
    assert found == made
    assert refused(host, 'GET', f'/v1/users?q=other&limit=2&after={must(host, "GET", f"/v1/users?q={word}&limit=2")["next"]}')[0] == 400
    must(host, 'POST', f'/v1/users/{made[0]}/deactivate', {})
    assert [u['id'] for u in must(host, 'GET', f'/v1/users?q={word}&active=false')['items']] == made[:1]
    assert must(host, 'GET', f'/v1/users?q={word}&role=ADMIN')['items'] == []
    assert refused(host, 'GET', '/v1/users?role=ROOT')[0] == 400 and refused(host, 'GET', '/v1/users?rolle=ADMIN')[0] == 400


def test_what_is_personal_is_seen_by_oneself_and_administrators(host, make_user):
    ada, eve = make_user('VIEWER'), make_user('PLATFORM_ENGINEER')
    personal = {'email', 'phone_number', 'preferences', 'last_login', 'second_factor', 'provider_id'}
    assert personal <= set(must(host, 'GET', '/v1/users/me', who=ada)) and personal <= set(must(host, 'GET', f'/v1/users/{ada.id}'))
    assert not personal & set(must(host, 'GET', f'/v1/users/{ada.username.upper()}', who=eve))
    assert must(host, 'GET', f'/v1/users?q={ada.email}', who=eve)['items'] == []
    assert len(must(host, 'GET', f'/v1/users?q={ada.email}')['items']) == 1


def test_a_merge_patch_changes_what_it_names_if_it_is_as_it_was_seen(host, make_user):
    ada = make_user('DEVELOPER')
    path = f'/v1/users/{ada.id}'
    _, user, fields = ask(host, 'GET', path, who=ada)
    status, changed, after = ask(host, 'PATCH', path, {'preferences': {'theme': 'dark'}}, ada,
                                 {'If-Match': fields['ETag'], 'Content-Type': 'application/merge-patch+json'})
    assert status == 200 and changed['preferences'] == {'theme': 'dark'} and changed['name'] == user['name']
    assert after['ETag'] == ask(host, 'GET', path, who=ada)[2]['ETag'] != fields['ETag']
    assert refused(host, 'PATCH', path, {'name': 'x'}, ada, {'If-Match': fields['ETag']}) == (412, 'MRT-5101')
    assert ask(host, 'PATCH', path, {'name': 'x'}, ada, {'If-Match': '"nope", ' + after['ETag']})[0] == 200
    assert ask(host, 'PATCH', path, {'name': 'y'}, ada, {'If-Match': '*'})[0] == 200
    assert must(host, 'PATCH', path, {'preferences': None}, ada)['preferences'] == {}
    for body in ({'id': 'x'}, {'role': None}, {'password': 'a lovely long password'}, {'provider': 'x'}, {'unknown': 1}):
        assert refused(host, 'PATCH', path, body)[0] == 400, body
    assert refused(host, 'PATCH', path, {'name': 'x'}, headers={'Content-Type': 'text/plain'})[0] == 415


def test_nobody_raises_himself_and_a_small_key_makes_nobody_great(host, make_user, names):
    for role in ('VIEWER', 'DEVELOPER', 'PLATFORM_ENGINEER'):
        user = make_user(role)
        for body in ({'role': 'ADMIN'}, {'email': 'x@example.org'}, {'username': 'x'}, {'phone_number': '+4930123456'}):
            assert refused(host, 'PATCH', '/v1/users/me', body, user)[0] == 403, (role, body)
        assert refused(host, 'PATCH', f'/v1/users/{make_user("VIEWER").id}', {'name': 'x'}, user)[0] == 403
        assert refused(host, 'POST', '/v1/users', {}, user)[0] == 403
        assert refused(host, 'DELETE', f'/v1/users/{user.id}', who=user)[0] == 403
    key = must(host, 'POST', '/v1/keys', {'name': names('k'), 'scopes': ['access.write', 'access.read']}, status=201)['key']
    victim = make_user('VIEWER')
    status, _, body = host.request('PATCH', f'/v1/users/{victim.id}', body={'role': 'ADMIN'}, token=key)
    assert status == 403 and b'access.users' in body
    assert host.request('PATCH', f'/v1/users/{victim.id}', body={'name': 'x'}, token=key)[0] == 200


def test_deactivated_is_out_within_a_second_and_back_when_activated(host, make_user, session_of):
    from conftest import eventually
    ada = make_user('DEVELOPER')
    session = session_of(ada)['token']
    assert host.status('/v1/whoami', token=session) == 200
    must(host, 'GET', '/v1/whoami', who=ada)
    must(host, 'POST', f'/v1/users/{ada.id}/deactivate', {'reason': 'on leave'})
    for token in (ada.token, session):
        assert eventually(lambda: host.status('/v1/whoami', token=token) == 401, timeout=2)
    assert ada.sql('SELECT bool_or(is_active) FROM sessions WHERE user_id = %s', ada.id) is False
    assert refused(host, 'POST', f'/v1/users/{ada.id}/deactivate', {})[0] == 409
    must(host, 'POST', f'/v1/users/{ada.id}/activate', {})
    assert eventually(lambda: host.status('/v1/whoami', token=ada.token) == 200, timeout=2)
    # Which front answers is the kernel's to say; each of them has forgotten the session within a second.
    assert eventually(lambda: all(host.status('/v1/whoami', token=session) == 401 for _ in range(8)), timeout=10)


def host_sql(host, statement):
    host.ok('db', 'psql', '--', '-Atqc', statement)


def test_a_deleted_user_leaves_his_name_and_takes_his_keys_along(host, make_user, names):
    from conftest import eventually
    ada = make_user('DEVELOPER')
    must(host, 'DELETE', f'/v1/users/{ada.username}?reason=left')
    assert eventually(lambda: host.status('/v1/whoami', token=ada.token) == 401, timeout=2)
    assert refused(host, 'GET', f'/v1/users/{ada.id}')[0] == 404
    assert ada.sql('SELECT bool_and(revoked_at IS NOT NULL) FROM api_keys WHERE user_id = %s', ada.id) is True
    again = must(host, 'POST', '/v1/users', {'name': 'x', 'username': ada.username, 'email': ada.email, 'provider': 'github',
                                             'provider_id': names('p')}, status=201)
    assert again['id'] != ada.id
    assert refused(host, 'DELETE', f'/v1/users/{ada.id}')[0] == 404


def test_the_last_administrator_stays(host, make_user):
    """The other one may go, by hook or by crook, but of two at once only one."""
    import threading
    root = must(host, 'GET', '/v1/users/me')['id']
    for user in must(host, 'GET', '/v1/users?role=ADMIN&active=true')['items']:
        if user['id'] != root:
            must(host, 'DELETE', f"/v1/users/{user['id']}")
    for method, path, body in (('PATCH', '', {'role': 'DEVELOPER'}), ('POST', '/deactivate', {}), ('DELETE', '', None)):
        assert refused(host, method, f'/v1/users/{root}{path}', body) == (409, 'MRT-5102')
    for _ in range(5):
        others = [make_user('ADMIN'), make_user('ADMIN')]
        host_sql(host, f"UPDATE users SET role = 'VIEWER' WHERE id = '{root}'")
        try:
            got = []
            threads = [threading.Thread(target=lambda who=who, whom=whom: got.append(
                ask(host, 'PATCH', f'/v1/users/{whom.id}', {'role': 'VIEWER'}, who)[0])) for who, whom in (others, others[::-1])]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            left = others[0].sql("SELECT count(*) FROM users WHERE role = 'ADMIN' AND is_active AND deleted_at IS NULL")
            assert left == 1 and sorted(got)[0] == 200 and sorted(got)[1] in (403, 409), got
        finally:
            host_sql(host, f"UPDATE users SET role = 'ADMIN' WHERE id = '{root}'")
        from conftest import eventually
        eventually(lambda: host.status('/v1/trust') == 200)
        for user in others:
            must(host, 'DELETE', f'/v1/users/{user.id}')


def test_teams_are_a_tree_without_cycles(host, names):
    a, b, c = names('a'), names('b'), names('c')
    must(host, 'POST', '/v1/teams', {'name': a}, status=201)
    must(host, 'POST', '/v1/teams', {'name': b, 'parent': a, 'display_name': 'Bee'}, status=201)
    must(host, 'POST', '/v1/teams', {'name': c, 'parent': b}, status=201)
    for parent in (a, b, c):
        assert refused(host, 'PATCH', f'/v1/teams/{a}', {'parent': parent})[0] in (400, 409)
    assert refused(host, 'PATCH', f'/v1/teams/{a}', {'parent': c}) == (409, 'MRT-5104')
    assert refused(host, 'PATCH', f'/v1/teams/{a}', {'parent': names('none')})[0] == 404
    assert refused(host, 'POST', '/v1/teams', {'name': a})[0] == 409
    assert [t['name'] for t in must(host, 'GET', f'/v1/teams?parent={a}')['items']] == [b]
    status, answer, _ = ask(host, 'DELETE', f'/v1/teams/{a}')
    assert status == 409 and answer['code'] == 'MRT-5105' and b in answer['detail']
    tree = host.ok('team', 'tree', a)
    assert b in tree and c in tree and a not in tree
    must(host, 'PATCH', f'/v1/teams/{c}', {'parent': None, 'description': 'free'})
    must(host, 'DELETE', f'/v1/teams/{b}')
    must(host, 'DELETE', f'/v1/teams/{a}')
    must(host, 'POST', '/v1/teams', {'name': a}, status=201)


def test_two_halves_of_a_cycle_do_not_meet(host, names):
    import threading
    for _ in range(10):
        a, b = names('half'), names('half')
        for name in (a, b):
            must(host, 'POST', '/v1/teams', {'name': name}, status=201)
        got = []
        threads = [threading.Thread(target=lambda x=x, y=y: got.append(ask(host, 'PATCH', f'/v1/teams/{x}', {'parent': y})[0]))
                   for x, y in ((a, b), (b, a))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(got) == [200, 409], got


def test_a_team_that_owns_services_stays_and_says_which(host, names):
    team, service = names('owner'), names('svc')
    id_ = must(host, 'POST', '/v1/teams', {'name': team}, status=201)['id']
    host_sql(host, f"INSERT INTO services(name, display_name, type, team_id) VALUES ('{service}', 'x', 'library', '{id_}')")
    status, answer, _ = ask(host, 'DELETE', f'/v1/teams/{team}')
    assert status == 409 and service in answer['detail']
    host_sql(host, f"DELETE FROM services WHERE name = '{service}'")
    must(host, 'DELETE', f'/v1/teams/{team}')


def test_members_and_the_last_owner(host, make_user, names):
    engineer, owner, maintainer, member, other = (make_user(r) for r in ('PLATFORM_ENGINEER', *['DEVELOPER'] * 4))
    team = names('team')
    made = must(host, 'POST', '/v1/teams', {'name': team}, who=engineer, status=201)
    assert made['members'] == 1
    path = f'/v1/teams/{team}/members'
    must(host, 'POST', path, {'user': owner.username, 'role': 'OWNER'}, engineer, 201)
    must(host, 'DELETE', f'{path}/me', who=engineer)
    must(host, 'POST', path, {'user': maintainer.id, 'role': 'MAINTAINER'}, owner, 201)
    must(host, 'POST', path, {'user': member.username}, maintainer, 201)
    assert refused(host, 'POST', path, {'user': other.username}, member)[0] == 403
    assert refused(host, 'POST', path, {'user': other.username, 'role': 'OWNER'}, maintainer)[0] == 403
    assert refused(host, 'PATCH', f'{path}/{member.id}', {'role': 'OWNER'}, maintainer)[0] == 403
    assert refused(host, 'PATCH', f'{path}/{owner.id}', {'role': 'MEMBER'}, maintainer)[0] == 403
    assert refused(host, 'DELETE', f'{path}/{owner.id}', who=maintainer)[0] == 403
    assert refused(host, 'POST', path, {'user': member.username}, owner)[0] == 409
    assert refused(host, 'POST', path, {'user': names('none')}, owner)[0] == 404
    assert refused(host, 'POST', path, {'user': other.id, 'role': 'KING'}, owner)[0] == 400
    assert refused(host, 'PATCH', f'/v1/teams/{team}', {'description': 'x'}, maintainer)[0] == 403
    must(host, 'PATCH', f'/v1/teams/{team}', {'description': 'x'}, owner)
    assert refused(host, 'DELETE', f'{path}/me', who=owner) == (409, 'MRT-5103')
    assert refused(host, 'PATCH', f'{path}/me', {'role': 'MEMBER'}, owner) == (409, 'MRT-5103')
    assert refused(host, 'DELETE', f'/v1/users/{owner.id}') == (409, 'MRT-5103')
    must(host, 'PATCH', f'{path}/{member.id}', {'role': 'OWNER'}, owner)
    must(host, 'DELETE', f'{path}/me', who=owner)
    assert {m['user_id']: m['role'] for m in must(host, 'GET', path)['items']} == {maintainer.id: 'MAINTAINER', member.id: 'OWNER'}
    assert {t['name'] for t in must(host, 'GET', '/v1/teams?member=me', who=member)['items']} == {team}
    assert must(host, 'GET', f'/v1/users/{member.id}')['teams'] == [{'name': team, 'role': 'OWNER'}]


def test_every_change_leaves_its_audit_row(host, make_user, names):
    team, user = names('audit'), new_user(host, names)
    ada = make_user('DEVELOPER')
    must(host, 'PATCH', f"/v1/users/{user['id']}", {'role': 'VIEWER'})
    must(host, 'POST', f"/v1/users/{user['id']}/deactivate", {'reason': 'why not'})
    must(host, 'DELETE', f"/v1/users/{user['id']}")
    made = must(host, 'POST', '/v1/teams', {'name': team}, status=201)
    must(host, 'POST', f'/v1/teams/{team}/members', {'user': ada.id}, status=201)
    must(host, 'PATCH', f'/v1/teams/{team}/members/{ada.id}', {'role': 'MAINTAINER'})
    must(host, 'DELETE', f'/v1/teams/{team}/members/{ada.id}')
    must(host, 'PATCH', f'/v1/teams/{team}', {'description': 'x'})
    must(host, 'DELETE', f'/v1/teams/{team}')
    rows = host.ok('db', 'psql', '--', '-Atc', f"SELECT action FROM audit_logs WHERE resource_id IN ('{user['id']}', '{made['id']}') "
                   "AND status = 'success' ORDER BY id").split()
    assert rows == ['user.create', 'user.change', 'user.deactivate', 'user.delete', 'team.create', 'member.add', 'member.change',
                    'member.remove', 'team.change', 'team.delete']


def test_the_command_line_does_it_all(host, names, tmp_path):
    ada, team, below = names('ada'), names('team'), names('below')
    password = tmp_path / 'password'
    password.write_text('a lovely long password\n')
    host.ok('user', 'create', ada, '--email', f'{ada}@example.org', '--role', 'VIEWER', '--password-file', password)
    assert host.cli('user', 'create', names('x'), '--email', 'x@example.org', '--password', 'on the command line').returncode != 0
    assert ada in host.ok('user', 'list', '--q', ada) and f'{ada}@example.org' in host.ok('user', 'show', ada)
    assert host.json('user', 'change', ada, '--role', 'DEVELOPER', '--avatar', 'https://example.org/a.png')['role'] == 'DEVELOPER'
    assert host.json('user', 'change', ada, '--avatar', '')['avatar'] is None
    host.ok('user', 'deactivate', ada, '-m', 'on leave')
    host.ok('user', 'activate', ada)
    host.ok('team', 'create', team, '--owner', ada, '--display-name', 'The Team')
    host.ok('team', 'create', below, '--parent', team)
    assert 'The Team' in host.ok('team', 'show', team) and below in host.ok('team', 'list', '--parent', team)
    assert host.ok('team', 'tree').index(team) < host.ok('team', 'tree').index(below)
    host.ok('team', 'change', below, '--parent', '')
    other = names('bob')
    host.ok('user', 'create', other, '--email', f'{other}@example.org', '--provider', 'github', '--provider-id', other)
    host.ok('team', 'member', 'add', team, other)
    host.ok('team', 'member', 'change', team, other, 'MAINTAINER')
    assert 'MAINTAINER' in host.ok('team', 'member', 'list', team)
    host.ok('team', 'member', 'remove', team, other)
    refused_last = host.cli('team', 'member', 'remove', team, ada)
    assert refused_last.returncode == 6 and 'without an owner' in refused_last.stderr
    assert host.cli('user', 'delete', ada).returncode == 2  # off a terminal it wants --yes
    assert host.cli('user', 'delete', ada, '--yes').returncode == 6
    for name in (team, below):
        host.ok('team', 'delete', name, '--yes')
    host.ok('user', 'delete', ada, '--yes', '-m', 'left')
    assert host.cli('user', 'show', ada).returncode == 5


def test_explain_names_the_rule_that_decides(host, make_user, names):
    owner, stranger, engineer = make_user('DEVELOPER'), make_user('DEVELOPER'), make_user('PLATFORM_ENGINEER')
    team = names('team')
    must(host, 'POST', '/v1/teams', {'name': team, 'owner': owner.username}, status=201)

    def explain(user, action, resource='', options='', who=None):
        return must(host, 'GET', f'/v1/access/explain?user={user.id}&action={action}&resource={resource}{options}', who=who)

    answer = explain(owner, 'team.write', team)
    assert answer['allowed'] and answer['decided_by'] == 'policy teams_owner_update'
    answer = explain(engineer, 'team.write', team)
    assert answer['allowed'] and answer['decided_by'] == 'policy teams_update'
    answer = explain(stranger, 'team.write', team, who=stranger)
    assert not answer['allowed'] and answer['decided_by'] == 'policies' and 'teams_owner_update' in answer['why']
    answer = explain(stranger, 'trust.write')
    assert not answer['allowed'] and answer['decided_by'] == 'role' and 'ADMIN' in answer['why']
    answer = explain(engineer, 'package.upload', options='&scopes=read,hello.write')
    assert not answer['allowed'] and answer['decided_by'] == 'scope plugins.write'
    must(host, 'POST', f'/v1/users/{stranger.id}/deactivate', {})
    assert explain(stranger, 'user.read')['decided_by'] == 'account'
    assert refused(host, 'GET', f'/v1/access/explain?user={owner.id}&action=team.write', who=engineer)[0] == 403
    assert refused(host, 'GET', '/v1/access/explain?action=nonsense')[0] == 400
    assert refused(host, 'GET', f'/v1/access/explain?user={names("none")}&action=user.read')[0] == 404
    shown = host.ok('access', 'explain', owner.username, 'team.write', team)
    assert shown.startswith('allowed: policy teams_owner_update') and 'role' in shown


def test_explain_says_of_a_hidden_service_what_the_catalog_says(host, make_user, names):
    insider, outsider = make_user('DEVELOPER'), make_user('DEVELOPER')
    team, service = names('team'), names('svc')
    id_ = must(host, 'POST', '/v1/teams', {'name': team, 'owner': insider.username}, status=201)['id']
    host_sql(host, f"INSERT INTO services(name, display_name, type, team_id) VALUES ('{service}', 'x', 'library', '{id_}')")
    for user, seen in ((insider, True), (outsider, False)):
        real = ask(host, 'GET', f'/v1/services/{service}', who=user)[0] == 200
        said = must(host, 'GET', f'/v1/access/explain?user={user.id}&action=service.read&resource={service}')['allowed']
        assert real == said == seen
    # To one who may not see it, it is not there; neither by name nor by explanation.
    assert refused(host, 'GET', f'/v1/access/explain?action=service.read&resource={service}', who=outsider)[0] == 404
    assert refused(host, 'GET', f'/v1/services/{service}', who=outsider)[0] == 404


def test_explain_agrees_with_real_requests_for_every_role_and_action(host, make_user):
    """Each route is asked with a name that is nowhere and an empty body: 403 by the table, or anything else."""
    rules = must(host, 'GET', '/v1/access')['items']
    assert len(rules) > 20
    named = {'POST /v1/installations': {'plugin': 'nowhere/nowhere', 'version': '1.0.0'}}  # its scope is narrowed by the body
    scopes = sorted({r['scope'] for r in rules if r['scope']})
    for role in ('VIEWER', 'DEVELOPER', 'PLATFORM_ENGINEER', 'ADMIN'):
        user = make_user(role)
        for held in (['*'], scopes[::2]):
            key = must(host, 'POST', '/v1/keys', {'name': 'x', 'scopes': held, 'user': user.id}, status=201)['key']
            for rule in rules:
                said = must(host, 'GET', f"/v1/access/explain?user={user.id}&action={rule['action']}&scopes={','.join(held)}")
                for route in rule['routes']:
                    method, path = route.split(' ')
                    path = path.replace('{number}', '999999')
                    path = '/'.join('nowhere' if part.startswith('{') else part for part in path.split('/'))
                    # What is for half a session looks further at who comes with a key.
                    if rule['asks_for'] in ('nothing', 'half a session') or 'rotate' in path:
                        continue
                    status, _, body = host.request(method, path, token=key, headers={'Accept': 'application/json'},
                                                   body=named.get(route, {}) if method in ('POST', 'PATCH', 'PUT') else None)
                    by_table = status == 403 and (b"' takes the role" in body or b'has no scope that covers' in body)
                    assert by_table == (not said['allowed']), (role, held, rule['action'], route, status, body, said)


def test_no_bad_input_gets_sql_paths_or_a_500(host):
    """Junk for every route: refused as a problem, in words."""
    rules = must(host, 'GET', '/v1/access')['items']
    junk = ("';--", '%00', '..%2f..', '%ff', 'a' * 200, '%F0%9F%92%A9')
    bodies = ({'unknown': 1}, {'name': {'$ne': 1}}, {'name': "'; DROP TABLE users; --"}, [1], 'text', {'role': "x'"})
    for rule in rules:
        for route in rule['routes']:
            method, pattern = route.split(' ')
            for i, word in enumerate(junk):
                path = '/'.join(word if part.startswith('{') else part for part in pattern.split('/'))
                body = bodies[i % len(bodies)] if method in ('POST', 'PATCH', 'PUT') else None
                if method == 'DELETE' and '{' not in pattern:
                    continue
                status, fields, answer = host.request(method, path + ('?x=y' if i % 2 else ''), body=json.dumps(body) if body else None,
                                                      headers={'Content-Type': 'application/json'} if body else {})
                if status < 400:
                    continue
                text = answer.decode().lower()
                assert status < 500, (route, word, body, status, text)
                assert fields['Content-Type'] == 'application/problem+json' and json.loads(answer)['status'] == status
                for leak in ('select ', 'insert ', 'relation "', 'syntax error', 'pg_', '/work', '/tmp', '/var/', '.c:', 'column "'):
                    assert leak not in text, (route, word, text)
