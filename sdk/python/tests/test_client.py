"""kfp.Client against a small server that remembers what it was asked."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

import kfp
from kfp import dsl
from kfp.client import ApiError


@dsl.component
def add(a: int, b: float) -> float:
    return a + b


@dsl.pipeline(name='adds')
def adds(a: int, b: float = 2.0, s: str = 'x', l: list = []):
    add(a=a, b=b)


class Server:
    """Answers from a table of (method, path) to a value, a list of values or a function."""

    def __init__(self):
        self.requests = []
        self.replies = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                outer.requests.append((self.command, parts.path, query, body, dict(self.headers)))
                reply = outer.replies.get((self.command, parts.path), (404, 'not here'))
                if isinstance(reply, list):
                    reply = reply.pop(0) if len(reply) > 1 else reply[0]
                status, value = reply if isinstance(reply, tuple) else (200, reply)
                content = value.encode() if isinstance(value, str) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header('Content-Length', str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            do_GET = do_POST = do_DELETE = do_PATCH = answer

            def log_message(self, *_):
                pass
        self.http = HTTPServer(('127.0.0.1', 0), Handler)
        self.host = f'http://127.0.0.1:{self.http.server_port}'
        threading.Thread(target=self.http.serve_forever, kwargs={'poll_interval': 0.01}, daemon=True).start()

    def on(self, method, path, reply):
        self.replies[(method, '/apis/v2beta1' + path)] = reply

    def body(self, number=-1):
        return json.loads(self.requests[number][3])


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    found = Server()
    yield found
    found.http.shutdown()
    found.http.server_close()


@pytest.fixture
def client(server):
    return kfp.Client(host=server.host)


def test_run_from_function(server, client, capsys):
    server.on('GET', '/experiments', {})
    server.on('POST', '/experiments', {'experiment_id': 'e1', 'display_name': 'mine'})
    server.on('POST', '/runs', {'run_id': 'r1', 'display_name': 'n', 'created_at': '2024-01-02T03:04:05Z',
                                'runtime_config': {'parameters': {'a': 1}}})
    server.on('GET', '/runs/r1', [{'run_id': 'r1', 'state': 'RUNNING'}, {'run_id': 'r1', 'state': 'CANCELED'}])
    result = client.create_run_from_pipeline_func(
        adds, arguments={'a': '7', 'b': '8', 's': 5, 'l': '[1]'}, experiment_name='mine', enable_caching=False)
    assert result.run_id == 'r1' and result.run_info.created_at.year == 2024
    assert result.run_info.to_dict()['display_name'] == 'n' and result.run_info.nothing is None
    body = server.body()
    assert body['runtime_config'] == {'parameters': {'a': 7, 'b': 8.0, 's': '5', 'l': [1]}}
    assert body['experiment_id'] == 'e1' and body['display_name'].startswith('adds ')
    assert body['pipeline_spec']['root']['dag']['tasks']['add']['cachingOptions'] == {}
    filter_ = json.loads(server.requests[0][2]['filter'])
    assert filter_ == {'predicates': [{'operation': 'EQUALS', 'key': 'name', 'stringValue': 'mine'}]}
    assert server.body(1) == {'display_name': 'mine'}
    out = capsys.readouterr().out
    assert f'{server.host}/#/experiments/details/e1' in out and f'{server.host}/#/runs/details/r1' in out
    assert result.wait_for_run_completion(timeout=5).state == 'CANCELED'


def test_wrong_arguments_are_found_before_sending(server, client):
    server.on('GET', '/experiments', {'experiments': [{'experiment_id': 'e1'}]})
    for arguments, said in (({'a': 'many'}, "'a' is a int"), ({}, 'needs a value for: a'), ({'a': 1, 'q': 1}, "no input 'q'"),
                            ({'a': 1.5}, "'a' is a int")):
        with pytest.raises(Exception, match=said):
            client.create_run_from_pipeline_func(adds, arguments=arguments)


def test_stored_pipelines(server, client, tmp_path):
    path = str(tmp_path / 'p.zip')
    kfp.compiler.Compiler().compile(adds, path)
    server.on('POST', '/pipelines/upload', {'pipeline_id': 'p1'})
    server.on('POST', '/pipelines/upload_version', {'pipeline_id': 'p1', 'pipeline_version_id': 'v1'})
    server.on('GET', '/pipelines', {'pipelines': [{'pipeline_id': 'p1', 'display_name': 'adds'}], 'total_size': 1})
    server.on('GET', '/pipelines/p1/versions/v1', {'pipeline_spec': adds.pipeline_spec})
    server.on('POST', '/runs', {'run_id': 'r1'})
    assert client.upload_pipeline(path, 'näme', description='d').pipeline_id == 'p1'
    _, _, query, body, headers = server.requests[-1]
    assert query == {'name': 'näme', 'description': 'd'}
    assert b'name="uploadfile"; filename="p.zip"' in body and open(path, 'rb').read() in body
    assert headers['Content-Type'].startswith('multipart/form-data; boundary=')
    assert client.upload_pipeline_version(path, 'v', pipeline_name='adds').pipeline_version_id == 'v1'
    assert server.requests[-1][2] == {'name': 'v', 'pipelineid': 'p1'}
    assert client.upload_pipeline_from_pipeline_func(adds).pipeline_id == 'p1'
    assert client.get_pipeline_id('adds') == 'p1'
    client.run_pipeline('e1', 'job', pipeline_id='p1', version_id='v1', params={'a': '3'})
    assert server.body() == {'experiment_id': 'e1', 'display_name': 'job', 'runtime_config': {'parameters': {'a': 3}},
                             'pipeline_version_reference': {'pipeline_id': 'p1', 'pipeline_version_id': 'v1'}}


def test_lists(server, client):
    server.on('GET', '/runs', {})
    assert client.list_runs().runs == [] and client.list_runs().next_page_token is None
    server.on('GET', '/recurringruns', {'recurringRuns': [{'recurring_run_id': 'x'}], 'next_page_token': 't'})
    page = client.list_recurring_runs(experiment_id='e', page_size=3)
    assert page.recurring_runs[0].recurring_run_id == 'x' and page.next_page_token == 't'
    assert server.requests[-1][2] == {'page_size': '3', 'experiment_id': 'e'}


def test_schedules(server, client):
    import datetime
    server.on('POST', '/recurringruns', {'recurring_run_id': 'j1'})
    reply = client.create_recurring_run('e', 'job', interval_second=60, pipeline_id='p', enabled=False, no_catchup=True,
                                        start_time=datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc))
    assert reply.recurring_run_id == 'j1'
    assert server.body() == {
        'experiment_id': 'e', 'display_name': 'job', 'max_concurrency': '1', 'mode': 'DISABLE', 'no_catchup': True,
        'pipeline_version_reference': {'pipeline_id': 'p'},
        'trigger': {'periodic_schedule': {'interval_second': '60', 'start_time': '2024-01-02T00:00:00Z'}}}
    with pytest.raises(ValueError, match='either interval_second or cron_expression'):
        client.create_recurring_run('e', 'job', pipeline_id='p')


def test_verbs(server, client):
    for path, call in (('/runs/r:terminate', client.terminate_run), ('/runs/r:retry', client.retry_run),
                       ('/runs/r:archive', client.archive_run), ('/runs/r:unarchive', client.unarchive_run),
                       ('/experiments/r:archive', client.archive_experiment), ('/recurringruns/r:enable', client.enable_recurring_run),
                       ('/recurringruns/r:disable', client.disable_job)):
        server.on('POST', path, {})
        call('r')
        assert server.requests[-1][1] == '/apis/v2beta1' + path
    server.on('DELETE', '/pipelines/p', {})
    client.delete_pipeline('p', cascade=True)
    assert server.requests[-1][2] == {'cascade': 'true'}


def test_logs(server, client):
    server.on('GET', '/runs/r', {'run_id': 'r', 'run_details': {'task_details': [
        {'display_name': 'add', 'task_id': 't', 'pod_name': 'pod-1'}, {'display_name': 'root'}]}})
    server.replies[('GET', '/apis/v1alpha1/runs/r/nodes/pod-1/log')] = 'hello\n'
    assert client.get_run_logs('r') == {'add': 'hello\n'}
    assert client.get_run_logs('r', task='add') == 'hello\n'
    with pytest.raises(ValueError, match="no task 'nope'"):
        client.get_run_logs('r', task='nope')


def test_errors(server, client):
    server.on('GET', '/runs/r', (404, {'code': 5, 'message': 'Failed to get a run: Run r not found',
                                       'details': [{'@type': 't', 'code': 5, 'message': 'Run r not found'}]}))
    with pytest.raises(ApiError, match='404 Run r not found') as caught:
        client.get_run('r')
    assert (caught.value.status, caught.value.code, caught.value.details[0]['code']) == (404, 5, 5)
    with pytest.raises(ApiError, match='penstock up') as caught:
        kfp.Client(host='http://127.0.0.1:1').list_runs()
    assert caught.value.status == 0
    with pytest.raises(ValueError, match='No experiment is found with name x'):
        server.on('GET', '/experiments', {})
        client.get_experiment(experiment_name='x')


def test_wait_gives_up(server, client):
    server.on('GET', '/runs/r', {'state': 'RUNNING'})
    with pytest.raises(TimeoutError, match='is RUNNING after 0.1 s'):
        client.wait_for_run_completion('r', timeout=0.1)


def test_api_under_pipeline_or_beside_it(server):
    server.on('GET', '/runs', {'runs': [{'run_id': 'a'}]})
    assert kfp.Client(host=server.host + '/pipeline/').list_runs().runs[0].run_id == 'a'
    server.replies = {('GET', '/pipeline/apis/v2beta1/runs'): {'runs': [{'run_id': 'b'}]},
                      ('GET', '/apis/v2beta1/runs'): '<html>a page</html>'}
    assert kfp.Client(host=server.host).list_runs().runs[0].run_id == 'b'


def test_host_and_token(server, monkeypatch, tmp_path):
    server.on('GET', '/healthz', {'multi_user': False})
    monkeypatch.setenv('KF_PIPELINES_ENDPOINT', server.host)
    client = kfp.Client(existing_token='secret', namespace='team')
    assert client.get_kfp_healthz().multi_user is False
    assert server.requests[-1][4]['Authorization'] == 'Bearer secret'
    client.set_user_namespace('other')
    assert kfp.Client().get_user_namespace() == 'other'
    monkeypatch.delenv('KF_PIPELINES_ENDPOINT')
    (tmp_path / '.config' / 'kfp' / 'context.json').write_text(json.dumps({'host': server.host}))
    assert kfp.Client().get_kfp_healthz() is not None
