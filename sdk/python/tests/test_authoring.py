"""The v2 authoring language where upstream's output says nothing or is wrong."""

import json
import subprocess
import sys
import tarfile
import zipfile
from typing import Dict, List, NamedTuple, Optional

import pytest
import yaml
from conftest import ROOT, compiled
from mini_backend import Backend

from kfp import compiler, components, dsl


@dsl.component
def add(a: int, b: int = 1) -> int:
    return a + b


@dsl.component
def echo(text: str) -> str:
    return text


@dsl.component
def total(xs: List[int]) -> int:
    return sum(xs)


@dsl.component
def listing() -> List[Dict[str, str]]:
    return [{'a': 'x', 'b': 'y'}, {'a': 'z', 'b': 'w'}]


@dsl.component
def make(text: str, data: dsl.Output[dsl.Dataset]):
    with open(data.path, 'w') as file:
        file.write(text)
    data.metadata['length'] = len(text)


@dsl.component
def read(data: dsl.Input[dsl.Dataset]) -> str:
    with open(data.path) as file:
        return file.read() + str(data.metadata['length'])


@dsl.component
def read_all(data: dsl.Input[List[dsl.Dataset]]) -> str:
    return '+'.join(open(one.path).read() for one in data)


def run(pipeline, tmp_path, task_environment, **arguments):
    backend = Backend(compiled(pipeline)[0], tmp_path / 'run', task_environment)
    backend.outputs = backend.run(**arguments)
    return backend


def test_values_flow(tmp_path, task_environment):
    @dsl.pipeline
    def flow(n: int = 3, who: str = 'you') -> NamedTuple('O', [('n', int), ('text', str), ('file', str)]):
        one = add(a=n)
        two = add(a=one.output, b=n)
        said = echo(text=f'{who} has {two.output}')
        made = make(text=said.output)
        return (two.output, said.output, read(data=made.outputs['data']).output)
    backend = run(flow, tmp_path, task_environment, n=4)
    assert backend.outputs == {'n': 9, 'text': 'you has 9', 'file': 'you has 99'}


def test_loops_and_collected(tmp_path, task_environment):
    @dsl.pipeline
    def loops(suffix: str = '!') -> NamedTuple('O', [('sum', int), ('files', str)]):
        with dsl.ParallelFor([1, 2]) as i:
            with dsl.ParallelFor([10, 20]) as j:
                one = add(a=i, b=j)
                made = make(text=f'{i}{j}{suffix}')
        return (total(xs=dsl.Collected(one.output)).output, read_all(data=dsl.Collected(made.outputs['data'])).output)
    backend = run(loops, tmp_path, task_environment)
    assert backend.outputs == {'sum': 66, 'files': '110!+120!+210!+220!'}


def test_fields_of_loop_items_in_texts_and_conditions(tmp_path, task_environment):
    @dsl.pipeline
    def fields():
        with dsl.ParallelFor(listing().output) as item:
            with dsl.If(item.a == 'x'):
                echo(text=f'{item.a}-{item["b"]}')
            with dsl.ParallelFor(['p', 'q']) as letter:
                echo(text=f'{item.b}{letter}')
    backend = run(fields, tmp_path, task_environment)
    assert backend.ran.count('echo') == 1
    assert backend.ran.count('echo-2') == 4


def test_branches_and_one_of(tmp_path, task_environment):
    @dsl.pipeline
    def branches(n: int) -> str:
        with dsl.If(n > 10):
            big = echo(text='big')
        with dsl.Elif(n > 5):
            middle = echo(text='middle')
        with dsl.Else():
            small = echo(text='small')
        return dsl.OneOf(big.output, middle.output, small.output)
    for number, expected in ((11, 'big'), (7, 'middle'), (1, 'small')):
        backend = run(branches, tmp_path / str(number), task_environment, n=number)
        assert backend.outputs == {'Output': expected}
        assert len(backend.ran) == 1


def test_one_of_inside_a_loop_is_collected(tmp_path, task_environment):
    @dsl.component
    def joined(texts: List[str]) -> str:
        return ','.join(texts)

    @dsl.pipeline
    def chosen() -> str:
        with dsl.ParallelFor([1, 2, 3]) as i:
            with dsl.If(i == 2):
                yes = echo(text='yes')
            with dsl.Else():
                no = echo(text='no')
            pick = dsl.OneOf(yes.output, no.output)
        return joined(texts=dsl.Collected(pick)).output
    assert run(chosen, tmp_path, task_environment).outputs == {'Output': 'no,yes,no'}


def test_exit_task_sees_the_failure(tmp_path, task_environment):
    @dsl.component
    def fail():
        raise RuntimeError('on purpose')

    @dsl.component
    def bye(status: dsl.PipelineTaskFinalStatus):
        print(status.state, status.pipeline_task_name)

    @dsl.pipeline
    def guarded():
        with dsl.ExitHandler(bye()):
            fail()
            echo(text='independent')
    backend = Backend(compiled(guarded)[0], tmp_path, task_environment)
    with pytest.raises(Exception):
        backend.run()
    assert backend.output['bye'] == 'FAILED exit-handler-1\n'
    assert 'echo' in backend.ran


