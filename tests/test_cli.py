"""The command line against a running server, and on its own."""
import contextlib
import fcntl
import json
import os
import signal
import struct
import subprocess
import termios

import yaml

from conftest import BINARY, ROOT, shell


def penstock(server, *arguments, check=True):
    result = subprocess.run([BINARY, *arguments], env=dict(os.environ, PENSTOCK_SERVER=server.url),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    if check:
        assert result.returncode == 0, result.stderr
    return result


def test_get_shows_what_is_there(server):
    run_id = server.submit(shell('echo first', 'echo second'), name='for the command line')
    server.wait(run_id)
    assert run_id in penstock(server, 'get', 'runs').stdout
    for text in (run_id, run_id[:30], 'for the command line'):
        table = penstock(server, 'get', 'run', text).stdout
        assert 'SUCCEEDED' in table and 'step-1' in table
    assert json.loads(penstock(server, 'get', 'run', run_id, '-o', 'json').stdout)['state'] == 'SUCCEEDED'
    assert yaml.safe_load(penstock(server, 'get', 'run', run_id, '-o', 'yaml').stdout)['run_id'] == run_id
    assert 'Default' in penstock(server, 'get', 'experiments').stdout
    assert json.loads(penstock(server, 'get', 'pods', '-o', 'json').stdout)['kind'] == 'PodList'
    penstock(server, 'get', 'pipelines')
    missing = penstock(server, 'get', 'run', 'no-such-run', check=False)
    assert missing.returncode == 2 and 'no-such-run' in missing.stderr
    wrong = penstock(server, 'get', 'nonsense', check=False)
    assert wrong.returncode == 2 and 'nonsense' in wrong.stderr


def test_logs_of_one_task_and_of_all(server):
    run_id = server.submit(shell('echo first; echo to stderr >&2', 'echo second'))
    server.wait(run_id)
    assert penstock(server, 'logs', run_id, 'step-0').stdout == 'first\nto stderr\n'
    everything = penstock(server, 'logs', run_id).stdout
    assert '==> step-0' in everything and 'second' in everything


def test_logs_follow_a_running_task_and_cancel_ends_it(server):
    run_id = server.submit(shell('echo begun; sleep 1000'))
    server.wait_for(run_id, lambda e: e.get('task', {}).get('name') == 'step-0' and e['task']['state'] == 'RUNNING')
    follower = subprocess.Popen([BINARY, 'logs', '-f', run_id, 'step-0', '--server', server.url],
                                stdout=subprocess.PIPE, text=True)
    assert follower.stdout.readline() == 'begun\n'
    penstock(server, 'cancel', run_id)
    assert server.wait(run_id)['state'] == 'CANCELED'
    assert follower.wait(30) == 0
    follower.stdout.close()


def test_run_takes_parameters_and_prints_outputs():
    result = subprocess.run([BINARY, 'run', str(ROOT / 'examples/hello.py'), '-p', 'recipient=a=b "c"'],
                            stdout=subprocess.PIPE, text=True, timeout=60)
    assert result.returncode == 0
    assert 'Hello, a=b "c"!' in result.stdout


def test_run_refuses_what_does_not_fit(tmp_path):
    for arguments, words in (([str(tmp_path / 'none.yaml')], 'none.yaml'),
                             ([str(ROOT / 'examples/hello.py'), '-p', 'nonsense'], 'name=value'),
                             ([str(ROOT / 'examples/hello.py'), '-p', 'other=1'], 'other'),
                             ([str(ROOT / 'examples/branches.py'), '-p', 'points=many'], 'points')):
        result = subprocess.run([BINARY, 'run', *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                timeout=60)
        assert result.returncode == 2
        assert words in result.stderr


def test_an_interrupted_run_is_canceled(tmp_path):
    path = tmp_path / 'long.json'
    path.write_text(json.dumps(shell('echo begun; sleep 1000')))
    process = subprocess.Popen([BINARY, 'run', str(path)], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith('RUNNING'):
            break
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    assert process.wait(60) == 130
    process.stdout.close()
    assert 'CANCELED' in rest


def test_no_server_is_said():
    result = subprocess.run([BINARY, 'get', 'runs', '--server', 'http://127.0.0.1:9'], stderr=subprocess.PIPE, text=True)
    assert result.returncode == 2
    assert 'penstock up' in result.stderr


def test_probes_and_metrics(server):
    for path in ('/readyz', '/healthz', '/livez'):
        assert server.get(path).text == 'ok'
    metrics = server.get('/metrics').text
    assert 'penstock_runs_in_progress' in metrics and 'process_resident_memory_bytes' in metrics
    assert server.get('/nothing/here').status == 404


def test_config_file_and_variables(new_server, tmp_path):
    config = tmp_path / 'penstock.yaml'
    config.write_text('sandbox: none\ngpus: 3\ncpus: 5\n')
    server = new_server(['--config', str(config), '--cpus', '7'], env={'PENSTOCK_GPUS': '2'})
    metrics = server.get('/metrics').text
    assert 'penstock_node_gpus 2' in metrics
    assert 'penstock_node_cpu_cores 7' in metrics
    config.write_text('nonsense: 1\n')
    result = subprocess.run([BINARY, 'up', '--config', str(config)], stderr=subprocess.PIPE, text=True, timeout=20)
    assert result.returncode == 2 and 'nonsense' in result.stderr


def on_a_terminal(server, columns, *arguments):
    """What the command shows on a terminal of so many columns, as lines."""
    main, other = os.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack('HHHH', 40, columns, 0, 0))
    process = subprocess.Popen([BINARY, *arguments], env=dict(os.environ, PENSTOCK_SERVER=server.url), stdout=other)
    os.close(other)
    shown = b''
    with contextlib.suppress(OSError):  # EIO: the other end is closed
        while piece := os.read(main, 65536):
            shown += piece
    os.close(main)
    assert process.wait(60) == 0
    return shown.decode().splitlines()


def test_long_names_are_cut_on_a_terminal_only(server):
    name = 'a very long näme ' * 20
    run_id = server.submit(shell('true'), name=name)
    server.wait(run_id)
    lines = on_a_terminal(server, 120, 'get', 'runs')
    line = next(line for line in lines if line.startswith(run_id))
    assert '…' in line and 'a very long näme' in line and 'SUCCEEDED' in line
    assert max(len(line) for line in lines) <= 120
    # Ids and states stay whole where there is no room.
    line = next(line for line in on_a_terminal(server, 20, 'get', 'runs') if line.startswith(run_id))
    assert 'SUCCEEDED' in line and 'a very long…' in line
    assert name in penstock(server, 'get', 'runs').stdout
    assert name in penstock(server, 'get', 'runs', '-o', 'json').stdout
