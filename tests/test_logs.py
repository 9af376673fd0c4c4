"""What steps print, while they run and afterwards."""
import time
import urllib.request

import pytest

from conftest import shell
from steps import log_of, running


def follow(server, task):
    url = f'{server.url}/apis/v1alpha1/runs/{task["run_id"]}/nodes/{task["task_id"]}/log?follow=true'
    return urllib.request.urlopen(url, timeout=60)


def test_a_step_that_prints_nothing_has_an_empty_log(server):
    run, tasks = server.run(shell('true', 'false'))
    assert run['state'] == 'FAILED'
    for name in ('step-0', 'step-1'):
        answer = log_of(server, tasks[name][0])
        assert (answer.status, answer.text) == (200, '')


def test_a_silent_step_is_followed_until_it_ends(server, gate):
    run_id = server.submit(shell(gate.command('true', say=''), gate.command('echo late; printf "no newline" >&2', say='')))
    for name, text in (('step-0', b''), ('step-1', b'late\nno newline')):
        server.wait_for(run_id, running(name))
        gate.arrive()
        task = server.tasks(run_id)[name][0]
        assert log_of(server, task).text == ''
        with follow(server, task) as stream:
            gate.open()
            assert stream.read() == text
    assert server.wait(run_id)['state'] == 'SUCCEEDED'


def test_output_of_what_a_step_leaves_behind_is_in_its_log(server):
    # The step's own process ends at once; what it started prints on and is ended with it.
    _, tasks = server.run(shell('echo before; (while :; do echo more; done) & sleep 0.05'))
    text = log_of(server, tasks['step-0'][0]).text
    assert text.startswith('before\nmore\n')
    assert set(text.split('\n')[1:-1]) == {'more'}


def test_both_streams_are_in_one_log_in_their_order(server):
    _, tasks = server.run(shell('for i in 1 2 3; do echo out $i; echo err $i >&2; done'))
    assert log_of(server, tasks['step-0'][0]).text == ''.join(f'out {i}\nerr {i}\n' for i in (1, 2, 3))


def retried(*commands, times=2):
    spec = shell(*commands)
    for task in spec['root']['dag']['tasks'].values():
        task['retryPolicy'] = {'maxRetryCount': times, 'backoffDuration': '0s'}
    return spec


def test_every_attempt_has_its_log(server):
    run, tasks = server.run(retried('echo "try $KFP_RETRY_INDEX"; [ $KFP_RETRY_INDEX = 2 ]'))
    assert run['state'] == 'SUCCEEDED'
    task = tasks['step-0'][0]
    assert len({pod['uid'] for pod in task['pods']}) == 3
    log = f'/apis/v1alpha1/runs/{task["run_id"]}/nodes/{task["task_id"]}/log'
    assert [server.get(f'{log}?attempt={i}').text for i in range(3)] == ['try 0\n', 'try 1\n', 'try 2\n']
    assert server.get(log).text == 'try 2\n'
    assert server.get(f'{log}?attempt=3').status == 404
    assert server.get(f'{log}?attempt=x').status == 400
    detail = [detail for detail in run['run_details']['task_details'] if detail['display_name'] == 'step-0']
    assert detail[0]['executor_detail'] == {'main_job': task['pods'][2]['name'],
                                            'failed_main_jobs': [pod['name'] for pod in task['pods'][:2]]}


def test_the_logs_of_a_run_go_with_it(server):
    run, tasks = server.run(retried('echo gone; [ $KFP_RETRY_INDEX = 1 ]'))
    kept, others = server.run(shell('echo stays'))
    mine = {pod['uid'] for pod in tasks['step-0'][0]['pods']}

    def logs():
        return {path.name.split('_')[1] for path in (server.data / 'logs').rglob('*.log')}
    assert len(mine) == 2 and mine <= logs()
    assert server.request('DELETE', f'/apis/v2beta1/runs/{run["run_id"]}').status == 200
    assert not mine & logs()
    assert log_of(server, others['step-0'][0]).text == 'stays\n'


def test_old_runs_go_by_themselves(new_server):
    one = new_server(['--archive-runs-after', '1s', '--delete-archived-runs-after', '1s'])
    run, tasks = one.run(shell('echo short-lived'))
    assert list((one.data / 'logs').rglob('*.log'))
    deadline = time.monotonic() + 60
    while one.get(f'/apis/v2beta1/runs/{run["run_id"]}').status != 404 or list((one.data / 'logs').rglob('*.log')):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_time_that_is_none(new_server):
    for option in ('--archive-runs-after', '--delete-archived-runs-after'):
        with pytest.raises(AssertionError, match='is no time'):
            new_server([option, 'soon'])
