"""The upstream kfp SDK, in an environment of its own, against the server: an independent client and compiler."""
import json
import os
import subprocess

import pytest

from conftest import ROOT, outputs

UPSTREAM = os.environ.get('PENSTOCK_UPSTREAM_PYTHON')
pytestmark = pytest.mark.skipif(not UPSTREAM, reason='PENSTOCK_UPSTREAM_PYTHON names no Python with the upstream kfp')


def upstream(host, scenario, home):
    """Runs one scenario of tests/upstream/client.py; returns the JSON value that it prints last."""
    env = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH' and not name.startswith('KF')}
    done = subprocess.run([UPSTREAM, str(ROOT / 'tests/upstream/client.py'), host, scenario],
                          env=dict(env, HOME=str(home), PYTHONDONTWRITEBYTECODE='1'), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=150)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_what_upstream_compiles_runs(server, tmp_path):
    runs = upstream(server.url, 'authored', tmp_path)
    tasks = server.tasks(runs['steps'])
    assert outputs(tasks['describe'][0]) == {'text': "3 ['x', 'y'] True", 'scaled': 1.5,
                                             'settings': {'a': [1, 2], 'seen': True}}
    assert outputs(tasks['shout'][0]) == {'result': 'QUIET'}
    # The kfp that upstream pins in its steps is not installed: the server's own is there instead.
    assert str(server.data) in outputs(tasks['which-kfp'][0])['Output']
    assert not list(server.data.glob('envs/**/site-packages/kfp'))
    tasks = server.tasks(runs['artifacts'])
    assert outputs(tasks['read-data'][0]) == {'Output': 7}
    data, = [a for kind in tasks['write-data'][0]['outputs']['artifacts'] for a in kind['artifacts']
             if a['type'].endswith('Dataset')]
    assert data['metadata'] == {'rows': 7}
    tasks = server.tasks(runs['loop'])
    assert sorted(outputs(task)['Output'] for task in tasks['add']) == [11, 12, 13]
    assert outputs(tasks['total'][0]) == {'Output': 36}
    tasks = server.tasks(runs['whole'])
    assert outputs(tasks['add'][0]) == {'Output': 5}


@pytest.mark.parametrize('suffix', ['', '/', '/pipeline'])
def test_a_host_in_any_form(server, tmp_path, suffix):
    upstream(server.url + suffix, 'smoke', tmp_path)


@pytest.mark.parametrize('scenario', ['details', 'stored', 'runs', 'recurring', 'raw'])
def test_client(server, tmp_path, scenario):
    upstream(server.url + '/pipeline', scenario, tmp_path)


def test_features(server, tmp_path):
    """Everything that the upstream SDK and kfp-kubernetes can write into a pipeline, run by the server."""
    for path, body in (('secrets', {'metadata': {'name': 'hidden'}, 'stringData': {'word': 'sesame'}}),
                       ('configmaps', {'metadata': {'name': 'settings'}, 'data': {'colour': 'green'}})):
        assert server.post(f'/api/v1/namespaces/kubeflow/{path}', body).status in (200, 201)
    runs = upstream(server.url, 'features', tmp_path)
    assert outputs(server.tasks(runs['ends'][0])['summary'][0]) == {'Output': 'FAILED exit-handler-1'}
    assert server.tasks(runs['ends'][0])['anyway'][0]['state'] == 'SUCCEEDED'
    assert 'activeDeadlineSeconds, 1' in runs['deadline'][1]
    assert 'DeadlineExceeded' in runs['task-timeout'][1]
    task, = server.tasks(runs['platform'][0])['surroundings']
    assert outputs(task) == {'Output': 'read me'}
    assert task['status_metadata']['custom_properties']['not_applied'] == 'tolerations, imagePullPolicy, imagePullSecret'
    assert outputs(server.tasks(runs['task-config'][0])['passes-on'][0]) == {'Output': 'settings'}
    attempts = server.tasks(runs['retries'][0])['second-time']
    assert [task['state'] for task in attempts] == ['SUCCEEDED']
    # The workspace of a run that succeeded goes with it.
    claims = server.get('/api/v1/namespaces/kubeflow/persistentvolumeclaims').json['items']
    assert not [claim for claim in claims if claim['metadata']['name'].endswith('-kfp-workspace')]
