"""Each namespace has an S3 key of its own, in the Secret that Kubeflow's clients look for."""
import base64
import json
import time
import urllib.request
import uuid

import pytest

from conftest import shell
from test_s3_objects import body, fails

NAME = 'mlpipeline-minio-artifact'


def secret_path(ns):
    return f'/api/v1/namespaces/{ns}/secrets'


def wait_for_secret(server, ns, other_than=None):
    """The key in the namespace's Secret, once it is there."""
    with urllib.request.urlopen(f'{server.url}{secret_path(ns)}?watch=true&timeoutSeconds=20', timeout=30) as stream:
        for line in stream:
            event = json.loads(line)
            if event['type'] in ('ADDED', 'MODIFIED') and event['object']['metadata']['name'] == NAME:
                key = tuple(base64.b64decode(event['object']['data'][k]).decode() for k in ('accesskey', 'secretkey'))
                if key != other_than:
                    return key
    raise AssertionError(f'the namespace {ns} got no Secret')


def works(client):
    """The first answer that is not that the key is unknown: a controller follows what the Secret says."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return client.head_bucket(Bucket='mlpipeline')
        except client.exceptions.ClientError as error:
            assert error.response['Error']['Code'] == '403' and time.monotonic() < deadline, error


def refused(client):
    deadline = time.monotonic() + 20
    while True:
        try:
            client.head_bucket(Bucket='mlpipeline')
        except client.exceptions.ClientError:
            return fails(403, 'InvalidAccessKeyId', client.list_buckets)
        assert time.monotonic() < deadline


@pytest.fixture
def namespace(server):
    name = f'team-{uuid.uuid4().hex[:8]}'
    answer = server.post('/api/v1/namespaces', {'apiVersion': 'v1', 'kind': 'Namespace', 'metadata': {'name': name}})
    assert answer.status == 201, answer.text
    yield name
    server.request('DELETE', f'/api/v1/namespaces/{name}')


def test_a_namespaces_key_reaches_its_artifacts_alone(server, namespace):
    s3 = server.s3(key=wait_for_secret(server, namespace))
    works(s3)
    own, other = f'private-artifacts/{namespace}/', 'private-artifacts/another/'
    s3.put_object(Bucket='mlpipeline', Key=own + 'k', Body=b'own')
    assert body(s3.get_object(Bucket='mlpipeline', Key=own + 'k')) == b'own'
    assert [o['Key'] for o in s3.list_objects_v2(Bucket='mlpipeline', Prefix=own)['Contents']] == [own + 'k']
    server.s3().put_object(Bucket='mlpipeline', Key=other + 'k', Body=b'other')
    for key in [other + 'k', 'k', 'v2/artifacts/k', f'private-artifacts/{namespace}x/k', f'private-artifacts/{namespace}']:
        fails(403, 'AccessDenied', s3.put_object, Bucket='mlpipeline', Key=key, Body=b'')
        fails(403, 'AccessDenied', s3.get_object, Bucket='mlpipeline', Key=key)
        fails(403, 'AccessDenied', s3.delete_object, Bucket='mlpipeline', Key=key)
    for prefix in ['', 'private-artifacts/', other]:
        fails(403, 'AccessDenied', s3.list_objects_v2, Bucket='mlpipeline', Prefix=prefix)
    fails(403, 'AccessDenied', s3.create_bucket, Bucket=f'b-{namespace}')
    fails(403, 'AccessDenied', s3.copy_object, Bucket='mlpipeline', Key=own + 'c', CopySource=f'mlpipeline/{other}k')
    deleted = s3.delete_objects(Bucket='mlpipeline', Delete={'Objects': [{'Key': own + 'k'}, {'Key': other + 'k'}]})
    assert [d['Key'] for d in deleted['Deleted']] == [own + 'k'] and deleted['Errors'][0]['Code'] == 'AccessDenied'
    fails(403, 'AccessDenied', s3.put_bucket_policy, Bucket='mlpipeline', Policy='{}')


def test_the_key_follows_its_secret(server, namespace):
    first = wait_for_secret(server, namespace)
    works(server.s3(key=first))
    # Written by its user.
    chosen = (f'CHOSEN-{uuid.uuid4().hex[:8]}', 'a-secret-of-my-own')
    data = {k: base64.b64encode(v.encode()).decode() for k, v in zip(('accesskey', 'secretkey'), chosen)}
    secret = server.get(f'{secret_path(namespace)}/{NAME}').json
    assert server.request('PUT', f'{secret_path(namespace)}/{NAME}', {**secret, 'data': data}).status == 200
    works(server.s3(key=chosen))
    refused(server.s3(key=first))
    # Another key's name is not to be had.
    root = server.s3_key()
    data['accesskey'] = base64.b64encode(root[0].encode()).decode()
    secret = server.get(f'{secret_path(namespace)}/{NAME}').json
    assert server.request('PUT', f'{secret_path(namespace)}/{NAME}', {**secret, 'data': data}).status == 200
    refused(server.s3(key=chosen))
    fails(403, 'SignatureDoesNotMatch', server.s3(key=(root[0], chosen[1])).list_buckets)
    assert server.s3().list_buckets()['Buckets']
    # Deleted, it is made anew; the namespace takes it along.
    assert server.request('DELETE', f'{secret_path(namespace)}/{NAME}').status == 200
    second = wait_for_secret(server, namespace, other_than=(root[0], chosen[1]))
    works(server.s3(key=second))
    assert server.request('DELETE', f'/api/v1/namespaces/{namespace}').status == 200
    refused(server.s3(key=second))


def test_what_runs_write_below_its_prefix_is_the_namespaces(server, namespace):
    spec = shell("echo model > {{$.outputs.artifacts['out'].path}}")
    component = next(iter(spec['components'].values()))
    component['outputDefinitions'] = {'artifacts': {'out': {'artifactType': {'schemaTitle': 'system.Model', 'schemaVersion': '0.0.1'}}}}
    prefix = f'private-artifacts/{namespace}/'
    answer = server.post('/apis/v2beta1/runs', {'display_name': 'r', 'pipeline_spec': spec, 'runtime_config': {
        'pipeline_root': f'minio://mlpipeline/{prefix}v2/artifacts'}})
    assert answer.status == 200, answer.text
    run = server.wait(answer.json['run_id'])
    assert run['state'] == 'SUCCEEDED', run
    s3 = server.s3(key=wait_for_secret(server, namespace))
    works(s3)
    keys = [o['Key'] for o in s3.list_objects_v2(Bucket='mlpipeline', Prefix=prefix)['Contents']]
    assert len(keys) == 1 and keys[0].endswith('/out'), keys
    assert body(s3.get_object(Bucket='mlpipeline', Key=keys[0])) == b'model\n'


def test_keys_come_back_after_a_restart(new_server):
    server = new_server()
    key = wait_for_secret(server, 'kubeflow')
    s3 = server.s3(key=key)
    works(s3)
    s3.put_object(Bucket='mlpipeline', Key='v2/artifacts/k', Body=b'x')
    fails(403, 'AccessDenied', s3.put_object, Bucket='mlpipeline', Key='k', Body=b'x')
    server.kill()
    server.start()
    s3 = server.s3(key=key)
    works(s3)
    assert body(s3.get_object(Bucket='mlpipeline', Key='v2/artifacts/k')) == b'x'
