"""Real data: a Debian package list becomes the catalog."""
import json
import re

import pytest

STATUS = '/var/lib/dpkg/status'


def stanzas(text):
    """name -> fields of the installed packages of a Debian status text."""
    found = {}
    for block in text.split('\n\n'):
        fields = dict(re.findall(r'^([A-Za-z-]+): ?(.*(?:\n[ \t].*)*)', block, re.M))
        if 'Package' in fields and fields['Status'].endswith(' installed'):
            found[fields['Package']] = fields
    return found


@pytest.fixture(scope='module')
def packages():
    with open(STATUS, encoding='utf-8') as f:
        return f.read()


@pytest.fixture(scope='module', autouse=True)
def imported(host, publisher, packages):
    host.install(publisher.sign('os-catalog'))
    return host.ok('api', 'POST', '/api/os-catalog/import', '--input', STATUS, '--type', 'text/plain')


def all_services(host, query=''):
    items, after = [], ''
    while True:
        status, page = host.get(f'/v1/services?limit=200{query}{after}')
        assert status == 200, page
        items += page['items']
        if not page.get('next'):
            return items
        after = '&after=' + page['next']


def test_every_package_is_a_service(host, packages):
    assert {item['name'] for item in all_services(host)} == set(stanzas(packages))


def test_a_service_has_its_facts_and_its_team(host, packages):
    name, fields = next((n, f) for n, f in stanzas(packages).items() if 'Homepage' in f and n.islower())
    status, service = host.get('/v1/services/' + name.replace('+', '%2B'))
    assert status == 200 and service['description'].startswith(fields['Description'].split('\n')[0][:40])
    assert fields['Version'] in json.dumps(service) and fields['Homepage'].split('/')[2] in json.dumps(service)
    assert service['team']


def test_dependencies_follow_depends(host, packages):
    known = stanzas(packages)
    name, fields = next((n, f) for n, f in known.items() if 'Depends' in f)
    wanted = {re.split(r'[ (:]', part.strip())[0] for part in fields['Depends'].split(',') if '|' not in part}
    status, answer = host.get(f'/v1/services/{name}/dependencies?depth=1')
    assert status == 200
    assert wanted & set(known) <= {item['name'] for item in answer['items']}


def test_import_again_changes_nothing_and_what_is_gone_goes(host, packages, tmp_path):
    def versions():
        return host.ok('db', 'psql', '--', '-Atc',
                       'SELECT count(*), max(updated_at) FROM services WHERE deleted_at IS NULL').strip()
    before = versions()
    host.ok('api', 'POST', '/api/os-catalog/import', '--input', STATUS, '--type', 'text/plain')
    assert versions() == before
    gone = sorted(stanzas(packages))[0]
    rest = '\n\n'.join(block for block in packages.split('\n\n') if f'Package: {gone}\n' not in block + '\n')
    less = tmp_path / 'status'
    less.write_text(rest)
    host.ok('api', 'POST', '/api/os-catalog/import', '--input', less, '--type', 'text/plain')
    assert host.status('/v1/services/' + gone.replace('+', '%2B')) == 404
    assert len(all_services(host)) == len(stanzas(packages)) - 1


def test_filters_and_bad_queries(host):
    items = all_services(host, '&type=library')
    assert items and all(item['type'] == 'library' for item in items)
    team = items[0]['team']
    assert {item['team'] for item in all_services(host, '&team=' + team)} == {team}
    assert host.status('/v1/services?after=forged') == 400
    assert host.status('/v1/services?limit=0') == 400
    assert host.status('/v1/services?nope=1') == 400
    assert host.status('/v1/services/no-such-thing-here') == 404


def test_nonsense_is_refused_and_nothing_is_lost(host, tmp_path):
    count = len(all_services(host))
    bad = tmp_path / 'bad'
    bad.write_bytes(b'\x00\xff this is no status file')
    done = host.cli('api', 'POST', '/api/os-catalog/import', '--input', bad, '--type', 'text/plain')
    assert done.returncode != 0
    assert len(all_services(host)) == count
