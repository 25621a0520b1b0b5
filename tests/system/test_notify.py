"""notify/1 by mortise/notify: mail to a real SMTP server, posts to a real HTTP server, over fetch/1 and mortise-fetch."""
import email
import email.policy
import http.server
import json
import shutil
import ssl
import subprocess
import threading

import aiosmtpd.controller
import aiosmtpd.smtp
import pytest
import relay
from conftest import eventually

INVALID, NOT_FOUND, PERMISSION, UNAVAIL, UNKNOWN, UNSUPPORTED = -1001, -1005, -1006, -1009, -1010, -1014


class Mailbox:
    """What a mail server received; refuses recipients named so."""

    def __init__(self):
        self.mails = []
        self.logins = []

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith('refused@'):
            return '550 no such user'
        if address.startswith('later@'):
            return '451 try again later'
        envelope.rcpt_tos.append(address)
        return '250 OK'

    async def handle_DATA(self, server, session, envelope):
        self.mails.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content, session.ssl is not None))
        return '250 taken'

    def authenticate(self, server, session, envelope, mechanism, data):
        self.logins.append((data.login, data.password))
        return aiosmtpd.smtp.AuthResult(success=data.password == b'correct horse', handled=False)


def mail_server(box, **options):
    controller = aiosmtpd.controller.Controller(box, hostname='127.0.0.1', port=0, **options)
    # The library connects to itself to see that it is there, and must know the port for that.
    import socket
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        controller.port = probe.getsockname()[1]
    controller.start()
    return controller


@pytest.fixture(scope='module')
def box():
    return Mailbox()


@pytest.fixture(scope='module')
def smtp(box):
    controller = mail_server(box)
    yield f'smtp://127.0.0.1:{controller.port}'
    controller.stop()


