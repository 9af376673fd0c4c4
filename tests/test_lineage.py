"""Lineage, types, versions and metrics of artifacts, of real pipelines."""
import json
import uuid

import pytest

from conftest import compile_pipeline

OWN = '/apis/penstock/v1'

TRAIN = '''
from kfp import dsl
from kfp.dsl import Dataset, Input, Model, Metrics, ClassificationMetrics, Output, SlicedClassificationMetrics


@dsl.component
def prepare(seed: str, data: Output[Dataset]):
    with open(data.path, 'w') as f:
        f.write('a,b\\n1,2\\n' + seed)
    data.metadata.update(rows=1, payload_format='csv')


@dsl.component
def train(rate: float, data: Input[Dataset], model: Output[Model], scores: Output[Metrics],
          curves: Output[ClassificationMetrics]):
    with open(model.path, 'w') as f:
        f.write(open(data.path).read())
    model.framework = 'none'
    scores.log_metric('accuracy', rate)
    scores.log_metric('note', 'fine')
    curves.log_roc_curve([0.0, 0.5, 1.0], [0.0, 0.9, 1.0], [9.0, 0.5, 0.1])
    curves.log_confusion_matrix(['cat', 'dog'], [[3, 1], [2, 4]])


@dsl.component
def use(model: Input[Model], report: Output[Dataset]):
    with open(report.path, 'w') as f:
        f.write(open(model.path).read())


@dsl.component
def slices(out: Output[SlicedClassificationMetrics]):
    out.metadata['evaluationSlices'] = [
        {'slice': 'old', 'sliceClassificationMetrics': {'confusionMatrix': {
            'annotationSpecs': [{'displayName': 'x'}], 'rows': [{'row': [5]}]}}}]


@dsl.pipeline(name='lineage-train')
def training(seed: str, rate: float = 0.5):
    data = prepare(seed=seed)
    made = train(rate=rate, data=data.outputs['data']).set_caching_options(False)
    use(model=made.outputs['model']).set_caching_options(False)


@dsl.pipeline(name='lineage-serve')
def serving(uri: str, again: bool = False):
    model = dsl.importer(artifact_uri=uri, artifact_class=Model, reimport=REIMPORT)
    use(model=model.output).set_caching_options(False)


@dsl.pipeline(name='lineage-slices')
def sliced():
    slices().set_caching_options(False)
'''


@pytest.fixture(scope='module')
def specs(tmp_path_factory):
    folder = tmp_path_factory.mktemp('lineage')

    def compiled(function, reimport=False):
        script = folder / f'{function}_{reimport}.py'
        script.write_text(TRAIN.replace('REIMPORT', str(reimport)))
        return compile_pipeline(script, function)[0]
    return {'train': compiled('training'), 'serve': compiled('serving'), 'serve anew': compiled('serving', True),
            'slices': compiled('sliced')}


@pytest.fixture(scope='module')
def trained(server, specs):
    """Two runs of one training; the second takes the data from the cache."""
    seed = uuid.uuid4().hex
    runs = []
    for rate in (0.5, 0.75):
        run, tasks = server.run(specs['train'], {'seed': seed, 'rate': rate})
        assert run['state'] == 'SUCCEEDED', run
        runs.append((run['run_id'], tasks))
    assert runs[1][1]['prepare'][0]['state'] == 'CACHED'
    return runs


def output(tasks, task, key):
    """The id of a task's output artifact."""
    for one in tasks[task][0]['outputs']['artifacts']:
        if one['artifact_key'] == key:
            return one['artifacts'][0]['artifact_id']
    raise KeyError(key)


def lineage(server, query):
    answer = server.get(f'{OWN}/lineage?{query}')
    assert answer.status == 200, answer.text
    graph = answer.json
    names = {}
    for node in graph['nodes']:
        thing = node[node['kind']]
        names[node['id']] = thing.get('display_name') or thing.get('name')
    assert len(names) == len(graph['nodes'])
    graph['names'] = {(names[e['from']], e['kind'], names[e['to']]) for e in graph['edges']}
    return graph


