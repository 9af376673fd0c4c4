"""Steps as containers of their images, by a real Podman. Skipped where there is none, or where it may not run."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest

from conftest import compile_pipeline, outputs, shell

IMAGE = 'localhost/penstock-test:1'
MODEL = 'localhost/penstock-model:1'
# The second: crun does not work with every mixture of control groups.
RUNTIMES = ['crun', 'runc']


def podman(store, *words, runtime=None, check=True, **more):
    command = ['podman', '--root', str(store / 'root'), '--runroot', str(store / 'run'), '--cgroup-manager', 'cgroupfs']
    command += ['--runtime', runtime] if runtime else []
    return subprocess.run([*command, *words], check=check, text=True, capture_output=True, timeout=300, **more)


def make_image(store, folder, name):
    archive = store / 'image.tar'
    subprocess.run(['tar', '-C', folder, '-cf', archive, '.'], check=True)
    podman(store, 'import', '--change', 'ENV FROM_IMAGE=yes', '--change', 'WORKDIR /content', str(archive), name)
    archive.unlink()


def make_root(store):
    """A small Debian out of this machine's own files: a shell, the usual programs, and Python."""
    folder = store / 'files'
    python = subprocess.check_output(['/usr/bin/python3', '-c', 'import sys; print("%d.%d" % sys.version_info[:2])'],
                                     text=True).strip()
    paths = ['/etc/os-release', '/etc/passwd', '/usr/lib/os-release', '/usr/bin/python3', f'/usr/bin/python{python}',
             f'/usr/lib/python{python}']
    for program in ['sh', 'dash', 'bash', 'cat', 'mkdir', 'mktemp', 'dirname', 'sleep', 'ls', 'id', 'env', 'true']:
        paths.append(shutil.which(program, path='/usr/bin:/bin'))
    needed = subprocess.run(['ldd', *[p for p in paths if os.path.isfile(p)]], capture_output=True, text=True).stdout
    modules = [str(p) for p in pathlib.Path(f'/usr/lib/python{python}/lib-dynload').glob('*.so')]
    needed += subprocess.run(['ldd', *modules], capture_output=True, text=True).stdout
    paths += {word for word in needed.split() if word.startswith('/') and not word.endswith(':')}
    for path in {os.path.join(os.path.realpath(os.path.dirname(p)), os.path.basename(p)) for p in paths}:
        target = folder / path.lstrip('/')
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.islink(path):
            real = os.path.realpath(path)
            if os.path.isfile(real):
                (folder / real.lstrip('/')).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(real, folder / real.lstrip('/'))
            if not target.exists():
                os.symlink(os.path.relpath(real, os.path.dirname(path)), target)
        elif os.path.isdir(path):
            shutil.copytree(path, target, symlinks=True, dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns('__pycache__', 'test', 'dist-packages'))
        elif not target.exists():
            shutil.copy(path, target)
    for name in ('bin', 'lib', 'lib64', 'sbin'):
        if os.path.islink(f'/{name}') and not (folder / name).exists():
            (folder / f'usr/{name}').mkdir(parents=True, exist_ok=True)
            os.symlink(f'usr/{name}', folder / name)
    for name in ('tmp', 'proc', 'sys', 'dev', 'content', 'etc', 'root'):
        (folder / name).mkdir(exist_ok=True)
    (folder / 'tmp').chmod(0o1777)
    (folder / 'content/only-in-the-image').write_text('from the image')
    return folder


