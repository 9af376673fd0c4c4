"""The model registry: Kubeflow Model Registry's REST API, its Python client, and models of runs."""
import json
import os
import subprocess
import urllib.parse
import uuid

import pytest

from conftest import BINARY, ROOT

CLIENT = os.environ.get('PENSTOCK_MODEL_REGISTRY_PYTHON')
BASE = '/api/model_registry/v1alpha3'
OWN = '/apis/penstock/v1'


def fresh(name):
    return f'{name}-{uuid.uuid4().hex[:8]}'


def make(server, collection, status=201, **body):
    answer = server.post(f'{BASE}/{collection}', body)
    assert answer.status == status, answer.text
    return answer.json


def refused(answer, status, words):
    assert answer.status == status, answer.text
    assert answer.json['code'] == str(status)
    assert words in answer.json['message'], answer.text


def listed(server, path, **query):
    answer = server.get(f'{BASE}/{path}?{urllib.parse.urlencode(query)}')
    assert answer.status == 200, answer.text
    return answer.json


def producer(outputs, name='train-and-look', caching=False):
    """A pipeline of one step for each of `outputs`, {step: (artifact's type, bytes)}, which writes an artifact `out`."""
    tasks, components, executors = {}, {}, {}
    for step, (kind, size) in outputs.items():
        path = "{{$.outputs.artifacts['out'].path}}"
        executors[f'exec-{step}'] = {'container': {'image': 'debian:12', 'command': [
            'sh', '-c', f'mkdir -p "$(dirname "$0")" && head -c {size} /dev/zero > "$0" && echo wrote {step}', path]}}
        components[f'comp-{step}'] = {'executorLabel': f'exec-{step}', 'outputDefinitions': {'artifacts': {
            'out': {'artifactType': {'schemaTitle': kind, 'schemaVersion': '0.0.1'}}}}}
        tasks[step] = {'taskInfo': {'name': step}, 'componentRef': {'name': f'comp-{step}'},
                       'cachingOptions': {'enableCache': True} if caching else {}}
    return {'pipelineInfo': {'name': name}, 'schemaVersion': '2.1.0', 'sdkVersion': 'kfp-2.17.0',
            'root': {'dag': {'tasks': tasks}}, 'components': components, 'deploymentSpec': {'executors': executors}}


def test_upstream_client(server):
    if not CLIENT:
        pytest.skip('PENSTOCK_MODEL_REGISTRY_PYTHON names no Python with the upstream model-registry')
    host, port = server.url.rsplit(':', 1)
    env = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    done = subprocess.run([CLIENT, '-W', 'ignore', str(ROOT / 'tests/upstream_model_registry.py'), host, port,
                           uuid.uuid4().hex[:8]], stdout=subprocess.PIPE, text=True, timeout=120, env=env)
    assert done.returncode == 0
    saw = json.loads(done.stdout.splitlines()[-1])
    assert saw['model'][1:] == ['ada', 'LIVE', True]
    assert saw['version'] == ['1.0', 'ada', 'first', 'LIVE',
                              {'accuracy': 0.97, 'epochs': 12, 'framework': 'pytorch', 'final': True}]
    assert saw['artifact'] == ['s3://models/iris/1', 'onnx', '1.14', 'key', 'iris/1', 'sa', 'kfp', 'pipelinerun', 'team',
                               'run-1', 'train']
    assert 'already exists' in saw['again'] and saw['same']
    assert saw['updated'] == ['flowers', {'team': 'botany'}]
    assert saw['updated_version'] == [0.98, 'first']  # what is not given stays
    assert saw['updated_artifact'] == ['s3://models/iris/1b', 'LIVE', 's3://models/iris/1b']
    names = [f'{i}.0' for i in range(1, 7)]
    assert saw['all'] == saw['pages'] == names
    assert saw['descending'] == saw['by_id'] == names[::-1]
    assert saw['by_update'] == '1.0' and saw['models']
    assert saw['archived'] == saw['archived_model'] == 'ARCHIVED'
    assert saw['missing'] == [None, None]


