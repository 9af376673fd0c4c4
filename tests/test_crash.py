"""kill -9 of the server at any point, and other ends and starts: no run is lost, no task runs twice."""
import collections
import contextlib
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.request
import uuid

import pytest

from conftest import BINARY, FINAL, ROOT, compile_pipeline, helper_pids, outputs, shell
from steps import RUNS, await_log, log_of, loop_spec, marked, running

ROOT_USER = os.geteuid() == 0


def restart(server):
    server.kill()
    os.unlink(server.log.name)
    server.start()


def ended(name):
    return lambda event: event.get('task', {}).get('name') == name and event['task']['state'] in FINAL


def traces(task):
    """What would be others if the task ran again."""
    return {key: task.get(key) for key in ('task_id', 'pods', 'start_time', 'end_time', 'outputs', 'state')}


def test_killed_before_the_first_task(new_server):
    one = new_server()
    run_id = one.submit(shell('echo first', 'echo second'))
    restart(one)
    assert one.wait(run_id)['state'] == 'SUCCEEDED'
    tasks = one.tasks(run_id)
    assert log_of(one, tasks['step-0'][0]).text == 'first\n'
    assert log_of(one, tasks['step-1'][0]).text == 'second\n'


def test_killed_while_a_task_runs(new_server, gate):
    one = new_server()
    run_id = one.submit(shell('echo done before', gate.command('echo went on; exit 0'), 'echo after'))
    event = one.wait_for(run_id, running('step-1'))
    gate.arrive()
    before = one.tasks(run_id)
    for _ in range(2):
        restart(one)
        assert one.get(f'{RUNS}/{run_id}').json['state'] == 'RUNNING'
    gate.open()
    assert one.wait(run_id)['state'] == 'SUCCEEDED'
    after = one.tasks(run_id)
    assert traces(after['step-0'][0]) == traces(before['step-0'][0])
    assert after['step-1'][0]['start_time'] == before['step-1'][0]['start_time']
    assert after['step-1'][0]['pods'] == before['step-1'][0].get('pods', after['step-1'][0]['pods'])
    assert event['task']['task_id'] == after['step-1'][0]['task_id']
    assert log_of(one, after['step-0'][0]).text == 'done before\n'
    assert log_of(one, after['step-1'][0]).text == 'arrived\nwent on\n'
    assert log_of(one, after['step-2'][0]).text == 'after\n'
    assert gate.empty()


def test_a_task_that_ends_while_no_server_is_up(new_server, gate):
    one = new_server()
    spec = shell(gate.command('printf 42 > "$0"; echo left'), 'echo after')
    spec['components']['comp-step-0']['outputDefinitions'] = {'parameters': {'result': {'parameterType': 'NUMBER_INTEGER'}}}
    spec['deploymentSpec']['executors']['exec-step-0']['container']['args'] = [
        "{{$.outputs.parameters['result'].output_file}}"]
    run_id = one.submit(spec)
    one.wait_for(run_id, running('step-0'))
    gate.arrive()
    one.kill()
    os.unlink(one.log.name)
    gate.open()
    one.start()
    assert one.wait(run_id)['state'] == 'SUCCEEDED'
    tasks = one.tasks(run_id)
    assert outputs(tasks['step-0'][0]) == {'result': 42}
    assert log_of(one, tasks['step-0'][0]).text == 'arrived\nleft\n'
    assert gate.empty()


def test_killed_right_after_a_task_ended(new_server):
    one = new_server()
    run_id = one.submit(shell(*[f'echo step {i}' for i in range(8)]))
    for i in (0, 3, 6):
        one.wait_for(run_id, ended(f'step-{i}'))
        before = one.tasks(run_id)
        restart(one)
        after = one.tasks(run_id)
        for name in [f'step-{n}' for n in range(i + 1)]:
            assert traces(after[name][0]) == traces(before[name][0])
    assert one.wait(run_id)['state'] == 'SUCCEEDED'
    for name, tasks in one.tasks(run_id).items():
        if tasks[0]['type'] == 'RUNTIME':
            assert log_of(one, tasks[0]).text == f'step {name[5:]}\n'


