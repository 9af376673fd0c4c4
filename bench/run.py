"""Penstock's benchmarks. Every number stands beside a limit or a peer that was measured in the same run.

    ./dev bench             all
    ./dev bench tasks       no-op shell tasks: independent and in a chain, with and without the sandbox
    ./dev bench python      Python function tasks in a chain and independent, and what their imports cost
    ./dev bench api         run creations and lists
    ./dev bench scale       a loop of 10,000 steps with lists meanwhile, a run of 2,000 tasks, lists of 200,000 runs
    ./dev bench lineage     lineage both ways among a million artifacts
    ./dev bench s3          the object store beside nginx and plain writes with a sync
    ./dev bench s3-scale    the object store with a million keys, 10,000 parts, 5 GiB
"""
import concurrent.futures
import http.client
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / 'tests'))
from conftest import Server  # noqa: E402
import s3  # noqa: E402

BUILD = ROOT / 'build/release'
ROUNDS = 3
TURNS = 7


def floor(kind, count, parallel):
    """Milliseconds a process, with nothing around it."""
    return float(subprocess.check_output([BUILD / 'process_floor', kind, str(count), str(parallel)])) / 1000


def same_mounts(server):
    """The sandbox's limit is that of a step's own mounts: as many, at the same places."""
    def places(text):
        """Mount points; those at and below the data folder by their number alone."""
        points = [line.split()[4] for line in text.splitlines() if ' - ' in line]
        data = os.path.dirname(next(point for point in points if point.endswith('/envs')))
        return sorted('DATA' if point.startswith(data) else point for point in points)

    floor_text = subprocess.check_output([BUILD / 'process_floor', 'sandbox', '1', '1', '/bin/cat', '/proc/self/mountinfo'],
                                         text=True)
    spec = no_op_spec(1, False)
    spec['deploymentSpec']['executors']['e']['container']['command'] = ['cat', '/proc/self/mountinfo']
    run_id = server.submit(spec)
    server.wait(run_id)
    task = server.tasks(run_id)['t0'][0]
    step_text = server.get(f"/apis/v1alpha1/runs/{run_id}/nodes/{task['task_id']}/log").text
    assert places(step_text) == places(floor_text), (step_text, floor_text)


def build_tool(command, count, chain):
    """Milliseconds a task of make or ninja running /bin/true."""
    with tempfile.TemporaryDirectory() as folder:
        if command[0] == 'make':
            lines = ['all: ' + ' '.join(f't{i}' for i in range(count))]
            for i in range(count):
                lines.append(f't{i}:' + (f' t{i - 1}' if chain and i else '') + '\n\t@/bin/true')
            pathlib.Path(folder, 'Makefile').write_text('\n'.join(lines) + '\n')
        else:
            lines = ['rule r', '  command = /bin/true']
            for i in range(count):
                lines.append(f'build t{i}: r' + (f' t{i - 1}' if chain and i else ''))
            pathlib.Path(folder, 'build.ninja').write_text('\n'.join(lines) + '\n')
        best = None
        for _ in range(ROUNDS):
            began = time.monotonic()
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            took = (time.monotonic() - began) * 1000 / count
            best = min(best or took, took)
        return best


def no_op_spec(count, chain):
    tasks = {}
    for i in range(count):
        tasks[f't{i}'] = {'taskInfo': {'name': f't{i}'}, 'componentRef': {'name': 'comp'}}
        if chain and i:
            tasks[f't{i}']['dependentTasks'] = [f't{i - 1}']
    return {'pipelineInfo': {'name': 'no-op'}, 'schemaVersion': '2.1.0', 'sdkVersion': 'kfp-2.17.0',
            'deploymentSpec': {'executors': {'e': {'container': {'image': 'debian:12', 'command': ['/bin/true']}}}},
            'components': {'comp': {'executorLabel': 'e'}}, 'root': {'dag': {'tasks': tasks}}}


def timed_run(server, spec):
    """Milliseconds from the request to the end of the run."""
    began = time.monotonic()
    run = server.wait(server.submit(spec))
    assert run['state'] == 'SUCCEEDED', run
    return (time.monotonic() - began) * 1000


def with_server(options, use):
    folder = tempfile.mkdtemp(prefix='penstock-bench-', dir=ROOT / 'build')
    server = Server(folder, options).start()
    try:
        return use(server)
    finally:
        server.destroy()
        shutil.rmtree(folder, ignore_errors=True)


def best_run(server, spec, count):
    return min(timed_run(server, spec) for _ in range(ROUNDS)) / count


def row(what, value, *peers):
    """One line: the value, and for each peer (name, its value, the ratio that is wanted or None)."""
    text = f'{what:<44}{value:9.2f} ms/task'
    for name, peer, wanted in peers:
        text += f'   {value / peer:5.2f}x {name} ({peer:.2f})'
        if wanted:
            text += f' [want <= {wanted}x]'
    print(text, flush=True)