def test_what_a_report_was_made_of(server, trained):
    run_id, tasks = trained[0]
    graph = lineage(server, f"artifact={output(tasks, 'use', 'report')}")
    assert graph['names'] == {('prepare', 'OUTPUT', 'data'), ('data', 'INPUT', 'train'), ('train', 'OUTPUT', 'model'),
                              ('model', 'INPUT', 'use'), ('use', 'OUTPUT', 'report')}
    assert not graph['truncated']
    assert graph['start'] == [f"artifact:{output(tasks, 'use', 'report')}"]
    levels = {node[node['kind']].get('name'): node['level'] for node in graph['nodes'] if 'level' in node}
    assert levels == {'report': 0, 'use': -1, 'model': -1, 'train': -2, 'data': -2, 'prepare': -3}
    runs = [node['run'] for node in graph['nodes'] if node['kind'] == 'run']
    assert [run['run_id'] for run in runs] == [run_id] and runs[0]['pipeline_name'] == 'lineage-train'
    model = next(node['artifact'] for node in graph['nodes'] if node['kind'] == 'artifact' and
                 node['artifact']['name'] == 'model')
    assert model['schema_title'] == 'system.Model' and model['run_id'] == run_id
    keys = {edge.get('key') for edge in graph['edges']}
    assert keys == {'data', 'model', 'report'}


def test_data_that_the_cache_gave_again_connects_runs(server, trained):
    (first, tasks), (second, later) = trained
    data = output(tasks, 'prepare', 'data')
    assert output(later, 'prepare', 'data') == data
    graph = lineage(server, f'artifact={data}&direction=downstream')
    runs = {node['run']['run_id'] for node in graph['nodes'] if node['kind'] == 'run'}
    assert {first, second} <= runs
    reused = [edge for edge in graph['edges'] if edge['kind'] == 'REUSED']
    assert [edge['from'].split('/')[0] for edge in reused] == [f'task:{second}']
    models = {node['artifact']['artifact_id'] for node in graph['nodes'] if node['kind'] == 'artifact'}
    assert {output(tasks, 'train', 'model'), output(later, 'train', 'model')} <= models
    # Where the later run's model came from is the first run's step.
    graph = lineage(server, f"artifact={output(later, 'train', 'model')}&direction=upstream")
    made = next(edge for edge in graph['edges'] if edge['to'] == f'artifact:{data}')
    assert made['from'].startswith(f'task:{first}/')
    # And the cached step itself leads there.
    graph = lineage(server, f"task={later['prepare'][0]['task_id']}&run={second}&direction=upstream")
    assert ('prepare', 'REUSED', 'data') in graph['names'] and ('prepare', 'OUTPUT', 'data') in graph['names']


def test_a_model_that_is_imported_by_its_uri_connects_runs(server, specs, trained):
    _, tasks = trained[0]
    model = output(tasks, 'train', 'model')
    uri = server.get(f'/apis/v2beta1/artifacts/{model}').json['uri']
    # The first importer records the place anew, as its metadata are others; the second finds what the first recorded.
    for name, kinds, versions in (('serve', {'SAME_URI'}, 2), ('serve', {'SAME_URI', 'REUSED'}, 2),
                                  ('serve anew', {'SAME_URI', 'REUSED'}, 3)):
        run, later = server.run(specs[name], {'uri': uri})
        assert run['state'] == 'SUCCEEDED', run
        report = output(later, 'use', 'report')
        graph = lineage(server, f'artifact={report}&direction=upstream')
        assert ('train', 'OUTPUT', 'model') in graph['names'], graph['names']
        assert 'SAME_URI' in {edge['kind'] for edge in graph['edges']}
        below = lineage(server, f'artifact={model}&direction=downstream')
        assert f'artifact:{report}' in {node['id'] for node in below['nodes']}
        assert {edge['kind'] for edge in below['edges']} - {'INPUT', 'OUTPUT'} == kinds
        # A run as a whole.
        whole = lineage(server, f"run={run['run_id']}&direction=upstream")
        assert ('train', 'OUTPUT', 'model') in whole['names']
        recorded = server.get(f'{OWN}/artifacts/{model}/versions?by=uri').json['artifacts']
        assert recorded[-1]['artifact_id'] == model and len(recorded) == versions


def test_bounds(server, trained):
    _, tasks = trained[0]
    report, model = output(tasks, 'use', 'report'), output(tasks, 'train', 'model')
    graph = lineage(server, f'artifact={report}&depth=1')
    assert graph['names'] == {('model', 'INPUT', 'use'), ('use', 'OUTPUT', 'report')} and graph['truncated']
    graph = lineage(server, f'artifact={report}&max_nodes=2')
    assert sum(node['kind'] != 'run' for node in graph['nodes']) == 2 and graph['truncated']
    graph = lineage(server, f'artifact={model}&depth=0')
    assert graph['names'] == set() and graph['truncated']
    graph = lineage(server, f'artifact={report},{model}&depth=0')
    assert len(graph['start']) == 2


