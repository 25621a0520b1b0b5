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