def beside_floor(server, what, spec, count, kind, parallel, wanted, *peers):
    """The run and its limit in turns, so that both see the same machine; the ratio is the median of the rounds'."""
    timed_run(server, spec)
    rounds = [(timed_run(server, spec) / count, floor(kind, count, parallel)) for _ in range(TURNS)]
    value, limit = statistics.median(r[0] for r in rounds), statistics.median(r[1] for r in rounds)
    ratio = statistics.median(r[0] / r[1] for r in rounds)
    name = {'spawn': 'posix_spawn', 'sandbox': 'clone with mounts'}[kind]
    text = f'{what:<44}{value:9.2f} ms/task   {ratio:5.2f}x {name} ({limit:.2f}) [want <= {wanted}x]'
    for peer, took in peers:
        text += f'   {value / took:5.2f}x {peer} ({took:.2f})'
    print(text, flush=True)


def bench_tasks():
    many, chain = 1000, 200
    independent, chained = no_op_spec(many, False), no_op_spec(chain, True)
    make2, ninja2 = build_tool(['make', '-j2'], many, False), build_tool(['ninja', '-j2'], many, False)
    make1, ninja1 = build_tool(['make', '-j2'], chain, True), build_tool(['ninja', '-j2'], chain, True)

    def plain(server):
        beside_floor(server, f'{many} independent tasks, no sandbox', independent, many, 'spawn', 2, 2,
                     ('make -j2', make2), ('ninja -j2', ninja2))
        beside_floor(server, f'chain of {chain}, no sandbox', chained, chain, 'spawn', 1, 2,
                     ('make', make1), ('ninja', ninja1))

    with_server(['--sandbox', 'none'], plain)
    if os.geteuid() != 0:
        print('the sandbox is compared with its limit as root only')
        return

    def sandboxed(server):
        same_mounts(server)
        beside_floor(server, f'{many} independent tasks, sandboxed', independent, many, 'sandbox', 2, 1.5)
        beside_floor(server, f'chain of {chain}, sandboxed', chained, chain, 'sandbox', 1, 1.5)

    with_server([], sandboxed)


def python_spec(body, count, chained):
    """A pipeline of `count` Python functions, compiled with our SDK."""
    from conftest import compile_pipeline
    script = f'''
from kfp import dsl

@dsl.component
def step(n: int) -> int:
    {body}

@dsl.pipeline(name='python')
def pipeline(start: int = 0):
    value = start
    for _ in range({count}):
        task = step(n=value).set_caching_options(False)
        if {chained}:
            value = task.output
'''
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, 'pipeline.py')
        path.write_text(script)
        return compile_pipeline(path)[0]


def python_floor(statement, count):
    """Milliseconds of the interpreter alone."""
    python = subprocess.check_output(['python3', '-c', 'import sys; print(sys.executable)'], text=True).strip()
    times = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        for _ in range(count):
            subprocess.run([python, '-c', statement], check=True)
        times.append((time.monotonic() - began) * 1000 / count)
    return min(times)


def bench_python():
    chain, many = 50, 200
    chained, independent = python_spec('return n + 1', chain, True), python_spec('return n + 1', many, False)
    # Of the standard library, and slow to import.
    package = 'import asyncio, unittest.mock, xml.dom.minidom, sqlite3, email.message, http.client'
    importing = python_spec(package + '; return n + 1', chain, True)
    bare, imported = python_floor('pass', chain), python_floor(package, chain)

    def use(server):
        for what, spec, count, floor in ((f'chain of {chain} Python functions', chained, chain, bare),
                                         (f'{many} independent Python functions', independent, many, bare),
                                         (f'chain of {chain} that import much', importing, chain, imported)):
            timed_run(server, spec)
            timed_run(server, spec)
            print(f'{what:<44}{best_run(server, spec, count):9.2f} ms/task [want <= 8]   the interpreter alone: '
                  f'{floor:.2f}', flush=True)

    with_server([], use)
    with_server(['--sandbox', 'none'], lambda server: (print('without a sandbox:'), use(server)))
    with_server(['--warm-python', '0'], lambda server: (print('each started by itself:'), use(server)))


def bench_api():
    def connection(server):
        host, port = server.url[len('http://'):].split(':')
        return http.client.HTTPConnection(host, int(port), timeout=60)

    body = json.dumps({'display_name': 'bench', 'pipeline_spec': no_op_spec(1, False)}).encode()

    def create(server, count):
        link = connection(server)
        for _ in range(count):
            link.request('POST', '/apis/v2beta1/runs', body, {'Content-Type': 'application/json'})
            response = link.getresponse()
            response.read()
            assert response.status == 200
        link.close()

    def use(server):
        total, threads = 4000, 16
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda _: create(server, total // threads), range(threads)))
        took = time.monotonic() - began
        print(f'{total} runs created while they run, {threads} Python clients: {total / took:.0f} a second '
              '[aim 2000]', flush=True)

    with_server(['--sandbox', 'none'], use)
    print_lists(100_000)


def print_lists(runs):
    print(f'lists with {runs:,} runs stored (milliseconds a page; aim 10):', flush=True)
    output = subprocess.run([BUILD / 'src/pipelines/pipelines_tests', '-ns', '-tc=speed with*'], check=True,
                            stdout=subprocess.PIPE, text=True, env=dict(os.environ, PENSTOCK_BENCH_RUNS=str(runs))).stdout
    print('\n'.join('  ' + line for line in output.splitlines() if 'doctest' not in line and '====' not in line))


def bench_lineage(artifacts=1_000_000):
    print(f'lineage with {artifacts:,} artifacts stored (with the answer read as JSON again):', flush=True)
    output = subprocess.run([BUILD / 'src/pipelines/pipelines_tests', '-ns', '-tc=lineage of many*'], check=True,
                            stdout=subprocess.PIPE, text=True,
                            env=dict(os.environ, PENSTOCK_BENCH_ARTIFACTS=str(artifacts))).stdout
    print('\n'.join('  ' + line for line in output.splitlines() if 'doctest' not in line and '====' not in line))


def memory_of(pid):
    """Bytes of memory of its own; the database file that it has mapped is not counted."""
    with open(f'/proc/{pid}/status') as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith('RssAnon:'))


