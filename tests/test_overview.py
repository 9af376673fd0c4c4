"""The server at a glance, its parts, and the quick starts."""
import time

import pytest

from conftest import ROOT, shell


def overview(server):
    answer = server.get('/apis/penstock/v1/overview')
    assert answer.status == 200
    return answer.json


def test_what_failed_and_why(server):
    run, tasks = server.run(shell('echo fine', 'echo the last words >&2; exit 3', 'true'))
    found = [one for one in overview(server)['failed'] if one['run_id'] == run['run_id']]
    assert len(found) == 1
    failure = found[0]['first_failure']
    assert failure['task_id'] == tasks['step-1'][0]['task_id'] and failure['name'] == 'step-1'
    assert 'the last words' in failure['message']
    assert found[0]['tasks']['SUCCEEDED'] == 1 and found[0]['tasks']['FAILED'] == 1
    assert found[0]['finished_at'] == run['finished_at']
    assert server.post(f'/apis/v2beta1/runs/{run["run_id"]}:archive').status == 200
    assert run['run_id'] not in [one['run_id'] for one in overview(server)['failed']]


def test_what_runs_and_what_waits(new_server, gate):
    one = new_server(['--cpus', '1'])
    before = overview(one)
    assert (before['active'], before['queued'], before['queued_count']) == ([], [], 0)
    spec = shell(gate.command('true'), gate.command('true'), after=False)
    for executor in spec['deploymentSpec']['executors'].values():
        executor['container']['resources'] = {'cpuRequest': 0.8}
    run_id = one.submit(spec)
    gate.arrive()
    now = overview(one)
    deadline = time.monotonic() + 30
    # The node hears of a process, and of a pod, a moment after they are there.
    while not (now['resources']['processes'] and now['queued_count']):
        assert time.monotonic() < deadline
        now = overview(one)
    assert [run['run_id'] for run in now['active']] == [run_id]
    assert now['active'][0]['state'] == 'RUNNING' and now['runs'] == {'RUNNING': 1}
    assert now['queued_count'] == 1
    waiting = now['queued'][0]
    assert waiting['run_id'] == run_id and waiting['task'] in ('step-0', 'step-1')
    assert 'insufficient cpu' in waiting['reason'] and waiting['cpu'] == pytest.approx(0.8)
    cpu, memory, disk = (now['resources'][name] for name in ('cpu', 'memory', 'disk'))
    assert cpu['capacity'] == 1 and cpu['requested'] == pytest.approx(0.8)
    assert 0 < memory['used_by_server'] < 60 << 20
    assert memory['used_by_tasks'] > 0 and now['resources']['processes'] > 0
    assert 0 < disk['free'] < disk['capacity']
    gate.open()
    gate.arrive()
    gate.open()
    assert one.wait(run_id)['state'] == 'SUCCEEDED'
    after = overview(one)
    assert (after['active'], after['queued_count'], after['runs']) == ([], 0, {'SUCCEEDED': 1})
    assert after['resources']['cpu']['requested'] == 0


def test_features(server):
    features = server.get('/apis/penstock/v1/features').json
    assert features['sections']['runs'] and features['sections']['recurring_runs']
    assert set(features['tasks']) >= {'sandbox', 'images'}
    for section, group in (('serving', 'serving.kserve.io'), ('notebooks', 'kubeflow.org')):
        if features['sections'][section]:
            assert server.get(f'/apis/{group}').status == 200


def examples(server):
    return server.get('/apis/penstock/v1/examples').json['examples']


def test_every_example_is_what_its_script_compiles_to(server):
    names = [one['name'] for one in examples(server)]
    assert names[0] == 'hello' and len(names) == 10
    for name in names:
        one = server.get(f'/apis/penstock/v1/examples/{name}').json
        assert one['source'] == (ROOT / f'examples/{name}.py').read_text()
        assert one['description'] and one['description'] in one['source']
        assert one['pipeline_spec']
    assert server.get('/apis/penstock/v1/examples/nothing').status == 404


def test_an_example_runs_with_one_request(server):
    path = '/apis/penstock/v1/examples/hello:run'
    made = server.post(path)
    assert made.status == 200 and made.json['display_name'] == 'hello'
    other = server.post(path, {'parameters': {'recipient': 'dashboard'}, 'display_name': 'mine'}).json
    for run, word in ((made.json, 'world'), (other, 'dashboard')):
        assert server.wait(run['run_id'])['state'] == 'SUCCEEDED'
        task = server.tasks(run['run_id'])['say-hello'][0]
        assert f'Hello, {word}!' in str(task['outputs'])
    # All that it takes to do a run again is in what the API says of it.
    again = server.get(f'/apis/v2beta1/runs/{other["run_id"]}').json
    copy = {name: again[name] for name in ('display_name', 'experiment_id', 'pipeline_spec', 'runtime_config')}
    clone = server.post('/apis/v2beta1/runs', copy).json
    assert server.wait(clone['run_id'])['state'] == 'SUCCEEDED'
    assert 'Hello, dashboard!' in str(server.tasks(clone['run_id'])['say-hello'][0]['outputs'])
    for body, field in (({'parameters': {'nobody': 1}}, 'nobody'), ({'params': {}}, 'params'),
                        ({'parameters': []}, 'parameters')):
        answer = server.post(path, body)
        assert answer.status == 400 and field in answer.text
    assert server.post('/apis/penstock/v1/examples/nothing:run').status == 404