def test_killed_while_canceling(new_server):
    one = new_server()
    marker = 'penstock-' + uuid.uuid4().hex
    run_id = one.submit(shell(f'echo up; sleep 1000; : {marker}', 'true'))
    task_id = one.wait_for(run_id, running('step-0'))['task']['task_id']
    await_log(one, run_id, task_id, 'up')
    assert one.post(f'{RUNS}/{run_id}:terminate').status == 200
    restart(one)
    assert one.wait(run_id)['state'] == 'CANCELED'
    assert marked(marker) == []


def test_killed_while_an_environment_is_made(new_server):
    """The first Python step makes the folders that all later ones use."""
    one = new_server()
    spec = compile_pipeline(ROOT / 'examples/hello.py')[0]
    run_id = one.submit(spec, {'recipient': 'you'})
    for _ in range(3):
        restart(one)
    assert one.wait(run_id)['state'] == 'SUCCEEDED'
    assert outputs(one.tasks(run_id)['say-hello'][0]) == {'Output': 'Hello, you!'}


def test_killed_while_a_loop_runs(new_server):
    one = new_server()
    run_id = one.submit(loop_spec(list(range(40)), 'echo once'))
    for wanted in (5, 15, 30):
        done = set()

        def some_ended(event):
            task = event.get('task', {})
            if task.get('name') == 'work' and task['state'] in FINAL:
                done.add(task['task_id'])
            return len(done) >= wanted or event.get('run', {}).get('state') in FINAL
        one.wait_for(run_id, some_ended)
        before = {task['task_id']: traces(task) for task in one.tasks(run_id)['work'] if task['state'] in FINAL}
        restart(one)
        after = {task['task_id']: traces(task) for task in one.tasks(run_id)['work']}
        for task_id, task in before.items():
            assert after[task_id] == task
    assert one.wait(run_id)['state'] == 'SUCCEEDED'
    work = one.tasks(run_id)['work']
    assert len(work) == 40
    assert all(log_of(one, task).text == 'once\n' for task in work)


def test_killed_in_a_run_that_is_retried(new_server, gate):
    """What succeeded before the retry is not run again, also where the server dies right after it said yes."""
    one = new_server()
    spec = shell('echo once', 'echo once', 'echo once', gate.command('echo ended'))
    del spec['root']['dag']['tasks']['step-3']['dependentTasks']
    run_id = one.submit(spec)
    gate.arrive()
    one.wait_for(run_id, ended('step-2'))
    before = {name: tasks[0]['pods'] for name, tasks in one.tasks(run_id).items() if name in ('step-0', 'step-1', 'step-2')}
    gate.refuse()
    assert one.wait(run_id)['state'] == 'FAILED'
    assert one.post(f'/apis/v2beta1/runs/{run_id}:retry').status == 200
    restart(one)
    gate.arrive()
    restart(one)
    gate.open()
    assert one.wait(run_id)['state'] == 'SUCCEEDED'
    assert gate.empty()
    tasks = one.tasks(run_id)
    assert {tasks[f'step-{i}'][0]['state'] for i in range(4)} == {'SUCCEEDED'}
    for name, pods in before.items():
        assert tasks[name][0]['pods'] == pods
        assert log_of(one, tasks[name][0]).text == 'once\n'


def fan_of(width, depth):
    """Chains beside each other; each step's output goes to the next one, and is checked."""
    spec = shell('true')
    spec['components'], spec['deploymentSpec']['executors'], spec['root']['dag']['tasks'] = {}, {}, {}
    spec['deploymentSpec']['executors']['exec'] = {'container': {
        'image': 'debian:12', 'command': ['sh', '-c', 'echo "ran with $0"; sleep 0.0$(($0 % 7)); echo $(($0 + 1)) > "$1"'],
        'args': ["{{$.inputs.parameters['n']}}", "{{$.outputs.parameters['next'].output_file}}"]}}
    spec['components']['comp'] = {
        'executorLabel': 'exec', 'inputDefinitions': {'parameters': {'n': {'parameterType': 'NUMBER_INTEGER'}}},
        'outputDefinitions': {'parameters': {'next': {'parameterType': 'NUMBER_INTEGER'}}}}
    for i in range(width):
        for j in range(depth):
            source = {'runtimeValue': {'constant': 100 * i}} if j == 0 else {'taskOutputParameter': {
                'producerTask': f'w{i}-d{j - 1}', 'outputParameterKey': 'next'}}
            task = {'taskInfo': {'name': f'w{i}-d{j}'}, 'componentRef': {'name': 'comp'}, 'inputs': {'parameters': {'n': source}}}
            if j:
                task['dependentTasks'] = [f'w{i}-d{j - 1}']
            spec['root']['dag']['tasks'][f'w{i}-d{j}'] = task
    return spec


