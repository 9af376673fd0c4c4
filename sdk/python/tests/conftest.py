"""Puts the package under test on the path, and gives the tests small helpers."""

import glob
import importlib.util
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
# Files that are not in the repository; the tests over them are skipped when these don't name their folders.
SEEDS = os.environ.get('PENSTOCK_SEEDS', '/nonexistent')
CORPUS = os.environ.get('PENSTOCK_CORPUS', '/nonexistent')
sys.path[:0] = [ROOT, HERE]


def load_file(path):
    """Runs a Python file as a module of its own."""
    name = 'case_' + os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def case_files(*folders):
    return [path for folder in folders for path in sorted(glob.glob(os.path.join(HERE, folder, '*.py')))]


def compiled(pipeline):
    """The pipeline's IR as dicts: (pipeline, platform)."""
    from kfp.compiler import compiler
    return compiler.compile_to_ir(pipeline)


@pytest.fixture
def task_environment():
    """The environment of a task: this package on the path, and the runtime switch."""
    return dict(os.environ, PYTHONPATH=ROOT, _KFP_RUNTIME='true')