@pytest.fixture(scope='module')
def engine():
    """The socket of a Podman of the tests' own, whose store holds IMAGE and MODEL."""
    if not shutil.which('podman'):
        pytest.skip('there is no podman here')
    store = pathlib.Path(tempfile.mkdtemp(prefix='penstock-podman-', dir='/var/tmp'))
    service = None
    try:
        make_image(store, make_root(store), IMAGE)
        model = store / 'model'
        (model / 'models/deep').mkdir(parents=True)
        (model / 'models/weights').write_text('0.5')
        (model / 'models/deep/more').write_text('0.25')
        make_image(store, model, MODEL)
        limits = store / 'containers.conf'
        limits.write_text('[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n')
        env = dict(os.environ, CONTAINERS_CONF=str(limits))
        tried = [podman(store, 'run', '--rm', '--network', 'host', IMAGE, 'true', runtime=name, check=False, env=env)
                 for name in RUNTIMES]
        works = next((name for name, result in zip(RUNTIMES, tried) if result.returncode == 0), None)
        if not works:
            pytest.skip(f'podman runs nothing here: {tried[-1].stderr.strip()}')
        socket = store / 'podman.sock'
        service = subprocess.Popen(
            ['podman', '--root', str(store / 'root'), '--runroot', str(store / 'run'), '--cgroup-manager', 'cgroupfs',
             '--runtime', works, 'system', 'service', '--time=0', f'unix://{socket}'], env=env,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ping = ['curl', '-sf', '--retry', '50', '--retry-delay', '1', '--retry-all-errors', '--unix-socket', str(socket),
                'http://engine/_ping']
        subprocess.run(ping, check=True, stdout=subprocess.DEVNULL, timeout=60)
        yield store
    finally:
        if service:
            service.terminate()
            service.wait()
        podman(store, 'rm', '--all', '--force', check=False)
        podman(store, 'umount', '--all', '--force', check=False)
        podman(store, 'system', 'reset', '--force', check=False)
        shutil.rmtree(store, ignore_errors=True)


@pytest.fixture
def oci(engine, new_server):
    return new_server(['--runtime', 'oci', '--container-engine', str(engine / 'podman.sock')])


def in_image(spec, image=IMAGE):
    for executor in spec['deploymentSpec']['executors'].values():
        executor['container']['image'] = image
    return spec


def log(server, run_id, task):
    return server.get(f"/apis/v1alpha1/runs/{run_id}/nodes/{task['task_id']}/log").text


def containers(engine, server):
    label = f'label=penstock.dev/data={os.path.realpath(server.data)}'
    return json.loads(podman(engine, 'ps', '--all', '--filter', label, '--format', 'json').stdout or '[]')


def none_left(engine, server):
    """A container goes when its end is recorded, a moment after the run's."""
    deadline = time.monotonic() + 20
    while left := containers(engine, server):
        assert time.monotonic() < deadline, left
    return True


def test_a_step_sees_its_image(oci, engine):
    run, tasks = oci.run(in_image(shell('cat only-in-the-image; echo; echo $FROM_IMAGE; ls /; echo bad >&2')))
    assert run['state'] == 'SUCCEEDED', run
    text = log(oci, run['run_id'], tasks['step-0'][0])
    assert text.startswith('from the image\nyes\n') and 'bad' in text
    assert not [line for line in text.splitlines() if line == 'home'], text
    assert none_left(engine, oci)


def test_python_steps_pass_values_and_artifacts(oci, tmp_path):
    script = tmp_path / 'p.py'
    script.write_text(f'''
from kfp import dsl

@dsl.component(base_image='{IMAGE}')
def make(n: int, data: dsl.Output[dsl.Dataset]) -> int:
    import os
    open(data.path, 'w').write(open('/content/only-in-the-image').read())
    data.metadata['rows'] = 3
    return n + 1

@dsl.component(base_image='{IMAGE}')
def use(n: int, data: dsl.Input[dsl.Dataset]) -> str:
    return f'{{n}} {{open(data.path).read()}} {{data.metadata["rows"]}}'

@dsl.pipeline(name='in-images')
def pipeline(n: int = 1):
    made = make(n=n)
    use(n=made.outputs['Output'], data=made.outputs['data'])
''')
    run, tasks = oci.run(compile_pipeline(script)[0], {'n': 4})
    assert run['state'] == 'SUCCEEDED', (run, tasks)
    assert outputs(tasks['use'][0])['Output'] == '5 from the image 3'


def test_exit_codes_and_missing_images(oci):
    run, tasks = oci.run(in_image(shell('echo words; exit 7')))
    assert run['state'] == 'FAILED'
    assert 'exit code 7' in json.dumps(tasks['step-0'][0]), tasks

    run, tasks = oci.run(in_image(shell('true'), 'localhost/not-there:1'))
    assert run['state'] == 'FAILED'
    assert 'ErrImagePull' in json.dumps(tasks['step-0'][0]), tasks


def test_memory_is_limited(oci):
    spec = in_image(shell("exec python3 -c 'x = bytearray(400 << 20)'"))
    spec['deploymentSpec']['executors']['exec-step-0']['container']['resources'] = {'resourceMemoryLimit': '64Mi'}
    run, tasks = oci.run(spec)
    assert run['state'] == 'FAILED'
    assert 'OOMKilled' in json.dumps(tasks['step-0'][0]['status_metadata']), tasks['step-0'][0]['status_metadata']


def test_cancel_ends_the_container(oci, engine, gate):
    run_id = oci.submit(in_image(shell(gate.command('true'))))
    gate.arrive()
    assert len(containers(engine, oci)) == 1
    assert oci.post(f'/apis/v2beta1/runs/{run_id}:terminate').status == 200
    assert oci.wait(run_id)['state'] == 'CANCELED'
    assert none_left(engine, oci)


def test_steps_outlive_the_server(oci, engine, new_server, gate):
    run_id = oci.submit(in_image(shell('echo before; ' + gate.command('echo after'), 'echo second')))
    gate.arrive()
    oci.kill()
    gate.open()
    second = new_server(oci.options, data=oci.data)
    run = second.wait(run_id)
    assert run['state'] == 'SUCCEEDED', run
    tasks = second.tasks(run_id)
    text = log(second, run_id, tasks['step-0'][0])
    assert text.count('before') == 1 and text.count('after') == 1, text
    assert none_left(engine, oci)


def test_a_models_image_is_a_folder(oci, engine, tmp_path):
    script = tmp_path / 'p.py'
    script.write_text(f'''
from kfp import dsl

@dsl.component(base_image='{IMAGE}')
def read(model: dsl.Input[dsl.Model]) -> str:
    return open(model.path + '/weights').read() + ' ' + open(model.path + '/deep/more').read()

@dsl.pipeline(name='modelcar')
def pipeline():
    model = dsl.importer(artifact_uri='oci://{MODEL}', artifact_class=dsl.Model, reimport=False)
    read(model=model.output)
''')
    spec = compile_pipeline(script)[0]
    run, tasks = oci.run(spec)
    assert run['state'] == 'SUCCEEDED', (run, tasks)
    assert outputs(tasks['read'][0])['Output'] == '0.5 0.25'
    assert none_left(engine, oci)


def test_an_engine_that_is_not_there(new_server, tmp_path):
    with pytest.raises(AssertionError, match='container engine does not answer'):
        new_server(['--runtime', 'oci', '--container-engine', str(tmp_path / 'none.sock')])
