"""A pipeline root in another S3: another Penstock's. Its log holds no key."""
import hashlib
import os
import pathlib
import signal
import socket
import threading
import time

import pytest

from conftest import compile_pipeline
from stores import (chain, ended, failure, keys, nothing_left, put_config, put_secret, s3_provider, said, submit, use_s3)

BIG = 40 << 20  # several parts


@pytest.fixture(scope='module')
def outside(tmp_path_factory):
    from conftest import Server
    one = Server(tmp_path_factory.mktemp('outside')).start()
    one.s3().create_bucket(Bucket='far')
    yield one
    one.destroy()


@pytest.fixture
def server(new_server, outside):
    one = new_server()
    use_s3(one, outside)
    return one


def test_outputs_go_there_and_inputs_come_from_there(server, outside):
    run_id = submit(server, chain('mkdir -p "$1/a b" "$1/empty"; echo one > "$1/a b/1.txt"; echo two > "$1/ü%.txt"',
                                  'cat "$1/a b/1.txt" "$1/ü%.txt" > "$2"; [ -d "$1/empty" ]'), 's3://far/root')
    run, tasks = ended(server, run_id)
    assert run['state'] == 'SUCCEEDED', tasks
    assert said(tasks) == 'one\ntwo\n'
    [artifact] = tasks['make']['outputs']['artifacts'][0]['artifacts']
    assert artifact['uri'].startswith(f's3://far/root/two-steps/{run_id}/make/'), artifact
    prefix = artifact['uri'].removeprefix('s3://far/')
    assert sorted(keys(outside.s3(), 'far', prefix)) == [
        f'{prefix}/a b/1.txt', f'{prefix}/empty/', f'{prefix}/ü%.txt']
    assert not pathlib.Path(server.data, 'objects', 'far').exists()
    nothing_left(server)


def test_a_large_artifact_in_parts(server, outside):
    run_id = submit(server, chain(f'head -c {BIG} /dev/urandom | tee "$1" | sha256sum >&2',
                                  'sha256sum < "$1" | cut -c1-64 | tr -d "\\n" > "$2"'), 's3://far/big')
    run, tasks = ended(server, run_id)
    assert run['state'] == 'SUCCEEDED', tasks
    [artifact] = tasks['make']['outputs']['artifacts'][0]['artifacts']
    key = artifact['uri'].removeprefix('s3://far/')
    head = outside.s3().head_object(Bucket='far', Key=key)
    assert head['ContentLength'] == BIG and head['ETag'].strip('"').endswith('-3')
    body = outside.s3().get_object(Bucket='far', Key=key)['Body'].read()
    assert hashlib.sha256(body).hexdigest() == said(tasks)
    # And through the API: whole, its beginning, and as the artifact of the run.
    answer = server.request('GET', f'/artifacts/get?source=s3&bucket=far&key={key}')
    assert answer.status == 200
    import urllib.request
    with urllib.request.urlopen(f'{server.url}/artifacts/s3/far/{key}') as stream:
        assert int(stream.headers['Content-Length']) == BIG
        assert hashlib.sha256(stream.read()).hexdigest() == said(tasks)
        assert stream.headers['Content-Security-Policy'].startswith('sandbox')


def test_reading_through_the_api(server, outside):
    outside.s3().put_object(Bucket='far', Key='in/text.txt', Body=b'0123456789')
    assert server.get('/artifacts/get?source=s3&bucket=far&key=in/text.txt').text == '0123456789'
    assert server.get('/artifacts/get?source=s3&bucket=far&key=in/text.txt&peek=4').text == '0123'
    listed = server.get('/artifacts/get?source=s3&bucket=far&key=in').json
    assert listed['objects'] == [{'key': 'in/text.txt', 'size': '10'}]
    assert server.get('/artifacts/get?source=s3&bucket=far&key=in/none').status == 404
    assert server.get('/artifacts/get?source=s3&bucket=nowhere&key=x').status == 404
    run_id = submit(server, chain('echo hello > "$1"', 'cat "$1" > "$2"'), 's3://far/read')
    run, tasks = ended(server, run_id)
    read = server.get(f'/apis/v2beta1/runs/{run_id}/nodes/{tasks["make"]["task_id"]}/artifacts/data:read')
    import base64
    assert read.status == 200 and base64.b64decode(read.json['data']) == b'hello\n', read.text