def wait_until_no_pods(server):
    listed = server.get('/api/v1/pods').json
    present = {pod['metadata']['uid'] for pod in listed['items']}
    version = listed['metadata']['resourceVersion']
    if not present:
        return
    with urllib.request.urlopen(f'{server.url}/api/v1/pods?watch=1&resourceVersion={version}', timeout=60) as stream:
        for line in stream:
            event = json.loads(line)
            if event['type'] == 'DELETED':
                present.discard(event['object']['metadata']['uid'])
            if not present:
                return


@pytest.mark.parametrize('seed', [1, 2])
def test_killed_at_random_moments(new_server, seed):
    one = new_server()
    pick = random.Random(seed)
    spec = fan_of(3, 10)
    run_id = one.submit(spec)
    final = {}
    for _ in range(8):
        # After so many changes more, whatever they are.
        left = pick.randrange(1, 9)

        def counted(event):
            nonlocal left
            left -= event.get('task', {}).get('state') == 'RUNNING' or 'run' in event
            return left <= 0
        try:
            one.wait_for(run_id, counted)
        except AssertionError:
            pass
        restart(one)
        now = {name: tasks[0] for name, tasks in one.tasks(run_id).items() if tasks[0]['type'] == 'RUNTIME'}
        for name, task in final.items():
            assert traces(now[name]) == traces(task)
        final = {name: task for name, task in now.items() if task['state'] in FINAL}
    run = one.wait(run_id)
    assert run['state'] == 'SUCCEEDED', run.get('error')
    tasks = one.tasks(run_id)
    for i in range(3):
        for j in range(10):
            [task] = tasks[f'w{i}-d{j}']
            assert outputs(task) == {'next': 100 * i + j + 1}
            assert log_of(one, task).text == f'ran with {100 * i + j}\n'
    for name, task in final.items():
        assert traces(tasks[name][0]) == traces(task)
    # What a killed server left in the task folders goes with the next one: they wait for other tasks.
    restart(one)
    wait_until_no_pods(one)
    one.stop()
    one.start()
    one.stop()
    left = [path for path in (one.data / 'tasks').rglob('*') if not path.is_dir()]
    assert left == []


def test_sigterm_leaves_tasks_running(new_server, gate):
    one = new_server()
    run_id = one.submit(shell(gate.command('echo went on'), 'echo after'))
    before = one.wait_for(run_id, running('step-0'))['task']
    gate.arrive()
    one.process.send_signal(signal.SIGTERM)
    assert one.process.wait(30) == 0
    one.stop()
    os.unlink(one.log.name)
    one.start()
    gate.open()
    assert one.wait(run_id)['state'] == 'SUCCEEDED'
    tasks = one.tasks(run_id)
    assert tasks['step-0'][0]['task_id'] == before['task_id']
    assert log_of(one, tasks['step-0'][0]).text == 'arrived\nwent on\n'
    assert gate.empty()


