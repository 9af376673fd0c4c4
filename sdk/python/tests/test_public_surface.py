"""The public surface: everything has a docstring that names its parameters, and annotations that a type checker accepts."""

import importlib
import inspect
import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT

MODULES = ('kfp', 'kfp.auth', 'kfp.aws', 'kfp.azure', 'kfp.cli', 'kfp.client', 'kfp.compiler', 'kfp.components', 'kfp.dsl',
           'kfp.dsl.types', 'kfp.gcp', 'kfp.kubeflow_client', 'kfp.kubernetes', 'kfp.local', 'kfp.onprem', 'kfp.registry',
           'kfp.dsl.extensions.kubernetes')


def public():
    """(dotted name, object) of every public function, class, method and property."""
    found = {}
    for path in MODULES:
        module = importlib.import_module(path)
        assert module.__doc__, path
        names = getattr(module, '__all__', None) or [name for name, value in vars(module).items() if not name.startswith('_')
                                                     and getattr(value, '__module__', '').startswith('kfp')]
        for name in names:
            value = getattr(module, name)
            if inspect.isclass(value) and value.__module__.startswith('kfp'):
                found[f'{path}.{name}'] = value
                for member in dir(value):
                    thing = inspect.getattr_static(value, member)
                    home = next((cls for cls in value.__mro__ if member in vars(cls)), None)
                    if member.startswith('_') or home is None or not home.__module__.startswith('kfp'):
                        continue
                    if isinstance(thing, (classmethod, staticmethod)):
                        thing = thing.__func__
                    if inspect.isfunction(thing) or isinstance(thing, property):
                        found[f'{home.__module__}.{home.__name__}.{member}'] = thing
            elif inspect.isfunction(value) and value.__module__.startswith('kfp'):
                found[f'{path}.{name}'] = value
    return found


PUBLIC = public()


def parameters(thing):
    """The parameters of a function, or of a class of ours that has its own __init__."""
    if inspect.isclass(thing):
        if '__init__' not in vars(thing) or issubclass(thing, Exception):
            return []
        thing = thing.__init__
    if isinstance(thing, property):
        return []
    return [parameter for name, parameter in inspect.signature(thing).parameters.items()
            if name not in ('self', 'cls', 'args', 'kwargs') and not name.startswith('_')]


def test_there_is_much_to_look_at():
    assert len(PUBLIC) > 350


def test_everything_has_a_docstring():
    bare = [name for name, thing in PUBLIC.items() if not (thing.fget if isinstance(thing, property) else thing).__doc__]
    assert bare == []


def test_docstrings_name_every_parameter():
    """A function of one parameter may leave it to the sentence; those of v1's placeholders refuse every call."""
    silent = {}
    for name, thing in PUBLIC.items():
        given = parameters(thing)
        text = thing.__doc__ or ''
        if len(given) < 2 or 'see ' in text.lower() or 'arguments are those of' in text or ' its v1 name' in text or 'Not offered' in text:
            continue
        missing = [parameter.name for parameter in given if not re.search(rf'\b{parameter.name}\b', text)]
        if missing:
            silent[name] = missing
    assert silent == {}


def test_everything_is_annotated():
    bare = []
    for name, thing in PUBLIC.items():
        function = thing.__init__ if inspect.isclass(thing) and '__init__' in vars(thing) else thing
        function = function.fget if isinstance(function, property) else function
        if inspect.isclass(function):
            continue
        if any(parameter.annotation is parameter.empty for parameter in parameters(thing)):
            bare.append(name)
        elif function.__name__ != '__init__' and 'return' not in function.__annotations__:
            bare.append(name)
    assert bare == []


def mypy(*words, cwd):
    pytest.importorskip('mypy')
    return subprocess.run([sys.executable, '-m', 'mypy', *words], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=dict(os.environ, MYPYPATH=ROOT, PYTHONPATH=''))


def test_the_package_is_clean(tmp_path):
    done = mypy('--cache-dir', str(tmp_path), cwd=ROOT)
    assert done.returncode == 0, done.stdout