def test_the_root_of_the_config_map(server, outside):
    put_config(server, {'s3': s3_provider(outside.s3_url)}, root='s3://far/by-default')
    run_id = submit(server, chain('echo x > "$1"', 'cat "$1" > "$2"'))
    assert server.get(f'/apis/v2beta1/runs/{run_id}').json['runtime_config']['pipeline_root'] == 's3://far/by-default'
    run, tasks = ended(server, run_id)
    assert run['state'] == 'SUCCEEDED', tasks
    assert any(run_id in key for key in keys(outside.s3(), 'far', 'by-default/'))
    # The pipeline's own goes first, and the run's before it.
    spec = chain('echo x > "$1"', 'cat "$1" > "$2"', root='s3://far/by-pipeline')
    by_pipeline = submit(server, spec)
    by_run = submit(server, spec, 's3://far/by-run')
    for run_id, place in ((by_pipeline, 'by-pipeline/'), (by_run, 'by-run/')):
        assert ended(server, run_id)[0]['state'] == 'SUCCEEDED'
        assert any(run_id in key for key in keys(outside.s3(), 'far', place))


def test_roots_where_nothing_can_be_put(server):
    for root in ('ftp://host/x', 'https://host/x', 'oci://host/x', 'nonsense', 's3://', 's3://far/x?colour=red',
                 's3:///x'):
        answer = server.post('/apis/v2beta1/runs', {'display_name': 'x', 'pipeline_spec': chain('true', 'true'),
                                                    'runtime_config': {'pipeline_root': root}})
        assert answer.status == 400 and 'pipeline_root' in answer.text, (root, answer.text)


def test_the_cache_looks_there(server, outside):
    spec = chain('echo made >> /tmp/x; echo x > "$1"', 'cat "$1" > "$2"', caching=True)
    first = submit(server, spec, 's3://far/cached')
    assert ended(server, first)[0]['state'] == 'SUCCEEDED'
    run, tasks = ended(server, submit(server, spec, 's3://far/cached'))
    assert tasks['make']['state'] == 'CACHED' and tasks['use']['state'] == 'CACHED', tasks
    client = outside.s3()
    for key in keys(client, 'far', 'cached/'):
        client.delete_object(Bucket='far', Key=key)
    run, tasks = ended(server, submit(server, spec, 's3://far/cached'))
    assert tasks['make']['state'] == 'SUCCEEDED', tasks


def test_an_artifact_that_was_never_written(server):
    spec = chain('true', '[ ! -e "$1" ]; echo none > "$2"', caching=True)
    run, tasks = ended(server, submit(server, spec, 's3://far/never'))
    assert run['state'] == 'SUCCEEDED' and said(tasks) == 'none\n', tasks
    run, tasks = ended(server, submit(server, spec, 's3://far/never'))
    assert tasks['make']['state'] == 'CACHED', tasks


def test_deleting_a_run_with_its_artifacts(server, outside):
    outside.s3().put_object(Bucket='far', Key='mine/kept.txt', Body=b'x')
    run_id = submit(server, chain('mkdir "$1"; echo x > "$1/1"; echo y > "$1/2"', 'cat "$1/1" > "$2"'), 's3://far/gone')
    imported = submit(server, chain('', 'cat "$1" > "$2"', importer='s3://far/mine/kept.txt'), 's3://far/gone')
    assert ended(server, run_id)[0]['state'] == 'SUCCEEDED' and ended(server, imported)[0]['state'] == 'SUCCEEDED'
    assert len([key for key in keys(outside.s3(), 'far', 'gone/') if run_id in key]) == 2
    for one in (run_id, imported):
        assert server.request('DELETE', f'/apis/v2beta1/runs/{one}?delete_artifacts=true').status == 200
    assert not [key for key in keys(outside.s3(), 'far', 'gone/') if run_id in key]
    assert keys(outside.s3(), 'far', 'mine/') == ['mine/kept.txt']


