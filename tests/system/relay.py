"""The fixture plugin that relays calls, so that a test can call extensions as a plugin does."""
import json
import shutil
import urllib.parse

from conftest import BUILD

SCHEMA = {'type': 'object', 'additionalProperties': False, 'properties': {
    name: {'type': 'string', 'maxLength': 4000} for name in ('here', 'there', 'server')}}


def package(publisher, permissions=('fetch', 'notify'), name='relay'):
    """fixture/relay with these permissions."""
    folder = publisher.folder / name
    (folder / 'lib').mkdir(parents=True, exist_ok=True)
    shutil.copy(BUILD / 'fixtures' / 'plugins' / 'relay.so', folder / 'lib' / 'relay.so')
    (folder / 'manifest.json').write_text(json.dumps({
        'name': 'fixture/relay', 'version': '1.0.0', 'display_name': 'Relay',
        'entry': {'x86_64-linux-gnu': 'lib/relay.so'},
        'routes': [{'name': 'call', 'method': 'POST', 'pattern': '/call', 'scope': 'relay.write', 'deadline_ms': 60000}],
        'permissions': list(permissions), 'config': {'schema': SCHEMA}}))
    return publisher.pack(folder, publisher.folder / f'{name}.mpk')


def call(host, extension, method, parameters, **query):
    """What came of one call: {rc, text, result, size, bytes}."""
    path = '/api/relay/call?' + urllib.parse.urlencode({'extension': extension, 'method': method, **query})
    status, _, body = host.request('POST', path, body=json.dumps(parameters), timeout=90,
                                   headers={'Content-Type': 'application/json'})
    assert status == 200, (status, body)
    return json.loads(body)
