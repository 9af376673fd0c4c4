"""Starts the real program and talks to it as its users do."""
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = os.environ.get('PENSTOCK_BINARY', str(ROOT / 'build/release/penstock'))
SDK = str(ROOT / 'sdk/python')
FINAL = {'SUCCEEDED', 'FAILED', 'CANCELED', 'SKIPPED'}


class Answer:
    def __init__(self, status, body):
        self.status = status
        self.text = body.decode('utf-8', 'replace')

    @property
    def json(self):
        return json.loads(self.text or '{}')


class Server:
    """One `penstock up` on a data folder; it can be killed and started again."""

    def __init__(self, data, options=(), env=None, user=None):
        self.data = pathlib.Path(data)
        self.options = list(options)
        self.env = dict(os.environ, **(env or {}))
        self.user = user
        self.process = None
        self.url = None
        self.s3_url = None

    def command(self):
        command = [BINARY, 'up', '--data', str(self.data), '--log-level', 'warn', *self.options]
        for option in ('--listen', '--s3-listen'):
            if option not in self.options:
                command += [option, '127.0.0.1:0']
        if self.user is not None:
            command = ['setpriv', f'--reuid={self.user}', f'--regid={self.user}', '--clear-groups', *command]
        return command

    def start(self):
        self.log = tempfile.NamedTemporaryFile('w+', prefix='penstock-log-', delete=False)
        self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=self.log, env=self.env,
                                        text=True, stdin=subprocess.DEVNULL)
        line = self.process.stdout.readline()
        match = re.search(r'ready at (http://\S+) \(S3 at (http://[^,]+),', line)
        assert match, f'the server did not start: {line!r} {self.errors()}'
        self.url, self.s3_url = match.groups()
        return self

    def errors(self):
        with open(self.log.name) as f:
            return f.read()

    def kill(self):
        """Ends the server alone, as kill -9 does: its helper and its tasks go on."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process:
            self.process.stdout.close()

    def destroy(self):
        """Stops the server, and the helper with what still runs under it."""
        self.stop()
        for pid in helper_pids(self.data):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        os.unlink(self.log.name)

    # --- S3 ---
    def s3_key(self):
        """The root access key and its secret."""
        return (self.data / 's3/root-key').read_text().split()

    def s3(self, key=None, url=None, **config):
        """A boto3 client; `key` is (access key, secret), or False for requests without a signature."""
        import boto3
        import botocore
        from botocore.config import Config
        config.setdefault('s3', {'addressing_style': 'path'})
        config.setdefault('retries', {'max_attempts': 1})
        if key is False:
            config['signature_version'] = botocore.UNSIGNED
        access, secret = key or self.s3_key()
        return boto3.client('s3', endpoint_url=url or self.s3_url, aws_access_key_id=access,
                            aws_secret_access_key=secret, region_name='us-east-1', config=Config(**config))

    # --- HTTP ---
    def request(self, method, path, body=None, headers=None, timeout=60):
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method,
                                         headers={'Content-Type': 'application/json', **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return Answer(response.status, response.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read())

    def get(self, path):
        return self.request('GET', path)

    def post(self, path, body=None):
        return self.request('POST', path, {} if body is None else body)

    def upload(self, path, name=None):
        """Uploads a package as a pipeline, as a browser's form does."""
        boundary = uuid.uuid4().hex
        body = (f'--{boundary}\r\nContent-Disposition: form-data; name="uploadfile"; filename="{path.name}"\r\n'
                'Content-Type: application/octet-stream\r\n\r\n').encode()
        body += path.read_bytes() + f'\r\n--{boundary}--\r\n'.encode()
        query = '?' + urllib.parse.urlencode({'name': name}) if name else ''
        return self.request('POST', '/apis/v2beta1/pipelines/upload' + query, body,
                            {'Content-Type': f'multipart/form-data; boundary={boundary}'})

    # --- runs ---
    def submit(self, spec, parameters=None, name='test'):
        answer = self.post('/apis/v2beta1/runs', {'display_name': name, 'pipeline_spec': spec,
                                                  'runtime_config': {'parameters': parameters or {}}})
        assert answer.status == 200, answer.text
        return answer.json['run_id']

    def wait(self, run_id, timeout=120):
        """Follows the run's change stream until it is in a final state; returns the run."""
        with urllib.request.urlopen(f'{self.url}/apis/v2beta1/runs/{run_id}:watch', timeout=timeout) as stream:
            deadline = time.monotonic() + timeout
            for line in stream:
                event = json.loads(line)
                if event.get('run', {}).get('state') in FINAL:
                    break
                assert time.monotonic() < deadline, f'run {run_id} did not end in {timeout} s'
        run = self.get(f'/apis/v2beta1/runs/{run_id}').json
        assert run['state'] in FINAL, run
        return run

    def ends_within(self, run_id, seconds):
        """Whether the run comes to a final state in that time."""
        deadline = time.monotonic() + seconds
        with urllib.request.urlopen(f'{self.url}/apis/v2beta1/runs/{run_id}:watch', timeout=seconds) as stream:
            try:
                for line in stream:
                    if json.loads(line).get('run', {}).get('state') in FINAL:
                        return True
                    if time.monotonic() > deadline:
                        return False
            except TimeoutError:
                return False
        return True

    def wait_for(self, run_id, predicate, timeout=60):
        """Follows the run's change stream until `predicate(event)` holds."""
        with urllib.request.urlopen(f'{self.url}/apis/v2beta1/runs/{run_id}:watch', timeout=timeout) as stream:
            for line in stream:
                event = json.loads(line)
                if predicate(event):
                    return event
        raise AssertionError('the run ended before it happened')

    def tasks(self, run_id):
        """Tasks by name; those of loops as lists."""
        found = {}
        token = ''
        while True:
            page = self.get(f'/apis/v2beta1/runs/{run_id}/tasks?page_size=200&page_token={token}').json
            for task in page.get('tasks', []):
                found.setdefault(task['name'], []).append(task)
            token = page.get('next_page_token', '')
            if not token:
                return found

    def run(self, spec, parameters=None):
        run_id = self.submit(spec, parameters)
        run = self.wait(run_id)
        return run, self.tasks(run_id)


