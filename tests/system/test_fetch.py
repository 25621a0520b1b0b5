"""fetch/1 through mortise-fetch: where a plugin's requests may lead, what they may cost, and what a crash leaves."""
import http.client
import http.server
import json
import os
import signal
import socket
import threading

import pytest
import relay
from conftest import descendants, eventually, name_of

INVALID, NOT_FOUND, PERMISSION, DEADLINE, UNAVAIL, UNKNOWN, LIMIT, TOO_LARGE, FORMAT = (
    -1001, -1005, -1006, -1008, -1009, -1010, -1011, -1016, -1017)


class Server(http.server.ThreadingHTTPServer):
    """A server on loopback that remembers what it was asked; a path holds what to do."""
    daemon_threads = True

    def __init__(self):
        self.seen = []
        self.release = threading.Event()
        self.gone = threading.Event()
        super().__init__(('127.0.0.1', 0), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """A client that hangs up is what some of these tests are about."""

    @property
    def url(self):
        return f'http://127.0.0.1:{self.server_address[1]}'

    def last(self):
        return self.seen[-1]


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def give(self, status, body=b'', headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def answer(self):
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        what, _, rest = self.path[1:].partition('/')
        if what == 'to':                       # /to/STATUS/URL: a redirect
            status, _, where = rest.partition('/')
            self.give(int(status), headers=[('Location', where)])
        elif what == 'big':
            self.give(200, b'x' * int(rest))
        elif what == 'endless':                # a body without an announced end
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b'y' * 65536)
            except OSError:
                self.close_connection = True
        elif what == 'slow':                   # no answer until the test says so
            self.server.release.wait(60)
            self.give(200, b'late')
        elif what == 'watch':                  # until the client gives up
            self.connection.settimeout(60)
            try:
                if self.connection.recv(1) == b'':
                    self.server.gone.set()
            except OSError:
                pass
            self.close_connection = True
        elif what == 'headers':
            self.give(200, headers=[(f'X-{i}', 'h' * 1000) for i in range(90)])
        elif what == 'odd':
            self.send_response(200)
            self.send_header('X-Odd', 'caf\xe9')
            self.send_header('Content-Length', '0')
            self.end_headers()
        elif what == 'status':
            self.give(int(rest))
        else:
            self.give(200, b'echo ' + body, [('X-Served', 'yes')])

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer


@pytest.fixture(scope='module')
def server():
    server = Server()
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(scope='module')
def other():
    server = Server()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope='module')
def relayed(host, publisher, server, other):
    config = host.folder / 'relay.json'
    config.write_text(json.dumps({'here': server.url, 'there': other.url + '/x?y=1', 'server': 'ftp://127.0.0.1/'}))
    host.install(relay.package(publisher), '--config', config)
    return host


def fetch_pid(host):
    found = [pid for pid in descendants(host.pid) if name_of(pid) == 'mortise-fetch']
    return found[0] if len(found) == 1 else None


def ask(host, _query=None, **parameters):
    return relay.call(host, 'fetch/1', 'request', parameters, **(_query or {}))


def here(host, path, **parameters):
    return ask(host, url_config='here', path=path, **parameters)


def test_an_administrators_url_is_asked_and_answers(relayed, server):
    got = here(relayed, '/hello?a=1', headers=[{'name': 'X-Mine', 'value': 'ä'}, {'name': 'X-Empty', 'value': ''}])
    assert (got['rc'], got['result']['status'], got['bytes']) == (0, 200, 'echo '), got
    assert got['result']['url'] == server.url + '/hello?a=1'
    assert {'name': 'X-Served', 'value': 'yes'} in got['result']['headers']
    method, path, headers, body = server.last()
    assert (method, path, body) == ('GET', '/hello?a=1', b'')
    assert headers['User-Agent'] == 'mortise' and headers['X-Empty'] == ''
    assert 'Authorization' not in headers and 'Accept-Encoding' not in headers


