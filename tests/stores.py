"""Pipelines and servers for the tests of other object stores."""
import base64
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

import pytest

SECRET = 'store-keys'


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def put_config(server, providers=None, root=None):
    """The ConfigMap kfp-launcher of the runs' namespace."""
    data = {}
    if providers is not None:
        data['providers'] = providers if isinstance(providers, str) else json.dumps(providers)
    if root is not None:
        data['defaultPipelineRoot'] = root
    put_object(server, 'configmaps', {'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': 'kfp-launcher'},
                                      'data': data})


def put_secret(server, name=SECRET, kind='Opaque', **values):
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    put_object(server, 'secrets', {'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {'name': name}, 'type': kind,
                                   'data': encoded})


def put_object(server, plural, body):
    path = f'/api/v1/namespaces/kubeflow/{plural}'
    answer = server.post(path, body)
    if answer.status == 409:
        answer = server.request('PUT', f'{path}/{body["metadata"]["name"]}', body)
    assert answer.status in (200, 201), answer.text


def s3_provider(endpoint, secret=SECRET, **more):
    return {'default': {'endpoint': endpoint, 'region': 'us-east-1', 'credentials': {'secretRef': {
        'secretName': secret, 'accessKeyKey': 'access', 'secretKeyKey': 'word'}}, **more}}


def use_s3(server, outside, secret_key=None, scheme='s3', **more):
    """Makes `server` reach the S3 of `outside` at s3://."""
    access, word = outside.s3_key()
    put_secret(server, access=access, word=secret_key or word)
    put_config(server, {scheme: s3_provider(outside.s3_url, **more)})


ARTIFACT = {'schemaTitle': 'system.Dataset', 'schemaVersion': '0.0.1'}


def container(command):
    return {'container': {'image': 'debian:12', 'command': ['sh', '-ec', command]}}


def chain(make, use, caching=False, importer=None, root=None, executor=None):
    """A step that makes the artifact `data` (or an importer of a URI) and a step that takes it. In the commands $1 is
    the artifact's path and $2 the file of the second step's parameter `said`."""
    out = {'artifacts': {'data': {'artifactType': ARTIFACT}}}
    components = {
        'comp-make': {'executorLabel': 'exec-make', 'outputDefinitions': out},
        'comp-use': {'executorLabel': 'exec-use', 'inputDefinitions': {'artifacts': {'data': {'artifactType': ARTIFACT}}},
                     'outputDefinitions': {'parameters': {'said': {'parameterType': 'STRING'}}}}}
    executors = {'exec-use': container(use)}
    executors['exec-use']['container']['command'] += ['use', "{{$.inputs.artifacts['data'].path}}",
                                                      "{{$.outputs.parameters['said'].output_file}}"]
    if importer:
        executors['exec-make'] = {'importer': {'artifactUri': {'constant': importer}, 'typeSchema': ARTIFACT}}
    else:
        executors['exec-make'] = container(make)
        executors['exec-make']['container']['command'] += ['make', "{{$.outputs.artifacts['data'].path}}"]
    options = {'cachingOptions': {'enableCache': True}} if caching else {}
    tasks = {'make': {'taskInfo': {'name': 'make'}, 'componentRef': {'name': 'comp-make'}, **options},
             'use': {'taskInfo': {'name': 'use'}, 'componentRef': {'name': 'comp-use'}, 'dependentTasks': ['make'],
                     'inputs': {'artifacts': {'data': {'taskOutputArtifact': {
                         'producerTask': 'make', 'outputArtifactKey': 'data'}}}}, **options}}
    spec = {'pipelineInfo': {'name': 'two-steps'}, 'schemaVersion': '2.1.0', 'sdkVersion': 'kfp-2.17.0',
            'root': {'dag': {'tasks': tasks}}, 'components': components, 'deploymentSpec': {'executors': executors}}
    if root:
        spec['defaultPipelineRoot'] = root
    return spec


def submit(server, spec, root=None):
    config = {'pipeline_root': root} if root else {}
    answer = server.post('/apis/v2beta1/runs', {'display_name': 'stores', 'pipeline_spec': spec,
                                                'runtime_config': config})
    assert answer.status == 200, answer.text
    return answer.json['run_id']


def ended(server, run_id):
    run = server.wait(run_id)
    return run, {name: tasks[0] for name, tasks in server.tasks(run_id).items()}


def said(tasks):
    return {p['parameter_key']: p.get('value') for p in tasks['use']['outputs']['parameters']}['said']


def failure(tasks, name):
    return tasks[name].get('status_metadata', {}).get('message', '')


def keys(client, bucket, prefix=''):
    pages = client.get_paginator('list_objects_v2').paginate(Bucket=bucket, Prefix=prefix)
    return [item['Key'] for page in pages for item in page.get('Contents', [])]


def needs(program):
    path = shutil.which(program) or next((p for p in (f'/usr/sbin/{program}', f'/usr/bin/{program}')
                                          if os.access(p, os.X_OK)), None)
    if path is None:
        pytest.skip(f'{program} is not installed')
    return path


@contextlib.contextmanager
def running(command, url, **options):
    """A server of somebody else's, from when it answers at `url`."""
    log = tempfile.TemporaryFile()
    process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **options)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(url, timeout=5).close()
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                log.seek(0)
                assert process.poll() is None and time.monotonic() < deadline, log.read().decode()
                time.sleep(0.05)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def nothing_left(server):
    """What was on its way is removed, a moment after its task's pod."""
    deadline = time.monotonic() + 30
    while left := [str(p) for p in pathlib.Path(server.data, 'staged').rglob('*') if not p.is_dir()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