class Webhook(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        self.seen = []
        self.status = 200
        super().__init__(('127.0.0.1', 0), WebhookAnswer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f'http://127.0.0.1:{self.server_address[1]}/hook'


class WebhookAnswer(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        self.server.seen.append((self.path, dict(self.headers), json.loads(body)))
        self.send_response(self.server.status)
        self.send_header('Content-Length', '0')
        self.end_headers()


@pytest.fixture(scope='module')
def webhook():
    server = Webhook()
    yield server
    server.shutdown()
    server.server_close()


def install(host, publisher, **config):
    """mortise/notify with this configuration, in place of what there was."""
    file = host.folder / 'notify.json'
    file.write_text(json.dumps(config))
    if any(i['plugin'] == 'mortise/notify' for i in host.json('plugin', 'list')):
        host.ok('plugin', 'uninstall', 'notify', '--yes')
    host.install(publisher.sign('notify'), '--config', file)


def set_secret(host, plugin, name, value):
    file = host.folder / 'secret'
    file.write_bytes(value.encode())
    host.ok('plugin', 'secret', 'set', plugin, name, '--file', file)


@pytest.fixture(scope='module')
def relayed(host, publisher):
    host.install(relay.package(publisher))
    return host


def send(host, _query=None, **message):
    parameters = {'channel': 'email', 'to': 'ada@example.org', 'subject': 'Your code', 'text': '123456\n', **message}
    return relay.call(host, 'notify/1', 'send', parameters, **(_query or {}))


def parsed(mail):
    return email.message_from_bytes(mail[2], policy=email.policy.default)


def test_without_a_provider_there_is_no_notify(relayed):
    got = send(relayed)
    assert got['rc'] == UNSUPPORTED and 'notify/1' in got['text']


def test_what_cannot_work_is_not_installed(relayed, publisher, smtp):
    for config, word in (({'smtp_url': smtp}, 'from'), ({'smtp_url': smtp, 'from': 'a@b', 'smtp_tls': 'offered', 'smtp_username': 'u'}, 'smtp_tls')):
        file = relayed.folder / 'bad.json'
        file.write_text(json.dumps(config))
        done = relayed.cli('plugin', 'install', publisher.sign('notify'), '--yes', '--config', file)
        assert done.returncode != 0 and word in done.stderr + done.stdout, done
        relayed.cli('plugin', 'uninstall', 'notify', '--yes')


@pytest.fixture(scope='module')
def notifying(relayed, publisher, smtp, webhook):
    install(relayed, publisher, smtp_url=smtp, smtp_tls='offered', webhook_url=webhook.url, **{'from': 'host@example.org'})
    return relayed


def test_a_mail_arrives_as_it_was_meant(notifying, box):
    got = send(notifying)
    assert got['rc'] == 0, got
    sender, recipients, content, _ = box.mails[-1]
    mail = parsed(box.mails[-1])
    assert (sender, recipients) == ('host@example.org', ['ada@example.org'])
    assert (mail['From'], mail['To'], mail['Subject']) == ('Mortise <host@example.org>', 'ada@example.org', 'Your code')
    assert mail['Message-ID'] == '<' + got['result']['id'] + '>'
    assert mail['Date'].datetime and mail['Auto-Submitted'] == 'auto-generated' and mail['MIME-Version'] == '1.0'
    assert mail.get_content().replace('\r\n', '\n') == '123456\n'
    assert not mail.defects and not any(h.defects for h in mail.values() if hasattr(h, 'defects'))


@pytest.mark.parametrize('words', ['Grüße aus Köln', 'Ваш код', 'コード番号', 'رمز التحقق', '🔐 код', 'é' * 200, 'a' * 400, '=?UTF-8?Q?x?=', ' led by a space',
                                   'x'])
def test_any_script_arrives(notifying, box, words):
    text = f'{words}\n.\n..two\n\n' + words * 5 + '\n'
    assert send(notifying, subject=words, text=text)['rc'] == 0
    mail = parsed(box.mails[-1])
    assert mail['Subject'] == words
    assert mail.get_content().replace('\r\n', '\n') == text
    assert all(byte < 128 for byte in box.mails[-1][2]) and max(map(len, box.mails[-1][2].split(b'\r\n'))) <= 998


@pytest.mark.parametrize('message', [
    {'subject': 'a\r\nBcc: eve@example.org'}, {'subject': 'a\nb'}, {'subject': 'a\rb'}, {'subject': 'a\x7f'},
    {'to': 'ada@example.org\r\nBcc: eve@example.org'}, {'to': 'ada@example.org>\nRCPT TO:<eve@example.org'},
    {'to': 'ada@example.org, eve@example.org'}, {'to': 'Ada <ada@example.org>'}, {'to': '"a b"@example.org'}, {'to': ''}, {'to': 'ada'},
    {'to': 'ada@exämple.org'}])
def test_no_header_and_no_recipient_is_smuggled_in(notifying, box, message):
    before = len(box.mails)
    got = send(notifying, **message)
    assert got['rc'] == INVALID, got
    assert len(box.mails) == before


@pytest.mark.parametrize('message', [{'channel': 'pigeon'}, {'to': 'x' * 255}, {'text': 'x' * 10001}, {'extra': 1}, {'subject': 5}, {'text': None}])
def test_the_host_checks_a_call_before_the_provider_hears_it(notifying, box, message):
    before = len(box.mails)
    got = send(notifying, **message)
    assert got['rc'] == INVALID, got
    assert len(box.mails) == before
    assert relay.call(notifying, 'notify/1', 'sendd', {})['rc'] == UNSUPPORTED


def test_a_servers_refusal_is_told(notifying, box):
    before = len(box.mails)
    got = send(notifying, to='refused@example.org')
    assert got['rc'] == PERMISSION and '550' in got['text'], got
    got = send(notifying, to='later@example.org')
    assert got['rc'] == UNAVAIL and '451' in got['text'], got
    assert len(box.mails) == before


def test_the_same_operation_is_the_same_message(notifying):
    ids = [send(notifying, {'key': key})['result']['id'] for key in ('op-1', 'op-1', 'op-2')]
    assert ids[0] == ids[1] != ids[2]
    assert send(notifying)['result']['id'] != send(notifying)['result']['id']


def test_sms_goes_to_the_webhook(notifying, webhook):
    got = send(notifying, {'key': 'sms-1'}, channel='sms', to='+4915112345678', subject='s', text='Ihr Code: 123456 ✓')
    assert got['rc'] == 0, got
    path, headers, body = webhook.seen[-1]
    assert path == '/hook' and headers['Content-Type'] == 'application/json' and headers['Idempotency-Key'] == 'sms-1'
    assert body == {'channel': 'sms', 'to': '+4915112345678', 'subject': 's', 'text': 'Ihr Code: 123456 ✓'}
    assert 'Authorization' not in headers
    for to in ('12', 'ada', '+49 151', '1' * 16, '++49151'):
        assert send(notifying, channel='sms', to=to)['rc'] == INVALID


def test_a_webhooks_status_is_told(notifying, webhook):
    for status, rc in ((204, 0), (400, INVALID), (404, INVALID), (302, INVALID), (429, UNAVAIL), (503, UNAVAIL), (500, UNKNOWN)):
        webhook.status = status
        assert send(notifying, channel='sms', to='+4915112345678')['rc'] == rc, status
    webhook.status = 200


def test_the_permission_is_needed(notifying, publisher, new_host, box):
    own = new_host()
    own.up()
    own.trust(publisher)
    own.install(relay.package(publisher, permissions=('fetch',), name='relay-fetch'))
    got = send(own)
    assert got['rc'] in (PERMISSION, UNSUPPORTED), got
    install(own, publisher, webhook_url='http://127.0.0.1:1/')
    got = send(own)
    assert got['rc'] == PERMISSION and 'notify' in got['text'], got


def test_a_signed_webhook_gets_the_token_that_the_plugin_never_sees(relayed, publisher, webhook):
    install(relayed, publisher, webhook_url=webhook.url, webhook_signed=True)
    before = len(webhook.seen)
    got = send(relayed, channel='sms', to='+4915112345678')
    assert got['rc'] == NOT_FOUND and 'webhook_token' in got['text'], got
    set_secret(relayed, 'notify', 'webhook_token', 't0ken\r\nX-Forged: 1')
    assert send(relayed, channel='sms', to='+4915112345678')['rc'] == INVALID
    assert len(webhook.seen) == before
    set_secret(relayed, 'notify', 'webhook_token', 't0ken')
    assert send(relayed, channel='sms', to='+4915112345678')['rc'] == 0
    assert webhook.seen[-1][1]['Authorization'] == 'Bearer t0ken'


def test_mail_goes_to_the_webhook_where_there_is_no_server(relayed, publisher, webhook):
    install(relayed, publisher, webhook_url=webhook.url)
    assert send(relayed, subject='für Ada')['rc'] == 0
    assert webhook.seen[-1][2]['channel'] == 'email' and webhook.seen[-1][2]['subject'] == 'für Ada'
    install(relayed, publisher)
    got = send(relayed)
    assert got['rc'] == UNSUPPORTED and 'webhook_url' in got['text']


# ---- TLS and passwords


@pytest.fixture(scope='module')
def certificate(host):
    folder = host.folder
    done = subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost',
                           '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', folder / 'tls.key', '-out', folder / 'tls.pem'],
                          capture_output=True)
    assert done.returncode == 0, done.stderr
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / 'tls.pem', folder / 'tls.key')
    (folder / 'tls.pem').chmod(0o644)
    return folder / 'tls.pem', context