def test_wrong_keys_and_buckets(server, outside):
    spec = chain('echo x > "$1"', 'cat "$1" > "$2"')
    run, tasks = ended(server, submit(server, spec, 's3://nowhere/root'))
    assert run['state'] == 'FAILED' and 'there is no bucket nowhere' in failure(tasks, 'make'), failure(tasks, 'make')
    wrong = 'a-secret-that-must-not-be-seen-in-a-log'
    use_s3(server, outside, secret_key=wrong)
    run, tasks = ended(server, submit(server, spec, 's3://far/root'))
    assert run['state'] == 'FAILED' and 'SignatureDoesNotMatch' in failure(tasks, 'make'), failure(tasks, 'make')
    put_config(server, {'s3': s3_provider(outside.s3_url, secret='none-such')})
    run, tasks = ended(server, submit(server, spec, 's3://far/root'))
    assert run['state'] == 'FAILED' and 'none-such' in failure(tasks, 'make')
    put_secret(server, access='only')
    put_config(server, {'s3': s3_provider(outside.s3_url)})
    run, tasks = ended(server, submit(server, spec, 's3://far/root'))
    assert run['state'] == 'FAILED' and '"word"' in failure(tasks, 'make')
    put_config(server, 's3: {default: {endpoint: x}}')
    run, tasks = ended(server, submit(server, spec, 's3://far/root'))
    assert run['state'] == 'FAILED' and 's3.default has no credentials' in failure(tasks, 'make')
    assert wrong not in server.errors() and outside.s3_key()[1] not in server.errors()


def test_keys_are_seen_by_nobody(new_server, outside):
    one = new_server()
    use_s3(one, outside)
    spec = chain('echo x > "$1"; env', 'cat "$1" > "$2"; env; cat /proc/self/cmdline')
    run_id = submit(one, spec, 's3://far/seen')
    run, tasks = ended(one, run_id)
    assert run['state'] == 'SUCCEEDED', tasks
    word = outside.s3_key()[1]
    for task in tasks.values():
        log = one.get(f'/apis/v1alpha1/runs/{run_id}/nodes/{task["task_id"]}/log')
        assert word not in log.text
    assert word not in one.errors() and word not in str(tasks)
    assert word not in one.get('/metrics').text


def test_overrides_and_query(new_server, outside):
    """Settings of a bucket's prefix go over the default; those of a URI's query over both, with the server's keys."""
    access, word = outside.s3_key()
    one = new_server(['--store-hosts', '127.0.0.1'],
                     env={'AWS_ACCESS_KEY_ID': access, 'AWS_SECRET_ACCESS_KEY': word})
    put_secret(one, access=access, word=word)
    provider = s3_provider('http://127.0.0.1:1', maxRetries=0)
    provider['overrides'] = [{'bucketName': 'far', 'keyPrefix': 'own', 'endpoint': outside.s3_url,
                              'credentials': provider['default']['credentials']}]
    put_config(one, {'s3': provider})
    spec = chain('echo x > "$1"', 'cat "$1" > "$2"')
    run, tasks = ended(one, submit(one, spec, 's3://far/own/root'))
    assert run['state'] == 'SUCCEEDED', tasks
    run, tasks = ended(one, submit(one, spec, 's3://far/ownership'))
    assert run['state'] == 'FAILED' and '127.0.0.1:1' in failure(tasks, 'make'), failure(tasks, 'make')
    endpoint = outside.s3_url.removeprefix('http://')
    root = f's3://far/query?endpoint={endpoint}&disableSSL=true&region=us-east-1'
    run, tasks = ended(one, submit(one, spec, root))
    assert run['state'] == 'SUCCEEDED' and said(tasks) == 'x\n', tasks
    [artifact] = tasks['make']['outputs']['artifacts'][0]['artifacts']
    assert artifact['uri'].startswith('s3://far/query/two-steps/'), artifact
    read = one.get(f'/apis/v2beta1/runs/{run["run_id"]}/nodes/{tasks["make"]["task_id"]}/artifacts/data:read')
    assert read.status == 200, read.text
    spec = chain('', 'cat "$1" > "$2"', importer=f'{artifact["uri"]}?endpoint={endpoint}&disableSSL=true')
    run, tasks = ended(one, submit(one, spec))
    assert run['state'] == 'SUCCEEDED' and said(tasks) == 'x\n', tasks


