"""kill -9 at random moments while changes are made: no change without its row, no row without its change."""
import http.client
import itertools
import json
import os
import random
import signal
import threading

import psycopg2
import pytest
from conftest import Host, descendants, eventually, name_of
from test_audit import findings, rows, sealed, superuser

KILLS = int(os.environ.get('MORTISE_AUDIT_KILLS', '12'))
WRITERS = 3

# Whom, how often of a hundred. A backend that is killed makes PostgreSQL end all of them and recover.
VICTIMS = {'front': 70, 'backend': 24, 'postmaster': 3, 'supervisor': 3}


class Writer(threading.Thread):
    """Makes and revokes keys, one request after the other, and remembers what it was told."""

    def __init__(self, host, number, stop):
        super().__init__()
        self.host, self.number, self.stop = host, number, stop
        self.made, self.revoked, self.failed = set(), set(), 0

    def ask(self, path, body):
        try:
            status, _, answer = self.host.request('POST', path, body=body, timeout=15)
        except (OSError, http.client.HTTPException):
            status, answer = 0, b''
        if status not in (200, 201):
            self.failed += 1
            self.stop.wait(0.01)
            return None
        return json.loads(answer)

    def run(self):
        for number in itertools.count():
            if self.stop.is_set():
                return
            made = self.ask('/v1/keys', {'name': f'w{self.number}-{number}', 'scopes': ['catalog.read']})
            if made:
                self.made.add(made['id'])
            if made and number % 2 and self.ask(f"/v1/keys/{made['id']}/revoke", {'reason': 'test'}):
                self.revoked.add(made['id'])


def victim(host, kind):
    try:
        if kind == 'front':
            return random.choice(host.fronts())
        if kind == 'supervisor':
            return host.pid
        postmaster = int((host.data / 'pg' / 'postmaster.pid').read_text().split()[0])
        return postmaster if kind == 'postmaster' else random.choice(
            [pid for pid in descendants(postmaster) if name_of(pid) == 'postgres'])
    except (OSError, ValueError, IndexError):
        return None


def well(host):
    return host.status('/readyz', token=None) == 200 and host.status('/v1/plugins') == 200


def test_a_kill_at_any_moment_parts_no_change_from_its_row():
    host, stop, killed = Host(), threading.Event(), {kind: 0 for kind in VICTIMS}
    random.seed(int.from_bytes(os.urandom(4), 'big'))
    try:
        host.up()
        writers = [Writer(host, number, stop) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        plan = random.choices(list(VICTIMS), list(VICTIMS.values()), k=KILLS)
        plan[:len(VICTIMS)] = list(VICTIMS)
        for kind in plan:
            eventually(lambda: well(host), timeout=60)
            threading.Event().wait(random.random() * 0.05)
            pid = victim(host, kind)
            if pid:
                os.kill(pid, signal.SIGKILL)
                killed[kind] += 1
            if kind == 'supervisor':
                eventually(lambda: name_of(pid) != 'mortised')
                host.up()
        eventually(lambda: well(host), timeout=60)
        stop.set()
        for writer in writers:
            writer.join()
        eventually(lambda: compare(host, writers), timeout=60)
        assert sum(killed.values()) >= KILLS * 9 // 10 and min(killed.values()) > 0, killed
        sealed(host)
        assert findings(host) == []
    finally:
        stop.set()
        host.destroy()


def compare(host, writers):
    """Keys and their rows, in one snapshot; False while PostgreSQL still recovers from the last kill."""
    try:
        with superuser(host) as cursor:
            cursor.execute('BEGIN ISOLATION LEVEL REPEATABLE READ')
            keys = dict(rows(cursor, "SELECT id, revoked_at IS NOT NULL FROM api_keys WHERE name LIKE 'w%%'"))
            trail = rows(cursor, "SELECT action, resource_id FROM audit_logs WHERE action LIKE 'api_key.%%' AND status = 'success'")
            cursor.execute('COMMIT')
    except psycopg2.OperationalError:
        return False
    created = [key for action, key in trail if action == 'api_key.create']
    revoked = [key for action, key in trail if action == 'api_key.revoke']
    assert len(created) == len(set(created)) and set(created) == set(keys)
    assert len(revoked) == len(set(revoked)) and set(revoked) == {key for key, gone in keys.items() if gone}
    for writer in writers:
        assert writer.made and writer.made <= set(created), 'what was acknowledged is there'
        assert writer.revoked <= set(revoked)
    return True
