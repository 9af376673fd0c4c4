"""Who is told of runs' changes: a receiver of our own that is slow, fails, or is away."""
import hashlib
import hmac
import http.server
import json
import os
import queue
import threading

import pytest

from conftest import shell

SECRET = 'between the two of us'


class Receiver:
    """Answers with the statuses that it is given, then with 204; what came is in `came`."""

    def __init__(self, port=0, statuses=()):
        self.came = queue.Queue()
        statuses = list(statuses)
        came = self.came

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                self.send_response(statuses.pop(0) if statuses else 204)
                self.end_headers()
                came.put((dict(self.headers), body))

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(('127.0.0.1', port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def next(self):
        headers, body = self.came.get(timeout=60)
        wanted = 'sha256=' + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert headers['X-Penstock-Signature'] == wanted
        assert headers['X-Penstock-Event'] == 'run.state_changed'
        told = json.loads(body)
        assert headers['X-Penstock-Delivery'] == told['delivery']
        return told

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def options(tmp_path):
    secret = tmp_path / 'secret'
    secret.write_text(SECRET + '\n')
    os.chmod(secret, 0o600)
    return lambda port: ['--webhook', f'http://127.0.0.1:{port}/runs', '--webhook-secret-file', str(secret)]


def test_every_change_is_told_in_order(new_server, options):
    receiver = Receiver(statuses=[503])
    try:
        one = new_server(options(receiver.port))
        run_id = one.submit(shell('exit 3'), name='told')
        first, again, last = (receiver.next() for _ in range(3))
        # The first was refused, so it comes again, under its name.
        assert first == again
        assert (first['run_id'], first['state'], first['display_name']) == (run_id, 'RUNNING', 'told')
        assert last['state'] == 'FAILED' and 'step-0' in last['error']['message']
        assert last['delivery'] != first['delivery'] and last['finished_at']
        other = one.submit(shell('true'))
        assert [(told['run_id'], told['state']) for told in (receiver.next(), receiver.next())] == [
            (other, 'RUNNING'), (other, 'SUCCEEDED')]
        assert receiver.came.empty()
    finally:
        receiver.close()


def test_what_nobody_took_is_told_after_a_crash(new_server, options):
    receiver = Receiver()
    port = receiver.port
    receiver.close()
    one = new_server(options(port))
    run_id = one.submit(shell('true'))
    assert one.wait(run_id)['state'] == 'SUCCEEDED'
    one.kill()
    os.unlink(one.log.name)
    receiver = Receiver(port)
    try:
        one.start()
        assert [receiver.next()['state'] for _ in range(2)] == ['RUNNING', 'SUCCEEDED']
    finally:
        receiver.close()


def test_a_webhook_that_is_none(new_server):
    with pytest.raises(AssertionError, match='no http:// or https:// URL'):
        new_server(['--webhook', 'ftp://example.org'])