def test_bad_questions(server, trained):
    run_id, tasks = trained[0]
    report = output(tasks, 'use', 'report')
    for query, status, word in (('', 400, 'artifact'), ('artifact=x', 400, 'artifact'), ('artifact=-1', 400, 'artifact'),
                                ('artifact=999999999', 404, '999999999'), ('run=none', 404, 'none'),
                                ('task=none', 404, 'none'), (f'task=none&run={run_id}', 404, 'none'),
                                (f'artifact={report}&run={run_id}', 400, 'one of'),
                                (f'artifact={report}&direction=left', 400, 'direction'),
                                (f'artifact={report}&depth=-1', 400, 'depth'), (f'artifact={report}&depth=x', 400, 'depth'),
                                (f'artifact={report}&max_nodes=1000000', 400, 'max_nodes'),
                                ('artifact=' + ','.join(['1'] * 101), 400, '100')):
        answer = server.get(f'{OWN}/lineage?{query}')
        assert answer.status == status and word in answer.json['message'], (query, answer.status, answer.text)


def test_links_outlive_a_deleted_run(server, specs):
    run, tasks = server.run(specs['train'], {'seed': uuid.uuid4().hex})
    model = output(tasks, 'train', 'model')
    assert server.request('DELETE', f"/apis/v2beta1/runs/{run['run_id']}").status == 200
    graph = server.get(f'{OWN}/lineage?artifact={model}').json
    tasks = [node for node in graph['nodes'] if node['kind'] == 'task']
    assert len(tasks) == 3 and all(node['deleted'] for node in tasks)


# --- types, versions, executions ---
def test_types(server, trained):
    types = server.get(f'{OWN}/artifact_types?page_size=200').json['artifact_types']
    # Types without a version come with artifacts that name none.
    by_title = {one['schema_title']: one for one in types if one['schema_version']}
    for title in ('Artifact', 'Dataset', 'Model', 'Metrics', 'ClassificationMetrics', 'SlicedClassificationMetrics',
                  'HTML', 'Markdown'):
        assert by_title[f'system.{title}']['schema_version'] == '0.0.1'
    model = by_title['system.Model']
    assert model['properties'] == {'framework': 'STRING', 'framework_version': 'STRING'}
    for name in (model['type_id'], 'system.Model'):
        assert server.get(f'{OWN}/artifact_types/{name}').json == model
    assert server.get(f'{OWN}/artifact_types/system.None').status == 404
    assert server.get(f'{OWN}/artifact_types?sort_by=nothing').status == 400


def test_a_type_of_ones_own_comes_with_its_schema(server):
    schema = 'title: acme.Table\ntype: object\nproperties:\n  rows:\n    type: integer\n  owner:\n    type: string\n'
    spec = {'pipelineInfo': {'name': 'own-type'}, 'schemaVersion': '2.1.0', 'sdkVersion': 'kfp-2.17.0',
            'deploymentSpec': {'executors': {'e': {'container': {'image': 'debian:12', 'command': [
                'sh', '-c', "echo x > {{$.outputs.artifacts['table'].path}}"]}}}},
            'components': {'c': {'executorLabel': 'e', 'outputDefinitions': {'artifacts': {
                'table': {'artifactType': {'instanceSchema': schema}, 'metadata': {'rows': 3, 'extra': True}}}}}},
            'root': {'dag': {'tasks': {'t': {'taskInfo': {'name': 't'}, 'componentRef': {'name': 'c'}}}}}}
    run, tasks = server.run(spec)
    assert run['state'] == 'SUCCEEDED', run
    artifact = server.get(f"{OWN}/artifacts/{output(tasks, 't', 'table')}").json
    assert artifact['schema_title'] == 'acme.Table'
    assert artifact['artifact_type']['properties'] == {'rows': 'INT', 'owner': 'STRING'}
    assert artifact['artifact_type']['instance_schema'] == schema
    assert artifact['content'] == 'object'
    found = server.get(f'{OWN}/artifact_types/acme.Table').json
    assert found['type_id'] == artifact['artifact_type']['type_id']


def test_properties_have_types(server, trained):
    _, tasks = trained[0]
    data = server.get(f"{OWN}/artifacts/{output(tasks, 'prepare', 'data')}").json
    assert data['properties'] == {'payload_format': {'type': 'STRING', 'value': 'csv'}}
    assert data['custom_properties']['rows']['value'] == 1
    scores = server.get(f"{OWN}/artifacts/{output(tasks, 'train', 'scores')}").json
    assert scores['properties'] == {'accuracy': {'type': 'DOUBLE', 'value': 0.5}}
    assert scores['custom_properties'] == {'note': {'type': 'STRING', 'value': 'fine'}}
    assert server.get(f'{OWN}/artifacts/999999999').status == 404
    assert server.get(f'{OWN}/artifacts/x').status == 400


