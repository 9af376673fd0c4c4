"""The package on every Python from 3.8 on that this machine has: it loads, compiles, and runs steps."""

import glob
import json
import os
import shutil
import subprocess
import textwrap

import pytest
from conftest import ROOT

VERSIONS = ('3.8', '3.9', '3.10', '3.11', '3.12', '3.13', '3.14')


def interpreters():
    """{version: path}: what PATH has, and what pyenv keeps beside it."""
    found = {}
    for version in VERSIONS:
        places = [shutil.which('python' + version)] + sorted(glob.glob(os.path.expanduser(f'~/.pyenv/versions/{version}.*/bin/python')))
        for path in places:
            if path and subprocess.run([path, '-c', ''], stderr=subprocess.DEVNULL).returncode == 0:
                found[version] = path
                break
    return found


FOUND = interpreters()

LOAD = '''
import importlib, pkgutil, sys
sys.modules['yaml'] = type(sys)('yaml')  # a Python without PyYAML loads everything as well
import kfp
for module in pkgutil.walk_packages(kfp.__path__, 'kfp.'):
    if not module.name.endswith(('__main__', 'executor_warm')):  # programs
        importlib.import_module(module.name)
for module in (kfp, kfp.dsl, kfp.components, kfp.kubernetes, kfp.compiler, kfp.local, kfp.kubeflow_client, kfp.registry):
    for name in module.__all__:
        assert getattr(module, name) is not None, name
'''

COMPILE = '''
import json, sys
from typing import Dict, List, NamedTuple, Optional
sys.path.insert(0, sys.argv[1])
from kfp import dsl
from kfp.compiler import compiler

@dsl.component
def step(a: int, l: List[str], d: Dict[str, int], data: dsl.Output[dsl.Dataset], o: Optional[float] = None, *, k: bool = True) -> NamedTuple(
        'Outputs', [('x', int), ('y', list)]):
    """Does it.

    Args:
        a: a number.
    """
    return (a, l)

@dsl.pipeline
def whole(n: int = 2):
    made = step(a=n, l=['x'], d={'a': 1})
    with dsl.If(made.outputs['x'] > 1):
        with dsl.ParallelFor([1, 2]) as item:
            step(a=item, l=made.outputs['y'], d={})

print(json.dumps(compiler.compile_to_ir(whole), sort_keys=True))
'''

STEP = '''
import kfp
from kfp import dsl
from kfp.dsl import *
from typing import *

class Row(NamedTuple):
    x: int
    y: list

def step(a: int, f: float, s: str, b: bool, l: List[int], d: Dict[str, Any], data: Input[Dataset], out: Output[Model],
         path: OutputPath(str), missing: Optional[str] = None, status: PipelineTaskFinalStatus = None, *, k: int = 7) -> Row:
    with open(path, 'w') as file:
        file.write('text')
    with open(out.path, 'w') as file:
        file.write(open(data.path).read() * 2)
    out.metadata['n'] = len(l)
    assert (type(a), type(f), type(b), missing, status.state, k) == (int, float, bool, None, 'SUCCEEDED', 7)
    return Row(a + int(f), [s, b, d])
'''


@pytest.mark.parametrize('version', VERSIONS)
def test_everything_loads(version):
    if version not in FOUND:
        pytest.skip(f'no python{version} here')
    subprocess.run([FOUND[version], '-W', 'error', '-c', LOAD], check=True, env=dict(os.environ, PYTHONPATH=ROOT), cwd='/')


def test_every_version_compiles_the_same(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(COMPILE)
    made = {}
    for version, path in FOUND.items():
        done = subprocess.run([path, str(script), ROOT], check=True, stdout=subprocess.PIPE, text=True)
        made.setdefault(done.stdout, []).append(version)
    assert len(made) == 1, {text[:200]: versions for text, versions in made.items()}


@pytest.mark.parametrize('version', VERSIONS)
def test_a_step_runs(version, tmp_path):
    if version not in FOUND:
        pytest.skip(f'no python{version} here')
    (tmp_path / 'step.py').write_text(STEP)
    (tmp_path / 'data').write_text('ab')
    status = json.dumps({'state': 'SUCCEEDED', 'pipelineJobResourceName': 'job', 'pipelineTaskName': 'task', 'error': {}})
    values = {'a': 3.0, 'f': 2, 's': 'text', 'b': True, 'l': [1, 2], 'd': {'k': None}, 'status': status}
    executor_input = {
        'inputs': {'parameterValues': values, 'artifacts': {'data': {'artifacts': [{
            'name': 'data', 'type': {'schemaTitle': 'system.Dataset'}, 'uri': str(tmp_path / 'data'), 'metadata': {}}]}}},
        'outputs': {'parameters': {name: {'outputFile': str(tmp_path / 'outputs' / name)} for name in ('x', 'y', 'path')},
                    'artifacts': {'out': {'artifacts': [{'name': 'out', 'type': {'schemaTitle': 'system.Model'},
                                                        'uri': str(tmp_path / 'made' / 'out'), 'metadata': {}}]}},
                    'outputFile': str(tmp_path / 'output.json')}}
    done = subprocess.run([FOUND[version], '-W', 'error', '-m', 'kfp.dsl.executor_main', '--component_module_path', str(tmp_path / 'step.py'),
                           '--executor_input', json.dumps(executor_input), '--function_to_execute', 'step'], cwd=tmp_path,
                          env=dict(os.environ, PYTHONPATH=ROOT, _KFP_RUNTIME='true'), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    output = json.loads((tmp_path / 'output.json').read_text())
    assert output['parameterValues'] == {'x': 5, 'y': ['text', True, {'k': None}]}
    assert output['artifacts']['out']['artifacts'][0]['metadata'] == {'n': 2}
    assert (tmp_path / 'made' / 'out').read_text() == 'abab' and (tmp_path / 'outputs' / 'path').read_text() == 'text'


@pytest.mark.parametrize('version', VERSIONS)
def test_a_v1_step_runs(version, tmp_path):
    """The program of a v1 component, which knows nothing of kfp, in the oldest and newest Pythons."""
    if version not in FOUND:
        pytest.skip(f'no python{version} here')
    from kfp.components import InputPath, OutputPath, create_component_from_func

    def add(a: int, names: list, text_path: InputPath(str), copy_path: OutputPath(str), scale: float = 2.0) -> int:
        with open(text_path) as source, open(copy_path, 'w') as target:
            target.write(source.read() + names[0])
        return int(a * scale)
    component = create_component_from_func(add)
    program = component.component_spec.container.command[-1]
    (tmp_path / 'in').write_text('text ')
    path = tmp_path / 'program.py'
    path.write_text(textwrap.dedent(program))
    subprocess.run([FOUND[version], '-W', 'error', str(path), '--a', '3', '--names', '["x"]', '--text_path', str(tmp_path / 'in'),
                    '----out-copy_path', str(tmp_path / 'new' / 'copy'), '--scale', '1.5', '----output-paths', str(tmp_path / 'sum')], check=True)
    assert (tmp_path / 'sum').read_text() == '4' and (tmp_path / 'new' / 'copy').read_text() == 'text x'