@pytest.mark.parametrize('method', ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])
def test_each_method_arrives_as_it_was_asked_for(relayed, server, method):
    takes = method not in ('GET', 'HEAD')
    got = ask(relayed, {'bytes': 'payload'} if takes else {}, url_config='here', path='/m', method=method)
    assert got['rc'] == 0, got
    seen = server.last()
    assert (seen[0], seen[3]) == (method, b'payload' if takes else b'')
    assert 'Content-Type' not in seen[2] and 'Expect' not in seen[2]


def test_an_operation_key_goes_out(relayed, server):
    assert ask(relayed, {'key': 'op-1'}, url_config='here', path='/k', method='POST')['rc'] == 0
    assert server.last()[2]['Idempotency-Key'] == 'op-1'


def test_any_status_is_an_answer(relayed):
    for status in (204, 301, 404, 500, 503):
        assert here(relayed, f'/status/{status}')['result']['status'] == status


def test_a_header_that_is_no_utf8_is_still_json(relayed):
    headers = here(relayed, '/odd')['result']['headers']
    assert next(h['value'] for h in headers if h['name'] == 'X-Odd') == 'caf\ufffd'


# Every spelling of an inner address that a resolver takes; none may be connected to.
INNER = ['127.0.0.1', '127.1', '2130706433', '0x7f000001', '0x7f.1', '017700000001', '0177.0.0.1', '127.0.0.1.', 'localhost',
         'localhost.', '[::1]', '[0:0:0:0:0:0:0:1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::]', '0.0.0.0', '0', '10.0.0.1',
         '172.16.0.1', '192.168.1.1', '100.64.0.1', '169.254.169.254', '[fe80::1]', '[fd00:ec2::254]', '[64:ff9b::7f00:1]',
         '[2002:7f00:1::]', '224.0.0.1', '255.255.255.255', '168.63.129.16']


@pytest.mark.parametrize('address', INNER)
def test_a_plugins_own_url_leads_to_no_inner_address(relayed, server, address):
    before = len(server.seen)
    got = ask(relayed, url=f'http://{address}:{server.server_address[1]}/secret', timeout_ms=5000)
    # What has no route here, or is no address to the resolver, is UNAVAIL before it is judged; none is ever an answer.
    assert got['rc'] == PERMISSION or (got['rc'] == UNAVAIL and (':' in address or address.endswith('.'))), got
    assert len(server.seen) == before
    if got['rc'] == PERMISSION:
        assert 'url_config' in got['text'], got


def test_a_connection_that_an_administrators_url_opened_is_no_way_in(relayed, server):
    for _ in range(3):
        assert here(relayed, '/warm')['rc'] == 0
        before = len(server.seen)
        got = ask(relayed, url=server.url + '/secret')
        assert got['rc'] == PERMISSION and 'loopback' in got['text'], got
        assert len(server.seen) == before


@pytest.mark.parametrize('url', ['file:///etc/passwd', 'gopher://127.0.0.1/', 'ftp://127.0.0.1/', 'smtp://127.0.0.1/', 'dict://x/',
                                 'http://user:pw@example.org/', 'http://', '', 'no url', 'http://exa mple.org/',
                                 'http://example.org/\r\nX: y', 'unix:/run/x', '//example.org/', 'example.org'])
def test_what_is_no_plain_http_url_is_refused(relayed, url):
    got = ask(relayed, url=url)
    assert got['rc'] in (INVALID, PERMISSION) and got['text'], got


@pytest.mark.parametrize('where', ['{port}', 'localhost:{port}', '[::ffff:127.0.0.1]:{port}', '2130706433:{port}'])
@pytest.mark.parametrize('status', [301, 302, 303, 307, 308])
def test_a_redirect_leads_to_no_other_inner_origin(relayed, other, status, where):
    port = other.server_address[1]
    target = f'http://127.0.0.1:{port}/in' if where == '{port}' else f'http://{where.format(port=port)}/in'
    before = len(other.seen)
    got = here(relayed, f'/to/{status}/{target}', redirects=3)
    assert got['rc'] == PERMISSION, got
    assert len(other.seen) == before


