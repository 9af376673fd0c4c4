"""kfp.local: calling components and pipelines runs them on this machine, by the real program."""
import json
import os
import subprocess
import sys
import textwrap
import time

import pytest

from conftest import BINARY, SDK


@pytest.fixture
def here(tmp_path):
    """Runs a script that begins with everything imported and kfp.local set up; returns what it printed."""

    def run(body, init='', status=0, env=None):
        path = tmp_path / 'script.py'
        path.write_text('import os\nfrom typing import *\nfrom kfp import dsl, local\nfrom kfp.dsl import *\n'
                        f'local.init(runner=local.SubprocessRunner(){init})\n' + textwrap.dedent(body))
        done = subprocess.run([sys.executable, str(path)], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=120, env={**os.environ, 'PYTHONPATH': SDK, 'PENSTOCK_BINARY': str(BINARY), 'XDG_CACHE_HOME': str(tmp_path / 'cache'),
                                   **(env or {})})
        assert done.returncode == status, done.stdout + done.stderr
        return done
    return run


def answers(done):
    """What the script itself printed, without the tasks' logs."""
    return [line for line in done.stdout.splitlines() if not line.startswith(('    ', '['))]


def test_values_of_every_type(here):
    done = here('''
        @dsl.component
        def add(nums: List[List[int]]) -> int:
            print('adding')
            return sum(sum(row) for row in nums)

        @dsl.component
        def identity(x: dict, f: float = 2.0, b: bool = True, s: str = 'Hello World!') -> NamedTuple(
                'Outputs', [('x', dict), ('f', float), ('b', bool), ('s', str)]):
            return (x, f, b, s)
        print(add(nums=[[1, 2], [3, 4]]).output)
        task = identity(x={'a': [1, None]})
        print(task.outputs, type(task.outputs['f']).__name__)
        print(isinstance(task, dsl.PipelineTask), task.state)
        ''')
    assert answers(done) == ['10', "{'x': {'a': [1, None]}, 'f': 2.0, 'b': True, 's': 'Hello World!'} float", 'True SUCCEEDED']
    assert '    adding\n' in done.stdout and "Task 'add' finished with status SUCCESS" in done.stderr


def test_artifacts_are_files_below_the_pipeline_root(here, tmp_path):
    done = here('''
        @dsl.component
        def make(rows: int, data: Output[Dataset], word: OutputPath(str)):
            os_path = data.path
            with open(os_path, 'w') as f:
                f.write('row\\n' * rows)
            data.metadata['rows'] = rows
            with open(word, 'w') as f:
                f.write('made')

        @dsl.component
        def folder(out: Output[Model]):
            import os
            os.makedirs(out.path)
            for name in ('a', 'b'):
                with open(os.path.join(out.path, name), 'w') as f:
                    f.write(name)

        @dsl.component
        def check(data: Input[Dataset]) -> int:
            with open(data.path) as f:
                return len(f.readlines()) + data.metadata['rows']
        made = make(rows=3)
        data = made.outputs['data']
        print(type(data).__name__, data.path == data.uri, data.path.startswith(os.path.abspath('out')), data.metadata, made.outputs['word'])
        print(check(data=data).output)
        own = dsl.Dataset(uri=data.path, metadata={'rows': 10})
        print(check(data=own).output)
        print(*sorted(os.listdir(folder().output.path)))
        try:
            check(data=5)
        except ValueError as error:
            print(error)
        ''', ", pipeline_root='out'")
    assert answers(done)[:4] == ["Dataset True True {'rows': 3} made", '6', '13', 'a b']
    assert "got 5 for the input 'data', which is an artifact" in answers(done)[4]
    assert len(list((tmp_path / 'out').glob('make-*/make/data'))) == 1
    assert json.loads(next((tmp_path / 'out').glob('make-*/make/executor_output.json')).read_text())['parameterValues'] == {'word': 'made'}
    assert sorted(path.name.partition('-')[0] for path in (tmp_path / 'out').iterdir()) == ['check', 'check', 'folder', 'make']
    assert list((tmp_path / 'cache/penstock').rglob('objects/mlpipeline/v2/**/data')) == []  # nothing is kept twice


