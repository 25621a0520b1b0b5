"""Packages on the command line, without a host."""
import json
import os
import shutil
import subprocess

import pytest
from conftest import BUILD, SOURCE, run

HELLO = BUILD / 'plugins' / 'hello' / 'hello.package'


@pytest.fixture(scope='module')
def trust(publisher):
    folder = publisher.folder / 'trust'
    done = run('trust', 'add', str(publisher.key) + '.pub', '--namespace', 'mortise', '--trust', folder, '--yes')
    assert done.returncode == 0, done.stderr
    return folder


def test_the_same_input_gives_the_same_bytes_anywhere(publisher, tmp_path):
    copy = tmp_path / 'else where'
    shutil.copytree(HELLO, copy)
    for path in copy.rglob('*'):
        os.utime(path, (1, 1))
    before = os.umask(0o077)
    try:
        second = publisher.pack(copy, tmp_path / 'b.mpk')
    finally:
        os.umask(before)
    assert publisher.sign('hello').read_bytes() == second.read_bytes()


def test_a_good_package_verifies_inspects_and_extracts(publisher, trust, tmp_path):
    package = publisher.sign('hello')
    assert run('package', 'verify', package, '--trust', trust).returncode == 0
    facts = json.loads(run('package', 'inspect', package, '--trust', trust, '--json').stdout)
    assert facts['name'] == 'mortise/hello' and facts['signer']['key_id'] == publisher.key_id
    assert run('package', 'extract', package, tmp_path / 'out', '--trust', trust).returncode == 0
    for record in facts['manifest']['files']:
        assert (tmp_path / 'out' / 'files' / record['path']).stat().st_size == record['size']
    done = run('package', 'extract', package, tmp_path / 'out', '--trust', trust)
    assert done.returncode == 6 and 'there already' in done.stderr


def test_tar_shows_a_package_to_a_person(publisher):
    listing = subprocess.run(['tar', 'tf', publisher.sign('hello')], capture_output=True, text=True, check=True).stdout
    assert listing.split() == ['manifest.dsse.json', 'payload.tar.zst']


def test_a_flipped_byte_is_exit_7_and_leaves_nothing(publisher, trust, tmp_path):
    package = publisher.sign('hello')
    data = bytearray(package.read_bytes())
    for at in range(0, len(data), max(1, len(data) // 40)):
        bad = tmp_path / 'bad.mpk'
        flipped = bytearray(data)
        flipped[at] ^= 1
        bad.write_bytes(flipped)
        done = run('package', 'extract', bad, tmp_path / 'out', '--trust', trust)
        assert done.returncode == 7, (at, done.stderr)
        assert not (tmp_path / 'out').exists()


def test_unknown_and_revoked_keys_are_exit_7_with_the_way_out(publisher, trust, tmp_path):
    other = tmp_path / 'other.key'
    assert run('key', 'generate', other).returncode == 0
    package = publisher.pack(HELLO, tmp_path / 'other.mpk', other)
    done = run('package', 'verify', package, '--trust', trust)
    assert done.returncode == 7 and 'trust add' in done.stderr
    assert run('trust', 'add', str(other) + '.pub', '--namespace', 'mortise', '--trust', trust, '--yes').returncode == 0
    assert run('package', 'verify', package, '--trust', trust).returncode == 0
    key_id = json.loads(run('package', 'inspect', package, '--trust', trust, '--json').stdout)['signer']['key_id']
    assert run('trust', 'revoke', key_id, '--trust', trust, '-m', 'lost').returncode == 0
    assert run('package', 'verify', package, '--trust', trust).returncode == 7


def test_a_key_may_sign_its_namespace_only(publisher, tmp_path):
    trust = tmp_path / 'trust'
    assert run('trust', 'add', str(publisher.key) + '.pub', '--namespace', 'acme', '--trust', trust, '--yes').returncode == 0
    assert run('package', 'verify', publisher.sign('hello'), '--trust', trust).returncode == 7


def test_a_private_key_is_for_its_owner_alone(publisher, tmp_path):
    assert publisher.key.stat().st_mode & 0o777 == 0o600
    loose = tmp_path / 'loose.key'
    shutil.copy(publisher.key, loose)
    loose.chmod(0o644)
    done = run('package', 'build', HELLO, '--key', loose, '--output', tmp_path / 'x.mpk')
    assert done.returncode != 0 and not (tmp_path / 'x.mpk').exists()


def test_exported_symbols_are_warned_of_at_build_and_at_upload(publisher, new_host, tmp_path):
    folder = tmp_path / 'package'
    shutil.copytree(HELLO, folder)
    source = tmp_path / 'loud.c'
    source.write_text(f'#include "{SOURCE}/plugins/hello/hello.c"\nint everyone_sees_me(void);\nint everyone_sees_me(void) {{ return 1; }}\n')
    subprocess.run(['cc', '-shared', '-fPIC', '-I', SOURCE / 'sdk' / 'include', '-o', next(folder.rglob('hello.so')), source], check=True)
    done = run('package', 'build', folder, '--key', publisher.key, '--output', tmp_path / 'loud.mpk')
    assert done.returncode == 0 and 'everyone_sees_me' in done.stderr and 'visibility' in done.stderr
    host = new_host()
    host.up()
    host.trust(publisher)
    done = host.cli('plugin', 'install', tmp_path / 'loud.mpk', '--yes')
    assert done.returncode == 0 and 'everyone_sees_me' in done.stderr
    assert host.status('/api/hello/ping') == 200