def test_resources_and_what_they_refer_to(server):
    model = make(server, 'registered_models', name=fresh('m'), externalId=fresh('x'), language=['en'])
    assert model['state'] == 'LIVE' and model['language'] == ['en'] and model['customProperties'] == {}
    assert int(model['createTimeSinceEpoch']) == int(model['lastUpdateTimeSinceEpoch']) > 1e12
    version = make(server, f'registered_models/{model["id"]}/versions', name='v1', registeredModelId=model['id'])
    assert version['registeredModelId'] == model['id']
    second = make(server, 'model_versions', name='v2', registeredModelId=model['id'])
    assert [v['id'] for v in listed(server, f'registered_models/{model["id"]}/versions')['items']] == \
        [version['id'], second['id']]
    artifact = make(server, f'model_versions/{version["id"]}/artifacts', artifactType='model-artifact', name='a',
                    uri='s3://b/a')
    again = server.post(f'{BASE}/model_versions/{second["id"]}/artifacts',
                        {'artifactType': 'model-artifact', 'id': artifact['id'], 'description': 'of both'})
    assert (again.status, again.json['description'], again.json['uri']) == (200, 'of both', 's3://b/a')
    for one in (version, second):
        assert [a['id'] for a in listed(server, f'model_versions/{one["id"]}/artifacts')['items']] == [artifact['id']]
    metric = make(server, f'model_versions/{version["id"]}/artifacts', artifactType='metric', name='loss', value=0.5,
                  step='3')
    assert metric['value'] == 0.5 and metric['step'] == '3'
    of_type = listed(server, f'model_versions/{version["id"]}/artifacts', artifactType='metric')['items']
    assert [a['id'] for a in of_type] == [metric['id']]
    assert server.get(f'{BASE}/model_artifacts/{metric["id"]}').status == 404
    assert server.get(f'{BASE}/artifacts/{metric["id"]}').json == metric
    found = server.get(f'{BASE}/model_artifact?name=a&parentResourceId={version["id"]}')
    assert found.json['id'] == artifact['id']
    by_external = server.get(f'{BASE}/registered_model?externalId={model["externalId"]}')
    assert by_external.json == server.get(f'{BASE}/registered_models/{model["id"]}').json

    place = make(server, 'serving_environments', name=fresh('prod'))
    service = make(server, f'serving_environments/{place["id"]}/inference_services', name='s',
                   registeredModelId=model['id'], servingEnvironmentId=place['id'], runtime='mlserver')
    assert service['desiredState'] == 'DEPLOYED'
    at = f'{BASE}/inference_services/{service["id"]}'
    assert server.get(f'{at}/model').json['id'] == model['id']
    assert server.get(f'{at}/version').json['id'] == second['id']  # the newest
    changed = server.request('PATCH', at, {'modelVersionId': version['id'], 'desiredState': 'UNDEPLOYED'})
    assert (changed.status, changed.json['desiredState'], changed.json['runtime']) == (200, 'UNDEPLOYED', 'mlserver')
    assert server.get(f'{at}/version').json['id'] == version['id']
    serve = make(server, f'inference_services/{service["id"]}/serves', modelVersionId=version['id'])
    assert serve['lastKnownState'] == 'UNKNOWN'
    assert listed(server, f'inference_services/{service["id"]}/serves')['items'] == [serve]
    # The newer version of the API shows the same.
    assert server.get(f'/api/model_registry/v1/inference_services/{service["id"]}').json == changed.json
    deployed = server.get(f'{OWN}/models/{model["id"]}/deployments').json['deployments']
    assert [(d['source'], d['model_version_id']) for d in deployed] == [('registry', version['id'])]


