"""The reference's own compiled pipelines, uploaded and run: PENSTOCK_CORPUS names their folder."""
import base64
import json
import os
import pathlib
import subprocess

import pytest
import yaml

from conftest import ROOT, outputs

UPSTREAM = os.environ.get('PENSTOCK_UPSTREAM_PYTHON')
CORPUS = pathlib.Path(os.environ.get('PENSTOCK_CORPUS', ''))
pytestmark = pytest.mark.skipif('PENSTOCK_CORPUS' not in os.environ,
                                reason='PENSTOCK_CORPUS does not name the folder of the corpus')

# What required inputs are given, by type.
VALUES = {'STRING': 'x', 'NUMBER_INTEGER': 5, 'NUMBER_DOUBLE': 5.0, 'BOOLEAN': True, 'LIST': [], 'STRUCT': {'a': 1}}
EXIT_TASKS = {'fail_v2': [], 'pipeline_with_exit_handler': ['print-op'],
              'pipeline_with_multiple_exit_handlers': ['print-op', 'print-op-3', 'print-op-5']}


def files(folder):
    return [pytest.param(path, id=path.stem)
            for path in sorted((CORPUS / folder).iterdir())] if 'PENSTOCK_CORPUS' in os.environ else []


def start(server, path):
    """Uploads a pipeline and starts a run of it; returns the run's id."""
    spec = next(yaml.safe_load_all(path.read_text()))
    inputs = spec['root'].get('inputDefinitions', {}).get('parameters', {})
    values = {name: VALUES[given['parameterType']] for name, given in inputs.items()
              if 'defaultValue' not in given and not given.get('isOptional')}
    pipeline = server.upload(path, path.stem)
    assert pipeline.status == 200, pipeline.text
    pipeline_id = pipeline.json['pipeline_id']
    versions = server.get(f'/apis/v2beta1/pipelines/{pipeline_id}/versions').json['pipeline_versions']
    run = server.post('/apis/v2beta1/runs', {
        'display_name': path.stem, 'runtime_config': {'parameters': values},
        'pipeline_version_reference': {'pipeline_id': pipeline_id,
                                       'pipeline_version_id': versions[0]['pipeline_version_id']}})
    assert run.status == 200, run.text
    return run.json['run_id']


@pytest.fixture(scope='module')
def runs(server):
    """Every pipeline is started at once, so that their packages are fetched side by side; run ids (or what went wrong) by path."""
    secret = {'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {'name': 'test-secret-1'},
              'data': {'username': base64.b64encode(b'user1').decode()}}
    assert server.post('/api/v1/namespaces/kubeflow/secrets', secret).status in (201, 409)
    started = {}
    for folder in ('failing', 'parallel_and_nested', 'essential'):
        for path in sorted((CORPUS / folder).iterdir()):
            try:
                started[path] = start(server, path)
            except AssertionError as error:
                started[path] = error
    return started


def finish(server, runs, path):
    if isinstance(runs[path], AssertionError):
        raise runs[path]
    run = server.wait(runs[path], timeout=300)
    return run, server.tasks(runs[path])


@pytest.mark.parametrize('path', files('parallel_and_nested') + files('essential'))
def test_succeeds(server, runs, path):
    run, tasks = finish(server, runs, path)
    assert run['state'] == 'SUCCEEDED', (run.get('error'), [
        (name, task['state'], task.get('status_metadata')) for name in tasks for task in tasks[name]])
    if 'secret' in path.stem:
        workers = [task for name in tasks if name in ('example-component', 'worker-component') for task in tasks[name]]
        assert workers and all(outputs(task) == {'Output': 'user1'} for task in workers)


@pytest.mark.parametrize('path', files('failing'))
def test_fails_and_cleans_up(server, runs, path):
    run, tasks = finish(server, runs, path)
    assert run['state'] == 'FAILED'
    assert run['error']['message']
    for name in EXIT_TASKS[path.stem]:
        assert [task['state'] for task in tasks[name]] == ['SUCCEEDED'], name


@pytest.mark.parametrize('path', files('invalid'))
def test_is_refused(server, path):
    name = f'invalid {path.name}'
    answer = server.upload(path, name)
    assert answer.status == 400, answer.text
    assert answer.json['error_message' if 'error_message' in answer.json else 'message']
    left = server.get('/apis/v2beta1/pipelines?page_size=200').json.get('pipelines', [])
    assert name not in [pipeline['display_name'] for pipeline in left]


@pytest.mark.skipif(not UPSTREAM, reason='PENSTOCK_UPSTREAM_PYTHON names no Python with the upstream kfp')
def test_through_the_upstream_client(server, runs, tmp_path):
    """All of it once more, uploaded, run and waited for by the client from PyPI; no step is answered by the cache."""
    for path in runs:
        finish(server, runs, path)  # the packages that steps ask for are there by now
    env = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH' and not name.startswith('KF')}
    done = subprocess.run([UPSTREAM, str(ROOT / 'tests/upstream/corpus.py'), server.url, str(CORPUS)],
                          env=dict(env, HOME=str(tmp_path), PYTHONDONTWRITEBYTECODE='1'), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found) == sum(1 for path in CORPUS.glob('*/*') if path.is_file())
    for name, what in found.items():
        kind, file = name.split('/')
        if kind == 'invalid':
            refused, stayed = what
            assert refused == 400 or isinstance(refused, str), name
            assert not stayed, name
        elif kind == 'failing':
            assert what['state'] == 'FAILED' and what['error'], name
            for task in EXIT_TASKS[pathlib.Path(file).stem]:
                assert what['tasks'][task] == ['SUCCEEDED'], name
        else:
            assert what['state'] == 'SUCCEEDED', (name, what)