def loop_spec(count):
    spec = no_op_spec(1, False)
    spec['components']['loop'] = {
        'dag': spec['root']['dag'],
        'inputDefinitions': {'parameters': {'item': {'parameterType': 'NUMBER_INTEGER'}}}}
    spec['root'] = {'dag': {'tasks': {'loop': {
        'taskInfo': {'name': 'loop'}, 'componentRef': {'name': 'loop'},
        'parameterIterator': {'itemInput': 'item', 'items': {'raw': json.dumps(list(range(count)))}}}}}}
    return spec


def print_big_spec(server):
    spec = no_op_spec(1, False)
    for i in range(20_000):
        spec['components'][f'other-{i}'] = {'executorLabel': 'e', 'inputDefinitions': {'parameters': {
            f'p{j}': {'parameterType': 'STRING', 'description': 'd' * 100} for j in range(6)}}}
    size = len(json.dumps(spec)) >> 20
    began = time.monotonic()
    run_id = server.submit(spec)
    accepted = time.monotonic() - began
    assert server.wait(run_id)['state'] == 'SUCCEEDED'
    print(f'a spec of {size} MiB: accepted in {accepted:.2f} s (as JSON in Python), run in {time.monotonic() - began:.2f} s')
    times = []
    for _ in range(20):
        began = time.monotonic()
        assert server.get('/apis/v2beta1/runs?page_size=20&sort_by=created_at%20desc').status == 200
        times.append((time.monotonic() - began) * 1000)
    print(f'a list with that run: {statistics.median(times):.1f} ms', flush=True)


def bench_scale():
    def use(server):
        timed_run(server, no_op_spec(100, False))
        before = memory_of(server.process.pid)
        took, done, most = [], threading.Event(), [before]

        def ask():
            while not done.wait(0.02):
                began = time.monotonic()
                assert server.get('/apis/v2beta1/runs?page_size=20&sort_by=created_at%20desc').status == 200
                took.append((time.monotonic() - began) * 1000)
                most[0] = max(most[0], memory_of(server.process.pid))

        asking = threading.Thread(target=ask)
        asking.start()
        count = 10_000
        began = time.monotonic()
        run_id = server.submit(loop_spec(count))
        try:
            assert server.ends_within(run_id, 600)
            whole = time.monotonic() - began
        finally:
            done.set()
            asking.join()
        assert server.get(f'/apis/v2beta1/runs/{run_id}').json['state'] == 'SUCCEEDED'
        took.sort()
        print(f'a loop of {count:,} steps: {whole:.1f} s, at most {(most[0] - before) / count:.0f} bytes of memory a '
              f'step ({before >> 20} MiB before, {most[0] >> 20} at most)')
        print(f'lists meanwhile: median {statistics.median(took):.1f} ms, 99% {took[int(len(took) * 0.99)]:.1f} ms, '
              f'worst {took[-1]:.1f} ms [want <= 50 ms]', flush=True)
        print_big_spec(server)
        run_id = server.submit(no_op_spec(2000, False))
        server.wait(run_id)
        for what in ('', '?view=FULL'):
            times = []
            for _ in range(5):
                began = time.monotonic()
                server.request('GET', f'/apis/v2beta1/runs/{run_id}{what}')
                times.append((time.monotonic() - began) * 1000)
            print(f'a run of 2,000 tasks, whole{" (FULL)" if what else ""}: {statistics.median(times):.1f} ms, as JSON in '
                  'Python [want <= 100 ms]', flush=True)

    with_server(['--sandbox', 'none'], use)
    print_lists(200_000)


if __name__ == '__main__':
    names = sys.argv[1:] or ['tasks', 'python', 'api', 'scale', 'lineage', 's3', 's3-scale']
    for name in names:
        known = {'tasks': bench_tasks, 'python': bench_python, 'api': bench_api, 'scale': bench_scale,
                 'lineage': bench_lineage, 's3': lambda: s3.bench_s3(Server, False),
                 's3-scale': lambda: s3.bench_s3(Server, True)}
        if name not in known:
            sys.exit(f'there is no benchmark {name}: {", ".join(known)}')
        known[name]()