def test_pipelines_with_control_flow(here):
    done = here('''
        @dsl.component
        def flip(face: str) -> str:
            return face

        @dsl.component
        def say(text: str) -> str:
            return text

        @dsl.component
        def double(n: int) -> int:
            return 2 * n

        @dsl.component
        def total(numbers: List[int]) -> int:
            return sum(numbers)

        @dsl.component
        def join(texts: List[str]) -> str:
            return ','.join(texts)

        @dsl.component
        def number(n: int) -> str:
            return str(n)

        @dsl.pipeline
        def branches(face: str = 'heads') -> str:
            coin = flip(face=face)
            with dsl.If(coin.output == 'heads'):
                heads = say(text='selected:A')
            with dsl.Else():
                tails = say(text='selected:B')
            return dsl.OneOf(heads.output, tails.output)

        @dsl.pipeline
        def inner(numbers: List[int] = [1, 2, 3]) -> int:
            with dsl.ParallelFor(numbers, parallelism=2) as n:
                doubled = double(n=n)
            return total(numbers=dsl.Collected(doubled.output)).output

        @dsl.pipeline
        def outer() -> NamedTuple('Outputs', [('sum', int), ('text', str)]):
            with dsl.ParallelFor([0, 1, 2]) as n:
                texts = number(n=n)
            return (inner(numbers=[4, 5]).output, join(texts=dsl.Collected(texts.output)).output)
        print(branches().output, branches(face='x').output)
        print(inner().output)
        print(outer().outputs)
        ''')
    assert answers(done) == ['selected:A selected:B', '12', "{'sum': 18, 'text': '0,1,2'}"]


def test_failures(here, tmp_path):
    done = here('''
        @dsl.component
        def broken():
            raise ValueError('out of luck')

        @dsl.component
        def note(status: PipelineTaskFinalStatus, path: str):
            with open(path, 'w') as f:
                f.write(status.state)

        @dsl.pipeline
        def inner():
            broken()

        @dsl.pipeline
        def guarded(path: str):
            with dsl.ExitHandler(note(path=path)):
                inner()
        try:
            broken()
        except RuntimeError as error:
            print(error)
        try:
            guarded(path=os.path.abspath('note'))
        except RuntimeError as error:
            print(error)
        print(open('note').read())
        ''')
    text = '\n'.join(answers(done))
    assert "Task 'broken' finished with status FAILURE" in text and 'ValueError: out of luck' in text
    assert "Pipeline 'guarded' finished with status FAILURE. Inner task failed: 'broken' inside 'inner' inside 'exit-handler-1'." in text
    assert answers(done)[-1] == 'FAILED'
    done = here('''
        @dsl.component
        def broken() -> int:
            raise ValueError('out of luck')
        task = broken()
        print(task.outputs, task.state)
        ''', ', raise_on_error=False')
    assert answers(done) == ['{} FAILED'] and 'FAILURE' in done.stderr


def test_retries_and_variables(here):
    done = here('''
        @dsl.component
        def stubborn(folder: str) -> str:
            import os
            open(os.path.join(folder, str(len(os.listdir(folder)))), 'w').close()
            count = len(os.listdir(folder))
            if count < 2:
                raise RuntimeError('again')
            return f'attempt={count}'

        @dsl.component
        def variable() -> str:
            import os
            return os.environ['WORD']

        @dsl.pipeline
        def twice(folder: str) -> NamedTuple('Outputs', [('attempt', str), ('word', str)]):
            task = stubborn(folder=folder).set_retry(3, backoff_duration='0s')
            return (task.output, variable().set_env_variable('WORD', 'hello_from_env').output)
        os.mkdir('count')
        print(twice(folder=os.path.abspath('count')).outputs)
        ''')
    assert answers(done) == ["{'attempt': 'attempt=2', 'word': 'hello_from_env'}"]


def test_caching_lasts_from_program_to_program(here):
    body = '''
        @dsl.component
        def stamp() -> str:
            import time
            return str(time.time_ns())
        print(stamp().output == stamp().output, stamp().output)
        '''
    assert answers(here(body))[0].startswith('False ')
    first = answers(here(body, ', enable_caching=True'))[0]
    assert first.startswith('True ')
    assert answers(here(body, ', enable_caching=True'))[0] == first


def test_container_and_loaded_components(here):
    done = here('''
        from kfp import components

        @dsl.container_component
        def echo(text: str, out: OutputPath(str)):
            return dsl.ContainerSpec(image='debian:12', command=['sh', '-c', 'printf %s "$0" > "$1"'], args=[text, out])

        loaded = components.load_component_from_text("""
        name: copy
        inputs: [{name: text, type: String}]
        outputs: [{name: out, type: String}]
        implementation:
          container:
            image: debian:12
            command: [sh, -c, 'mkdir -p "$(dirname "$1")"; printf %s "$0" > "$1"', {inputValue: text}, {outputPath: out}]
        """)
        print(echo(text='a "b" c').output, loaded(text='x').output)
        ''')
    assert answers(done) == ['a "b" c x']


def test_a_finished_task_takes_no_settings(here):
    done = here('''
        import warnings

        @dsl.component
        def one() -> int:
            return 1
        task = one()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            assert task.set_cpu_limit('1') is task
            print(str(caught[0].message))
        ''')
    assert answers(done) == ["set_cpu_limit() has no effect on 'one', which has run already"]