def test_versions_of_a_model(server, trained):
    (_, tasks), (_, later) = trained
    first, second = output(tasks, 'train', 'model'), output(later, 'train', 'model')
    page = server.get(f'{OWN}/artifacts/{first}/versions').json
    ids = [one['artifact_id'] for one in page['artifacts']]
    assert ids.index(second) < ids.index(first)
    # One by one.
    walked, token = [], ''
    while True:
        page = server.get(f'{OWN}/artifacts/{first}/versions?page_size=1&page_token={token}').json
        walked += [one['artifact_id'] for one in page.get('artifacts', [])]
        token = page.get('next_page_token', '')
        if not token:
            break
    assert walked == ids
    assert server.get(f'{OWN}/artifacts/{first}/versions?by=color').status == 400
    assert server.get(f'{OWN}/artifacts/{first}/versions?page_token=x').status == 400


def test_executions(server, trained):
    run_id, tasks = trained[0]
    found = server.get(f'{OWN}/executions?run_id={run_id}&page_size=50').json['executions']
    assert {one['name'] for one in found} >= {'prepare', 'train', 'use'}
    one = next(one for one in found if one['name'] == 'train')
    assert one['state'] == 'SUCCEEDED'
    assert {a['artifact_key'] for a in one['outputs']['artifacts']} == {'model', 'scores', 'curves'}
    alone = server.get(f"{OWN}/executions/{one['execution_id']}").json
    assert alone.pop('run')['run_id'] == run_id
    assert alone == one
    every, token = [], ''
    for _ in range(3):
        page = server.get(f'{OWN}/executions?page_size=2&page_token={token}').json
        every += [int(item['execution_id']) for item in page['executions']]
        token = page['next_page_token']
    assert every == sorted(every, reverse=True) and len(set(every)) == 6
    assert server.get(f'{OWN}/executions/999999999').status == 404
    assert server.get(f'{OWN}/executions/none').status == 400


# --- metrics ---
def test_metrics_of_an_artifact_and_a_run(server, trained):
    run_id, tasks = trained[0]
    scores = output(tasks, 'train', 'scores')
    metrics = server.get(f'{OWN}/artifacts/{scores}/metrics').json
    assert metrics['scalars'] == [{'name': 'accuracy', 'value': 0.5, 'artifact_id': scores, 'artifact_name': 'scores'}]
    assert metrics['values'][0]['value'] == 'fine'
    curves = output(tasks, 'train', 'curves')
    metrics = server.get(f'{OWN}/artifacts/{curves}/metrics').json
    matrix = metrics['confusion_matrices'][0]
    assert matrix['labels'] == ['cat', 'dog'] and matrix['rows'] == [[3, 1], [2, 4]]
    curve = metrics['roc_curves'][0]
    assert [point['true_positive_rate'] for point in curve['points']] == [0.0, 0.9, 1.0]
    assert curve['points'][1] == {'false_positive_rate': 0.5, 'true_positive_rate': 0.9, 'threshold': 0.5}
    assert curve['auc'] == pytest.approx(0.5 * 0.45 + 0.5 * 0.95)
    whole = server.get(f'{OWN}/runs/{run_id}/metrics').json
    assert whole['run_id'] == run_id
    assert [(one['name'], one['task_name'], one['artifact_id']) for one in whole['scalars']] == [('accuracy', 'train', scores)]
    assert len(whole['confusion_matrices']) == len(whole['roc_curves']) == 1
    assert server.get(f'{OWN}/runs/none/metrics').status == 404


def test_sliced_metrics(server, specs):
    run, tasks = server.run(specs['slices'])
    assert run['state'] == 'SUCCEEDED', run
    metrics = server.get(f"{OWN}/runs/{run['run_id']}/metrics").json
    assert metrics['confusion_matrices'][0]['slice'] == 'old'
    assert metrics['confusion_matrices'][0]['rows'] == [[5]]


