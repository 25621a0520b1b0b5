"""A user with a second factor, and what he would do at his screen."""
import base64
import hashlib
import hmac
import struct
import time

PERIOD = 30


def code_of(seed, step, algorithm='SHA1', digits=6):
    """RFC 6238 in a few lines, so that liboath is not its own judge."""
    key = base64.b32decode(seed + '=' * (-len(seed) % 8))
    mac = hmac.new(key, struct.pack('>Q', step), getattr(hashlib, algorithm.lower())).digest()
    at = mac[-1] & 15
    return str((struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 10 ** digits).zfill(digits)


def now_step():
    return int(time.time()) // PERIOD


class Person:
    """A user of the fixture `make_user`, by sessions instead of his key."""

    def __init__(self, host, user):
        self.host, self.user, self.seed, self.codes = host, user, None, []

    def ask(self, method, path, body=None, token=None):
        return self.host.get(path, method=method, body=body, token=token or self.user.token)

    def login(self, password=None):
        status, answer = self.host.get('/v1/sessions', method='POST', token=None,
                                       body={'login': self.user.username, 'password': password or self.user.password})
        assert status == 201, answer
        return answer

    def finish(self, token, **body):
        return self.ask('POST', '/v1/sessions/current/second-factor', body, token)

    def factor(self, method, path, body=None, token=None, user='me'):
        return self.ask(method, f'/v1/users/{user}/second-factor{path}', body, token)

    def code(self, step=0):
        return code_of(self.seed, now_step() + step)

    def wrong_code(self):
        right = {self.code(s) for s in (-2, -1, 0, 1, 2)}
        return next(c for c in map('{:06}'.format, range(1000)) if c not in right)

    def forget_steps(self):
        """As if the last code had been used long ago: a test need not wait for the next one."""
        self.user.sql('UPDATE second_factors SET last_step = 0 WHERE user_id = %s', self.user.id)

    def enrol(self):
        token = self.login()['token']
        status, begun = self.factor('POST', '/totp', {}, token)
        assert status == 201, begun
        self.seed = begun['secret']
        status, done = self.factor('POST', '/totp/confirm', {'code': self.code()}, token)
        assert status == 200, done
        self.codes = done['backup_codes']
        self.forget_steps()
        return token

    def age(self, token_id):
        """Make a session one that began an hour ago."""
        self.user.sql("UPDATE sessions SET created_at = created_at - interval '1 hour' WHERE id = %s", token_id)

    def whole(self):
        """A whole session of one who has a factor."""
        half = self.login()
        status, answer = self.finish(half['token'], code=self.code())
        assert status == 200, answer
        self.forget_steps()
        return answer