def refused(*options):
    """A server that must not come up; what it says."""
    if '--s3-listen' not in options:
        options += ('--s3-listen', '127.0.0.1:0')
    result = subprocess.run(['timeout', '-s', 'KILL', '30', BINARY, 'up', *options],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    assert result.returncode not in (0, 137, -9), result
    assert 'ready' not in result.stdout
    return result.stderr


@pytest.fixture
def folder():
    one = tempfile.mkdtemp(prefix='penstock-test-')
    yield one
    shutil.rmtree(one)


def test_one_server_a_data_folder(server):
    error = refused('--data', str(server.data), '--listen', '127.0.0.1:0')
    assert str(server.data) in error and 'in use by another server' in error and str(server.process.pid) in error
    assert server.get('/readyz').status == 200


def test_a_port_in_use(server, folder):
    address = server.url[len('http://'):].rstrip('/')
    error = refused('--data', folder, '--listen', address)
    assert address in error and 'in use' in error


def test_the_object_stores_port_in_use(server, new_server, folder):
    address = server.s3_url[len('http://'):]
    error = refused('--data', folder, '--listen', '127.0.0.1:0', '--s3-listen', address)
    assert address in error and 'in use' in error and '--s3-listen' in error
    # Nobody asked for the default one: without it the store is below the main address.
    try:
        taken = socket.create_server(('127.0.0.1', 9000))
    except OSError:
        taken = contextlib.nullcontext()  # by somebody else, as well
    with taken:
        one = new_server(['--s3-listen', ''])
        assert one.s3_url == one.url + '/s3'
        assert '127.0.0.1:9000' in one.errors() and '--s3-listen' in one.errors()
        assert [b['Name'] for b in one.s3().list_buckets()['Buckets']] == ['mlpipeline']


def test_listening_to_everyone_needs_a_word(folder):
    error = refused('--data', folder, '--listen', '0.0.0.0:0')
    assert '0.0.0.0' in error and '--insecure' in error
    assert os.listdir(folder) == []
    assert '--insecure' in refused('--data', folder, '--listen', '[::]:0')
    assert 'HOST:PORT' in refused('--data', folder, '--listen', 'nonsense')


def test_a_data_folder_that_cannot_be(folder):
    path = os.path.join(folder, 'file')
    open(path, 'w').close()
    assert path in refused('--data', path, '--listen', '127.0.0.1:0')


@pytest.mark.skipif(not ROOT_USER, reason='only root can become another user')
def test_as_an_ordinary_user(new_server, gate):
    try:
        one = new_server(user=65534)
    except AssertionError:
        if not os.access('/usr/bin/setpriv', os.X_OK):
            pytest.skip('setpriv is not installed')
        raise
    run, tasks = one.run(shell('id -u; touch /tmp/mine && echo mine', 'exit 5'))
    assert log_of(one, tasks['step-0'][0]).text == '65534\nmine\n'
    assert run['state'] == 'FAILED' and 'exit code 5' in run['error']['message']
    marker = 'penstock-' + uuid.uuid4().hex
    run_id = one.submit(shell(gate.command('echo went on'), f'(setsid sh -c "trap \'\' TERM; sleep 1000; :" {marker} &); true'))
    one.wait_for(run_id, running('step-0'))
    gate.arrive()
    restart(one)
    gate.open()
    assert one.wait(run_id)['state'] == 'SUCCEEDED'
    assert log_of(one, one.tasks(run_id)['step-0'][0]).text == 'arrived\nwent on\n'
    assert marked(marker) == []


def test_the_whole_machine_goes_down(new_server, gate):
    """The server, its helper and every task at once: the run does not hang, and says what happened."""
    one = new_server()
    run_id = one.submit(shell('echo done before', gate.command('echo went on'), 'echo after'))
    one.wait_for(run_id, running('step-1'))
    gate.arrive()
    before = one.tasks(run_id)
    # A pod that was made within the last moment would just be made again: this answer comes when all are written.
    assert one.post('/api/v1/namespaces/default/configmaps', {'metadata': {'name': 'written'}}).status == 201
    one.process.send_signal(signal.SIGSTOP)
    for pid in helper_pids(one.data):
        os.kill(pid, signal.SIGKILL)
    restart(one)
    run = one.wait(run_id)
    after = one.tasks(run_id)
    assert traces(after['step-0'][0]) == traces(before['step-0'][0])
    assert run['state'] == 'FAILED'
    assert 'step-1' in run['error']['message']
    assert len(after['step-1'][0]['status_metadata']['message']) > 10
    # Nothing of the lost task runs on.
    gate.waiting[0].settimeout(30)
    assert gate.waiting[0].recv(1) == b''
    assert one.run(shell('echo another'))[0]['state'] == 'SUCCEEDED'


def test_watches_that_are_abandoned_do_no_harm(server):
    run_id = server.submit(shell(*['echo once'] * 40, after=False))
    for lines in range(1, 121):
        with urllib.request.urlopen(f'{server.url}/apis/v2beta1/runs/{run_id}:watch', timeout=30) as stream:
            for _ in zip(stream, range(lines % 30)):
                pass
        assert server.get(f'/apis/v2beta1/runs/{run_id}').json['run_id'] == run_id
    assert server.wait(run_id)['state'] == 'SUCCEEDED'


class Door:
    """Tasks knock at it, each with a word; what came is kept, in order."""

    def __init__(self):
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.came = []
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()

    def listen(self):
        while True:
            connection, _ = self.listener.accept()
            with connection, connection.makefile() as lines:
                word = lines.readline().strip()
            if word == 'enough':
                return
            self.came.append(word)

    def close(self):
        with socket.create_connection(('127.0.0.1', self.port)) as connection:
            connection.sendall(b'enough\n')
        self.thread.join()
        self.listener.close()


@pytest.fixture
def door():
    one = Door()
    yield one
    one.close()


def kill_until_it_ends(one, run_id, seed):
    """Kills the server every few hundred milliseconds until the run has ended; returns it, and how often."""
    pick, kills = random.Random(seed), 0
    while not one.ends_within(run_id, pick.uniform(0.05, 0.4)):
        restart(one)
        kills += 1
    return one.wait(run_id), kills


def test_killed_again_and_again_under_500_tasks(new_server, door):
    """Each task knocks once: whatever happens to the server, 500 different ones come."""
    knock = f'exec 3<>/dev/tcp/127.0.0.1/{door.port}; echo "$0" >&3; sleep 0.0$((RANDOM % 10))'
    spec = loop_spec(list(range(500)))
    spec['components']['comp-work']['inputDefinitions'] = {'parameters': {'item': {'parameterType': 'NUMBER_INTEGER'}}}
    spec['components']['comp-loop']['dag']['tasks']['work']['inputs'] = {
        'parameters': {'item': {'componentInputParameter': 'item'}}}
    spec['deploymentSpec']['executors']['exec-work']['container'].update(
        command=['bash', '-ec', knock], args=["{{$.inputs.parameters['item']}}"])
    one = new_server()
    run_id = one.submit(spec)
    run, kills = kill_until_it_ends(one, run_id, 5)
    assert run['state'] == 'SUCCEEDED', run['error']
    work = one.tasks(run_id)['work']
    assert len(work) == 500 and {task['state'] for task in work} == {'SUCCEEDED'}
    assert kills > 1
    assert sorted(door.came, key=int) == [str(i) for i in range(500)]


MIXED = """
from kfp import dsl

@dsl.component
def knock(port: int, word: str, fails: bool = False) -> str:
    import os, socket
    attempt = os.environ['KFP_RETRY_INDEX']
    with socket.create_connection(('127.0.0.1', port)) as door:
        door.sendall(f'{word}#{attempt}\\n'.encode())
    if fails and attempt == '0':
        raise SystemExit('not at the first attempt')
    return word

@dsl.pipeline(name='mixed')
def mixed(port: int):
    done = knock(port=port, word='cleanup')
    with dsl.ExitHandler(done):
        first = knock(port=port, word='first')
        with dsl.ParallelFor(['a', 'b', 'c', 'd']):
            with dsl.ParallelFor([{'w': f'{i}'} for i in range(10)]) as item:
                once = knock(port=port, word=item.w)
                knock(port=port, word='again', fails=True).set_retry(2, backoff_duration='0s').after(once)
        with dsl.If(first.output == 'first'):
            knock(port=port, word='then')
        with dsl.If(first.output == 'other'):
            knock(port=port, word='never')
"""


def test_killed_again_and_again_with_loops_retries_and_python(new_server, door, tmp_path):
    """Each attempt of each step has its effect once."""
    path = tmp_path / 'mixed.py'
    path.write_text(MIXED)
    spec = compile_pipeline(path)[0]
    one = new_server()
    run_id = one.submit(spec, {'port': door.port})
    run, kills = kill_until_it_ends(one, run_id, 6)
    assert run['state'] == 'SUCCEEDED', run.get('error')
    assert kills > 1
    wanted = {'cleanup#0': 1, 'first#0': 1, 'then#0': 1, 'again#0': 40, 'again#1': 40,
              **{f'{i}#0': 4 for i in range(10)}}
    assert collections.Counter(door.came) == wanted
