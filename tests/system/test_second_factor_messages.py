"""Second factors by e-mail and SMS, and the mails that tell of changes: over notify/1 as mortise/notify provides it."""
import email
import email.policy
import http.server
import json
import os
import pty
import re
import select
import socket
import threading

import aiosmtpd.controller
import pytest
from conftest import BUILD, eventually
from person import Person


class Inbox:
    """Everything that a mail server and an SMS gateway were given, by recipient."""

    def __init__(self):
        self.messages = []
        self.refuse = False

    async def handle_DATA(self, server, session, envelope):
        if self.refuse:
            return '451 try again later'
        text = email.message_from_bytes(envelope.content, policy=email.policy.default).get_content()
        self.messages += [(to, text) for to in envelope.rcpt_tos]
        return '250 taken'

    def texts(self, to):
        return [text for recipient, text in self.messages if recipient == to]

    def code(self, to):
        """The code in the last message, which must be there."""
        return re.search(r'\b\d{6}\b', self.texts(to)[-1]).group()


class Gateway(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        self.server.inbox.messages.append((message['to'], message['text']))
        self.send_response(200)
        self.send_header('Content-Length', '0')
        self.end_headers()


@pytest.fixture(scope='module')
def inbox(host, publisher):
    inbox = Inbox()
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    mail = aiosmtpd.controller.Controller(inbox, hostname='127.0.0.1', port=port)
    mail.start()
    gateway = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Gateway)
    gateway.inbox = inbox
    threading.Thread(target=gateway.serve_forever, daemon=True).start()
    file = host.folder / 'notify.json'
    file.write_text(json.dumps({'smtp_url': f'smtp://127.0.0.1:{port}', 'smtp_tls': 'offered', 'from': 'host@example.org',
                                'webhook_url': f'http://127.0.0.1:{gateway.server_address[1]}/'}))
    host.install(publisher.sign('notify'), '--config', file)
    yield inbox
    mail.stop()
    gateway.shutdown()
    gateway.server_close()


@pytest.fixture
def person(host, make_user, inbox):
    return Person(host, make_user())


def enrol(person, inbox, method, to, **body):
    token = person.login()['token']
    status, begun = person.factor('POST', f'/{method}', body, token)
    assert status == 202, begun
    status, done = person.factor('POST', f'/{method}/confirm', {'code': inbox.code(to)}, token)
    assert status == 200, done
    return done


def test_a_code_by_mail_enrols_and_finishes_a_login(person, inbox):
    to = person.user.email
    done = enrol(person, inbox, 'email', to)
    assert done['method'] == 'EMAIL' and len(done['backup_codes']) == 10
    half = person.login()
    assert half['second_factor']['methods'] == ['EMAIL', 'BACKUP']
    status, sent = person.finish(half['token'], method='EMAIL')
    assert status == 202 and sent['sent_to'] == to[0] + '***@example.org' and to not in json.dumps(sent)
    code = inbox.code(to)
    assert person.finish(half['token'], code=code)[0] == 200
    other = person.login()['token']
    assert person.finish(other, code=code)[0] == 401  # once


def test_a_code_by_mail_counts_in_the_session_that_asked_for_it(person, inbox):
    enrol(person, inbox, 'email', person.user.email)
    mine, other = person.login()['token'], person.login()['token']
    assert person.finish(mine, method='EMAIL')[0] == 202
    code = inbox.code(person.user.email)
    assert person.finish(other, code=code)[0] == 401
    assert person.finish(mine, code=code)[0] == 200


def test_an_old_code_counts_no_more(person, inbox):
    enrol(person, inbox, 'email', person.user.email)
    half = person.login()['token']
    assert person.finish(half, method='EMAIL')[0] == 202
    code = inbox.code(person.user.email)
    person.user.sql("UPDATE second_factor_messages SET expires_at = now() WHERE user_id = %s", person.user.id)
    assert person.finish(half, code=code)[0] == 401


def test_codes_are_not_sent_without_end(person, inbox):
    enrol(person, inbox, 'email', person.user.email)
    half = person.login()['token']
    assert person.finish(half, method='EMAIL')[0] == 202
    status, headers, _ = person.host.request('POST', '/v1/sessions/current/second-factor', token=half, body={'method': 'EMAIL'})
    assert status == 429 and 0 < int(headers['Retry-After']) <= 30
    for _ in range(4):
        person.user.sql("UPDATE second_factor_messages SET sent_at = sent_at - interval '1 minute' WHERE user_id = %s", person.user.id)
        assert person.finish(half, method='EMAIL')[0] == 202
    person.user.sql("UPDATE second_factor_messages SET sent_at = sent_at - interval '1 minute' WHERE user_id = %s", person.user.id)
    status, headers, _ = person.host.request('POST', '/v1/sessions/current/second-factor', token=half, body={'method': 'EMAIL'})
    assert status == 429 and int(headers['Retry-After']) > 60  # five in an hour


