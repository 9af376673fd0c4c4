"""docs/compatibility.md says what is so."""
import importlib
import json
import os
import re
import subprocess
import sys

import pytest

from conftest import ROOT, SDK

TEXT = (ROOT / 'docs/compatibility.md').read_text()
UPSTREAM = os.environ.get('PENSTOCK_UPSTREAM_PYTHON')


def table(heading):
    section = TEXT.split(f'\n## {heading}\n')[1].split('\n## ')[0]
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in section.splitlines() if line.startswith('|')]
    return rows[2:]


def nothing_there(answer):
    return answer.status == 405 or (answer.status == 404 and 'there is nothing at' in answer.text)


def test_endpoints(server):
    rows = table('REST')
    assert len(rows) > 60
    for method, path, state, _ in rows:
        assert state in ('served', 'missing')
        target = re.sub(r'\{\w+\}', '00000000-0000-0000-0000-000000000000', path.strip('`'))
        for prefix in ('', '/pipeline'):
            answer = server.request(method, prefix + target, b'' if method in ('POST', 'PATCH', 'PUT') else None)
            assert nothing_there(answer) == (state == 'missing'), (method, target, state, answer.status, answer.text)
            assert answer.status < 500


def test_every_route_is_listed():
    """What the code of the API adds stands in the table."""
    def shape(path):
        return re.sub(r'\{\w+\*?\}', '{}', path.strip('`'))

    listed = {(method, shape(path)) for method, path, state, _ in table('REST')}
    below = {'add': '/apis/v2beta1', 'add_v1': '/apis/v1beta1', 'add_at': ''}
    found = set()
    for file in (ROOT / 'src/pipelines/api').rglob('*.cpp'):
        for add, method, path in re.findall(r'routes\.(add\w*)\(\s*Method::(\w+),\s*"([^"]+)"', file.read_text()):
            found.add((method.upper(), shape(below[add] + path)))
    assert len(found) > 90 and sum('/v1beta1/' in path for _, path in found) > 35
    assert found <= listed, found - listed


def test_model_registry(server):
    rows = table('Model registry')
    assert len(rows) > 40
    for method, path, state, _ in rows:
        for version in ('v1alpha3', 'v1'):
            target = f'/api/model_registry/{version}' + path.strip('`').replace('{id}', '999999999')
            answer = server.request(method, target, b'' if method in ('POST', 'PATCH') else None)
            assert nothing_there(answer) == (state == 'missing'), (method, target, answer.status, answer.text)
            assert answer.status < 500


def test_ir_fields():
    """A field that is served is read by the code, and one that is missing is not."""
    code = ''.join(file.read_text() for folder in ('ir', 'engine', 'run')
                   for file in (ROOT / 'src/pipelines' / folder).glob('*.cpp') if not file.name.endswith('_test.cpp'))
    rows = table('IR')
    assert len(rows) > 50
    for field, state, _ in rows:
        assert (f'"{field.strip("`")}"' in code) == (state != 'missing'), field


def test_workflow_fields(server):
    """What is refused is, by name; the reader of workflows knows everything else."""
    code = ''.join(file.read_text() for folder in ('argo', 'run') for file in (ROOT / 'src/pipelines' / folder).glob('*.cpp')
                   if not file.name.endswith('_test.cpp'))
    rows = table('Workflows')
    assert len(rows) > 50
    for field, place, state, _ in rows:
        field = field.strip('`')
        assert state in ('served', 'named', 'refused')
        if state != 'refused':
            assert f'"{field}"' in code, field
            continue
        task = {'name': 't', 'template': 'leaf'}
        leaf = {'name': 'leaf', 'container': {'image': 'x', 'command': ['true']}}
        spec = {'entrypoint': 'main', 'templates': [{'name': 'main', 'dag': {'tasks': [task]}}, leaf]}
        {'workflow': spec, 'template': leaf, 'task': task}[place][field] = {'x': 1}
        answer = server.post('/apis/v2beta1/runs', {'display_name': 'r', 'pipeline_spec': {
            'apiVersion': 'argoproj.io/v1alpha1', 'kind': 'Workflow', 'metadata': {'name': 'w'}, 'spec': spec}})
        assert answer.status == 400 and field in answer.text, (field, answer.text)


@pytest.mark.skipif(not UPSTREAM, reason='PENSTOCK_UPSTREAM_PYTHON names no Python with the upstream kfp')
def test_python_names(tmp_path):
    script = '''
import importlib, inspect, json, sys
names = {}
for path in json.loads(sys.argv[1]):
    head, _, last = path.rpartition('.')
    thing = getattr(importlib.import_module(head), last) if last[:1].isupper() else importlib.import_module(path)
    public = getattr(thing, '__all__', None) or [n for n in dir(thing) if not n.startswith('_')]
    # Without what a module merely imports.
    names[path] = [n for n in public if not inspect.ismodule(getattr(thing, n))]
print(json.dumps(names))
'''
    rows = table('Python')
    paths = [row[0].strip('`') for row in rows]
    env = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    done = subprocess.run([UPSTREAM, '-W', 'ignore', '-c', script, json.dumps(paths)], env=dict(env, HOME=str(tmp_path)),
                          stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    upstream = json.loads(done.stdout)
    for row in rows:
        path = row[0].strip('`')
        head, _, last = path.rpartition('.')
        ours = getattr(importlib.import_module(head), last) if last[:1].isupper() else importlib.import_module(path)
        # Attributes of instances are no attributes of their class.
        missing = {name for name in upstream[path] if not hasattr(ours, name)} - {'name'}
        assert missing == set(re.findall(r'`(\w+)`', row[2])), path


def find(path, name=None):
    """The thing at a dotted path, where a class may stand at the end."""
    head, _, last = path.rpartition('.')
    thing = getattr(importlib.import_module(head), last) if last[:1].isupper() else importlib.import_module(path)
    return thing if name is None else getattr(thing, name, None)


def refused(task, path, name):
    """Whether a call of the name is refused with words about v1."""
    from kfp.dsl import errors
    arguments = {'graph_component': (refused,), 'kubernetes_resource_delete_op': ('x', 'Job')}.get(name, (None,))
    try:
        (getattr(task, name) if path.endswith('ContainerOp') else find(path, name))(*arguments)
    except errors.UnsupportedV1Error:
        return True
    return False


def test_first_sdk_names():
    sys.path.insert(0, SDK)
    from kfp import dsl
    rows = table('Python, the first SDK')
    assert len(rows) > 12
    accepted = []

    @dsl.pipeline(name='refusing')
    def pipeline():
        task = dsl.ContainerOp('x', 'alpine', ['true'])
        accepted.extend((path, name) for path, _, names, _ in rows for name in re.findall(r'`(\w+)`', names)
                        if not refused(task, path.strip('`'), name))
    assert accepted == []
    for path, there, _, missing in rows:
        for name in re.findall(r'`(\w+)`', there):
            assert find(path.strip('`'), name) is not None, (path, name)
        for name in re.findall(r'`(\w+)`', missing):
            assert find(path.strip('`'), name) is None, (path, name)