def test_what_is_refused(server):
    name = fresh('m')
    model = make(server, 'registered_models', name=name, externalId=name)
    refused(server.post(f'{BASE}/registered_models', {'name': name}), 409, 'already exists')
    refused(server.post(f'{BASE}/registered_models', {'name': name + '2', 'externalId': name}), 409, 'externalId')
    refused(server.post(f'{BASE}/registered_models', {}), 422, 'name')
    refused(server.post(f'{BASE}/registered_models', {'name': 'x', 'colour': 'red'}), 400, 'colour')
    refused(server.post(f'{BASE}/registered_models', {'name': 'x', 'state': 'GONE'}), 400, 'LIVE, ARCHIVED')
    refused(server.request('POST', f'{BASE}/registered_models', b'{"name":'), 400, '')
    refused(server.request('POST', f'{BASE}/registered_models', b''), 400, 'empty')
    for value, words in (({'metadataType': 'MetadataIntValue', 'int_value': 'x'}, 'customProperties.p.int_value'),
                         ({'metadataType': 'Blob'}, 'customProperties.p.metadataType'),
                         ({'metadataType': 'MetadataStructValue', 'struct_value': '{'}, 'base64'), (3, 'customProperties.p')):
        refused(server.post(f'{BASE}/registered_models', {'name': 'x', 'customProperties': {'p': value}}), 400, words)
    refused(server.post(f'{BASE}/model_versions', {'name': 'v', 'registeredModelId': '99999999'}), 404, '99999999')
    refused(server.post(f'{BASE}/model_versions', {'name': 'v'}), 422, 'registeredModelId')
    refused(server.post(f'{BASE}/artifacts', {'artifactType': 'song'}), 400, 'song')
    refused(server.get(f'{BASE}/registered_models/none'), 400, 'none')
    refused(server.get(f'{BASE}/registered_models/99999999'), 404, 'registered model')
    refused(server.get(f'{BASE}/registered_model'), 400, 'name')
    refused(server.get(f'{BASE}/registered_model?name=nobody'), 404, 'nobody')
    refused(server.get(f'{BASE}/model_version?name=v'), 400, 'parentResourceId')
    for query in ('pageSize=0', 'pageSize=many', 'orderBy=NAME', 'sortOrder=UP', 'nextPageToken=x', 'filterQuery=name',
                  'filterQuery=name+LIKE+3', "filterQuery=name='x", 'filterQuery=' + '(' * 200):
        assert server.get(f'{BASE}/registered_models?{query}').status == 400, query
    changed = server.request('PATCH', f'{BASE}/registered_models/{model["id"]}', {'state': 3})
    refused(changed, 400, 'state')
    assert server.get(f'{BASE}/registered_models/{model["id"]}').json == model  # nothing half-made
    one = make(server, 'model_versions', name='v', registeredModelId=model['id'])
    other = make(server, 'registered_models', name=fresh('o'))
    place = make(server, 'serving_environments', name=fresh('p'))
    refused(server.post(f'{BASE}/inference_services', {'registeredModelId': other['id'], 'modelVersionId': one['id'],
                                                       'servingEnvironmentId': place['id']}), 400, 'modelVersionId')


