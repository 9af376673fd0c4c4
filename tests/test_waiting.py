"""A task that cannot start yet says why, wherever one may look, and goes on once it can."""
import base64
import os
import subprocess

from conftest import BINARY, shell


def with_secret(name, optional=False):
    """A step that wants the Secret `name`."""
    spec = shell('echo "$KEY"')
    platform = {'platforms': {'kubernetes': {'deploymentSpec': {'executors': {'exec-step-0': {'secretAsEnv': [
        {'secretName': name, 'optional': optional, 'keyToEnv': [{'secretKey': 'k', 'envVar': 'KEY'}]}]}}}}}}
    return {'pipeline_spec': spec, 'platform_spec': platform}


def is_waiting(name='step-0'):
    return lambda event: event.get('task', {}).get('name') == name and event['task'].get('waiting')


def task_of(server, run_id, name='step-0'):
    return server.tasks(run_id)[name][0]


def detail_of(server, run_id, name='step-0'):
    details = server.get(f'/apis/v2beta1/runs/{run_id}').json['run_details']['task_details']
    return next(task for task in details if task['display_name'] == name)


def events_of(server, pod):
    listed = server.get(f'/api/v1/namespaces/kubeflow/events?fieldSelector=involvedObject.name={pod}').json['items']
    return {(event['type'], event['reason'], event['message']) for event in listed}


def times(history):
    return [entry['update_time'] for entry in history]


def test_a_missing_secret_is_told_and_then_used(server):
    name = f'later-{os.urandom(4).hex()}'
    why = f'CreateContainerConfigError: secret "{name}" not found'
    run_id = server.submit(with_secret(name))
    assert server.wait_for(run_id, is_waiting())['task']['waiting'] == why
    task = task_of(server, run_id)
    assert task['state'] == 'PENDING' and task['status_metadata']['message'] == why
    detail = detail_of(server, run_id)
    assert 'error' not in detail and detail['state_history'][-1]['error'] == {'code': 14, 'message': why}
    shown = subprocess.run([BINARY, 'get', 'run', run_id], env=dict(os.environ, PENSTOCK_SERVER=server.url),
                           stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout
    assert f'step-0 is pending: {why}' in shown
    pods = server.get(f'/api/v1/pods?labelSelector=pipeline/runid={run_id}').json['items']
    assert len(pods) == 1
    assert ('Warning', 'Failed', f'Error: secret "{name}" not found') in events_of(server, pods[0]['metadata']['name'])

    secret = {'metadata': {'name': name}, 'data': {'k': base64.b64encode(b'here it is').decode()}}
    assert server.post('/api/v1/namespaces/kubeflow/secrets', secret).status == 201
    assert server.wait(run_id)['state'] == 'SUCCEEDED'
    task = task_of(server, run_id)
    assert 'message' not in task.get('status_metadata', {})
    detail = detail_of(server, run_id)
    assert [entry['state'] for entry in detail['state_history']] == ['PENDING', 'RUNNING', 'SUCCEEDED']
    assert not any('error' in entry for entry in detail['state_history'])
    assert times(detail['state_history']) == sorted(times(detail['state_history']))


def test_the_reason_outlives_the_server(new_server):
    server = new_server()
    run_id = server.submit(with_secret('never'))
    why = server.wait_for(run_id, is_waiting())['task']['waiting']
    server.kill()
    server.start()
    assert server.wait_for(run_id, is_waiting())['task']['waiting'] == why
    server.post(f'/apis/v2beta1/runs/{run_id}:terminate')
    assert server.wait(run_id)['state'] == 'CANCELED'
    assert 'message' not in task_of(server, run_id).get('status_metadata', {})


def test_waiting_for_a_processor(new_server, gate):
    server = new_server(['--cpus', '2'])
    resources = {'resources': {'cpuRequest': 1.5, 'cpuLimit': 1.5}}
    run_id = server.submit(shell(gate.command('true'), gate.command('true'), after=False, **resources))
    event = server.wait_for(run_id, lambda e: e.get('task', {}).get('waiting'), timeout=60)
    assert event['task']['waiting'] == 'Unschedulable: 0/1 nodes are available: insufficient cpu: asked 1.5, free 500m'
    for _ in range(2):
        gate.arrive()
        gate.open()
    assert server.wait(run_id)['state'] == 'SUCCEEDED'
    # What can never be is told at once.
    run, tasks = server.run(shell('true', resources={'cpuRequest': 64}))
    assert run['state'] == 'FAILED'
    assert 'asked 64, present 2' in tasks['step-0'][0]['status_metadata']['message']


def test_waiting_for_other_tasks_of_the_run(server, gate):
    tasks = [{'name': f'step-{i}', 'template': 'step'} for i in range(3)]
    step = {'name': 'step', 'container': {'image': 'debian:12', 'command': ['sh', '-c', gate.command('true')]}}
    run_id = server.submit({'apiVersion': 'argoproj.io/v1alpha1', 'kind': 'Workflow', 'metadata': {'generateName': 'w-'}, 'spec': {
        'entrypoint': 'all', 'parallelism': 1, 'templates': [{'name': 'all', 'dag': {'tasks': tasks}}, step]}})
    gate.arrive()
    first = server.wait_for(run_id, lambda e: e.get('task', {}).get('state') == 'RUNNING' and e['task']['type'] == 'RUNTIME')
    for other in {'step-0', 'step-1', 'step-2'} - {first['task']['name']}:
        assert server.wait_for(run_id, is_waiting(other))['task']['state'] == 'PENDING'
        assert task_of(server, run_id, other)['status_metadata']['message'].endswith('at once')
    assert 'message' not in task_of(server, run_id, first['task']['name']).get('status_metadata', {})
    gate.open()
    for _ in range(2):
        gate.arrive()
        gate.open()
    assert server.wait(run_id)['state'] == 'SUCCEEDED'


def test_histories_never_go_back(server):
    spec = shell('true', 'test -e again || { : > again; exit 1; }', 'true', after=False)
    spec['root']['dag']['tasks']['step-1']['retryPolicy'] = {'maxRetryCount': 2, 'backoffDuration': '0s'}
    for _ in range(5):
        run, tasks = server.run(spec)
        ends = {}
        for entry in [run] + run['run_details']['task_details']:
            history = entry['state_history']
            assert times(history) == sorted(times(history)), entry
            ends[entry.get('task_id')] = history[-1]['update_time']
        retried = next(t for t in run['run_details']['task_details'] if t['display_name'] == 'step-1')
        states = [entry['state'] for entry in retried['state_history']]
        assert states[:3] == ['PENDING', 'RUNNING', 'PENDING'], states
        assert retried['state_history'][2]['update_time'] > retried['state_history'][0]['update_time']
        assert max(ends.values()) == ends[None]  # the run's
        for task in run['run_details']['task_details']:
            assert ends[task['task_id']] <= ends.get(task.get('parent_task_id'), ends[None])