def test_a_code_by_sms_goes_to_the_number_that_was_proved(person, inbox):
    assert person.factor('POST', '/sms', {}, person.login()['token'])[0] == 422  # no number is known
    enrol(person, inbox, 'sms', '+14155550123', phone='+14155550123')
    person.user.sql("UPDATE users SET phone_number = '+14155559999' WHERE id = %s", person.user.id)
    half = person.login()['token']
    status, sent = person.finish(half, method='SMS')
    assert status == 202 and sent['sent_to'] == '***23'
    assert not inbox.texts('+14155559999')
    assert person.finish(half, code=inbox.code('+14155550123'))[0] == 200


def test_only_the_enrolled_method_sends(person, inbox):
    enrol(person, inbox, 'email', person.user.email)
    half = person.login()['token']
    assert person.finish(half, method='SMS')[0] == 409
    for method in ('TOTP', 'PIGEON'):
        assert person.finish(half, method=method)[0] == 400


def test_what_the_mail_server_refuses_is_said(person, inbox):
    inbox.refuse = True
    try:
        status, answer = person.factor('POST', '/email', {}, person.login()['token'])
    finally:
        inbox.refuse = False
    assert (status, answer['code']) == (503, 'MRT-5157')


def test_its_user_is_told_of_every_change(person, inbox):
    to = person.user.email
    token = person.enrol()
    assert eventually(lambda: any('enrolled' in text for text in inbox.texts(to)))
    person.factor('POST', '/backup-codes', {'code': person.code()}, token)
    assert eventually(lambda: any('New backup codes' in text for text in inbox.texts(to)))
    half = person.login()['token']
    for _ in range(6):
        person.finish(half, code=person.wrong_code())
    assert eventually(lambda: any('Six wrong codes' in text for text in inbox.texts(to)))
    assert person.ask('DELETE', f'/v1/users/{person.user.id}/second-factor', {}, person.host.token)[0] == 200
    assert eventually(lambda: any('taken away' in text for text in inbox.texts(to)))


# ---- the command line ----------------------------------------------------------------------------

def test_a_login_off_a_terminal_has_no_code_sent_and_takes_a_backup_code(person, inbox, tmp_path):
    to = person.user.email
    codes = enrol(person, inbox, 'email', to)['backup_codes']
    (tmp_path / 'password').write_text(person.user.password)
    env = {'XDG_STATE_HOME': str(tmp_path), 'MORTISE_TOKEN': ''}
    login = ('login', person.user.username, '--password-file', tmp_path / 'password')
    before = sum('is your code' in text for text in inbox.texts(to))
    refused = person.host.cli(*login, env=env)
    assert refused.returncode == 4 and 'at a terminal' in refused.stderr
    person.host.ok(*login, '--code', codes[0], env=env)
    assert sum('is your code' in text for text in inbox.texts(to)) == before


def test_at_a_terminal_a_backup_code_does_when_no_code_is_sent(person, inbox, tmp_path):
    codes = enrol(person, inbox, 'email', person.user.email)['backup_codes']
    (tmp_path / 'password').write_text(person.user.password)
    environment = {**os.environ, **person.host.env, 'MORTISE_DATA': str(person.host.data), 'XDG_STATE_HOME': str(tmp_path), 'MORTISE_TOKEN': ''}
    inbox.refuse = True
    try:
        child, main = pty.fork()
        if child == 0:
            os.execve(BUILD / 'bin' / 'mortise', ['mortise', 'login', person.user.username, '--password-file', str(tmp_path / 'password')],
                      environment)
        shown = b''
        while b'backup code: ' not in shown:
            assert select.select([main], [], [], 60)[0], shown
            shown += os.read(main, 65536)
        assert b'no code' in shown
        os.write(main, codes[0].encode() + b'\n')
        while b'logged in' not in shown:
            assert select.select([main], [], [], 60)[0], shown
            shown += os.read(main, 65536)
        assert os.waitpid(child, 0)[1] == 0
        os.close(main)
    finally:
        inbox.refuse = False