def test_after_a_task_inside_a_group_waits_for_the_group():
    @dsl.pipeline
    def waits():
        with dsl.ParallelFor([1]) as i:
            inner = add(a=i)
        add(a=1).after(inner)
    root = compiled(waits)[0]['root']['dag']['tasks']
    assert root['add-2']['dependentTasks'] == ['for-loop-2']


def test_pipelines_in_pipelines(tmp_path, task_environment):
    @dsl.pipeline
    def inner(a: int, b: int = 5) -> int:
        return add(a=a, b=b).output

    @dsl.pipeline
    def outer(n: int) -> int:
        first = inner(a=n)
        second = inner(a=first.output, b=1)
        return second.output
    assert run(outer, tmp_path, task_environment, n=1).outputs == {'Output': 7}


def test_loaded_pipeline_is_a_component(tmp_path, task_environment):
    @dsl.pipeline
    def inner(a: int = 1) -> int:
        return add(a=a).output
    path = str(tmp_path / 'inner.yaml')
    compiler.Compiler().compile(inner, path)
    loaded = components.load_component_from_file(path)

    @dsl.pipeline
    def outer() -> int:
        return add(a=loaded(a=4).output, b=loaded().output).output
    assert run(outer, tmp_path, task_environment).outputs == {'Output': 7}


def test_loaded_component_keeps_its_interface(tmp_path):
    path = str(tmp_path / 'add.yaml')
    compiler.Compiler().compile(add, path)
    loaded = components.load_component_from_file(path)
    assert list(loaded.component_spec.inputs) == ['a', 'b']

    @dsl.pipeline
    def outer():
        loaded(a=3).set_cpu_limit('1')
    assert compiled(outer)[0]['deploymentSpec']['executors']['exec-add']['container']['resources']['cpuLimit'] == 1.0


def test_positional_arguments():
    @dsl.pipeline
    def positional(n: int):
        add(n, 3)
    inputs = compiled(positional)[0]['root']['dag']['tasks']['add']['inputs']['parameters']
    assert inputs['b'] == {'runtimeValue': {'constant': 3.0}}


def test_texts_of_all_letters(tmp_path):
    text = 'quote " \' back \\ tab \t line\nend é 漢字 😀 {{$.x}} {curly} %s'

    @dsl.pipeline(name='Ünï & "names"', description=text)
    def strange(p: str = text):
        echo(text=text + ' and ').set_display_name(text).set_env_variable('V', text)
        echo(text=f'{p}{text}')
    for ending in ('.yaml', '.json'):
        path = str(tmp_path / ('p' + ending))
        compiler.Compiler().compile(strange, path)
        with open(path) as file:
            document = yaml.safe_load(file)
        tasks = document['root']['dag']['tasks']
        assert tasks['echo']['taskInfo']['name'] == text
        assert tasks['echo']['inputs']['parameters']['text']['runtimeValue']['constant'] == text + ' and '
        assert document['root']['inputDefinitions']['parameters']['p']['defaultValue'] == text
        assert document['pipelineInfo'] == {'name': 'n-names', 'description': text}


def test_formats(tmp_path):
    @dsl.pipeline
    def formats():
        add(a=1)
    for ending in ('.yaml', '.yml', '.json', '.zip', '.tar.gz', '.tgz'):
        compiler.Compiler().compile(formats, str(tmp_path / ('p' + ending)))
    content = (tmp_path / 'p.yaml').read_bytes()
    assert zipfile.ZipFile(tmp_path / 'p.zip').read('pipeline.yaml') == content
    assert tarfile.open(tmp_path / 'p.tgz').extractfile('pipeline.yaml').read() == content
    assert json.loads((tmp_path / 'p.json').read_text()) == yaml.safe_load(content)
    with pytest.raises(ValueError, match='must end in'):
        compiler.Compiler().compile(formats, str(tmp_path / 'p.txt'))


def test_kubernetes_manifests(tmp_path):
    @dsl.pipeline(name='manifest')
    def manifest():
        add(a=1)
    path = tmp_path / 'm.yaml'
    compiler.Compiler().compile(manifest, str(path), kubernetes_manifest_format=True,
                                kubernetes_manifest_options=compiler.KubernetesManifestOptions(include_pipeline_manifest=True))
    kinds = [document['kind'] for document in yaml.safe_load_all(path.read_text())]
    assert kinds == ['Pipeline', 'PipelineVersion']


def test_pipeline_parameters_override_defaults(tmp_path):
    @dsl.pipeline
    def overridden(n: int, s: str = 'a'):
        add(a=n)
        echo(text=s)
    path = tmp_path / 'o.yaml'
    compiler.Compiler().compile(overridden, str(path), pipeline_parameters={'n': 4}, pipeline_name='other')
    document = yaml.safe_load(path.read_text())
    assert document['root']['inputDefinitions']['parameters']['n'] == {
        'parameterType': 'NUMBER_INTEGER', 'defaultValue': 4.0, 'isOptional': True}
    assert document['pipelineInfo']['name'] == 'other'


