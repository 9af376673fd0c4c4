"""Runs that failed and are retried: what succeeded is kept as it was, and exit tasks run again."""

import json
import uuid

from conftest import shell


def log(server, run_id, node):
    return server.get(f'/apis/v1alpha1/runs/{run_id}/nodes/{node}/log').text


def spec_of(gate, caching):
    """first -> second, which waits at the gate; last runs whatever becomes of them."""
    spec = shell(f'date +%s%N; : {gate.port}', gate.command('true'), 'true; date +%s%N', after=False, caching=caching)
    tasks = spec['root']['dag']['tasks']
    tasks['step-1']['dependentTasks'] = ['step-0']
    tasks['step-1']['cachingOptions'] = {}
    tasks['step-2']['cachingOptions'] = {}
    tasks['step-2']['dependentTasks'] = ['step-1']
    tasks['step-2']['triggerPolicy'] = {'strategy': 'ALL_UPSTREAM_TASKS_COMPLETED'}
    return spec


def check(server, gate, caching):
    run_id = server.submit(spec_of(gate, caching))
    gate.arrive()
    gate.refuse()
    assert server.wait(run_id)['state'] == 'FAILED'
    before = server.tasks(run_id)
    first, last = log(server, run_id, 'step-0'), log(server, run_id, 'step-2')
    assert first.strip().isdigit() and last.strip().isdigit()

    assert server.post(f'/apis/v2beta1/runs/{run_id}:retry').status == 200
    gate.arrive()
    gate.open()
    assert server.wait(run_id)['state'] == 'SUCCEEDED'
    after = server.tasks(run_id)
    assert after['step-0'][0]['state'] == 'SUCCEEDED'
    assert after['step-0'][0]['pods'] == before['step-0'][0]['pods']
    assert log(server, run_id, 'step-0') == first
    assert log(server, run_id, 'step-2') != last
    return run_id, after


def test_what_succeeded_is_kept_and_exit_tasks_run_again(server, gate):
    check(server, gate, caching=False)


def test_the_cache_takes_no_part_in_it(server, gate):
    _, tasks = check(server, gate, caching=True)
    assert 'retried' in tasks['step-0'][0]['status_metadata']['custom_properties']['cache']


def test_a_log_is_found_by_its_pod_and_its_node(server, gate):
    run_id, tasks = check(server, gate, caching=False)
    words = log(server, run_id, 'step-0')
    assert log(server, run_id, tasks['step-0'][0]['pods'][0]['name']) == words
    manifest = server.get(f'/apis/v1beta1/runs/{run_id}').json['pipeline_runtime']['workflow_manifest']
    nodes = [node for node in json.loads(manifest)['status']['nodes'].values() if node['displayName'] == 'step-0']
    assert log(server, run_id, nodes[0]['id']) == words
    answer = server.get(f'/apis/v1alpha1/runs/{run_id}/nodes/none-such/log')
    assert answer.status == 404 and 'none-such' in answer.text


def stamps():
    """first -> second -> third, and other, which prints when they ran."""
    spec = shell(*[f'date +%s%N; : {uuid.uuid4()}' for _ in range(4)], caching=True)
    del spec['root']['dag']['tasks']['step-3']['dependentTasks']
    return spec


def test_a_run_that_has_succeeded_is_retried_from_a_task_on(server):
    run, tasks = server.run(stamps())
    run_id = run['run_id']
    names = [f'step-{i}' for i in range(4)]
    before = {name: log(server, run_id, name) for name in names}
    retry = f'/apis/v2beta1/runs/{run_id}:retry'
    assert server.post(retry).status == 409
    assert server.post(retry, {'task_ids': ['nothing']}).status == 404
    assert server.post(retry, {'task_ids': 'step-1'}).status == 400
    assert server.get(f'/apis/v2beta1/runs/{run_id}').json['state'] == 'SUCCEEDED'

    assert server.post(retry, {'task_ids': [tasks['step-1'][0]['task_id']]}).status == 200
    assert server.wait(run_id)['state'] == 'SUCCEEDED'
    after = {name: log(server, run_id, name) for name in names}
    assert after['step-0'] == before['step-0'] and after['step-3'] == before['step-3']
    assert after['step-1'] > before['step-1'], 'it ran again, though the cache knew what it gives'
    cache = server.tasks(run_id)['step-1'][0]['status_metadata']['custom_properties']['cache']
    assert 'asked to run again' in cache


def test_what_was_asked_to_run_again_does_so_after_a_crash_too(new_server, gate):
    one = new_server()
    spec = shell('date +%s%N; : 0', gate.command('true'), 'date +%s%N; : 2', caching=True)
    run_id = one.submit(spec)
    gate.arrive()
    gate.open()
    assert one.wait(run_id)['state'] == 'SUCCEEDED'
    before = {name: log(one, run_id, name) for name in ('step-0', 'step-2')}
    assert one.post(f'/apis/v2beta1/runs/{run_id}:retry', {'task_ids': ['step-1', 'step-2']}).status == 200
    gate.arrive()
    one.kill()
    one.start()
    gate.open()
    assert one.wait(run_id)['state'] == 'SUCCEEDED'
    assert log(one, run_id, 'step-0') == before['step-0']
    assert log(one, run_id, 'step-2') > before['step-2']
