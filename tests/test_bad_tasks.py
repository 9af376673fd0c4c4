"""Steps that misbehave, ask for too much, or meet a full disk: they end as they should, and harm nobody else."""
import contextlib
import ctypes
import json
import os
import pathlib
import tempfile
import uuid

import pytest

from conftest import shell
from steps import RUNS, ROOT_USER, await_log, count, log_of, marked, message, raw, running

# --- tasks that misbehave ---

def test_a_task_that_prints_a_lot(server):
    run, tasks = server.run(shell('echo first; yes "$(printf %01000d 7)" | head -c 300M; echo; echo last'))
    assert run['state'] == 'SUCCEEDED', run.get('error')
    log = log_of(server, tasks['step-0'][0])
    assert log.status == 200
    assert len(log.text) < 270 << 20
    assert log.text.startswith('first\n') and log.text.endswith('\nlast\n')
    kept = sum(f.stat().st_blocks * 512 for f in (server.data / 'logs').rglob('*') if f.is_file())
    assert len(log.text) // 2 < kept < 280 << 20, list((server.data / 'logs').rglob('*'))


def test_a_failing_task_that_prints_no_text(server):
    run, tasks = server.run(shell("head -c 20000 /dev/urandom; yes 한 | tr -d '\\n' | head -c 100001; exit 1"))
    assert run['state'] == 'FAILED'
    assert 'exit code 1' in message(tasks['step-0'][0])
    for path in (f'{RUNS}/{run["run_id"]}', f'{RUNS}/{run["run_id"]}/tasks'):
        assert json.loads(raw(server, path).decode('utf-8'))


FORKS = ("trap '' TERM; i=0; while [ $i -lt 100 ]; do (trap '' TERM HUP INT; exec 3>&1; setsid sh -c "
         "'trap \"\" TERM HUP INT; while :; do sleep 1000; done' {marker} >/dev/null 2>&1 &) ; i=$((i+1)); done; "
         "echo forked; {then}")


def test_children_end_with_their_task(server):
    marker = 'penstock-' + uuid.uuid4().hex
    run, tasks = server.run(shell(FORKS.format(marker=marker, then='exit 0')))
    assert run['state'] == 'SUCCEEDED', run.get('error')
    assert log_of(server, tasks['step-0'][0]).text == 'forked\n'
    assert marked(marker) == []


def delete_pod(server, task, grace):
    [pod] = server.get('/api/v1/pods?labelSelector=pipeline/runid%3D' + task['run_id']).json['items']
    meta = pod['metadata']
    return server.request('DELETE', f'/api/v1/namespaces/{meta["namespace"]}/pods/{meta["name"]}?gracePeriodSeconds={grace}')


def test_a_task_that_ignores_sigterm_is_killed(server):
    marker = 'penstock-' + uuid.uuid4().hex
    run_id = server.submit(shell(FORKS.format(marker=marker, then='while :; do sleep 1000; done')))
    task_id = server.wait_for(run_id, running('step-0'))['task']['task_id']
    await_log(server, run_id, task_id, 'forked')
    assert len(marked(marker)) >= 100
    assert server.post(f'{RUNS}/{run_id}:terminate').status == 200
    assert server.get(f'{RUNS}/{run_id}').json['state'] == 'CANCELING'
    # The pod has 30 seconds to end; they are cut short as kubectl does it.
    task = server.get(f'{RUNS}/{run_id}/tasks/{task_id}').json
    answer = delete_pod(server, task, 1)
    assert answer.status in (200, 202), answer.text
    run = server.wait(run_id)
    assert run['state'] == 'CANCELED'
    assert server.tasks(run_id)['step-0'][0]['state'] == 'CANCELED'
    assert marked(marker) == []


def test_sigterm_ends_a_task_at_once(server):
    marker = 'penstock-' + uuid.uuid4().hex
    run_id = server.submit(shell(f'(sh -c "sleep 1000; :" {marker} &) ; echo up; sleep 1000; : {marker}'))
    task_id = server.wait_for(run_id, running('step-0'))['task']['task_id']
    await_log(server, run_id, task_id, 'up')
    server.post(f'{RUNS}/{run_id}:terminate')
    assert server.wait(run_id)['state'] == 'CANCELED'
    assert marked(marker) == []