def helper_pids(data):
    """The node helpers of a data folder, found by their command lines."""
    pids = []
    for entry in os.listdir('/proc'):
        if not entry.isdigit():
            continue
        try:
            with open(f'/proc/{entry}/cmdline', 'rb') as f:
                words = f.read().split(b'\0')
        except OSError:
            continue
        if len(words) > 1 and words[1] == b'node-helper' and str(data).encode() in b' '.join(words):
            pids.append(int(entry))
    return pids


def outputs(task):
    return {p['parameter_key']: p.get('value') for p in task.get('outputs', {}).get('parameters', [])}


def shell(*commands, after=True, caching=False, **extra):
    """A spec with one shell step a command: a chain, or independent ones."""
    tasks, executors, components = {}, {}, {}
    for i, command in enumerate(commands):
        name = f'step-{i}'
        executors[f'exec-{name}'] = {'container': {'image': 'debian:12', 'command': ['sh', '-c', command], **extra}}
        components[f'comp-{name}'] = {'executorLabel': f'exec-{name}'}
        tasks[name] = {'taskInfo': {'name': name}, 'componentRef': {'name': f'comp-{name}'},
                       'cachingOptions': {'enableCache': True} if caching else {}}
        if after and i:
            tasks[name]['dependentTasks'] = [f'step-{i - 1}']
    return {'pipelineInfo': {'name': 'shell-steps'}, 'schemaVersion': '2.1.0', 'sdkVersion': 'kfp-2.17.0',
            'root': {'dag': {'tasks': tasks}}, 'components': components, 'deploymentSpec': {'executors': executors}}


def compile_pipeline(script, function=None, env=None):
    """The IR (a dict) of a pipeline in a script, compiled with our own SDK."""
    import yaml
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, 'p.yaml')
        command = [sys.executable, '-m', 'kfp.cli', 'dsl', 'compile', '--py', str(script), '--output', out]
        if function:
            command += ['--function', function]
        subprocess.run(command, check=True, env=dict(os.environ, PYTHONPATH=SDK, **(env or {})))
        with open(out) as f:
            return list(yaml.safe_load_all(f))


@pytest.fixture(scope='session')
def server():
    """A server that many tests share. Tests that kill or fill one make their own with `new_server`."""
    folder = tempfile.mkdtemp(prefix='penstock-test-')
    one = Server(folder).start()
    yield one
    one.destroy()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def new_server():
    made, folders = [], []

    def make(options=(), data=None, env=None, user=None):
        if data is None:
            data = tempfile.mkdtemp(prefix='penstock-test-')
            folders.append(data)
            if user is not None:
                os.chown(data, user, user)
        one = Server(data, options, env, user).start()
        made.append(one)
        return one

    yield make
    for one in made:
        one.destroy()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


class Gate:
    """Holds tasks up: each says that it is there and waits until the gate opens. Sandboxed tasks share no folder with
    us, but they do share the machine's network."""

    def __init__(self):
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.waiting = []

    def command(self, then, say='echo arrived; '):
        return (f'bash -c "exec 3<>/dev/tcp/127.0.0.1/{self.port}; {say}read -u 3 word; [ \\"\\$word\\" = go ]" '
                f'&& {then}')

    def arrive(self, timeout=60):
        self.listener.settimeout(timeout)
        self.waiting.append(self.listener.accept()[0])

    def open(self):
        for connection in self.waiting:
            connection.sendall(b'go\n')
            connection.close()
        self.waiting.clear()

    def refuse(self):
        """Those who wait fail."""
        for connection in self.waiting:
            connection.close()
        self.waiting.clear()

    def empty(self):
        """Nobody else has come."""
        return not select.select([self.listener], [], [], 0)[0]

    def close(self):
        for connection in self.waiting:
            connection.close()
        self.listener.close()


@pytest.fixture
def gate():
    one = Gate()
    yield one
    one.close()
