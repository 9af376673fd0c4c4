"""The upstream SDK 1.8.22, in an environment of its own, against the server: the client of v1beta1."""
import os
import subprocess

import pytest

from conftest import ROOT

UPSTREAM = os.environ.get('PENSTOCK_UPSTREAM_V1_PYTHON')
pytestmark = pytest.mark.skipif(not UPSTREAM, reason='PENSTOCK_UPSTREAM_V1_PYTHON names no Python with kfp 1.8.22')


@pytest.mark.parametrize('scenario, suffix', [('run', ''), ('run', '/pipeline'), ('workflow', ''), ('stored', ''), ('lists', '/pipeline'),
                                              ('recurring', '')])
def test_client(new_server, tmp_path, scenario, suffix):
    env = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH' and not name.startswith('KF')}
    done = subprocess.run([UPSTREAM, str(ROOT / 'tests/upstream_v1/client.py'), new_server().url + suffix, scenario],
                          env=dict(env, HOME=str(tmp_path), PYTHONDONTWRITEBYTECODE='1'), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=150)
    assert done.returncode == 0, done.stderr[-4000:]
