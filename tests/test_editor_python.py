"""Python that the dashboard's editor writes of a pipeline compiles again, and its runs come to the same."""
import json
import re
import shutil
import subprocess
import tempfile

import pytest

from conftest import ROOT, compile_pipeline, outputs

VITE_NODE = ROOT / 'web/node_modules/.bin/vite-node'
EXAMPLES = ['hello', 'parameters', 'train', 'branches', 'loops', 'nested', 'cleanup', 'shell', 'results']


# What the examples have none of: several outputs of a pipeline, a loop in a condition in a loop, a branch of many, texts
# that need care, an importer.
MORE = '''
from typing import NamedTuple
from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Model, Output


@dsl.component
def split(text: str, parts: Output[Dataset]) -> NamedTuple('Made', [('first', str), ('count', int)]):
    with open(parts.path, 'w') as f:
        f.write(text)
    return (text.split()[0], len(text.split()))


@dsl.component
def name(n: int, of: str = "it's \\\\ \\"quoted\\" {braces}\\n한글") -> str:
    return f'{n}: {of}'


@dsl.component
def join(names: list) -> str:
    return ', '.join(names)


@dsl.component
def size(data: Input[Artifact]) -> int:
    return len(open(data.path).read())


@dsl.pipeline(name='inner')
def inner(text: str) -> NamedTuple('Both', [('count', int), ('parts', Dataset)]):
    made = split(text=text)
    both = NamedTuple('Both', [('count', int), ('parts', Dataset)])
    return both(made.outputs['count'], made.outputs['parts'])


@dsl.pipeline(name='more', description='Of "all" kinds')
def more(text: str = 'a "b" {c} \\u00e9', limit: int = 2, items: list = [1, 2, 3], rate: float = 1.0):
    both = inner(text=text)
    size(data=both.outputs['parts']).set_caching_options(False)
    with dsl.ParallelFor(items, parallelism=1) as outer:
        with dsl.If(both.outputs['count'] > limit):
            with dsl.ParallelFor([{'x': 1, 'y': 'p'}, {'x': 2, 'y': 'q'}]) as point:
                one = name(n=point.x, of=f'{point.y} of {outer} {{kept}}')
    join(names=dsl.Collected(one.output))
    with dsl.If(text == "it's"):
        name(n=limit)
    with dsl.Elif(rate >= 1.0):
        name(n=limit).set_display_name('told "apart"')
    with dsl.Else():
        name(n=3)
'''


def to_python(specs):
    if not VITE_NODE.exists() or shutil.which('node') is None:
        pytest.skip('there is no Node.js with the dashboard\'s packages here')
    with tempfile.NamedTemporaryFile('w', suffix='.json') as file:
        json.dump(specs, file)
        file.flush()
        done = subprocess.run([VITE_NODE, 'scripts/to-python.ts', file.name], cwd=ROOT / 'web', text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    """By example: its IR, and the Python written of it."""
    specs = {name: compile_pipeline(ROOT / f'examples/{name}.py')[0] for name in EXAMPLES}
    more = tmp_path_factory.mktemp('more') / 'more.py'
    more.write_text(MORE)
    specs['more'] = compile_pipeline(more, 'more')[0]
    return {name: (spec, text) for (name, spec), text in zip(specs.items(), to_python(list(specs.values())))}


def came_to(server, spec):
    """What a run of it came to, task by task, without what differs from run to run, and the numbers of names, which
    follow the order in which the tasks are written."""
    run, tasks = server.run(spec)
    shown = {}
    for name, found in tasks.items():
        of_name = shown.setdefault(re.sub(r'-\d+$', '', name), [])
        for one in found:
            artifacts = sorted(a['artifact_key'] for a in one.get('outputs', {}).get('artifacts', []))
            # What a loop or condition passes on is named by the compiler.
            values = {re.sub(r'^pipelinechannel--.*', 'channel', key): value for key, value in outputs(one).items()}
            of_name.append(json.dumps([one['state'].replace('CACHED', 'SUCCEEDED'), values, artifacts]))
    return run['state'], {name: sorted(found) for name, found in shown.items()}


@pytest.mark.parametrize('name', EXAMPLES + ['more'])
def test_an_example_survives_python(server, written, tmp_path, name):
    spec, text = written[name]
    script = tmp_path / f'{name}.py'
    script.write_text(text)
    again = compile_pipeline(script)[0]
    assert again['root'].get('inputDefinitions') == spec['root'].get('inputDefinitions'), text
    assert came_to(server, again) == came_to(server, spec), text