def test_a_redirect_within_the_administrators_origin_is_followed(relayed, server):
    got = here(relayed, f'/to/302/{server.url}/end', redirects=1, headers=[{'name': 'Authorization', 'value': 'Bearer t'}])
    assert (got['rc'], got['result']['url']) == (0, server.url + '/end'), got
    assert server.last()[2]['Authorization'] == 'Bearer t'
    got = here(relayed, '/to/302//end', redirects=1)
    assert got['result']['url'] == server.url + '/end'


def test_redirects_change_the_method_as_the_standard_says(relayed, server):
    for status, method, expected in ((303, 'PUT', 'GET'), (302, 'POST', 'GET'), (301, 'PUT', 'PUT'), (307, 'POST', 'POST'),
                                     (308, 'PATCH', 'PATCH')):
        got = ask(relayed, {'bytes': 'b'}, url_config='here', path=f'/to/{status}//end', redirects=1, method=method)
        assert got['rc'] == 0, got
        assert (server.last()[0], server.last()[3]) == (expected, b'' if expected == 'GET' else b'b')


def test_redirects_are_answers_or_are_counted(relayed, server):
    got = here(relayed, '/to/302//to/302//end')
    assert got['result']['status'] == 302
    assert here(relayed, '/to/302//to/302//end', redirects=1)['rc'] == LIMIT
    assert here(relayed, '/to/302/file:///etc/passwd', redirects=1)['rc'] in (INVALID, PERMISSION, 0)
    assert here(relayed, '/to/302/file:///etc/passwd', redirects=1).get('bytes', '') == ''


def test_a_path_stays_below_the_configured_url(relayed, server):
    for path in ('x', '/..', '/a/../b', '/%2e%2e/x', '/.%2E', '/a\\b', '/a#b', '//../x', '/a\r\nX: y',
                 '/a/..%2fb', '/a%2F..', '/%2e.%5Cb', '/..;x/b', '/a/..%3bx'):
        assert here(relayed, path)['rc'] == INVALID, path
    assert here(relayed, '/...')['rc'] == 0
    assert ask(relayed, url_config='there', path='/z')['rc'] == INVALID   # it has a query of its own
    assert ask(relayed, url_config='there')['rc'] == 0
    assert ask(relayed, url_config='nowhere')['rc'] == NOT_FOUND
    assert ask(relayed, url_config='server')['rc'] == INVALID             # ftp
    assert ask(relayed, url='http://example.org/', path='/z')['rc'] == INVALID
    assert ask(relayed, url='http://example.org/', url_config='here')['rc'] == INVALID
    assert ask(relayed)['rc'] == INVALID


@pytest.mark.parametrize('header', [
    {'name': 'Host', 'value': 'x'}, {'name': 'content-length', 'value': '1'}, {'name': 'Transfer-Encoding', 'value': 'chunked'},
    {'name': 'Connection', 'value': 'close'}, {'name': 'Proxy-Authorization', 'value': 'x'}, {'name': 'A B', 'value': 'x'},
    {'name': '', 'value': 'x'}, {'name': 'A:', 'value': 'x'}, {'name': 'X', 'value': 'a\r\nY: z'}, {'name': 'X', 'value': 'a\nb'},
    {'name': 'X\r\nY', 'value': ''}, {'name': 'X', 'value': '\x00'}])
def test_a_header_that_could_forge_another_is_refused(relayed, server, header):
    before = len(server.seen)
    assert here(relayed, '/h', headers=[header])['rc'] in (INVALID, FORMAT)
    assert len(server.seen) == before


def test_a_missing_secret_sends_nothing(relayed, server):
    before = len(server.seen)
    got = here(relayed, '/s', headers=[{'name': 'Authorization', 'value': 'Bearer ', 'secret': 'absent'}])
    assert got['rc'] == NOT_FOUND and 'absent' in got['text'], got
    assert len(server.seen) == before