def test_filters(server):
    tag = fresh('f')
    real = lambda x: {'metadataType': 'MetadataDoubleValue', 'double_value': x}
    whole = lambda x: {'metadataType': 'MetadataIntValue', 'int_value': str(x)}
    text = lambda x: {'metadataType': 'MetadataStringValue', 'string_value': x}
    for i in range(4):
        make(server, 'registered_models', name=f'{tag}-M{i}', owner='ada' if i % 2 else 'bob', customProperties={
            'tag': text(tag), 'accuracy': real(i / 4), 'depth': whole(i), 'odd name': text('y' if i else 'n')})

    def names(query):
        return [m['name'][-2:] for m in listed(server, 'registered_models', filterQuery=f"tag = '{tag}' AND ({query})")['items']]
    everyone = ['M0', 'M1', 'M2', 'M3']
    assert names('id > 0') == everyone
    assert names("owner = 'ada'") == ['M1', 'M3']
    assert names("owner = 'ada' AND accuracy > 0.5 OR depth = 0") == ['M0', 'M3']
    assert names("owner = 'ada' AND (accuracy > 0.5 OR depth = 0)") == ['M3']
    assert names('depth.int_value >= 2') == names('accuracy >= .5') == ['M2', 'M3']
    assert names('depth IN (0, 3)') == ['M0', 'M3']
    assert names("`odd name` != 'y'") == ['M0']
    assert names(f"name LIKE '%-M_'") == everyone and names("name LIKE '%-m_'") == []
    assert names("name ILIKE '%-m1'") == ['M1']
    assert names("nothing = 'x'") == []
    assert names(r"name = 'x\' OR 1=1 --'") == []
    page = listed(server, 'registered_models', filterQuery=f"tag = '{tag}'", pageSize=3)
    assert (page['size'], page['pageSize'], len(page['items'])) == (3, 3, 3)
    rest = listed(server, 'registered_models', filterQuery=f"tag = '{tag}'", pageSize=3, nextPageToken=page['nextPageToken'])
    assert [m['name'][-2:] for m in rest['items']] == ['M3'] and rest['nextPageToken'] == ''
    # A token of another list.
    assert server.get(f'{BASE}/registered_models?' + urllib.parse.urlencode(
        {'nextPageToken': page['nextPageToken']})).status == 400


def test_a_model_of_a_run(server):
    run, tasks = server.run(producer({'train': ('system.Model', 1000), 'score': ('system.Metrics', 10)}))
    assert run['state'] == 'SUCCEEDED'
    name = fresh('run-model')
    body = {'run_id': run['run_id'], 'model': name, 'aliases': ['champion']}
    answer = server.post(f'{OWN}/models:register', body)  # the only model of the run
    assert answer.status == 201, answer.text
    made = answer.json
    artifact = made['model_artifact']
    made_by_run = tasks['train'][0]['outputs']['artifacts'][0]['artifacts'][0]
    assert artifact['uri'] == made_by_run['uri']
    assert [artifact[f'modelSource{x}'] for x in ('Kind', 'Class', 'Id', 'Name')] == \
        ['kfp', 'pipelinerun', run['run_id'], 'test']
    assert made['registered_model']['name'] == name and made['model_version']['name'] == '1'
    same = server.post(f'{OWN}/models:register', {**body, 'version': '1', 'task': 'train', 'output': 'out'})
    assert (same.status, same.json) == (200, made)
    by_id = server.post(f'{OWN}/models:register', {**body, 'artifact_id': made_by_run['artifact_id'], 'version': 'second'})
    assert by_id.status == 201 and by_id.json['registered_model']['id'] == made['registered_model']['id']
    alias = server.get(f'{OWN}/models/{made["registered_model"]["id"]}/aliases/champion').json
    assert alias['model_version']['name'] == 'second'  # it has moved

    def bad(status, words, **change):
        answer = server.post(f'{OWN}/models:register', {**body, **change})
        assert answer.status == status and words in answer.text, answer.text
    bad(404, 'not found', run_id='00000000-0000-0000-0000-000000000000')
    bad(404, 'nobody', task='nobody')
    bad(404, 'no such artifact', output='nothing')
    bad(400, 'system.Metrics', task='score')
    bad(400, 'artifact_id', artifact_id='x')
    bad(400, 'model', model='')
    bad(400, 'alias', aliases=['no good'], version='third')
    assert server.get(f'{BASE}/model_version?name=third&parentResourceId={made["registered_model"]["id"]}').status == 404
    run2, _ = server.run(producer({'train': ('system.Model', 10)}))
    bad(409, 'version', run_id=run2['run_id'], version='second')


