"""Every example runs, and its results are right."""
import json
import os
import subprocess
import sys

import pytest

from conftest import BINARY, ROOT, SDK, compile_pipeline, outputs


def run_example(server, name, parameters=None):
    spec = compile_pipeline(ROOT / f'examples/{name}.py')[0]
    return server.run(spec, parameters)


def test_hello(server):
    run, tasks = run_example(server, 'hello', {'recipient': 'Penstock "quoted" 한글\nline'})
    assert run['state'] == 'SUCCEEDED'
    assert outputs(tasks['say-hello'][0]) == {'Output': 'Hello, Penstock "quoted" 한글\nline!'}


def test_parameters(server):
    run, tasks = run_example(server, 'parameters', {'numbers': [5, 6], 'verbose': False})
    assert run['state'] == 'SUCCEEDED'
    assert outputs(tasks['describe'][0]) == {'total': 5.5, 'count': 2, 'names': ['owner', 'team'],
                                             'settings': {'scale': 0.5, 'verbose': False}}
    assert outputs(tasks['report'][0])['Output'] == '2 numbers, total 5.5'


def test_train_keeps_its_artifacts(server):
    run, tasks = run_example(server, 'train')
    assert run['state'] == 'SUCCEEDED'
    assert outputs(tasks['evaluate'][0])['Output'] < 0.001
    data = tasks['make-data'][0]['outputs']['artifacts'][0]['artifacts'][0]
    assert data['type'].endswith('Dataset') and data['uri'].startswith('minio://mlpipeline/v2/artifacts/train/')
    assert data['metadata'] == {'rows': 200}
    path = server.data / 'objects' / data['uri'][len('minio://'):]
    assert path.read_text().startswith('x,y\n')
    model = tasks['fit'][0]['outputs']['artifacts'][0]['artifacts'][0]
    assert abs(json.loads((server.data / 'objects' / model['uri'][8:]).read_text())['slope'] - 3) < 0.05
    # The data was made by one task and read by two.
    links = server.get(f'/apis/v2beta1/artifact_tasks?artifact_ids={data["artifact_id"]}&run_ids={run["run_id"]}'
                       ).json['artifact_tasks']
    assert sorted(link['task_id'] for link in links) == sorted(
        tasks[name][0]['task_id'] for name in ('make-data', 'fit', 'evaluate'))


@pytest.mark.parametrize('points,expected', [(90, 'well done'), (55, 'not bad'), (3, 'try again')])
def test_branches(server, points, expected):
    run, tasks = run_example(server, 'branches', {'points': points})
    assert run['state'] == 'SUCCEEDED'
    assert expected in [outputs(t).get('Output') for name in tasks if name.startswith('answer') for t in tasks[name]]
    assert len([t for name in tasks if name.startswith('condition') for t in tasks[name]
                if t['state'] == 'SKIPPED']) == 2


def test_loops(server):
    run, tasks = run_example(server, 'loops', {'n': 6})
    assert run['state'] == 'SUCCEEDED'
    assert outputs(tasks['add-up'][0])['Output'] == 55
    assert len(tasks['square']) == 6
    assert len(tasks['show']) == 2


def test_nested_and_retried(server):
    run, tasks = run_example(server, 'nested')
    assert run['state'] == 'SUCCEEDED'
    assert 6.5 in [outputs(t).get('Output') for t in tasks['add']]
    assert outputs(tasks['flaky'][0])['Output'] == 'done after 2 attempts'
    assert tasks['flaky'][0]['display_name'] == 'a step that fails once'


def test_cleanup_runs_after_a_failure(server):
    run, tasks = run_example(server, 'cleanup')
    assert run['state'] == 'FAILED'
    assert tasks['clean-up'][0]['state'] == 'SUCCEEDED'
    assert outputs(tasks['clean-up'][0])['Output'] == 'FAILED'
    assert tasks['never'][0]['state'] == 'SKIPPED'
    assert 'something is wrong' in tasks['work'][0]['status_metadata']['message']
    assert 'work' in run['error']['message']
    run, tasks = run_example(server, 'cleanup', {'fail': False})
    assert run['state'] == 'SUCCEEDED'
    assert tasks['never'][0]['state'] == 'SUCCEEDED'