def test_a_body_is_taken_up_to_its_limit(relayed):
    assert here(relayed, '/big/1048576')['size'] == 1048576
    assert here(relayed, '/big/1048577')['rc'] == TOO_LARGE
    assert here(relayed, '/big/4000000', answer_bytes=4000000)['size'] == 4000000
    assert here(relayed, '/big/11', answer_bytes=10)['rc'] == TOO_LARGE
    assert here(relayed, '/endless')['rc'] == TOO_LARGE
    assert here(relayed, '/headers')['rc'] == TOO_LARGE


def test_a_slow_server_costs_no_more_than_the_time_given(relayed):
    assert here(relayed, '/slow', timeout_ms=200)['rc'] == DEADLINE
    # What was sent and may have been done is not called undone.
    assert here(relayed, '/slow', timeout_ms=200, method='POST')['rc'] == UNKNOWN
    # The call's own deadline counts, too.
    assert ask(relayed, {'timeout': 300}, url_config='here', path='/slow')['rc'] in (DEADLINE, UNKNOWN)


def test_nobody_there_is_unavailable(relayed):
    with socket.socket() as closed:
        closed.bind(('127.0.0.1', 0))
        got = ask(relayed, url=f'https://name.invalid:{closed.getsockname()[1]}/', timeout_ms=10000)
    assert got['rc'] in (UNAVAIL, DEADLINE), got


def test_a_plugin_has_a_bounded_number_of_requests(relayed, server):
    server.release.clear()
    results = []
    threads = [threading.Thread(target=lambda: results.append(here(relayed, '/slow', timeout_ms=30000))) for _ in range(12)]
    for thread in threads:
        thread.start()
    eventually(lambda: len([r for r in results if r['rc'] == LIMIT]) == 4)
    assert 'fetch.plugin_transfers' in results[0]['text']
    server.release.set()
    for thread in threads:
        thread.join()
    assert sorted(r['rc'] for r in results) == [LIMIT] * 4 + [0] * 8
    server.release.clear()


