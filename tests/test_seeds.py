"""The four scripts that the project was created from, run as they are: PENSTOCK_SEEDS names their folder."""
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

import pytest
import yaml

from conftest import SDK, outputs

SEEDS = pathlib.Path(os.environ.get('PENSTOCK_SEEDS', ''))
pytestmark = pytest.mark.skipif('PENSTOCK_SEEDS' not in os.environ,
                                reason='PENSTOCK_SEEDS does not name the folder of the seed scripts')
# What the scripts have written in them.
HOST, PORT = '127.0.0.1', 8080

# The one program that parallel.py needs and the two objects that it reads.
GSUTIL = '''#!/bin/sh
case "$*" in
  'cat gs://ml-pipeline-playground/shakespeare1.txt') echo 'With which he yoketh your rebellious necks' ;;
  'cat gs://ml-pipeline-playground/shakespeare2.txt') echo 'And when thou seest me, say "Good morrow"' ;;
  *) echo "gsutil: no such object: $*" >&2; exit 1 ;;
esac
'''


@pytest.fixture
def data():
    """A data folder with gsutil in its envs folder, the one place that every step sees wherever the folder lies."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix='penstock-test-'))
    gsutil = folder / 'envs/tools/gsutil'
    gsutil.parent.mkdir(parents=True)
    gsutil.write_text(GSUTIL)
    gsutil.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def seed_server(data, new_server):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, PORT))
        except OSError:
            pytest.skip(f'{HOST}:{PORT}, which the seed scripts have written in them, is in use')
    return new_server(['--listen', f'{HOST}:{PORT}'], data=data,
                      env={'PATH': f'{data}/envs/tools:{os.environ["PATH"]}'})


def run_script(name, folder, **env):
    """Runs a copy of a script in its own folder; returns the copy."""
    script = pathlib.Path(shutil.copyfile(SEEDS / name, folder / name))
    subprocess.run([sys.executable, script.name], cwd=folder, check=True, timeout=60,
                   env=dict(os.environ, PYTHONPATH=SDK, **env))
    return script


def only_run(server, experiment):
    """The one run that a script started, when it has ended, and its tasks."""
    run, = server.get('/apis/v2beta1/runs').json['runs']
    names = {e['experiment_id']: e['display_name'] for e in server.get('/apis/v2beta1/experiments').json['experiments']}
    assert names[run['experiment_id']] == experiment
    return server.wait(run['run_id']), server.tasks(run['run_id'])


def log(server, task):
    return server.get(f'/apis/v1alpha1/runs/{task["run_id"]}/nodes/{task["task_id"]}/log').text


def test_hello_world(seed_server, tmp_path):
    run_script('hello_world.py', tmp_path)
    run, tasks = only_run(seed_server, 'hello-world-experiment')
    assert run['state'] == 'SUCCEEDED'
    assert log(seed_server, tasks['hello-world-component'][0]) == 'Hello World!\n'
    # The package that it also writes is a pipeline that can be uploaded.
    run_id = start(seed_server, uploaded(seed_server, tmp_path / 'hello-world-pipeline.zip'))
    assert seed_server.wait(run_id)['state'] == 'SUCCEEDED'


def test_add_number(seed_server, tmp_path):
    run_script('add_number.py', tmp_path)
    run, tasks = only_run(seed_server, 'Add number pipeline')
    assert run['state'] == 'SUCCEEDED'
    results = {name: outputs(task)['Output'] for name, (task,) in tasks.items() if name.startswith('add')}
    assert results == {'add-op': 11.0, 'add-op-2': 15.0, 'add-op-3': 26.0}
    assert log(seed_server, tasks['add-op'][0]) == '7.0 + 4.0 = 11.0\n'


def test_parallel(seed_server, tmp_path):
    run_script('parallel.py', tmp_path)
    run, tasks = only_run(seed_server, 'Parallel execution')
    assert run['state'] == 'SUCCEEDED', (run.get('error'), tasks)
    # As Argo: the newline at the end of a file is no part of the output that is read from it.
    assert log(seed_server, tasks['echo'][0]) == ('Text 1: With which he yoketh your rebellious necks\n'
                                                  'Text 2: And when thou seest me, say "Good morrow"\n')


def uploaded(server, package):
    answer = server.upload(package)
    assert answer.status == 200, answer.text
    return answer.json['pipeline_id']


def start(server, pipeline_id):
    answer = server.post('/apis/v2beta1/runs', {'display_name': 'again',
                                                'pipeline_version_reference': {'pipeline_id': pipeline_id}})
    assert answer.status == 200, answer.text
    return answer.json['run_id']


def test_control(seed_server, tmp_path):
    # In the reference a step without inputs that ended well is not run again: every flip would be the first one's.
    # Its switch for that is set where the script compiles.
    script = run_script('control.py', tmp_path, KFP_DISABLE_EXECUTION_CACHING_BY_DEFAULT='true')
    package = pathlib.Path(f'{script}.yaml')
    assert next(yaml.safe_load_all(package.read_text()))['pipelineInfo']['name'] == \
        'conditional-execution-pipeline-with-exit-handler'
    pipeline_id = uploaded(seed_server, package)
    seen = set()
    # Both sides of the coin, but for one time in 2^20 runs of this test.
    for _ in range(21):
        run = seed_server.wait(start(seed_server, pipeline_id))
        side = check_flip(seed_server, run)
        seen.add(side)
        if len(seen) == 2:
            break
    assert seen == {'heads', 'tails'}


def check_flip(server, run):
    """One run of the coin-flip pipeline ended as its side of the coin says; returns the side."""
    tasks = server.tasks(run['run_id'])
    side = outputs(tasks['flip-coin-op'][0])['Output']
    print_tasks = [task for name in tasks if name.startswith('print-op') for task in tasks[name]]
    printed = [log(server, task).strip() for task in print_tasks if task['state'] == 'SUCCEEDED']
    numbers = [task for name in tasks if name.startswith('get-random-int-op') for task in tasks[name]
               if task['state'] == 'SUCCEEDED']
    number = outputs(numbers[0])['Output'] if numbers else None
    assert 'Exit handler has worked!' in printed
    if side == 'heads':
        assert run['state'] == 'SUCCEEDED'
        assert f'heads and {number} {">" if number > 5 else "<="} 5!' in printed
        assert 'fail-op' not in tasks or tasks['fail-op'][0]['state'] == 'SKIPPED'
    else:
        assert run['state'] == 'FAILED'
        assert tasks['fail-op'][0]['state'] == 'FAILED'
        assert 'Failing the run to demonstrate' in log(server, tasks['fail-op'][0])
    return side