def test_runs_beside_each_other(server, trained):
    (first, _), (second, _) = trained
    answer = server.get(f'{OWN}/compare?runs={first},{second}').json
    assert [run['run_id'] for run in answer['runs']] == [first, second]
    assert answer['runs'][1]['parameters']['rate'] == 0.75
    rows = {row['name']: row for row in answer['parameters']}
    assert rows['rate']['differs'] and rows['rate']['values'] == {first: 0.5, second: 0.75}
    assert not rows['seed']['differs']
    row = next(row for row in answer['scalars'] if row['name'] == 'accuracy')
    assert row['task_name'] == 'train' and row['artifact_name'] == 'scores'
    assert row['values'][first][0]['value'] == 0.5 and row['values'][second][0]['value'] == 0.75
    assert all(len(run['metrics']['roc_curves']) == 1 for run in answer['runs'])
    for query, status in (('', 400), ('runs=', 400), ('runs=none', 404), ('runs=' + ','.join(map(str, range(21))), 400)):
        assert server.get(f'{OWN}/compare?{query}').status == status


def test_the_first_sdks_files(server):
    """mlpipeline-metrics and mlpipeline-ui-metadata, as steps of a Workflow leave them."""
    bucket = f'charts-{uuid.uuid4().hex[:8]}'
    s3 = server.s3()
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key='matrix.csv', Body=b'yes,yes,7\nyes,no,2\nno,yes,1\nno,no,9\n')
    ui = {'version': 1, 'outputs': [
        {'type': 'confusion_matrix', 'format': 'csv', 'source': f'minio://{bucket}/matrix.csv', 'labels': ['yes', 'no'],
         'schema': [{'name': 'target', 'type': 'CATEGORY'}, {'name': 'predicted', 'type': 'CATEGORY'},
                    {'name': 'count', 'type': 'NUMBER'}]},
        {'type': 'roc', 'format': 'csv', 'storage': 'inline', 'source': '1,1,0\n0,0,1\n0.5,0.75,0.5\n',
         'schema': [{'name': 'fpr'}, {'name': 'tpr'}, {'name': 'thresholds'}]},
        {'type': 'table', 'format': 'csv', 'storage': 'inline', 'header': ['a', 'b'], 'source': '1,"x, y"\n2,z\n'},
        {'type': 'markdown', 'storage': 'inline', 'source': '# Hello'},
        {'type': 'web-app', 'storage': 'inline', 'source': '<script>alert(1)</script>'},
        {'type': 'tensorboard', 'source': f'minio://{bucket}/logs'},
        {'type': 'table', 'format': 'csv', 'source': 'gs://elsewhere/x.csv'},
        {'type': 'table', 'format': 'csv', 'source': f'minio://{bucket}/none.csv'},
        {'type': 'hologram'}]}
    metrics = {'metrics': [{'name': 'auc', 'numberValue': 0.9, 'format': 'PERCENTAGE'}]}
    write = f"printf %s '{json.dumps(metrics)}' > /tmp/m.json; printf %s '{json.dumps(ui)}' > /tmp/ui.json"
    workflow = {'apiVersion': 'argoproj.io/v1alpha1', 'kind': 'Workflow', 'metadata': {'generateName': 'charts-'}, 'spec': {
        'entrypoint': 'main', 'templates': [
            {'name': 'main', 'dag': {'tasks': [{'name': 'draw', 'template': 'draw'}]}},
            {'name': 'draw', 'container': {'image': 'debian:12', 'command': ['sh', '-c', write]}, 'outputs': {'artifacts': [
                {'name': 'mlpipeline-metrics', 'path': '/tmp/m.json'},
                {'name': 'mlpipeline-ui-metadata', 'path': '/tmp/ui.json'}]}}]}}
    run, _ = server.run(workflow)
    assert run['state'] == 'SUCCEEDED', run
    found = server.get(f"{OWN}/runs/{run['run_id']}/metrics").json
    scalar, = found['scalars']
    assert (scalar['name'], scalar['value'], scalar['format']) == ('auc', 0.9, 'PERCENTAGE')
    assert scalar['artifact_name'] == 'mlpipeline-metrics' and scalar['artifact_id']
    assert found['confusion_matrices'][0]['labels'] == ['yes', 'no']
    assert found['confusion_matrices'][0]['rows'] == [[7, 2], [1, 9]]
    assert [p['false_positive_rate'] for p in found['roc_curves'][0]['points']] == [0, 0.5, 1]
    assert found['roc_curves'][0]['auc'] == pytest.approx(0.625)
    assert found['tables'][0]['header'] == ['a', 'b'] and found['tables'][0]['rows'] == [['1', 'x, y'], ['2', 'z']]
    assert found['markdown'][0]['text'] == '# Hello'
    assert found['web_pages'][0]['html'] == '<script>alert(1)</script>'
    assert found['tensorboards'][0]['source'] == f'minio://{bucket}/logs'
    problems = ' '.join(found['problems'])
    assert 'outputs[6]' in problems and 'outputs[7]' in problems and 'hologram' in problems, problems
