"""Every case under pipelines/ and own/: sound IR, the same each time, and as upstream's."""

import glob
import os
import subprocess

import pytest

import conftest
import yaml
from conftest import HERE, case_files, compiled, load_file

import ir_check
import ir_compare

CASES = case_files('pipelines', 'own')
UPSTREAM = os.environ.get('PENSTOCK_UPSTREAM_PYTHON')


@pytest.mark.parametrize('path', CASES, ids=os.path.basename)
def test_references_lead_somewhere(path):
    document, _ = compiled(load_file(path).pipeline)
    assert ir_check.problems(document) == []


@pytest.mark.parametrize('path', CASES, ids=os.path.basename)
def test_compiling_twice_gives_the_same(path, tmp_path):
    from kfp.compiler import Compiler
    for name in ('a.yaml', 'b.yaml'):
        Compiler().compile(load_file(path).pipeline, str(tmp_path / name))
    assert (tmp_path / 'a.yaml').read_bytes() == (tmp_path / 'b.yaml').read_bytes()


_COMPILE = '''
import importlib.util, os, sys, warnings
warnings.simplefilter('ignore')
from kfp import compiler
for path in sys.argv[2:]:
    name = os.path.basename(path)[:-3]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    compiler.Compiler().compile(module.pipeline, os.path.join(sys.argv[1], name + '.yaml'))
'''

_PARSE = '''
import sys, yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
for path in sys.argv[1:]:
    for document in list(yaml.safe_load_all(open(path)))[:1]:
        json_format.ParseDict(document, pipeline_spec_pb2.PipelineSpec())
'''


def _upstream(*arguments):
    environment = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    subprocess.run([UPSTREAM, '-c', *arguments], check=True, env=environment, cwd='/')


@pytest.mark.skipif(not UPSTREAM, reason='PENSTOCK_UPSTREAM_PYTHON names no interpreter that has upstream kfp')
def test_same_as_upstream(tmp_path):
    from kfp.compiler import Compiler
    paths = case_files('pipelines')
    theirs, ours = tmp_path / 'theirs', tmp_path / 'ours'
    theirs.mkdir()
    ours.mkdir()
    _upstream(_COMPILE, str(theirs), *paths)
    found = {}
    for path in paths:
        name = os.path.basename(path)[:-3] + '.yaml'
        Compiler().compile(load_file(path).pipeline, str(ours / name))
        different = ir_compare.differences(ir_compare.load(ours / name), ir_compare.load(theirs / name))
        if different:
            found[name] = different
    assert found == {}
    print(f'{len(paths)} pipelines equal')


@pytest.mark.skipif(not UPSTREAM, reason='PENSTOCK_UPSTREAM_PYTHON names no interpreter that has upstream kfp')
def test_upstream_reads_what_we_write(tmp_path):
    from kfp.compiler import Compiler
    from kfp.dsl.component_classes import GraphComponent
    for path in CASES:
        Compiler().compile(load_file(path).pipeline, str(tmp_path / (os.path.basename(path) + '.yaml')))
    for path in glob.glob(conftest.SEEDS + '/*.py'):
        for name, value in vars(load_file(path)).items():
            if isinstance(value, GraphComponent):
                Compiler().compile(value, str(tmp_path / f'seed-{name}.yaml'))
    _upstream(_PARSE, *[str(path) for path in tmp_path.glob('*.yaml')])


def test_corpus_loads_as_components():
    """Pipelines that upstream compiled can be loaded, nested and compiled again."""
    from kfp import components, dsl
    paths = sorted(glob.glob(conftest.CORPUS + '/essential/*.yaml') +
                   glob.glob(conftest.CORPUS + '/parallel_and_nested/*.yaml'))
    if not paths:
        pytest.skip('PENSTOCK_CORPUS does not name the folder of the compiled pipelines')
    for path in paths:
        loaded = components.load_component_from_file(path)
        required = {}
        for name, spec in loaded.component_spec.inputs.items():
            if spec.required and not spec.kind.is_artifact:
                required[name] = {'STRING': 'x', 'NUMBER_INTEGER': 1, 'NUMBER_DOUBLE': 1.0, 'BOOLEAN': True, 'LIST': [], 'STRUCT': {}}[spec.kind.parameter]

        @dsl.pipeline(name='outer')
        def outer():
            loaded(**required)
            loaded(**required)
        document, _ = compiled(outer)
        with open(path) as file:
            original = next(yaml.safe_load_all(file))
        if not ir_check.problems(original):
            assert ir_check.problems(document) == [], path
    assert HERE