RIGHT = '''
from typing import List, NamedTuple, Optional

from kfp import Client, compiler, components, dsl, kubernetes, local
from kfp.dsl import Dataset, Input, Model, Output


@dsl.component
def make(n: int, data: Output[Dataset]) -> int:
    with open(data.path, 'w') as file:
        file.write('x' * n)
    data.metadata['n'] = n
    return n


@dsl.component(base_image='python:3.12', packages_to_install=['six'])
def fit(data: Input[Dataset], model: Output[Model], note: Optional[str] = None, sizes: List[int] = [1]) -> float:
    model.framework = 'none'
    return len(data.uri) / 2


@dsl.container_component
def shell(text: str) -> dsl.ContainerSpec:
    return dsl.ContainerSpec(image='debian', command=['echo'], args=[text])


@dsl.pipeline(name='right', pipeline_config=dsl.PipelineConfig(active_deadline_seconds=5))
def right(n: int = 3) -> float:
    made = make(n=n).set_cpu_limit('1').set_retry(2)
    with dsl.If(made.outputs['Output'] > 2, name='many'):
        fit(data=made.outputs['data']).after(made)
    with dsl.ParallelFor([1, 2], parallelism=1) as item:
        kubernetes.use_secret_as_env(shell(text=f'{item}'), 'secret', {'key': 'VARIABLE'})
    return fit(data=made.outputs['data']).outputs['Output']


compiler.Compiler().compile(right, 'right.yaml')
client = Client(host='http://localhost')
run = client.create_run_from_pipeline_func(right, arguments={'n': 1}, enable_caching=False)
state: str = run.wait_for_run_completion(timeout=5).state
local.init(runner=local.SubprocessRunner())
number: int = make(n=2).output
old = components.load_component_from_text('')
old(x=1)
'''

WRONG = (
    ("dsl.component(lambda: 1, base_image=3)", 'arg-type|call-overload'),
    ("@dsl.component(packages_to_install='six')\ndef f1() -> int:\n    return 1", 'arg-type|call-overload'),
    ("@dsl.component\ndef f2(data: dsl.Input[dsl.Dataset]) -> None:\n    data.log_metric('a', 1)", 'attr-defined'),
    ("@dsl.component\ndef f3(m: dsl.Output[dsl.Metrics]) -> None:\n    m.log_metric(1, 'a')", 'arg-type'),
    ("dsl.PipelineConfig(active_deadline_seconds='soon')", 'arg-type'),
    ("dsl.WorkspaceConfig(5)", 'arg-type'),
    ("Client(host=5)", 'arg-type'),
    ("Client().run_pipeline(params=['n'])", 'arg-type'),
    ("Client().wait_for_run_completion()", 'call-arg'),
    ("Client().no_such_call()", 'attr-defined'),
    ("compiler.Compiler().compile(print)", 'call-arg'),
    ("def p4(task: dsl.PipelineTask) -> None:\n    task.set_retry('twice')", 'arg-type'),
    ("def p5(task: dsl.PipelineTask) -> None:\n    task.set_displayname('x')", 'attr-defined'),
    ("def p6(task: dsl.PipelineTask) -> None:\n    kubernetes.set_timeout(task, 'long')", 'arg-type'),
    ("def p7(task: dsl.PipelineTask) -> None:\n    kubernetes.use_secret_as_env(task, 's', ['k'])", 'arg-type'),
    ("dsl.ContainerSpec(image='x', command='echo')", 'arg-type'),
    ("local.init(runner='docker')", 'arg-type'),
    ("dsl.no_such_name", 'attr-defined'),
)


def test_a_checker_accepts_a_right_script_and_refuses_wrong_ones(tmp_path):
    (tmp_path / 'right.py').write_text(RIGHT)
    lines = ['from kfp import Client, compiler, dsl, kubernetes, local', '']
    expected = {}
    for text, code in WRONG:
        first = len(lines) + 1
        lines += text.splitlines() + ['', '']
        expected[first, first + len(text.splitlines()) - 1] = (text, code)
    (tmp_path / 'wrong.py').write_text('\n'.join(lines))
    done = mypy('--follow-imports=silent', '--disallow-untyped-defs', '--cache-dir', str(tmp_path / 'cache'), 'right.py', 'wrong.py', cwd=tmp_path)
    assert not [line for line in done.stdout.splitlines() if line.startswith('right.py')], done.stdout
    found = [(int(number), code) for number, code in re.findall(r'^wrong\.py:(\d+): error: .*\[([\w-]+)\]$', done.stdout, re.M)]
    for (first, last), (text, code) in expected.items():
        assert any(first <= number <= last and re.fullmatch(code, given) for number, given in found), (text, done.stdout)
