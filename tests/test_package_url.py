"""Packages that are fetched from a URL: from trusted hosts, and from no private address else."""
import http.server
import json
import threading

import pytest

from conftest import shell


class Packages(http.server.BaseHTTPRequestHandler):
    files = {}
    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        status, content = self.files.get(self.path, (404, b''))
        self.send_response(status)
        if status == 302:
            self.send_header('Location', content.decode())
            content = b''
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def packages():
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Packages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Packages.files = {'/hello.yaml': (200, json.dumps(shell('true')).encode()), '/wrong.yaml': (200, b'a: 1'),
                      '/away.yaml': (302, f'http://127.0.0.2:{server.server_port}/hello.yaml'.encode())}
    Packages.asked = []
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    thread.join()
    server.server_close()


def test_from_a_trusted_host(new_server, packages):
    server = new_server(['--package-hosts', 'example.org,127.0.0.1'])
    url = packages + '/hello.yaml'
    made = server.post('/apis/v1beta1/pipelines', {'name': 'by v1', 'url': {'pipeline_url': url}})
    assert made.status == 200, made.text
    assert made.json['url'] == {'pipeline_url': url} and made.json['default_version']['package_url'] == {'pipeline_url': url}
    version = server.post('/apis/v1beta1/pipeline_versions', {
        'name': 'second', 'package_url': {'pipeline_url': url},
        'resource_references': [{'key': {'type': 'PIPELINE', 'id': made.json['id']}, 'relationship': 'OWNER'}]})
    assert version.status == 200, version.text
    more = server.post(f'/apis/v2beta1/pipelines/{made.json["id"]}/versions',
                       {'display_name': 'third', 'package_url': {'pipeline_url': url}})
    assert more.status == 200, more.text
    assert more.json['package_url'] == {'pipeline_url': url}
    assert more.json['pipeline_spec']['pipelineInfo']['name'] == 'shell-steps'
    run = server.post('/apis/v2beta1/runs', {'display_name': 'r', 'pipeline_version_reference': {
        'pipeline_id': made.json['id'], 'pipeline_version_id': more.json['pipeline_version_id']}})
    assert server.wait(run.json['run_id'])['state'] == 'SUCCEEDED'
    # A host is trusted for itself: it may not send us elsewhere.
    for path in ('/none.yaml', '/wrong.yaml', '/away.yaml', '/hello'):
        answer = server.post('/apis/v1beta1/pipelines', {'name': 'x', 'url': {'pipeline_url': packages + path}})
        assert answer.status == 400, answer.text
    listed = server.get('/apis/v1beta1/pipelines').json
    assert [pipeline['name'] for pipeline in listed['pipelines']] == ['by v1']


def test_from_nowhere_else(server, packages):
    for url in (packages + '/hello.yaml', packages.replace('http:', 'https:') + '/hello.yaml',
                packages.replace('http://127.0.0.1', 'https://localhost') + '/hello.yaml'):
        for path, body in (('/apis/v1beta1/pipelines', {'name': 'x', 'url': {'pipeline_url': url}}),
                           ('/apis/v2beta1/pipelines/create', {'pipeline': {'name': 'x'}, 'pipeline_version': {
                               'name': 'x', 'package_url': {'pipeline_url': url}}})):
            answer = server.post(path, body)
            assert answer.status == 400 and 'pipeline_url' in answer.text, answer.text
    assert Packages.asked == []