def test_shell(server):
    run, tasks = run_example(server, 'shell')
    assert run['state'] == 'SUCCEEDED'
    assert outputs(tasks['read'][0])['copy'] == 'quotes " and \' and $HOME, 한글'
    assert outputs(tasks['write'][0])['length'] == len('quotes " and \' and $HOME, 한글'.encode())


def test_packages_are_built_once(server):
    run, tasks = run_example(server, 'packages')
    assert run['state'] == 'SUCCEEDED', run
    assert outputs(tasks['use-six'][0])['Output'] == '1.16.0'


def test_classic(server):
    run, tasks = run_example(server, 'classic')
    assert run['state'] == 'SUCCEEDED', (run, tasks)
    assert 4 in [outputs(t).get('Output') for t in tasks['count-rows']]
    sides = [t['state'] for name in tasks if name.startswith('condition') for t in tasks[name]]
    assert sorted(sides) == ['SKIPPED', 'SUCCEEDED']


@pytest.mark.parametrize('example,status', [('hello', 0), ('cleanup', 1)])
def test_run_without_a_server(example, status):
    result = subprocess.run([BINARY, 'run', str(ROOT / f'examples/{example}.py'), '-o', 'json'], stdout=subprocess.PIPE)
    assert result.returncode == status
    assert json.loads(result.stdout)['state'] == ('SUCCEEDED' if status == 0 else 'FAILED')


def test_an_example_is_a_script(server):
    """`python examples/hello.py` pointed at the server, with and without /pipeline."""
    for suffix in ('', '/pipeline'):
        out = subprocess.run([sys.executable, str(ROOT / 'examples/hello.py')], check=True, stdout=subprocess.PIPE,
                             text=True, env=dict(os.environ, PYTHONPATH=SDK, KF_PIPELINES_ENDPOINT=server.url + suffix))
        assert 'runs/details/' in out.stdout
        run_id = out.stdout.split('runs/details/')[1].split()[0]
        assert server.wait(run_id)['state'] == 'SUCCEEDED'


def test_runs_of_one_pipeline_that_start_together(server):
    spec = compile_pipeline(ROOT / 'examples/shell.py')[0]
    runs = [server.submit(spec, {'text': 'together'}) for _ in range(10)]
    assert [server.wait(run_id)['state'] for run_id in runs] == ['SUCCEEDED'] * 10
    pods = [pod['name'] for run_id in runs for tasks in server.tasks(run_id).values() for task in tasks
            for pod in task.get('pods', [])]
    assert pods and len(set(pods)) == len(pods)


def script(name, tmp_path, *words, **variables):
    return subprocess.run([sys.executable, str(ROOT / f'examples/{name}.py'), *words], check=True, stdout=subprocess.PIPE, text=True,
                          cwd=tmp_path, timeout=120, env=dict(os.environ, PYTHONPATH=SDK, HOME=str(tmp_path), **variables)).stdout


def test_without_a_server(tmp_path):
    said = script('without_server', tmp_path, PENSTOCK_BINARY=str(BINARY)).splitlines()
    assert 'values: [0, 1, 4, 9]' in said and 'rows: 4' in said and 'pipeline: 30' in said
    path = next(line[len('file: '):] for line in said if line.startswith('file: '))
    with open(path) as file:
        assert file.read() == '0\n1\n4\n9\n'


def test_results(server, tmp_path):
    said = script('results', tmp_path, 'made', KF_PIPELINES_ENDPOINT=server.url).splitlines()
    assert '[measure] round 4: 2.083' in said and 'state: SUCCEEDED' in said and "outputs: {'Output': 2.083}" in said
    assert (tmp_path / 'made/measure/report').read_text().startswith('# Harmonic')


def test_classic_volumes(server):
    documents = compile_pipeline(ROOT / 'examples/classic_volumes.py')
    run, tasks = server.run({'pipeline_spec': documents[0], 'platform_spec': documents[1]})
    assert run['state'] == 'SUCCEEDED', (run, tasks)
    assert outputs(tasks['read'][0]) == {'text': 'on the volume'}
    claims = server.get('/api/v1/namespaces/kubeflow/persistentvolumeclaims').json['items']
    assert not [claim for claim in claims if claim['metadata']['name'].endswith('-shared')]


def test_notebook(server):
    run, tasks = run_example(server, 'notebook', {'years': 3})
    assert run['state'] == 'SUCCEEDED', run
    assert outputs(tasks['grow'][0]) == {'Output': 337.5}