@pytest.fixture(scope='module')
def secure(box, certificate):
    controller = mail_server(box, tls_context=certificate[1], require_starttls=True, authenticator=box.authenticate, auth_require_tls=True)
    yield f'smtp://127.0.0.1:{controller.port}'
    controller.stop()


def mail(host, **parameters):
    return relay.call(host, 'fetch/1', 'mail', {'from': 'host@example.org', 'to': ['ada@example.org'], 'subject': 's', 'text': 't', **parameters})


def test_tls_is_required_and_its_certificate_is_judged(new_host, publisher, box, smtp, secure, certificate):
    host = new_host(env={'MORTISE_FETCH_AUTHORITIES': str(certificate[0])})
    host.up()
    host.trust(publisher)
    config = host.folder / 'relay.json'
    config.write_text(json.dumps({'here': smtp, 'server': secure}))
    host.install(relay.package(publisher), '--config', config)
    before = len(box.mails)
    # A server without TLS gets nothing unless that was allowed, and never a password.
    got = mail(host, url_config='here')
    assert got['rc'] == UNAVAIL and 'TLS' in got['text'], got
    assert mail(host, url_config='here', tls='offered', username='u', password='p')['rc'] == INVALID
    assert len(box.mails) == before and not box.logins
    assert mail(host, url_config='here', tls='offered')['rc'] == 0
    # One with a certificate that the host trusts gets both.
    got = mail(host, url_config='server', username='mortise', password='correct horse')
    assert got['rc'] == 0, got
    assert box.mails[-1][3] and box.logins[-1] == (b'mortise', b'correct horse')
    got = mail(host, url_config='server', username='mortise', password='wrong')
    assert got['rc'] == PERMISSION and 'wrong' not in got['text'], got
    set_secret(host, 'relay', 'smtp_password', 'correct horse')
    logins = len(box.logins)
    assert mail(host, url_config='server', username='kept', password_secret='smtp_password')['rc'] == 0
    assert box.logins[logins:] == [(b'kept', b'correct horse')]
    # A plugin's own URL leads to no inner mail server, either.
    assert mail(host, url=secure)['rc'] == PERMISSION
    for bad in ({'username': 'u'}, {'password': 'p'}, {'username': 'u', 'password': 'p', 'password_secret': 's'}, {'username': 'u\r\nX', 'password': 'p'}, {'to': []}):
        assert mail(host, url_config='server', **bad)['rc'] == INVALID, bad


def test_a_certificate_that_nobody_vouches_for_gets_nothing(new_host, publisher, box, secure):
    host = new_host()
    host.up()
    host.trust(publisher)
    config = host.folder / 'relay.json'
    config.write_text(json.dumps({'server': secure}))
    host.install(relay.package(publisher), '--config', config)
    before = len(box.mails)
    got = mail(host, url_config='server')
    assert got['rc'] == UNAVAIL and 'certificate' in got['text'], got
    assert len(box.mails) == before