def test_an_endpoint_that_a_uri_names_is_of_the_public_internet(new_server, outside):
    one = new_server()
    spec = chain('', 'cat "$1" > "$2"', importer=f's3://far/x?endpoint={outside.s3_url}')
    run, tasks = ended(one, submit(one, spec))
    assert run['state'] == 'FAILED' and 'no connection to 127.0.0.1 may be made' in failure(tasks, 'make')


def test_minio_by_its_own_names(new_server, outside):
    """What a Kubeflow installation has in kfp-launcher means the store inside; another endpoint another store."""
    one = new_server()
    put_secret(one, access='a', word='b')
    put_config(one, {'minio': s3_provider('minio-service.kubeflow:9000', disableSSL=True)})
    spec = chain('echo x > "$1"', 'cat "$1" > "$2"')
    run, tasks = ended(one, submit(one, spec))
    assert run['state'] == 'SUCCEEDED', tasks
    assert any(run['run_id'] in str(p) for p in pathlib.Path(one.data, 'objects').rglob('data'))
    use_s3(one, outside, scheme='minio')
    run, tasks = ended(one, submit(one, spec, 'minio://far/as-minio'))
    assert run['state'] == 'SUCCEEDED', tasks
    assert any(run['run_id'] in key for key in keys(outside.s3(), 'far', 'as-minio/'))


def test_the_servers_own_file(new_server, outside, tmp_path):
    access, word = outside.s3_key()
    (tmp_path / 'stores.yaml').write_text(f'''
s3:
  default: {{endpoint: "{outside.s3_url}", region: us-east-1, credentials: {{accessKey: "{access}", secretKey: "{word}"}}}}
''')
    one = new_server(['--stores', str(tmp_path / 'stores.yaml')])
    run, tasks = ended(one, submit(one, chain('echo x > "$1"', 'cat "$1" > "$2"'), 's3://far/file'))
    assert run['state'] == 'SUCCEEDED', tasks
    assert word not in one.errors()


@pytest.mark.parametrize('sandbox', ['none'])
def test_without_a_sandbox(new_server, outside, sandbox):
    one = new_server(['--sandbox', sandbox])
    use_s3(one, outside)
    run, tasks = ended(one, submit(one, chain('mkdir "$1"; echo x > "$1/f"', 'cat "$1/f" > "$2"'), 's3://far/plain'))
    assert run['state'] == 'SUCCEEDED' and said(tasks) == 'x\n', tasks
    assert any(run['run_id'] in key for key in keys(outside.s3(), 'far', 'plain/'))


def test_python_steps(server, outside, tmp_path):
    script = tmp_path / 'p.py'
    script.write_text('''
from kfp import dsl
from kfp.dsl import Dataset, Input, Metrics, Model, Output

@dsl.component
def make(data: Output[Dataset], metrics: Output[Metrics], model: Output[Model]):
    with open(data.path, 'w') as f:
        f.write('rows')
    metrics.log_metric('accuracy', 0.5)
    import os
    os.makedirs(model.path)
    open(os.path.join(model.path, 'weights'), 'w').write('w')
    model.metadata['framework'] = 'none'

@dsl.component
def use(data: Input[Dataset], model: Input[Model]) -> str:
    import os
    return open(data.path).read() + str(os.listdir(model.path)) + model.framework + data.uri[:9]

@dsl.pipeline(name='python-steps', pipeline_root='s3://far/python')
def pipeline() -> str:
    made = make()
    return use(data=made.outputs['data'], model=made.outputs['model']).output
''')
    spec = compile_pipeline(script)[0]
    run, tasks = ended(server, submit(server, spec))
    assert run['state'] == 'SUCCEEDED', tasks
    assert said_by(tasks['use']) == "rows['weights']nones3://far/"


