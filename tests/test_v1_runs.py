"""Runs as the first API shows them, while they run, over a crash and a retry; numbers that tasks leave for their run."""
import json

import pytest

from conftest import shell
from steps import running
from test_crash import restart

RUNS = '/apis/v1beta1/runs'


def with_metrics(spec, step, metrics, name='mlpipeline-metrics'):
    """The step writes these numbers before it does what it does."""
    container = spec['deploymentSpec']['executors'][f'exec-{step}']['container']
    container['command'][2] = 'printf %s "$0" > "$1" && ' + container['command'][2]
    container['args'] = [json.dumps({'metrics': metrics}), "{{$.outputs.artifacts['%s'].path}}" % name]
    spec['components'][f'comp-{step}']['outputDefinitions'] = {
        'artifacts': {name: {'artifactType': {'schemaTitle': 'system.Artifact', 'schemaVersion': '0.0.1'}}}}
    return spec


def detail(server, run_id):
    found = server.get(f'{RUNS}/{run_id}')
    assert found.status == 200, found.text
    return found.json


def nodes(server, run_id):
    status = json.loads(detail(server, run_id)['pipeline_runtime']['workflow_manifest'])['status']
    return status['phase'], {node['displayName']: node for node in status['nodes'].values()}


def metrics_of(server, run_id):
    return {m['name']: m['number_value'] for m in detail(server, run_id)['run'].get('metrics', [])}


def submit(server, spec, name='by v1'):
    answer = server.post(RUNS, {'name': name, 'pipeline_spec': {'pipeline_manifest': json.dumps(spec)}})
    assert answer.status == 200, answer.text
    return answer.json['run']['id']


def test_a_run_on_its_way_over_a_crash(new_server, gate):
    server = new_server()
    spec = with_metrics(shell('true', gate.command('true')), 'step-0', [
        {'name': 'accuracy', 'numberValue': 0.5, 'format': 'PERCENTAGE'}, {'name': 'loss', 'numberValue': -2}])
    run_id = submit(server, spec)
    gate.arrive()
    restart(server)
    server.wait_for(run_id, running('step-1'))
    phase, found = nodes(server, run_id)
    assert phase == 'Running'
    assert found['step-0']['phase'] == 'Succeeded' and found['step-1']['phase'] == 'Running'
    assert found['step-0']['children'] == [found['step-1']['id']] and found['step-1']['finishedAt'] is None
    gate.open()
    server.wait(run_id)
    phase, found = nodes(server, run_id)
    assert phase == 'Succeeded' and found['step-1']['phase'] == 'Succeeded'
    assert metrics_of(server, run_id) == {'accuracy': 0.5, 'loss': -2}
    assert [m['node_id'] for m in detail(server, run_id)['run']['metrics']] == [found['step-0']['id']] * 2


def test_numbers_of_what_is_kept_and_cached(server, gate):
    """Metrics of a task that succeeded stay when the run is retried; a task that the cache answers gives them too."""
    spec = with_metrics(shell('true', 'exit 1', caching=True), 'step-0', [{'name': 'kept', 'numberValue': 7}],
                        'mlpipeline_metrics')
    first = submit(server, spec)
    assert server.wait(first)['state'] == 'FAILED'
    assert server.post(f'{RUNS}/{first}/retry').status == 200
    assert server.wait(first)['state'] == 'FAILED'
    assert metrics_of(server, first) == {'kept': 7}
    second = submit(server, spec)
    server.wait(second)
    assert server.tasks(second)['step-0'][0]['state'] == 'CACHED'
    assert metrics_of(server, second) == {'kept': 7}
    page = server.get('/apis/v2beta1/runs?sort_by=metric:kept%20desc&page_size=2').json['runs']
    assert {run['run_id'] for run in page} == {first, second}


@pytest.mark.parametrize('metrics, kept', [
    ('many', {}), ([{'name': 'not a name', 'numberValue': 1}, {'name': 'good', 'numberValue': 1}], {'good': 1})])
def test_a_file_of_metrics_that_is_wrong(server, metrics, kept):
    """It does not fail the task: the file is the run's own affair."""
    spec = with_metrics(shell('true'), 'step-0', metrics)
    run_id = submit(server, spec)
    assert server.wait(run_id)['state'] == 'SUCCEEDED'
    assert metrics_of(server, run_id) == kept


def test_loops_and_failures_in_the_workflow(server):
    loop = shell('exit 3')
    loop['components']['comp-body'] = {
        'dag': {'tasks': {'inner': {'taskInfo': {'name': 'inner'}, 'componentRef': {'name': 'comp-step-0'}}}},
        'inputDefinitions': {'parameters': {'item': {'parameterType': 'NUMBER_INTEGER'}}}}
    loop['root']['dag']['tasks'] = {'loop': {
        'taskInfo': {'name': 'loop'}, 'componentRef': {'name': 'comp-body'},
        'parameterIterator': {'itemInput': 'item', 'items': {'raw': '[1, 2]'}}}}
    run_id = submit(server, loop)
    assert server.wait(run_id)['state'] == 'FAILED'
    manifest = json.loads(detail(server, run_id)['pipeline_runtime']['workflow_manifest'])
    status, name = manifest['status'], manifest['metadata']['name']
    assert status['phase'] == 'Failed' and status['progress'] == '0/2' and status['message']
    types = sorted(node['type'] for node in status['nodes'].values())
    assert types == ['DAG', 'DAG', 'DAG', 'Pod', 'Pod', 'TaskGroup']
    assert {f'{name}.loop({i}).inner' for i in (0, 1)} < {node['name'] for node in status['nodes'].values()}
    failed = [node for node in status['nodes'].values() if node['type'] == 'Pod']
    assert [node['phase'] for node in failed] == ['Failed'] * 2 and 'exit code 3' in failed[0]['message']
    assert [t['name'] for t in manifest['spec']['templates']][0] == 'root'
