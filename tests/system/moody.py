"""Packages of the fixture plugin that shows its configuration and feels as it is told."""
import json
import shutil

from conftest import BUILD

SCHEMA = {'type': 'object', 'additionalProperties': False, 'properties': {
    'word': {'type': 'string', 'maxLength': 40, 'default': 'fine'},
    'size': {'type': 'integer', 'minimum': 1, 'maximum': 9}}}


def package(publisher, version='1.0.0', library='moody', **members):
    """fixture/moody of a version; members go into the manifest."""
    folder = publisher.folder / f'moody-{version}-{library}'
    (folder / 'lib').mkdir(parents=True, exist_ok=True)
    shutil.copy(BUILD / 'fixtures' / 'plugins' / f'{library}.so', folder / 'lib' / 'moody.so')
    (folder / 'manifest.json').write_text(json.dumps({
        'name': 'fixture/moody', 'version': version, 'display_name': 'Moody',
        'entry': {'x86_64-linux-gnu': 'lib/moody.so'},
        'routes': [{'name': 'show', 'method': 'GET', 'pattern': '/show', 'scope': 'moody.read'},
                   {'name': 'feel', 'method': 'GET', 'pattern': '/feel', 'scope': 'moody.read'}],
        'config': {'schema': SCHEMA, 'defaults': {'word': 'fine'}},
        'health': {'interval_ms': 100, 'timeout_ms': 5000, 'failures': 2}, **members}))
    return publisher.pack(folder, publisher.folder / f'moody-{version}-{library}.mpk')


def show(host):
    """What the plugin says of itself; None while it does not serve."""
    status, answer = host.get('/api/moody/show')
    return answer if status == 200 else None