def said_by(task):
    return {p['parameter_key']: p.get('value') for p in task['outputs']['parameters']}['Output']


def test_links_in_outputs(server, outside):
    run, tasks = ended(server, submit(server, chain(
        'mkdir "$1"; echo x > "$1/real"; ln -s real "$1/link"', 'cat "$1/link" > "$2"'), 's3://far/links'))
    assert run['state'] == 'SUCCEEDED' and said(tasks) == 'x\n', tasks
    for target in ('/etc/passwd', '../../../../../../../../etc/passwd', '/proc/self/environ'):
        run, tasks = ended(server, submit(server, chain(f'mkdir "$1"; ln -s {target} "$1/link"', 'true'),
                                          's3://far/links-out'))
        assert run['state'] == 'FAILED' and 'no file beside it' in failure(tasks, 'make'), tasks
    assert keys(outside.s3(), 'far', 'links-out/') == []


def test_keys_that_are_no_paths(server, outside):
    client = outside.s3()
    import botocore.exceptions
    for name in ('evil/a/../../../../escape', 'evil2//x', 'evil3/./x'):
        try:
            client.put_object(Bucket='far', Key=name, Body=b'x')
        except botocore.exceptions.ClientError:
            continue  # it is not taken there either
        folder = name.split('/')[0]
        run, tasks = ended(server, submit(server, chain('', 'ls -R "$1"', importer=f's3://far/{folder}')))
        assert run['state'] == 'FAILED' and 'cannot be a file' in failure(tasks, 'use'), tasks
    assert not list(pathlib.Path(server.data).rglob('escape'))


class Proxy:
    """Passes bytes on to a server, and does what it is told to the connections on the way."""

    def __init__(self, url):
        host, port = url.removeprefix('http://').split(':')
        self.to = (host, int(port))
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.url = f'http://127.0.0.1:{self.listener.getsockname()[1]}'
        self.break_after = None  # bytes to the server, of the next connections
        self.breaks = 0
        self.hold = threading.Event()
        self.hold.set()
        self.held = threading.Event()
        self.hold_after = None
        self.sent = 0
        self.threads, self.open = [], []
        self.closing = False
        self.accepting = threading.Thread(target=self.accept)
        self.accepting.start()

    def accept(self):
        while not self.closing:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            thread = threading.Thread(target=self.serve, args=(client,))
            thread.start()
            self.threads.append(thread)

    def serve(self, client):
        with client, socket.create_connection(self.to) as server:
            self.open += [client, server]
            back = threading.Thread(target=self.copy, args=(server, client, False))
            back.start()
            self.copy(client, server, True)
            back.join()

    def copy(self, source, target, forth):
        count = 0
        try:
            while data := source.recv(65536):
                count += len(data)
                if forth:
                    self.sent += len(data)
                    if self.hold_after is not None and self.sent > self.hold_after:
                        self.held.set()
                        self.hold.wait(60)
                    if self.break_after is not None and count > self.break_after and self.breaks > 0:
                        self.breaks -= 1
                        source.shutdown(socket.SHUT_RDWR)
                        target.shutdown(socket.SHUT_RDWR)
                        return
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, target):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.closing = True
        self.hold.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.accepting.join()
        for end in self.open:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed already
        for thread in self.threads:
            thread.join()


@pytest.fixture
def proxy(outside):
    one = Proxy(outside.s3_url)
    yield one
    one.close()


def through(server, outside, proxy):
    use_s3(server, outside)
    put_config(server, {'s3': s3_provider(proxy.url)})