def test_models_and_services_are_in_the_lineage(server):
    run, tasks = server.run(producer({'train': ('system.Model', 10)}))
    artifact = tasks['train'][0]['outputs']['artifacts'][0]['artifacts'][0]['artifact_id']
    made = server.post(f'{OWN}/models:register', {'run_id': run['run_id'], 'model': fresh('traced')}).json
    model, version = made['registered_model']['id'], made['model_version']['id']
    environment = server.post(f'{BASE}/serving_environments', {'name': fresh('place')}).json['id']
    service = server.post(f'{BASE}/inference_services', {
        'name': fresh('service'), 'registeredModelId': model, 'servingEnvironmentId': environment}).json['id']

    def graph(**query):
        found = server.get(f'{OWN}/lineage?artifact={artifact}' + ''.join(f'&{k}={v}' for k, v in query.items())).json
        return ({node['id'] for node in found['nodes']},
                {(edge['from'], edge['to'], edge.get('key')) for edge in found['edges']}, found)
    nodes, edges, found = graph()
    registered = (f'artifact:{artifact}', f'model-version:{version}', 'REGISTERED')
    served = (f'model-version:{version}', f'inference-service:{service}', 'SERVED')
    assert {registered[1], served[1]} <= nodes and {registered, served} <= edges
    node = next(node for node in found['nodes'] if node['id'] == f'model-version:{version}')
    assert node['model_version']['registered_model'] == made['registered_model']['name']
    # A service that names no version serves the newest.
    newer = server.post(f'{BASE}/registered_models/{model}/versions', {'name': 'newer', 'registeredModelId': model})
    assert newer.status == 201, newer.text
    nodes, edges, _ = graph()
    assert registered in edges and f'inference-service:{service}' not in nodes
    # One node there is room for: the artifact and its task were there first.
    assert f'model-version:{version}' not in graph(max_nodes=2)[0]


def test_aliases(server):
    model = make(server, 'registered_models', name=fresh('m'))
    version = make(server, 'model_versions', name='v', registeredModelId=model['id'])
    at = f'{OWN}/models/{model["id"]}/aliases'
    set_to = lambda alias, id: server.request('PUT', f'{at}/{alias}', {'model_version_id': id})
    assert set_to('champion', version['id']).json == {'alias': 'champion', 'model_version_id': version['id']}
    assert server.get(at).json == {'aliases': [{'alias': 'champion', 'model_version_id': version['id']}]}
    other = make(server, 'registered_models', name=fresh('o'))
    foreign = make(server, 'model_versions', name='v', registeredModelId=other['id'])
    assert set_to('champion', foreign['id']).status == 400
    assert set_to('a%20b', version['id']).status == 400
    assert server.request('DELETE', f'{at}/champion').status == 200
    assert server.request('DELETE', f'{at}/champion').status == 404
    assert server.get(f'{at}/champion').status == 404


def test_the_command_line(server):
    run, _ = server.run(producer({'train': ('system.Model', 10)}))
    name = fresh('cli')

    def penstock(*words):
        return subprocess.run([BINARY, 'models', *words, '--server', server.url], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60)
    done = penstock('register', run['run_id'], '--model', name, '--version', 'v7', '--alias', 'best')
    assert done.returncode == 0 and f'version v7 of model {name}' in done.stdout
    shown = penstock('list')
    assert any(line.split()[1:] == [name, 'LIVE', 'v7'] for line in shown.stdout.splitlines()), shown.stdout
    failed = penstock('register', run['run_id'], '--model', name, '--task', 'nobody')
    assert failed.returncode != 0 and 'nobody' in failed.stdout


def test_what_was_answered_survives_a_kill(new_server):
    one = new_server()
    model = make(one, 'registered_models', name='m')
    make(one, f'registered_models/{model["id"]}/versions', name='v', registeredModelId=model['id'])
    one.kill()
    one.start()
    assert one.get(f'{BASE}/registered_models/{model["id"]}').json == model
    assert one.get(f'{BASE}/model_version?name=v&parentResourceId={model["id"]}').status == 200
