"""Our kfp package against the real server: the client's additions, the command line, PipelinesClient and the registry."""
import json
import os
import subprocess
import sys
import textwrap
import threading

import pytest
import yaml

from conftest import BINARY, SDK, shell

sys.path.insert(0, SDK)
import kfp  # noqa: E402
from kfp import dsl, kubeflow_client  # noqa: E402
from kfp.client import ApiError  # noqa: E402
from kfp.registry import RegistryClient  # noqa: E402


@dsl.component
def make(n: int, data: dsl.Output[dsl.Dataset], folder: dsl.Output[dsl.Model]) -> int:
    import os
    print('making')
    with open(data.path, 'w') as f:
        f.write('x' * n)
    os.makedirs(os.path.join(folder.path, 'deep'))
    with open(os.path.join(folder.path, 'deep', 'weights'), 'w') as f:
        f.write('w')
    return n


@dsl.pipeline(name='makes')
def makes(n: int = 3) -> int:
    return make(n=n).outputs['Output']


@pytest.fixture
def client(server, monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    return kfp.Client(host=server.url)


def test_outputs_tasks_and_artifacts(client, tmp_path):
    result = client.create_run_from_pipeline_func(makes, arguments={'n': 5})
    assert result.wait_for_run_completion().state == 'SUCCEEDED'
    assert client.get_run_outputs(result.run_id) == {'Output': 5}
    assert sorted(task.name for task in client.list_run_tasks(result.run_id).tasks) == ['make', 'root']
    found = {artifact.name: artifact for artifact in client.list_artifacts(result.run_id).artifacts}
    assert sorted(found) == ['data', 'folder'] and found['data'].task == 'make'
    paths = client.download_run_artifacts(result.run_id, tmp_path / 'all')
    assert (tmp_path / 'all/make/data').read_text() == 'xxxxx' and len(paths) == 2
    assert (tmp_path / 'all/make/folder/deep/weights').read_text() == 'w'
    assert client.download_artifact(found['data'].artifact_id, tmp_path / 'one') == str(tmp_path / 'one')
    assert (tmp_path / 'one').read_text() == 'xxxxx'
    with pytest.raises(FileExistsError):
        client.download_artifact(found['data'], tmp_path / 'one')
    with pytest.raises(ValueError, match='not kept by the server'):
        client.download_artifact('gs://elsewhere/x', tmp_path / 'two')
    with pytest.raises(ApiError, match='404'):
        client.download_artifact('minio://mlpipeline/nothing', tmp_path / 'two')
    assert not (tmp_path / 'two').exists()
    assert client.get_run_logs(result.run_id, 'make') == 'making\n'
    assert list(client.follow_run_logs(result.run_id)) == [('make', 'making')]
    client.delete_run(result.run_id, delete_artifacts=True)
    with pytest.raises(ApiError, match='404'):
        client.download_artifact(found['data'], tmp_path / 'two')


def test_waiting_ends_with_every_end(client, server, gate):
    failed = server.submit(shell('exit 3'))
    assert client.wait_for_run_completion(failed).state == 'FAILED'
    run_id = server.submit(shell(gate.command('true')))
    gate.arrive()
    with pytest.raises(TimeoutError, match='RUNNING after 0.2 s'):
        client.wait_for_run_completion(run_id, timeout=0.2)
    ended = []
    waiter = threading.Thread(target=lambda: ended.append(client.wait_for_run_completion(run_id, 60)))
    waiter.start()
    client.terminate_run(run_id)
    waiter.join(60)
    assert ended[0].state == 'CANCELED'
    with pytest.raises(ApiError, match='404'):
        client.wait_for_run_completion('00000000-0000-0000-0000-000000000000')


def test_waiting_survives_a_restart_of_the_server(new_server, gate, monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    server = new_server()
    run_id = server.submit(shell(gate.command('true')))
    gate.arrive()
    port = server.url.rpartition(':')[2]
    asked, ended = threading.Event(), []

    class Waiting(kfp.Client):
        def get_run(self, run_id):
            run = super().get_run(run_id)
            asked.set()
            return run
    client = Waiting(host=server.url)
    waiter = threading.Thread(target=lambda: ended.append(client.wait_for_run_completion(run_id, 90)))
    waiter.start()
    assert asked.wait(60)
    server.kill()
    server.options += ['--listen', f'127.0.0.1:{port}']
    server.start()
    gate.open()
    waiter.join(90)
    assert ended and ended[0].state == 'SUCCEEDED'


def test_logs_are_followed_while_tasks_run(client, server, gate):
    run_id = server.submit(shell('echo early; ' + gate.command('echo late'), 'echo other', after=False))
    gate.arrive()
    lines, seen = [], threading.Event()

    def follow():
        for item in client.follow_run_logs(run_id):
            lines.append(item)
            if ('step-0', 'early') in lines and ('step-1', 'other') in lines:
                seen.set()
    follower = threading.Thread(target=follow)
    follower.start()
    assert seen.wait(60) and ('step-0', 'late') not in lines
    gate.open()
    follower.join(60)
    assert not follower.is_alive() and ('step-0', 'late') in lines
    assert list(client.follow_run_logs(run_id, 'step-1')) == [('step-1', 'other')]


def test_a_failed_run_is_retried(client, server, tmp_path):
    flag = tmp_path / 'flag'
    tmp_path.chmod(0o777)
    run_id = server.submit(shell('exit 1'))
    assert client.wait_for_run_completion(run_id).state == 'FAILED'
    client._run_api.run_service_retry_run(run_id=run_id)
    assert client.wait_for_run_completion(run_id).state == 'FAILED'
    assert client.runs.get_run(run_id).run_id == run_id and not flag.exists()
    with pytest.raises(AttributeError):
        client.jobs.get_run(run_id)


def test_the_host_may_have_a_path(server, monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    client = kfp.Client(host=server.url + '/pipeline/')
    run_id = server.submit(shell('echo hello'))
    assert client.wait_for_run_completion(run_id).state == 'SUCCEEDED'
    assert list(client.follow_run_logs(run_id)) == [('step-0', 'hello')]


# The command line


@pytest.fixture
def command(server, tmp_path):
    def run(*words, status=0, answer=None):
        done = subprocess.run([sys.executable, '-m', 'kfp', '--endpoint', server.url, *map(str, words)], cwd=tmp_path, input=answer,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120,
                              env=dict(os.environ, PYTHONPATH=SDK, HOME=str(tmp_path)))
        assert done.returncode == status, done.stdout + done.stderr
        return done
    return run


@pytest.fixture
def package(tmp_path):
    path = tmp_path / 'makes.yaml'
    kfp.compiler.Compiler().compile(makes, str(path))
    return path


def read(done):
    return json.loads(done.stdout)


def test_command_pipelines(command, package):
    made = read(command('--output', 'json', 'pipeline', 'create', package, '-p', 'command-line', '-d', 'words'))
    assert made['display_name'] == 'command-line'
    version = read(command('--output', 'json', 'pipeline', 'create-version', package, '-v', 'second', '-n', 'command-line'))
    listed = read(command('--output', 'json', 'pipeline', 'list-versions', made['pipeline_id']))
    assert version['pipeline_version_id'] in [entry['pipeline_version_id'] for entry in listed]
    table = command('pipeline', 'list').stdout.splitlines()
    assert table[0].split()[:2] == ['PIPELINE', 'ID'] and any('command-line' in line for line in table[1:])
    assert read(command('--output', 'json', 'pipeline', 'get', made['pipeline_id']))['description'] == 'words'
    get = command('--output', 'json', 'pipeline', 'get-version', made['pipeline_id'], version['pipeline_version_id'])
    assert read(get)['display_name'] == 'second'
    run = read(command('--output', 'json', 'run', 'create', '-n', 'command-line', '-r', 'stored', '-w', 'n=2'))
    assert run['state'] == 'SUCCEEDED'
    assert 'Nothing is deleted' in command('pipeline', 'delete', made['pipeline_id'], answer='n\n').stderr
    command('pipeline', 'delete-version', made['pipeline_id'], version['pipeline_version_id'], '--yes')
    assert 'deleted' in command('pipeline', 'delete', made['pipeline_id'], answer='y\n').stdout
    assert '404' in command('pipeline', 'get', made['pipeline_id'], status=1).stderr


def test_command_runs(command, package, server, tmp_path):
    done = command('run', 'create', '-e', 'from the command line', '-r', 'mine', '-f', package, '-w', 'n=4')
    assert '[make] making' in done.stderr and 'SUCCEEDED' in done.stdout
    run_id = next(run['run_id'] for run in read(command('--output', 'json', 'run', 'list')) if run['display_name'] == 'mine')
    assert read(command('run', 'get', run_id, '--detail'))['run_details']
    assert 'making' in command('run', 'logs', run_id).stdout
    assert command('run', 'logs', run_id, 'make').stdout == 'making\n'
    assert command('run', 'logs', '-f', run_id).stdout == '[make] making\n'
    assert 'SUCCEEDED' in command('run', 'tasks', run_id).stdout
    assert 'minio://' in command('run', 'artifacts', run_id).stdout
    command('run', 'download', run_id, 'here')
    assert (tmp_path / 'here/make/data').read_text() == 'xxxx'
    assert read(command('--output', 'json', 'run', 'archive', run_id))['storage_state'] == 'ARCHIVED'
    assert read(command('--output', 'json', 'run', 'unarchive', run_id))['storage_state'] == 'AVAILABLE'
    command('run', 'delete', run_id, '-y', '--artifacts')
    assert 'needs --package-file' in command('run', 'create', status=1).stderr
    assert "'n' is a int" in command('run', 'create', '-f', package, 'n=many', status=1).stderr
    assert 'name=value' in command('run', 'create', '-f', package, 'n', status=1).stderr
    failed = server.submit(shell('exit 1'))
    assert 'FAILED' in command('run', 'wait', failed, status=1).stdout
    assert read(command('--output', 'json', 'run', 'retry', failed))['run_id'] == failed
    command('run', 'wait', failed, '-t', 60, status=1)
    waiting = server.submit(shell('sleep 1000'))
    command('run', 'terminate', waiting)
    assert 'CANCELED' in command('run', 'wait', waiting, status=1).stdout


def test_command_experiments_and_schedules(command, package):
    made = read(command('--output', 'json', 'experiment', 'create', 'an experiment', '-d', 'for trying'))
    assert read(command('--output', 'json', 'experiment', 'get', made['experiment_id']))['description'] == 'for trying'
    assert 'an experiment' in command('experiment', 'list').stdout
    schedule = read(command('--output', 'json', 'recurring-run', 'create', '--job-name', 'hourly', '--experiment-name', 'an experiment',
                            '--interval-second', 3600, '--disabled', '--no-catchup', '--pipeline-package-path', package, 'n=1'))
    assert schedule['status'] == 'DISABLED' and schedule['no_catchup'] is True
    id_ = schedule['recurring_run_id']
    assert read(command('--output', 'json', 'recurring-run', 'enable', id_))['status'] == 'ENABLED'
    assert read(command('--output', 'json', 'recurring-run', 'disable', id_))['status'] == 'DISABLED'
    assert 'hourly' in command('recurring-run', 'list').stdout
    assert read(command('--output', 'json', 'recurring-run', 'get', id_))['display_name'] == 'hourly'
    command('recurring-run', 'delete', id_, answer='y\n')
    archived = read(command('--output', 'json', 'experiment', 'archive', '--experiment-name', 'an experiment'))
    assert archived['storage_state'] == 'ARCHIVED'
    command('experiment', 'delete', made['experiment_id'], '-y')
    assert 'either --experiment-id' in command('experiment', 'archive', status=1).stderr


def test_command_compiles_and_builds(command, tmp_path):
    (tmp_path / 'p.py').write_text(textwrap.dedent('''
        from kfp import dsl

        @dsl.component(base_image='python:3.12', target_image='registry/mine:1', packages_to_install=['six'])
        def step() -> int:
            return 1

        @dsl.pipeline
        def whole(n: int = 1):
            step()
        '''))
    assert command('dsl', 'compile', '--py', 'p.py', '--output', 'p.yaml', '--pipeline-parameters', '{"n": 7}').stdout == 'p.yaml\n'
    document = yaml.safe_load((tmp_path / 'p.yaml').read_text())
    assert document['root']['inputDefinitions']['parameters']['n']['defaultValue'] == 7.0
    command('dsl', 'compile', '--py', 'p.py', '--output', 'm.yaml', '--kubernetes-manifest-format', '--include-pipeline-manifest',
            '--pipeline-name', 'named', '--namespace', 'team')
    kinds = [(one['kind'], one['metadata']) for one in yaml.safe_load_all((tmp_path / 'm.yaml').read_text())]
    assert kinds == [('Pipeline', {'name': 'named', 'namespace': 'team'}), ('PipelineVersion', {'name': 'named', 'namespace': 'team'})]
    assert "no 'none'" in command('dsl', 'compile', '--py', 'p.py', '--output', 'p.yaml', '--function', 'none', status=1).stderr
    assert 'JSON object' in command('dsl', 'compile', '--py', 'p.py', '--output', 'p.yaml', '--pipeline-parameters', '[]', status=1).stderr
    done = command('component', 'build', '.', '--no-build-image')
    assert 'registry/mine:1: step' in done.stdout
    assert (tmp_path / 'kfp_config.ini').read_text() == '[Components]\nstep = p.py\n'
    assert (tmp_path / 'runtime-requirements.txt').read_text() == 'six\n'
    assert (tmp_path / 'Dockerfile').read_text().startswith('FROM python:3.12\n')
    (tmp_path / 'Dockerfile').write_text('mine')
    command('component', 'build', '.', '--no-build-image')
    assert (tmp_path / 'Dockerfile').read_text() == 'mine'
    assert 'no file of' in command('component', 'build', '.', '--component-filepattern', 'x*.py', status=1).stderr


def test_command_diagnoses(command, server):
    found = read(command('diagnose-me', '--json'))
    assert found['server']['answers'] is True and found['server']['host'] == server.url and found['python']['kfp'] == kfp.__version__
    assert 'complete' in command('--show-completion', 'bash').stdout
    assert command('--version').stdout == f'kfp {kfp.__version__}\n'
    assert 'pipeline' in command(status=2).stdout


# PipelinesClient and the registry


def test_pipelines_client(server, monkeypatch, tmp_path, package):
    monkeypatch.setenv('HOME', str(tmp_path))
    client = kubeflow_client.PipelinesClient(kubeflow_client.KubernetesBackendConfig(base_url=server.url, user_token='hidden'))
    assert 'hidden' not in repr(kubeflow_client.KubernetesBackendConfig(user_token='hidden'))
    version = client.upload_pipeline(makes, name='by name', version='v1', description='words')
    assert version.display_name == 'v1' and client.get_pipeline('by name').description == 'words'
    assert client.upload_pipeline(str(package), name='by name', version='v2').display_name == 'v2'
    assert sorted(v.display_name for v in client.list_pipeline_versions('by name').pipeline_versions) == ['v1', 'v2']
    assert client.get_pipeline_version('by name', 'v2').display_name == 'v2'
    assert 'by name' in [p.display_name for p in client.list_pipelines(page_size=100).pipelines]
    client.create_experiment('by name')
    told = []
    for pipeline in ('by name', makes, str(package), client.get_pipeline('by name'), version):
        run = client.run(pipeline, params={'n': 1}, experiment='by name')
        assert client.wait_for_run_status(run, callbacks=[told.append]).state == 'SUCCEEDED'
    assert len(told) == 5
    assert client.run('by name', version='v1', name='titled').display_name == 'titled'
    assert len(client.list_runs(experiment='by name', status='succeeded').runs) == 5
    assert len(client.list_runs(pipeline='by name', experiment='by name').runs) == 3
    failed = server.submit(shell('exit 1'))
    assert client.wait_for_run_status(failed).state == 'FAILED'
    for call, said in ((lambda: client.get_pipeline('nothing'), 'nothing'), (lambda: client.run('nothing'), 'nothing'),
                       (lambda: client.get_pipeline_version('by name', 'v9'), 'v9'), (lambda: client.run('by name', experiment='none'), 'none'),
                       (lambda: client.delete_pipeline('by name'), 'force')):
        with pytest.raises(ValueError, match=said):
            call()
    client.delete_pipeline('by name', version='v1')
    client.delete_pipeline('by name')
    client.delete_experiment('by name')
    with pytest.raises(ValueError, match='by name'):
        client.get_experiment('by name')


def test_waiting_for_a_state_before_the_end(server, gate, monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    client = kubeflow_client.PipelinesClient(kubeflow_client.KubernetesBackendConfig(base_url=server.url))
    run_id = server.submit(shell(gate.command('true')))
    assert client.wait_for_run_status(run_id, status={kubeflow_client.constants.RUN_RUNNING}).state == 'RUNNING'
    with pytest.raises(TimeoutError):
        client.wait_for_run_status(run_id, timeout=0.2)
    gate.arrive()
    gate.open()
    assert client.wait_for_run_status(run_id).state == 'SUCCEEDED'


def test_registry(server, monkeypatch, tmp_path, package):
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    client = RegistryClient(server.url)
    name, version = client.upload_pipeline(str(package), tags=['latest', 'good'])
    assert name == 'makes' and client.upload_pipeline(str(package)) == (name, version)
    other = tmp_path / 'other.yaml'
    kfp.compiler.Compiler().compile(makes, str(other), pipeline_parameters={'n': 9})
    second = client.upload_pipeline(str(other), tags='latest')[1]
    assert sorted(client.list_tags(name), key=str) == [{'tag': 'good', 'version': version}, {'tag': 'latest', 'version': second}]
    assert client.get_tag(name, 'latest')['version'] == second
    path = client.download_pipeline(name, tag='latest')
    assert path == 'makes_latest.yaml'
    assert yaml.safe_load(open(path))['root']['inputDefinitions']['parameters']['n']['defaultValue'] == 9
    assert client.download_pipeline(name, version=version, file_name=str(tmp_path / 'x.yaml')) == str(tmp_path / 'x.yaml')
    assert len(client.list_versions(name)) == 2 and client.get_version(name, version)['display_name'] == version
    assert client.update_tag(name, version, 'latest')['version'] == version
    with pytest.raises(ValueError, match='already'):
        client.create_tag(name, version, 'latest')
    assert client.create_tag(name, second, 'new')['tag'] == 'new' and client.delete_tag(name, 'new')['version'] == second
    with pytest.raises(ValueError, match="no tag 'new'"):
        client.get_tag(name, 'new')
    assert name in [package['display_name'] for package in client.list_packages()] and client.get_package(name)['display_name'] == name
    assert client.delete_version(name, second) and not client.delete_version(name, second)
    assert client.delete_package(name) and not client.delete_package(name)


def test_v1_runs_locally(monkeypatch, tmp_path):
    monkeypatch.setenv('PENSTOCK_BINARY', str(BINARY))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    result = kfp.run_pipeline_func_locally(makes, {'n': '2'}, execution_mode=kfp.LocalClient.ExecutionMode('local'))
    assert result.success and result.outputs == {'Output': 2} and result.wait_for_run_completion() is result
    with pytest.raises(ValueError, match='docker or local'):
        kfp.LocalClient.ExecutionMode('other')