def with_output(command):
    spec = shell(command, 'true')
    spec['components']['comp-step-0']['outputDefinitions'] = {'parameters': {'result': {'parameterType': 'NUMBER_INTEGER'}}}
    container = spec['deploymentSpec']['executors']['exec-step-0']['container']
    container['args'] = ["{{$.outputs.parameters['result'].output_file}}"]
    return spec


@pytest.mark.parametrize('command', ['true', 'echo text > "$0"', 'mkdir "$0"', 'head -c 1000000 /dev/urandom > "$0"',
                                     'ln -s /etc/shadow "$0"', 'mkfifo "$0"'],
                         ids=['none', 'type', 'folder', 'bytes', 'link', 'pipe'])
def test_an_output_that_is_not_there_or_wrong(server, command):
    run, tasks = server.run(with_output(command))
    assert run['state'] == 'FAILED'
    task = tasks['step-0'][0]
    assert task['state'] == 'FAILED'
    assert 'result' in message(task)
    assert 'step-0' in run['error']['message'] and 'result' in run['error']['message']
    assert tasks['step-1'][0]['state'] == 'SKIPPED'


@pytest.mark.parametrize('code', [1, 42, 255])
def test_exit_codes(server, code):
    run, tasks = server.run(shell(f'echo some words; exit {code}'))
    assert run['state'] == 'FAILED'
    assert f'exit code {code}' in message(tasks['step-0'][0])
    assert 'some words' in message(tasks['step-0'][0])
    assert run['error']['code'] == code


def test_commands_are_what_they_were_written(server):
    run, tasks = server.run(shell("echo '$$ $$$ $(HOME) $$(HOME) $HOME $'; echo $$$(echo x) | tr -d '0-9'"))
    assert run['state'] == 'SUCCEEDED'
    assert log_of(server, tasks['step-0'][0]).text == '$$ $$$ $(HOME) $$(HOME) $HOME $\nx\n'


def test_a_signal_ends_a_task(server):
    run, tasks = server.run(shell('kill -SEGV $$'))
    assert run['state'] == 'FAILED'
    assert '139' in message(tasks['step-0'][0])


def test_a_program_that_is_not_there(server):
    spec = shell('true')
    spec['deploymentSpec']['executors']['exec-step-0']['container']['command'] = ['no-such-program', 'x']
    run, tasks = server.run(spec)
    assert run['state'] == 'FAILED'
    assert 'no-such-program' in message(tasks['step-0'][0])
    assert 'no-such-program' in run['error']['message']


def test_memory_beyond_the_limit(server):
    run, tasks = server.run(shell("python3 -c 'x = bytearray(1 << 30); print(len(x))'",
                                  resources={'memoryLimit': 0.064, 'resourceMemoryLimit': '64M'}))
    assert run['state'] == 'FAILED'
    assert 'OOMKilled' in message(tasks['step-0'][0])


@pytest.mark.parametrize('resources,word', [
    ({'cpuLimit': 1000.0, 'resourceCpuLimit': '1000'}, 'cpu'), ({'cpuRequest': 1000.0, 'resourceCpuRequest': '1000'}, 'cpu'),
    ({'resourceMemoryRequest': '500Ti'}, 'memory'),
    ({'accelerator': {'resourceType': 'nvidia.com/gpu', 'resourceCount': '64'}}, 'nvidia.com/gpu')])
def test_a_request_that_never_fits(server, resources, word):
    run, tasks = server.run(shell('true', resources=resources))
    assert run['state'] == 'FAILED'
    assert word in message(tasks['step-0'][0]) and 'never' in message(tasks['step-0'][0])


def test_a_resource_that_is_none(server):
    spec = shell('true', resources={'resourceCpuLimit': 'lots'})
    answer = server.post(RUNS, {'display_name': 'x', 'pipeline_spec': spec})
    if answer.status == 200:
        run = server.wait(answer.json['run_id'])
        assert run['state'] == 'FAILED' and 'lots' in run['error']['message']
    else:
        assert answer.status == 400 and 'lots' in answer.json['message']


def test_more_than_fits_waits(new_server):
    one = new_server(['--cpus', '2'])
    run, tasks = one.run(shell(*['true'] * 6, after=False, resources={'cpuLimit': 2.0, 'resourceCpuLimit': '2'}))
    assert run['state'] == 'SUCCEEDED'
    spans = sorted((t['start_time'], t['end_time']) for name in tasks for t in tasks[name] if t['type'] == 'RUNTIME')
    assert len(spans) == 6


