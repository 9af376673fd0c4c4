"""The document that the server publishes of its API is complete, valid, and what the answers are like."""
import json
import re
import shutil
import subprocess
import urllib.parse

import pytest

from conftest import ROOT, shell


@pytest.fixture(scope='module')
def document(server):
    answer = server.get('/openapi.json')
    assert answer.status == 200
    return answer.json


def operations(document):
    for path, methods in document['paths'].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def shape(path):
    return re.sub(r'\{[^}]*\}', '{}', path)


def test_it_is_valid(document):
    from openapi_spec_validator import OpenAPIV31SpecValidator
    OpenAPIV31SpecValidator(document).validate()
    ids = [operation['operationId'] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))


def test_every_documented_endpoint_is_in_it(document):
    table = (ROOT / 'docs/compatibility.md').read_text().split('\n## REST\n')[1].split('\n## ')[0]
    listed = {(method, shape(path)) for method, path, state in re.findall(r'^\| (\w+) \| `([^`]+)` \| (\w+)', table, re.M)
              if state == 'served'}
    there = {(method, shape(path)) for method, path, _ in operations(document)}
    assert len(listed) > 100 and listed <= there, listed - there


def test_what_is_ours_and_v2_says_what_it_is(document):
    ours = [(method, path, operation) for method, path, operation in operations(document)
            if path.startswith(('/apis/v2beta1/', '/apis/penstock/'))]
    assert len(ours) > 55
    for method, path, operation in ours:
        assert operation.get('summary'), f'{method} {path} says nothing of itself (pipelines/api/openapi.cpp)'
        assert {p['name'] for p in operation.get('parameters', []) if p['in'] == 'path'} == set(
            re.findall(r'\{(\w+)\}', path))
        for response in operation['responses'].values():
            assert response['content']


def test_nothing_is_in_it_that_is_not_served(server, document):
    for method, path, _ in operations(document):
        if method in ('HEAD', 'OPTIONS') or 'stream' in path or path.startswith('/s3'):
            continue
        target = re.sub(r'\{\w+\}', '00000000-0000-0000-0000-000000000000', path)
        answer = server.request(method, target, b'' if method in ('POST', 'PUT', 'PATCH') else None)
        assert answer.status != 405 and 'there is nothing at' not in answer.text, (method, path)


def strict(schema):
    """The same schema where nothing may be that it does not name."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: strict(value) for key, value in schema.items()}
    if 'properties' in out and 'additionalProperties' not in out:
        out['additionalProperties'] = False
    return out


def test_answers_are_what_it_says(server, document):
    """Every GET that needs no more than a run with its artifacts, and each of its answers is as the schema has it."""
    import jsonschema
    run = server.post('/apis/penstock/v1/examples/train:run', {'parameters': {'rows': 20}}).json
    assert server.wait(run['run_id'])['state'] == 'SUCCEEDED'
    failed, _ = server.run(shell('echo no >&2; false'))
    looped = server.post('/apis/penstock/v1/examples/loops:run').json
    assert server.wait(looped['run_id'])['state'] == 'SUCCEEDED'
    tasks = server.tasks(run['run_id'])
    artifacts = server.get('/apis/v2beta1/artifacts').json['artifacts']
    recurring = server.post('/apis/v2beta1/recurringruns', {
        'display_name': 'schema', 'pipeline_spec': shell('true'), 'mode': 'DISABLE',
        'trigger': {'cron_schedule': {'cron': '0 0 * * * *'}}}).json
    pipeline = server.post('/apis/v2beta1/pipelines', {'name': 'schema', 'tags': {'a': 'b'}}).json
    version = server.post(f'/apis/v2beta1/pipelines/{pipeline["pipeline_id"]}/versions', {
        'name': 'v', 'pipeline_id': pipeline['pipeline_id'], 'package_url': {'pipeline_url': 'https://127.0.0.1/x'}})
    assert version.status != 200
    known = {'run_id': run['run_id'], 'task_id': tasks['fit'][0]['task_id'], 'node_id': tasks['fit'][0]['task_id'],
             'artifact_name': 'model', 'artifact_id': artifacts[0]['artifact_id'], 'name': 'hello',
             'experiment_id': run['experiment_id'], 'recurring_run_id': recurring['recurring_run_id'],
             'pipeline_id': pipeline['pipeline_id']}
    asked = [(path, operation, known) for method, path, operation in operations(document) if method == 'GET' and
             path.startswith(('/apis/v2beta1/', '/apis/penstock/')) and ':watch' not in path and 'names/' not in path]
    more = {'/apis/v2beta1/runs/{run_id}': [failed, looped], '/apis/v2beta1/runs/{run_id}/tasks': [failed, looped]}
    asked += [(path, document['paths'][path]['get'], {**known, 'run_id': one['run_id']})
              for path, runs in more.items() for one in runs]
    checked = 0
    schemas = strict(document['components']['schemas'])
    for path, operation, values in asked:
        if not set(re.findall(r'\{(\w+)\}', path)) <= set(values):
            continue
        content = operation['responses']['200']['content']
        if 'application/json' not in content:
            continue
        target = re.sub(r'\{(\w+)\}', lambda match: urllib.parse.quote(values[match[1]]), path)
        names = {parameter['name'] for parameter in operation.get('parameters', [])}
        for query in ['', '?view=FULL'] if 'view' in names else ['?namespace=x&resources=VIEWERS&verb=GET'] if path.endswith('/auth') else ['']:
            answer = server.get(target + query)
            assert answer.status == 200, (target, answer.text)
            jsonschema.validate(answer.json, {**content['application/json']['schema'],
                                              'components': {'schemas': schemas}})
            checked += 1
    assert checked > 20, checked


def test_errors_are_what_it_says(server, document):
    import jsonschema
    for method, path, target in (('get', '/apis/v2beta1/runs/{run_id}', '/apis/v2beta1/runs/x'),
                                 ('post', '/apis/v2beta1/pipelines/upload', '/apis/v2beta1/pipelines/upload'),
                                 ('get', '/apis/penstock/v1/examples/{name}', '/apis/penstock/v1/examples/x'),
                                 ('get', '/api/v1/{path}', '/api/v1/namespaces/x/pods/y')):
        answer = server.request(method.upper(), target, b'{}' if method == 'post' else None)
        assert answer.status >= 400
        schema = document['paths'][path][method]['responses']['default']['content']['application/json']['schema']
        jsonschema.validate(answer.json, {**schema, 'components': {'schemas': strict(document['components']['schemas'])}})
        assert json.loads(answer.text)


def test_the_dashboard_is_typed_by_it(server, tmp_path):
    """web/src/api/schema.d.ts is what the document gives. In web/ it is made anew by
    `npm run --silent types -- URL/openapi.json -o src/api/schema.d.ts`."""
    if shutil.which('npm') is None or not (ROOT / 'web/node_modules/openapi-typescript').exists():
        pytest.skip('there is no npm with the dashboard\'s packages here')
    source, made = tmp_path / 'openapi.json', tmp_path / 'schema.d.ts'
    source.write_text(server.get('/openapi.json').text)
    subprocess.run(['npm', 'run', '--silent', 'types', '--', source, '-o', made], cwd=ROOT / 'web', check=True,
                   stdout=subprocess.DEVNULL)
    assert made.read_text() == (ROOT / 'web/src/api/schema.d.ts').read_text()
