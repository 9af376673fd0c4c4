"""Python steps that are forked from a process which has their imports: quicker, and otherwise as any step."""
import base64
import contextlib
import functools
import hashlib
import http.server
import json
import os
import pathlib
import signal
import tempfile
import threading
import time
import zipfile

import pytest

from conftest import compile_pipeline, outputs
from steps import RUNS, await_log, log_of, message, running
from test_crash import restart

# Takes half a second of CPU, and tells when that was.
SLOW_PACKAGE = '''
import time
begin = time.process_time()
while time.process_time() < begin + 0.5:
    pass
when = time.monotonic()
names = []
'''


def make_wheel(folder, name, source):
    files = {f'{name}/__init__.py': source,
             f'{name}-1.0.dist-info/METADATA': f'Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n',
             f'{name}-1.0.dist-info/WHEEL': 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n'}
    record = f'{name}-1.0.dist-info/RECORD'
    with zipfile.ZipFile(pathlib.Path(folder, f'{name}-1.0-py3-none-any.whl'), 'w') as wheel:
        lines = [f'{record},,']
        for path, text in files.items():
            wheel.writestr(path, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()
            lines.append(f'{path},sha256={digest},{len(text)}')
        wheel.writestr(record, '\n'.join(lines) + '\n')


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope='module')
def pip_env():
    """Variables that let pip find our wheel, and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        make_wheel(folder, 'slowpackage', SLOW_PACKAGE)
        make_wheel(folder, 'randompackage', RANDOM_PACKAGE)
        with http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=folder)) as web:
            thread = threading.Thread(target=web.serve_forever)
            thread.start()
            yield {'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': f'http://127.0.0.1:{web.server_address[1]}/'}
            web.shutdown()
            thread.join()


def steps(body, count=1, chain=True, package='', after='', returns='str'):
    """A pipeline whose steps all run `body`, which is a function of `n`."""
    lines = '\n'.join('    ' + line for line in body.strip('\n').split('\n'))
    script = f'''
from kfp import dsl

@dsl.component({package})
def step(n: int) -> {returns}:
{lines}

@dsl.pipeline(name='warm-steps')
def pipeline():
    last = None
    for n in range({count}):
        task = step(n=n).set_caching_options(False){after}
        if last is not None and {chain}:
            task.after(last)
        last = task
'''
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, 'pipeline.py')
        path.write_text(script)
        return compile_pipeline(path)[0]


def results(server, spec):
    """What the steps returned, in the order in which they began."""
    run, tasks = server.run(spec)
    assert run['state'] == 'SUCCEEDED', run
    found = sorted((task for name, ones in tasks.items() if name.startswith('step') for task in ones),
                   key=lambda task: task['start_time'])
    return [outputs(task)['Output'] for task in found]


def warm_starts(server):
    lines = server.get('/metrics').text.splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith('penstock_warm_starts_total ')))


def warm_up(server, package='', body='return str(n)'):
    """Returns when a step of that body was forked; fails when none ever is."""
    spec = steps(body, package=package)
    before, deadline = warm_starts(server), time.monotonic() + 60
    while warm_starts(server) == before:
        results(server, spec)
        assert time.monotonic() < deadline, pathlib.Path(server.data, 'node/helper.log').read_text()


def is_forked(server, run):
    """Whether `run()` starts warm steps only; its result."""
    before = warm_starts(server)
    result = run()
    assert warm_starts(server) > before
    return result


def warm_processes(server):
    """Those that wait, and those that were forked from them."""
    found = []
    for entry in filter(str.isdigit, os.listdir('/proc')):
        try:
            words = pathlib.Path('/proc', entry, 'cmdline').read_bytes().split(b'\0')
        except OSError:
            continue
        if any(word.endswith(b'/executor_warm.py') and str(server.data).encode() in word for word in words):
            found.append(int(entry))
    return found


@pytest.fixture(params=[(), ('--sandbox', 'none')], ids=['sandbox', 'plain'])
def warm_server(request, new_server):
    one = new_server(request.param)
    warm_up(one)
    return one


def test_a_package_is_imported_once(new_server, pip_env):
    one = new_server(env=pip_env)
    package = "packages_to_install=['slowpackage==1.0']"
    spec = steps('import slowpackage\nslowpackage.names.append(n)\nreturn f"{slowpackage.when} {slowpackage.names}"',
                 count=4, package=package)
    deadline = time.monotonic() + 60
    while True:
        began = time.monotonic()
        found = [result.split(' ', 1) for result in results(one, spec)]
        took = time.monotonic() - began
        assert [names for _, names in found] == ['[0]', '[1]', '[2]', '[3]']  # each has its own
        if len({when for when, _ in found}) == 1:
            break
        assert time.monotonic() < deadline, pathlib.Path(one.data, 'node/helper.log').read_text()
    assert took < 2  # what the four imports would take together
    assert float(found[0][0]) < began


def test_nothing_is_left_for_the_next(warm_server):
    body = '''
import json, os, random, signal, sys, uuid
seen = [os.path.exists('left'), hasattr(json, 'left'), hasattr(sys, 'left'), oct(os.umask(0o77)),
        str(signal.getsignal(signal.SIGUSR1)), os.path.basename(os.getcwd()), len(os.listdir('/proc/self/fd'))]
json.left = sys.left = n
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
open('left', 'w').close()
os.chdir('/usr')
keep = os.dup(1)
return json.dumps([seen, random.random(), str(uuid.uuid4()), os.environ['HOSTNAME']])
'''
    spec = steps(body, count=4)
    results(warm_server, spec)
    found = [json.loads(result) for result in is_forked(warm_server, lambda: results(warm_server, spec))]
    if '--sandbox' not in warm_server.options:
        assert {seen[5] for seen, _, _, _ in found} == {'tmp'}
    assert {tuple(seen[:5] + seen[6:]) for seen, _, _, _ in found} == {(False, False, False, '0o22', '0', 4)}
    for own in zip(*[rest for _, *rest in found]):
        assert len(set(own)) == 4


# Draws from what a fork copies: OpenSSL's generator and the names of temporary files.
RANDOM_PACKAGE = '''
import ssl
import tempfile
ssl.RAND_bytes(16)
tempfile.mktemp()
'''


def test_no_two_draw_the_same(new_server, pip_env):
    server = new_server(env=pip_env)
    package = "packages_to_install=['randompackage']"
    body = '''
import json, random, ssl, tempfile, uuid
import randompackage
return json.dumps([ssl.RAND_bytes(8).hex(), tempfile.mktemp(), random.random(), str(uuid.uuid4())])
'''
    warm_up(server, package, body)
    spec = steps(body, count=6, package=package)
    before = warm_starts(server)
    drawn = list(zip(*map(json.loads, results(server, spec))))
    assert warm_starts(server) - before >= 4
    for values in drawn:
        assert len(set(values)) == 6, values


def test_numpy_and_pandas(new_server):
    """Real packages with threads and a generator of their own; from PyPI."""
    server = new_server()
    package = "packages_to_install=['numpy', 'pandas']"
    body = '''
import json
import numpy as np
import pandas as pd
a = np.random.rand(200, 200)
right = bool(np.allclose((a @ a)[0], sum(a[0][i] * a[i] for i in range(200))))
sums = pd.DataFrame({'k': np.arange(3000) % 3, 'v': np.arange(3000)}).groupby('k').v.sum().tolist()
return json.dumps([right, sums, float(a[0][0]), float(np.random.default_rng().random())])
'''
    warm_up(server, package, body)
    before = warm_starts(server)
    found = [json.loads(text) for text in results(server, steps(body, count=50, chain=False, package=package))]
    assert warm_starts(server) - before >= 40
    assert all(right and sums == [1498500, 1499500, 1500500] for right, sums, *_ in found)
    assert len({first for *_, first, _ in found}) == len({second for *_, second in found}) == 50
    hungry = steps('import numpy as np\nreturn str(np.ones(100_000_000).sum())', package=package,
                   after='.set_memory_limit("300Mi")')
    run, tasks = server.run(hungry)
    assert run['state'] == 'FAILED' and 'OOMKilled' in message(tasks['step'][0])


def test_what_a_step_does_wrong_is_told_as_always(warm_server):
    for body, words in (("raise ValueError('no good')", 'ValueError: no good'),
                        ("import sys\nsys.exit(3)", 'code 3'),
                        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", '139')):
        def run():
            run, tasks = warm_server.run(spec)
            assert run['state'] == 'FAILED'
            return message(tasks['step'][0])
        spec = steps(body)
        assert words in is_forked(warm_server, run), words


def test_the_limit_of_memory_holds(warm_server):
    spec = steps('kept = []\nwhile True:\n    kept.append(bytearray(1 << 20))', after=".set_memory_limit('100M')")

    def run():
        run, tasks = warm_server.run(spec)
        assert run['state'] == 'FAILED'
        return message(tasks['step'][0])
    assert 'OOMKilled' in is_forked(warm_server, run)


SLEEPER = '''
import os, subprocess, time
child = subprocess.Popen(['sleep', '1000'])
other = os.fork()
if other:
    print('there', child.pid, other, flush=True)
time.sleep(1000)
'''


def alive(server):
    """Processes that only our steps would have."""
    found = set()
    for pid in warm_processes(server):
        try:
            children = pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
            found |= {int(child) for child in children
                      if pathlib.Path('/proc', child, 'cmdline').read_bytes().startswith(b'sleep\0')}
        except OSError:
            continue
    return found


def await_none(pids):
    deadline = time.monotonic() + 30
    while any(os.path.exists(f'/proc/{pid}') and b'sleep' in pathlib.Path(f'/proc/{pid}/cmdline').read_bytes()
              for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_cancelled_run_ends_its_whole_tree(warm_server):
    before = warm_starts(warm_server)
    run_id = warm_server.submit(steps(SLEEPER))
    warm_server.wait_for(run_id, running('step'))
    await_log(warm_server, run_id, warm_server.tasks(run_id)['step'][0]['task_id'], 'there')
    assert warm_starts(warm_server) == before + 1
    sleeping = alive(warm_server)
    assert sleeping
    assert warm_server.post(f'{RUNS}/{run_id}:terminate').status == 200
    assert warm_server.wait(run_id)['state'] == 'CANCELED'
    await_none(sleeping)


WAITER = '''
import socket
gate = socket.create_connection(('127.0.0.1', PORT))
print('arrived', flush=True)
assert gate.recv(2) == b'go'
return 'went on'
'''


def test_a_step_is_found_again_after_the_server_was_killed(warm_server, gate):
    before = warm_starts(warm_server)
    run_id = warm_server.submit(steps(WAITER.replace('PORT', str(gate.port))))
    gate.arrive()
    assert warm_starts(warm_server) == before + 1
    for _ in range(2):
        restart(warm_server)
    gate.open()
    assert warm_server.wait(run_id)['state'] == 'SUCCEEDED'
    task = warm_server.tasks(run_id)['step'][0]
    assert outputs(task)['Output'] == 'went on'
    assert log_of(warm_server, task).text == 'arrived\n'
    assert gate.empty()


def test_steps_do_without_a_warm_process_that_is_killed(warm_server):
    for pid in warm_processes(warm_server):
        with contextlib.suppress(ProcessLookupError):  # it may be one that a step was, on its way out
            os.kill(pid, signal.SIGKILL)
    assert results(warm_server, steps('return str(n)', count=4)) == ['0', '1', '2', '3']
    warm_up(warm_server)


def test_the_helpers_end_ends_warm_processes(warm_server):
    pids = warm_processes(warm_server)
    assert pids
    warm_server.destroy()
    deadline = time.monotonic() + 30
    while any(os.path.exists(f'/proc/{pid}') for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    warm_server.start()


def test_variables_for_the_interpreter_are_heeded(warm_server):
    before = warm_starts(warm_server)
    spec = steps('import sys\nreturn str(sys.flags.optimize)', count=4, after=".set_env_variable('PYTHONOPTIMIZE', '2')")
    assert results(warm_server, spec) == ['2'] * 4
    assert warm_starts(warm_server) == before


def test_other_variables_make_a_process_of_their_own(warm_server):
    spec = steps("import os\nreturn os.environ['MINE']", count=4, after=".set_env_variable('MINE', 'x')")
    results(warm_server, spec)
    assert is_forked(warm_server, lambda: results(warm_server, spec)) == ['x'] * 4
    assert results(warm_server, steps("import os\nreturn str(os.environ.get('MINE'))")) == ['None']


def test_it_can_be_switched_off(new_server):
    one = new_server(['--warm-python', '0'])
    assert results(one, steps('return str(n)', count=5)) == list('01234')
    assert warm_starts(one) == 0 and warm_processes(one) == []


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can become another user')
def test_as_an_ordinary_user(new_server):
    one = new_server(['--python', '/usr/bin/python3'], user=65534)
    warm_up(one)
    spec = steps('import os\nreturn f"{os.getuid()} {os.getpid()}"', count=3)
    assert is_forked(one, lambda: results(one, spec))[0].split()[0] == '65534'