# --- a full disk ---

@pytest.fixture
def small_disk():
    if not ROOT_USER:
        pytest.skip('mounting a small tmpfs needs root')
    libc = ctypes.CDLL(None, use_errno=True)
    folder = tempfile.mkdtemp(prefix='penstock-small-')
    if libc.mount(b'tmpfs', folder.encode(), b'tmpfs', 0, b'size=60m') != 0:
        os.rmdir(folder)
        pytest.skip('mounting a tmpfs is not permitted here: ' + os.strerror(ctypes.get_errno()))
    yield pathlib.Path(folder)
    assert libc.umount2(folder.encode(), 2) == 0
    os.rmdir(folder)


def test_a_full_disk(small_disk, new_server):
    data = small_disk / 'data'
    one = new_server(data=str(data))
    try:
        run, _ = one.run(shell('echo before'))
        assert run['state'] == 'SUCCEEDED'
        # The task fills the disk in its own folder, sees so, and fails; its files go with it.
        run_id = one.submit(shell('words=$(head -c 200M /dev/zero 2>&1 > /tmp/fill) || { rm /tmp/fill; echo "$words"; exit 7; }'))
        run = one.wait(run_id)
        assert run['state'] == 'FAILED'
        assert 'exit code 7' in run['error']['message'] and 'No space left' in run['error']['message']
        # A disk that stays full for a while: what cannot be written is refused or waits, and nothing dies.
        waiting = one.submit(shell('read line < /tmp/none || true; echo through', 'echo second'))
        fill = small_disk / 'fill'
        with open(fill, 'wb', buffering=0) as f:
            with contextlib.suppress(OSError):
                while True:
                    f.write(b'x' * 65536)
            with contextlib.suppress(OSError):
                while True:
                    f.write(b'x')
        runs = count(one, 'runs')
        big = shell('true')
        big['pipelineInfo']['description'] = 'x' * (4 << 20)
        answer = one.post(RUNS, {'display_name': 'full', 'pipeline_spec': big})
        assert answer.status in (429, 503, 507), answer.text
        assert 'full' in answer.json['message'] or 'space' in answer.json['message']
        assert one.get('/healthz').status == 200
        assert count(one, 'runs') == runs
        fill.unlink()
        assert one.wait(waiting)['state'] in ('SUCCEEDED', 'FAILED')
        run, tasks = one.run(shell('echo after'))
        assert run['state'] == 'SUCCEEDED'
        assert log_of(one, tasks['step-0'][0]).text == 'after\n'
        assert one.process.poll() is None
    finally:
        one.destroy()
        open(one.log.name, 'w').close()  # destroy() is called once more by the fixture


def custom_path_spec(uri, before=''):
    """One step that says where it wrote its artifact, and under which URI it wants it."""
    output = ('{"artifacts": {"data": {"artifacts": [{"name": "data", "uri": "' + uri
              + '", "custom_path": "/tmp/mine"}]}}}')
    spec = shell(f"{before}echo mine > /tmp/mine; mkdir -p /tmp/kfp_outputs; printf '%s' '{output}' "
                 "> /tmp/kfp_outputs/output_metadata.json")
    spec['components']['comp-step-0']['outputDefinitions'] = {
        'artifacts': {'data': {'artifactType': {'schemaTitle': 'system.Dataset'}}}}
    return spec


def test_a_custom_path_reaches_the_tasks_own_place_only(server):
    victim = server.data / 'objects/mlpipeline/of-others'
    victim.write_text('theirs')
    root = "{{$.outputs.artifacts['data'].uri}}"
    run, tasks = server.run(custom_path_spec(root))
    assert run['state'] == 'SUCCEEDED', run['error']
    for uri, before in (('minio://mlpipeline/of-others', ''), (root + '/../../../../../of-others', ''),
                        (root + '-link/of-others', "p={{$.outputs.artifacts['data'].path}}; "
                                                   'ln -s ../../../../../.. "$p-link" && ')):
        run, tasks = server.run(custom_path_spec(uri, before))
        assert victim.read_text() == 'theirs'
        if '..' not in uri:
            assert run['state'] == 'FAILED'
            assert "a URI that is not its task's" in message(tasks['step-0'][0])