class Proxy(http.server.ThreadingHTTPServer):
    """An HTTP proxy that answers itself, whatever host it is asked for."""
    daemon_threads = True

    def __init__(self):
        self.asked = []
        super().__init__(('127.0.0.1', 0), ProxyAnswer)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class ProxyAnswer(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        where = self.path.partition('?to=')[2]
        self.send_response(302 if where else 200)
        if where:
            self.send_header('Location', where)
        self.send_header('Content-Length', '7')
        self.end_headers()
        self.wfile.write(b'proxied')

    def do_CONNECT(self):
        self.server.asked.append(self.path)
        self.send_response(403)
        self.send_header('Content-Length', '0')
        self.end_headers()


def test_a_proxy_is_asked_for_other_hosts_and_never_for_inner_addresses(new_host, publisher, server):
    proxy = Proxy()
    host = new_host(env={'MORTISE_FETCH_PROXY': f'http://127.0.0.1:{proxy.server_address[1]}',
                         'MORTISE_FETCH_NO_PROXY': '127.0.0.1, direct.invalid', 'http_proxy': 'http://127.0.0.1:1'})
    host.up()
    host.trust(publisher)
    config = host.folder / 'relay.json'
    config.write_text(json.dumps({'here': server.url}))
    host.install(relay.package(publisher), '--config', config)
    # A name is the proxy's to resolve, and the proxy itself may stand anywhere.
    got = ask(host, url='http://name.invalid/x')
    assert (got['rc'], got['bytes']) == (0, 'proxied'), got
    assert proxy.asked == ['http://name.invalid/x']
    ask(host, url='https://name.invalid/')
    assert proxy.asked[1:] == ['name.invalid:443']
    # Literal inner addresses are nobody's to resolve.
    for address in ('10.0.0.1', '0xa000001', '[::1]', 'localhost', '169.254.169.254', 'x.localhost'):
        assert ask(host, url=f'http://{address}/')['rc'] == PERMISSION, address
    got = ask(host, url='http://name.invalid/?to=http://192.168.0.1/', redirects=1)
    assert got['rc'] == PERMISSION, got
    assert proxy.asked[2:] == ['http://name.invalid/?to=http://192.168.0.1/']
    # Whom the list names is asked directly, and then the address is judged.
    assert here(host, '/direct')['rc'] == 0 and server.last()[1] == '/direct'
    assert ask(host, url=server.url)['rc'] == PERMISSION
    assert ask(host, url='http://a.direct.invalid/')['rc'] == UNAVAIL
    assert len(proxy.asked) == 3
    proxy.shutdown()
    proxy.server_close()


def test_without_the_permission_nothing_is_sent(publisher, new_host, server):
    own = new_host()
    own.up()
    own.trust(publisher)
    config = own.folder / 'relay.json'
    config.write_text(json.dumps({'here': server.url}))
    own.install(relay.package(publisher, permissions=(), name='relay-bare'), '--config', config)
    before = len(server.seen)
    got = relay.call(own, 'fetch/1', 'request', {'url_config': 'here'})
    assert got['rc'] == PERMISSION and 'fetch' in got['text']
    assert len(server.seen) == before


def test_calls_as_the_plugin_itself_reach_its_configuration(relayed):
    assert ask(relayed, {'own': 1}, url_config='here', path='/own')['rc'] == 0


def test_the_process_has_few_rights(relayed):
    pid = fetch_pid(relayed)
    status = dict(line.split(':\t', 1) for line in open(f'/proc/{pid}/status').read().splitlines() if ':\t' in line)
    assert status['NoNewPrivs'] == '1'
    if os.geteuid() == 0:
        owners = {int(uid) for uid in status['Uid'].split()}
        assert owners == {1900000000 + 100000}
        assert not owners & {os.stat(f'/proc/{p}').st_uid for p in relayed.workers()}
    maps = open(f'/proc/{pid}/maps').read() if os.geteuid() == 0 else 'libcurl'
    assert 'libcurl' in maps and 'libpq' not in maps and 'libjansson' not in maps


def test_killed_it_is_back_and_what_was_under_way_is_answered(relayed, server):
    server.release.clear()
    for method, expected in (('GET', UNAVAIL), ('POST', UNKNOWN)):
        before, pid = len(server.seen), fetch_pid(relayed)
        results = []
        thread = threading.Thread(
            target=lambda m=method: results.append(here(relayed, '/slow', method=m, timeout_ms=60000)))
        thread.start()
        eventually(lambda: len(server.seen) > before)
        os.kill(pid, signal.SIGKILL)
        thread.join(30)
        assert results and results[0]['rc'] == expected, results
        # The next request waits for the process that comes, and needs no second try.
        assert here(relayed, '/again')['rc'] == 0
        assert fetch_pid(relayed) not in (None, pid)
        assert 'fetch ended, starting it again' in relayed.log()
    server.release.set()


@pytest.mark.parametrize('who', ['worker', 'front'])
def test_what_nobody_waits_for_any_more_is_given_up(relayed, server, who):
    server.gone.clear()
    before = len(server.seen)

    def outcome(path):
        """Of a call whose worker or front may be gone: None."""
        try:
            return here(relayed, path, timeout_ms=60000)['rc']
        except (AssertionError, OSError, http.client.HTTPException):
            return None

    thread = threading.Thread(target=outcome, args=('/watch',))
    thread.start()
    eventually(lambda: len(server.seen) > before)
    for pid in relayed.workers() if who == 'worker' else relayed.fronts():
        os.kill(pid, signal.SIGKILL)
    assert server.gone.wait(30)
    thread.join(60)
    eventually(lambda: outcome('/after') == 0)


def test_a_stop_leaves_nothing_behind(new_host):
    host = new_host()
    host.up()
    pid = eventually(lambda: fetch_pid(host))
    host.down()
    assert not os.path.exists(f'/proc/{pid}') or name_of(pid) != 'mortise-fetch'