def test_transfers_that_break_off(new_server, outside, proxy):
    server = new_server()
    through(server, outside, proxy)
    proxy.break_after, proxy.breaks = 3 << 20, 3
    run, tasks = ended(server, submit(server, chain(
        f'head -c {BIG} /dev/urandom > "$1"; sha256sum < "$1" > /tmp/sum; cat /tmp/sum',
        'sha256sum < "$1" | cut -c1-64 | tr -d "\\n" > "$2"'), 's3://far/broken'))
    assert run['state'] == 'SUCCEEDED', tasks
    assert proxy.breaks == 0
    [artifact] = tasks['make']['outputs']['artifacts'][0]['artifacts']
    body = outside.s3().get_object(Bucket='far', Key=artifact['uri'].removeprefix('s3://far/'))['Body'].read()
    assert hashlib.sha256(body).hexdigest() == said(tasks)
    assert not outside.s3().list_multipart_uploads(Bucket='far').get('Uploads')
    server.stop()


def test_killed_in_the_middle_of_an_upload(new_server, outside, proxy):
    server = new_server()
    through(server, outside, proxy)
    proxy.hold.clear()
    proxy.hold_after = 20 << 20
    marker = 'ran'
    run_id = submit(server, chain(f'echo {marker}; head -c {BIG} /dev/urandom > "$1"',
                                  'sha256sum < "$1" | cut -c1-64 | tr -d "\\n" > "$2"'), 's3://far/killed')
    assert proxy.held.wait(60)
    server.kill()
    proxy.hold_after = None
    proxy.hold.set()
    server.start()
    run, tasks = ended(server, run_id)
    assert run['state'] == 'SUCCEEDED', tasks
    [artifact] = tasks['make']['outputs']['artifacts'][0]['artifacts']
    body = outside.s3().get_object(Bucket='far', Key=artifact['uri'].removeprefix('s3://far/'))['Body'].read()
    assert len(body) == BIG and hashlib.sha256(body).hexdigest() == said(tasks)
    # The task did not run again, and nothing half-made is left over there.
    log = server.get(f'/apis/v1alpha1/runs/{run_id}/nodes/{tasks["make"]["task_id"]}/log').text
    assert log.count(marker) == 1, log
    assert not outside.s3().list_multipart_uploads(Bucket='far').get('Uploads')
    nothing_left(server)


def test_killed_while_inputs_come(new_server, outside, proxy):
    server = new_server()
    content = os.urandom(BIG)
    outside.s3().put_object(Bucket='far', Key='input/big', Body=content)
    through(server, outside, proxy)
    spec = chain('', 'sha256sum < "$1" | cut -c1-64 | tr -d "\\n" > "$2"', importer='s3://far/input/big')
    proxy.hold.clear()
    proxy.hold_after = 1200  # the importer's look, and the beginning of what the task asks for
    run_id = submit(server, spec)
    assert proxy.held.wait(60)
    server.kill()
    proxy.hold_after = None
    proxy.hold.set()
    server.start()
    run, tasks = ended(server, run_id)
    assert run['state'] == 'SUCCEEDED' and said(tasks) == hashlib.sha256(content).hexdigest(), tasks
    nothing_left(server)


def test_cancelling_and_stopping_while_something_is_on_its_way(new_server, outside, proxy):
    server = new_server()
    through(server, outside, proxy)
    spec = chain(f'head -c {BIG} /dev/urandom > "$1"', 'wc -c < "$1" > "$2"')
    proxy.hold.clear()
    proxy.hold_after = 20 << 20
    run_id = submit(server, spec, 's3://far/stopped')
    assert proxy.held.wait(60)
    assert server.post(f'/apis/v2beta1/runs/{run_id}:terminate').status == 200
    proxy.hold.set()
    run, tasks = ended(server, run_id)
    assert run['state'] == 'CANCELED', tasks
    proxy.hold.clear()
    proxy.held.clear()
    proxy.sent = 0
    run_id = submit(server, spec, 's3://far/stopped')
    assert proxy.held.wait(60)
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 15
    proxy.hold_after = None
    proxy.hold.set()
    server.start()
    run, tasks = ended(server, run_id)
    assert run['state'] == 'SUCCEEDED', tasks
    server.stop()