def test_wrong_use_is_said(here, tmp_path):
    done = here('''
        @dsl.component
        def one(n: int) -> int:
            return n
        for call in (lambda: one(), lambda: one(n='x'), lambda: one(m=1), lambda: local.init(runner=5),
                     lambda: local.DockerRunner(image='x')):
            try:
                call()
            except Exception as error:
                print(type(error).__name__, error)
        ''')
    said = answers(done)
    assert 'script.py' in said[0] and "misses the input 'n'" in said[0]
    assert "'n' is a int" in said[1] and "no input 'm'" in said[2]
    assert said[3].startswith('ValueError Got unknown runner 5') and 'image' in said[4]
    path = tmp_path / 'none.py'
    path.write_text('from kfp import dsl\n@dsl.component\ndef f(): pass\nf()\n')
    done = subprocess.run([sys.executable, str(path)], stderr=subprocess.PIPE, text=True, env=dict(os.environ, PYTHONPATH=SDK))
    assert done.returncode == 1 and 'kfp.local.init' in done.stderr and 'none.py:4' in done.stderr
    done = here('@dsl.component\ndef f(): pass\nf()\n', status=1, env={'PENSTOCK_BINARY': '', 'PATH': '/nonexistent'})
    assert 'PENSTOCK_BINARY' in done.stderr


def test_importers_fill_their_metadata_at_every_depth(here, tmp_path):
    (tmp_path / 'data.csv').write_text('a,b')
    done = here('''
        @dsl.component
        def word() -> str:
            return 'made'

        @dsl.pipeline
        def imports(path: str, n: int = 3) -> Dataset:
            metadata = {'plain': 'x', 'list': ['given', word().output, [f'{n} times']], 'map': {'n': n, 'fixed': True}}
            return dsl.importer(artifact_uri=path, artifact_class=Dataset, metadata=metadata).output
        data = imports(path=os.path.abspath('data.csv')).output
        print(open(data.path).read(), sorted(data.metadata.items()))
        ''')
    assert answers(done) == ["a,b [('list', ['given', 'made', ['3 times']]), ('map', {'n': '3', 'fixed': True}), ('plain', 'x')]"]


def test_many_iterations_run_at_once(here):
    done = here('''
        @dsl.component
        def meet(n: int, folder: str, all: int) -> int:
            import os, time
            open(os.path.join(folder, str(n)), 'w').close()
            until = time.monotonic() + 60
            while len(os.listdir(folder)) < all:  # each waits for all the others
                assert time.monotonic() < until
                time.sleep(0.01)
            return n

        @dsl.pipeline
        def together(folder: str):
            with dsl.ParallelFor([0, 1, 2, 3, 4, 5]) as n:
                meet(n=n, folder=folder, all=6)
        os.mkdir('met')
        print(together(folder=os.path.abspath('met')).state)
        ''')
    assert answers(done) == ['SUCCEEDED']


def test_two_programs_at_once(here, tmp_path):
    """Each has a server and a folder of its own; both find the environments of earlier programs."""
    done = here('''
        import subprocess, sys

        @dsl.component
        def answer() -> int:
            return 42
        print(answer().output)
        if len(sys.argv) == 1:
            print(subprocess.run([sys.executable, __file__, 'inner'], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
        print(answer().output)
        ''')
    assert answers(done) == ['42', '42', '42']
    assert sorted(path.name for path in (tmp_path / 'cache/penstock').iterdir()) == ['kfp-local-0', 'kfp-local-1']


def test_nothing_outlives_the_program(tmp_path):
    """Killed in the middle of a task, the program leaves neither its server nor the task behind."""
    script = tmp_path / 'long.py'
    script.write_text(textwrap.dedent(f'''
        from kfp import dsl, local
        local.init(runner=local.SubprocessRunner(), pipeline_root={str(tmp_path / "out")!r})

        @dsl.container_component
        def long():
            return dsl.ContainerSpec(image='debian:12', command=['sh', '-c', 'echo begun $$; exec sleep 1000'])
        long()
        '''))
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                               env=dict(os.environ, PYTHONPATH=SDK, PENSTOCK_BINARY=str(BINARY), XDG_CACHE_HOME=str(tmp_path / 'cache')))
    line = process.stdout.readline()
    assert 'begun' in line
    task = int(line.split()[-1])
    process.kill()
    process.wait()
    process.stdout.close()
    until = time.monotonic() + 30
    while os.path.exists(f'/proc/{task}'):
        assert time.monotonic() < until
        time.sleep(0.02)
    while any(str(tmp_path) in open(f'/proc/{pid}/cmdline').read() for pid in pids()):
        assert time.monotonic() < until
        time.sleep(0.02)


def pids():
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            open(f'/proc/{pid}/cmdline').close()
            yield pid
        except OSError:
            continue