def test_optional_inputs():
    @dsl.component
    def maybe(text: Optional[str] = None, data: dsl.Input[dsl.Dataset] = None):
        pass

    @dsl.pipeline
    def optional(text: Optional[str] = None):
        maybe()
        maybe(text=text)
        maybe(text=None, data=None)
    tasks = compiled(optional)[0]['root']['dag']['tasks']
    assert 'inputs' not in tasks['maybe'] and 'inputs' not in tasks['maybe-3']


def test_embedded_files(tmp_path, task_environment):
    folder = tmp_path / 'files'
    folder.mkdir()
    (folder / 'helper.py').write_text('VALUE = 42\n')
    single = tmp_path / 'one.txt'
    single.write_text('content')

    @dsl.component(embedded_artifact_path=str(folder))
    def with_folder(files: dsl.EmbeddedInput[dsl.Dataset]) -> int:
        import os
        import helper
        assert os.listdir(files.path) == ['helper.py']
        return helper.VALUE

    @dsl.component(embedded_artifact_path=str(single))
    def with_file(file: dsl.EmbeddedInput[dsl.Artifact]) -> str:
        return open(file.path).read()

    @dsl.pipeline
    def embedded() -> NamedTuple('O', [('n', int), ('s', str)]):
        return with_folder().output, with_file().output
    assert run(embedded, tmp_path, task_environment).outputs == {'n': 42, 's': 'content'}


def test_task_settings_may_be_chained():
    @dsl.pipeline
    def settings():
        task = add(a=1).set_display_name('A').set_gpu_limit(1).set_memory_limit('1G').set_cpu_limit('500m').set_retry(2)
        task.set_caching_options(False).set_env_variable('A', 'b').set_accelerator_type('nvidia.com/gpu')
    document = compiled(settings)[0]
    container = document['deploymentSpec']['executors']['exec-add']['container']
    assert container['resources']['memoryLimit'] == 1.0
    assert container['resources']['accelerator']['resourceType'] == 'nvidia.com/gpu'
    assert container['env'] == [{'name': 'A', 'value': 'b'}]


def test_command_line(tmp_path, task_environment):
    source = tmp_path / 'p.py'
    source.write_text('from kfp import dsl\n\n@dsl.component\ndef c(x: int):\n    print(x)\n\n'
                      '@dsl.pipeline(name="from-cli")\ndef p(x: int = 1):\n    c(x=x)\n')
    environment = {key: value for key, value in task_environment.items() if key != '_KFP_RUNTIME'}
    for words in (['-m', 'kfp', 'dsl', 'compile', '--py', 'p.py', '--output', 'a.yaml'],
                  ['-c', 'from kfp.cli import *; dsl_compile()', '--py', 'p.py', '--output', 'b.zip']):
        done = subprocess.run([sys.executable] + words, cwd=str(tmp_path), env=environment, stdout=subprocess.PIPE)
        assert done.returncode == 0
    assert yaml.safe_load((tmp_path / 'a.yaml').read_text())['pipelineInfo']['name'] == 'from-cli'
    assert ROOT


def test_command_line_chooses_the_outermost_pipeline(tmp_path, task_environment):
    source = tmp_path / 'p.py'
    text = ('from kfp import dsl\n\n@dsl.component\ndef c(x: int):\n    print(x)\n\n'
            '@dsl.pipeline\ndef inner(x: int):\n    c(x=x)\n\n'
            '@dsl.pipeline\ndef outer(x: int = 1):\n    with dsl.If(x == 1):\n        inner(x=x)\n')
    environment = {key: value for key, value in task_environment.items() if key != '_KFP_RUNTIME'}

    def compiles():
        return subprocess.run([sys.executable, '-m', 'kfp', 'dsl', 'compile', '--py', 'p.py', '--output', 'p.yaml'],
                              cwd=str(tmp_path), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True)

    source.write_text(text)
    done = compiles()
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load((tmp_path / 'p.yaml').read_text())['pipelineInfo']['name'] == 'outer'
    source.write_text(text + '\n@dsl.pipeline\ndef other(x: int):\n    c(x=x)\n')
    done = compiles()
    assert done.returncode == 1
    assert 'defines 3 pipelines (inner, outer, other); choose one with --function' in done.stderr


def test_iterating_over_artifacts(tmp_path, task_environment):
    @dsl.pipeline
    def artifacts() -> List[str]:
        with dsl.ParallelFor(['a', 'bb']) as text:
            made = make(text=text)
        with dsl.ParallelFor(dsl.Collected(made.outputs['data'])) as data:
            got = read(data=data)
        return dsl.Collected(got.output)
    assert run(artifacts, tmp_path, task_environment).outputs == {'Output': ['a1', 'bb2']}
