"""Pipelines of the first SDK, compiled by the upstream compiler of its last version, run by the server; and workflows
written by hand that use more of Argo than it does."""
import base64
import contextlib
import io
import json
import os
import pathlib
import sqlite3
import subprocess
import tarfile
import time
import zipfile

import pytest
import yaml

from conftest import BINARY, ROOT, outputs

UPSTREAM = os.environ.get('PENSTOCK_UPSTREAM_V1_PYTHON')
compiled_by_upstream = pytest.mark.skipif(
    not UPSTREAM, reason='PENSTOCK_UPSTREAM_V1_PYTHON names no Python with the first upstream kfp')


@pytest.fixture(scope='module')
def compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp('v1')
    env = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    done = subprocess.run([UPSTREAM, '-W', 'ignore', str(ROOT / 'tests/upstream_v1/pipelines.py'), str(folder)],
                          env=dict(env, HOME=str(folder), PYTHONDONTWRITEBYTECODE='1'), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-4000:]
    return {path.stem: path for path in folder.glob('*.yaml')}


def content(server, artifact):
    assert artifact['uri'].startswith('minio://'), artifact
    return server.data / 'objects' / artifact['uri'].removeprefix('minio://')


def artifacts(task):
    """By their names as the template has them."""
    return {entry['artifact_key']: entry['artifacts'][0] for entry in task.get('outputs', {}).get('artifacts', [])}


def left(server, task, name):
    """What a task left as its output `name`: a parameter's value or an artifact's text."""
    if name in outputs(task):
        return outputs(task)[name]
    path = content(server, artifacts(task)[name])
    return path.read_text()


def message(task):
    return task['status_metadata']['message']


def not_applied(task):
    return task['status_metadata']['custom_properties']['not_applied']


def run(server, compiled, name, parameters=None, state='SUCCEEDED'):
    one, tasks = server.run(yaml.safe_load(compiled[name].read_text()), parameters)
    assert one['state'] == state, (one.get('error'), {n: [t.get('status_metadata') for t in found] for n, found in tasks.items()})
    return one, tasks


def all_left(server, tasks, task, name):
    return sorted(left(server, one, name) for one in tasks[task] if one['state'] in ('SUCCEEDED', 'CACHED'))


@compiled_by_upstream
def test_values_and_files_go_from_step_to_step(server, compiled):
    one, tasks = run(server, compiled, 'chain', {'x': 2.5})
    assert float(left(server, tasks['add'][0], 'add-Output')) == 6.5
    assert float(left(server, tasks['add-2'][0], 'add-2-Output')) == 16.5
    assert tasks['add-2'][0]['display_name'] == 'the sum'
    assert outputs(tasks['divide'][0]) == {'divide-quotient': '3', 'divide-remainder': '2'}
    assert float(left(server, tasks['add-3'][0], 'add-3-Output')) == 5
    assert left(server, tasks['shout'][0], 'shout-Louder') == 'HI!'
    assert left(server, tasks['shout-2'][0], 'shout-2-Louder') == 'SO?'
    _, tasks = run(server, compiled, 'files', {'lines': 5})
    assert left(server, tasks['write'][0], 'write-data').count('\n') == 5
    assert left(server, tasks['count'][0], 'count-Output') == '5'
    assert left(server, tasks['tally'][0], 'tally-Size').strip() == str(len('some text'))
    assert left(server, tasks['tally-2'][0], 'tally-2-Size').strip() == str(len('from a step'))


@compiled_by_upstream
def test_conditions(server, compiled):
    _, tasks = run(server, compiled, 'branches')
    assert left(server, tasks['say-2'][0], 'say-2-Output') == 'it is heads'
    assert left(server, tasks['shout'][0], 'shout-Louder') == 'IT IS HEADS!'
    assert tasks['say'][0]['display_name'] == 'flip'
    states = {name: [task['state'] for task in found] for name, found in tasks.items()}
    assert states['say-4'] == ['SUCCEEDED'] and 'say-5' not in states, states
    _, tasks = run(server, compiled, 'branches', {'side': 'tails'})
    assert left(server, tasks['say-3'][0], 'say-3-Output') == 'tails'
    assert 'shout' not in tasks


@compiled_by_upstream
def test_loops(server, compiled):
    _, tasks = run(server, compiled, 'loops', {'words': '["x", "y z"]'})
    assert all_left(server, tasks, 'say', 'say-Output') == ['a', 'b']
    assert all_left(server, tasks, 'say-2', 'say-2-Output') == ['a1', 'a2', 'b1', 'b2']
    assert all_left(server, tasks, 'add', 'add-Output') == ['3.0', '30.0']
    assert all_left(server, tasks, 'shout', 'shout-Louder') == ['X!', 'Y Z!']
    assert all_left(server, tasks, 'add-2', 'add-2-Output') == ['100.0', '101.0', '102.0']
    assert all_left(server, tasks, 'say-3', 'say-3-Output') == ['ann', 'bob "b"']
    assert all_left(server, tasks, 'shout-2', 'shout-2-Louder') == ['BOB "B"!']
    assert [size.strip() for size in all_left(server, tasks, 'tally', 'tally-Size')] == ['3', '7']


@compiled_by_upstream
def test_recursion(server, compiled):
    _, tasks = run(server, compiled, 'recursion')
    found = sorted(int(outputs(task)['divide-quotient']) for task in tasks['divide'])
    assert found == [0, 1, 2, 5]


@compiled_by_upstream
def test_exit_handlers(server, compiled):
    one, tasks = run(server, compiled, 'exits', {'url': 'http://y'}, 'FAILED')
    assert left(server, tasks['bye'][0], 'bye-word') == 'Failed http://y\n'
    assert tasks['good'][0]['state'] == 'SUCCEEDED'
    bad, = tasks['bad']
    assert bad['state'] == 'FAILED' and 'oh no' in message(bad) and '3' in message(bad)
    assert 'bad' in one['error']['message']
    _, tasks = run(server, compiled, 'ends-well')
    assert left(server, tasks['bye'][0], 'bye-word') == 'Succeeded\n'


@compiled_by_upstream
def test_retries_and_time_limits(server, compiled):
    _, tasks = run(server, compiled, 'retries', state='FAILED')
    assert left(server, tasks['flaky'][0], 'flaky-n') == '2\n'
    assert tasks['hopeless'][0]['state'] == 'FAILED'
    _, tasks = run(server, compiled, 'slow', state='FAILED')
    assert 'DeadlineExceeded' in message(tasks['sleeper'][0])


@compiled_by_upstream
def test_outputs_at_any_path(server, compiled):
    _, tasks = run(server, compiled, 'places')
    make, = tasks['make']
    assert outputs(make) == {'make-root': 'root', 'make-deep': 'deep', 'make-there': 'there'}
    assert 'mlpipeline-metrics' not in artifacts(make)
    assert content(server, artifacts(make)['make-folder']).is_dir()
    assert left(server, make, 'make-data') == '[1]'
    assert left(server, make, 'make-there') == 'there'
    assert left(server, tasks['see'][0], 'see-seen') == 'root deep there\n'
    assert left(server, tasks['read'][0], 'read-all') == 'f\nw\n[1]'
    for path in ('/out.txt', '/usr/share/made.txt', '/made-up', '/model'):
        assert not pathlib.Path(path).exists(), 'a task has written to this machine'


@compiled_by_upstream
def test_metrics_are_artifacts(server, compiled):
    _, tasks = run(server, compiled, 'metrics')
    found = json.loads(left(server, tasks['measure'][0], 'mlpipeline-metrics'))
    assert found['metrics'][0] == {'name': 'accuracy', 'numberValue': 0.75, 'format': 'PERCENTAGE'}
    assert '# hello' in left(server, tasks['measure'][0], 'mlpipeline-ui-metadata')
    assert json.loads(left(server, tasks['by-hand'][0], 'mlpipeline-metrics'))['metrics'][0]['numberValue'] == 0.5
    assert 'mlpipeline-ui-metadata' not in artifacts(tasks['by-hand'][0])


def kube(server, kind, body):
    return server.post(f'/api/v1/namespaces/kubeflow/{kind}', body)


@compiled_by_upstream
def test_settings_of_containers(server, compiled):
    assert kube(server, 'secrets', {'metadata': {'name': 'v1-hidden'}, 'stringData': {'word': 'sesame'}}).status == 201
    assert kube(server, 'configmaps', {'metadata': {'name': 'v1-settings'}, 'data': {'key': 'v'}}).status == 201
    _, tasks = run(server, compiled, 'settings')
    env, = tasks['env']
    assert left(server, env, 'env-o') == 'red sesame blue v\n'
    assert not_applied(env) == 'nodeSelector, tolerations'
    assert left(server, tasks['mounted'][0], 'mounted-o') == 'sesame'


@compiled_by_upstream
def test_init_containers_and_sidecars(server, compiled):
    _, tasks = run(server, compiled, 'companions')
    assert left(server, tasks['served'][0], 'served-o') == 'prepared\nready\n'


@compiled_by_upstream
def test_volumes_and_resources(server, compiled):
    one, tasks = run(server, compiled, 'volumes')
    assert left(server, tasks['first'][0], 'first-size') == '10Mi\n'
    assert left(server, tasks['second'][0], 'second-o') == 'one\ntwo\n'
    claims = server.get('/api/v1/namespaces/kubeflow/persistentvolumeclaims').json['items']
    assert outputs(tasks['claim'][0])['claim-name'] not in [claim['metadata']['name'] for claim in claims]
    _, tasks = run(server, compiled, 'resources')
    assert left(server, tasks['use'][0], 'use-o') == 'openOpaque\n'
    made = json.loads(outputs(tasks['secret'][0])['secret-manifest'])
    assert base64.b64decode(made['data']['word']) == b'open'
    assert left(server, tasks['after'][0], 'after-o') == 'Succeeded\n'
    _, tasks = run(server, compiled, 'alien', state='FAILED')
    assert '"Job" (batch/v1)' in message(tasks['job'][0])


@compiled_by_upstream
def test_deletions(server, compiled):
    _, tasks = run(server, compiled, 'deletes')
    made = {'persistentvolumeclaims': outputs(tasks['claim'][0])['claim-name'],
            'configmaps': outputs(tasks['settings'][0])['settings-name']}
    for kind, name in made.items():
        left_over = server.get(f'/api/v1/namespaces/kubeflow/{kind}').json['items']
        assert name not in [one['metadata']['name'] for one in left_over]
    # Once more: it is done, not taken from the cache.
    _, tasks = run(server, compiled, 'deletes')
    assert {task['state'] for name in tasks if name.startswith('kubernetes-') for task in tasks[name]} == {'SUCCEEDED'}
    left_over = server.get('/api/v1/namespaces/kubeflow/configmaps').json['items']
    assert outputs(tasks['settings'][0])['settings-name'] not in [one['metadata']['name'] for one in left_over]


def test_a_deletion_of_what_is_not_there(server):
    one, tasks = server.run(workflow('''
spec:
  entrypoint: main
  templates:
  - name: main
    dag: {tasks: [{name: strict, template: strict}, {name: lenient, template: lenient}]}
  - {name: strict, container: {image: kubectl, command: [kubectl, delete], args: [cm, v1-no-such]}}
  - {name: lenient, container: {image: kubectl, command: [kubectl, delete, cm, v1-no-such, --ignore-not-found=true]}}
'''))
    assert one['state'] == 'FAILED' and tasks['lenient'][0]['state'] == 'SUCCEEDED'
    assert 'ConfigMap "v1-no-such" is not there' in message(tasks['strict'][0])


@compiled_by_upstream
def test_steps_make_their_own_folders(server, compiled):
    _, tasks = run(server, compiled, 'own-folders')
    make, = tasks['make']
    assert left(server, make, 'make-n') == '1\n'
    assert (content(server, artifacts(make)['make-model']) / 'w').read_text() == '2\n'
    assert not pathlib.Path('/not-here').exists()


def read_artifact(server, run_id, node, name, version='v2beta1'):
    answer = server.get(f'/apis/{version}/runs/{run_id}/nodes/{node}/artifacts/{name}:read')
    assert answer.status == 200, answer.text
    return base64.b64decode(answer.json['data'])


@compiled_by_upstream
@pytest.mark.parametrize('version', ['v1beta1', 'v2beta1'])
def test_a_folder_is_read_as_an_archive(server, compiled, version):
    one, _ = run(server, compiled, 'own-folders')
    data = read_artifact(server, one['run_id'], 'make', 'make-model', version)
    with tarfile.open(fileobj=io.BytesIO(data), mode='r:gz') as archive:
        files = {entry.name: entry for entry in archive.getmembers() if entry.isfile()}
        assert list(files) == ['make-model/w']
        assert archive.extractfile(files['make-model/w']).read() == b'2\n'


@compiled_by_upstream
def test_an_exit_handler_is_told_what_failed(server, compiled):
    one, tasks = run(server, compiled, 'failures', state='FAILED')
    told = {failure['displayName']: failure for failure in json.loads(left(server, tasks['bye'][0], 'bye-f'))}
    bad, picky = told['bad'], [failure for failure in told.values() if failure['templateName'] == 'picky']
    assert len(told) == 2 and len(picky) == 1
    assert set(bad) == {'displayName', 'message', 'templateName', 'phase', 'podName', 'finishedAt'}
    assert bad['templateName'] == 'bad' and bad['phase'] == 'Failed' and 'exit code 3' in bad['message']
    task, = tasks['bad']
    assert bad['podName'] in {pod['name'] for pod in task['pods']}
    assert bad['finishedAt'][:19] == task['end_time'][:19]


@compiled_by_upstream
def test_a_hit_is_no_older_than_its_step_allows(new_server, compiled):
    server = new_server()
    run(server, compiled, 'stale')
    _, tasks = run(server, compiled, 'stale')
    assert [task['state'] for name in ('say', 'say-2') for task in tasks[name]] == ['CACHED', 'CACHED']
    server.stop()
    database, = server.data.glob('*.db')
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        assert db.execute('UPDATE cached_tasks SET created_at = created_at - 7200 * 1000000').rowcount == 2
    server.start()
    _, tasks = run(server, compiled, 'stale')
    assert [task['state'] for name in ('say', 'say-2') for task in tasks[name]] == ['SUCCEEDED', 'CACHED']
    note = tasks['say'][0]['status_metadata']['custom_properties']['cache']
    assert 'more than the 3600 s that are allowed' in note, note


@compiled_by_upstream
def test_the_largest_whole_number(server, compiled):
    _, tasks = run(server, compiled, 'large')
    assert left(server, tasks['large'][0], 'large-o') == f'{2 ** 53}\n'
    answer = server.post('/apis/v1beta1/runs', {'name': 'large', 'pipeline_spec': {
        'workflow_manifest': compiled['large'].read_text(), 'parameters': [{'name': 'n', 'value': str(2 ** 53)}]}})
    assert answer.status == 200, answer.text
    assert server.wait(answer.json['run']['id'])['state'] == 'SUCCEEDED'


@compiled_by_upstream
def test_data_through_a_volume(server, compiled):
    claim = {'metadata': {'name': 'v1-data'}, 'spec': {'accessModes': ['ReadWriteOnce'],
                                                       'resources': {'requests': {'storage': '1Gi'}}}}
    assert kube(server, 'persistentvolumeclaims', claim).status == 201
    _, tasks = run(server, compiled, 'by-volume')
    assert tasks['add'][0]['state'] == 'SUCCEEDED'
    assert json.loads(left(server, tasks['measure'][0], 'mlpipeline-metrics'))['metrics'][0]['numberValue'] == 0.75
    files = [path for path in (server.data / 'volumes/kubeflow/v1-data').rglob('data') if path.is_file()]
    assert '4' in [path.read_text() for path in files]


@compiled_by_upstream
def test_names_of_the_run(server, compiled):
    one, tasks = run(server, compiled, 'names', {'greeting': 'hi'})
    words = left(server, tasks['names'][0], 'names-o').split()
    assert words[0] == one['run_id'] and words[2] == 'kubeflow' and words[4] == 'hi'
    assert words[3].startswith(words[1])
    uid, execution = left(server, tasks['run-id'][0], 'run-id-o').split()
    assert uid == one['run_id'] and execution.startswith(uid + '-' + words[1])


@compiled_by_upstream
def test_caching(server, compiled):
    run(server, compiled, 'cached')
    _, tasks = run(server, compiled, 'cached')
    assert tasks['say'][0]['state'] == 'CACHED', tasks['say'][0]
    assert left(server, tasks['say'][0], 'say-Output') == 'once'
    assert tasks['say-2'][0]['state'] == 'SUCCEEDED'


@compiled_by_upstream
def test_width_of_a_workflow(server, compiled):
    one, tasks = run(server, compiled, 'narrow')
    spans = sorted((task['start_time'], task['end_time']) for name in tasks for task in tasks[name]
                   if name.startswith('step-'))
    assert len(spans) == 3
    for (_, end), (start, _) in zip(spans, spans[1:]):
        assert end <= start
    assert set(not_applied(tasks['step-0'][0]).split(', ')) == {'imagePullSecrets', 'ttlStrategy'}


@compiled_by_upstream
def test_packages_are_taken_in_every_form(server, compiled, tmp_path):
    text = compiled['chain'].read_bytes()
    zipped = tmp_path / 'chain.zip'
    with zipfile.ZipFile(zipped, 'w') as archive:
        archive.writestr('pipeline.yaml', text)
    tarred = tmp_path / 'chain.tar.gz'
    with tarfile.open(tarred, 'w:gz') as archive:
        info = tarfile.TarInfo('pipeline.yaml')
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    for path in (compiled['chain'], zipped, tarred):
        answer = server.upload(path, name=f'v1 {path.suffix}')
        assert answer.status == 200, answer.text
        pipeline = answer.json['pipeline_id']
        version, = server.get(f'/apis/v2beta1/pipelines/{pipeline}/versions').json['pipeline_versions']
        assert version['pipeline_spec'] == yaml.safe_load(text)
        run_id = server.post('/apis/v2beta1/runs', {
            'display_name': 'r', 'pipeline_version_reference': {'pipeline_id': pipeline},
            'runtime_config': {'parameters': {'word': 'up'}}}).json['run_id']
        assert server.wait(run_id)['state'] == 'SUCCEEDED'
        assert left(server, server.tasks(run_id)['shout'][0], 'shout-Louder') == 'UP!'
    unknown = server.post('/apis/v2beta1/runs', {'display_name': 'r', 'pipeline_spec': yaml.safe_load(text),
                                                 'runtime_config': {'parameters': {'nothing': 1}}})
    assert unknown.status == 400 and 'nothing' in unknown.text


@compiled_by_upstream
def test_the_program_runs_them(compiled):
    done = subprocess.run([BINARY, 'run', str(compiled['chain']), '-p', 'word=cli'], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    done = subprocess.run([BINARY, 'run', str(compiled['exits'])], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=120)
    assert done.returncode != 0 and 'bad' in done.stdout, done.stdout


@compiled_by_upstream
def test_a_crash_in_the_middle(new_server, compiled):
    """Finished tasks stay finished, and the rest comes to its end."""
    one = new_server()
    spec = yaml.safe_load(compiled['loops'].read_text())
    run_id = one.submit(spec)
    one.wait_for(run_id, lambda event: event.get('task', {}).get('state') == 'SUCCEEDED')
    one.kill()
    one.start()
    assert one.wait(run_id)['state'] == 'SUCCEEDED'
    tasks = one.tasks(run_id)
    assert all_left(one, tasks, 'add-2', 'add-2-Output') == ['100.0', '101.0', '102.0']


@compiled_by_upstream
def test_the_schema_before(server, tmp_path):
    """What the first SDK compiles for the second engine: values wrapped by their types, in a job's form."""
    file = tmp_path / 'old.json'
    env = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    done = subprocess.run([UPSTREAM, '-W', 'ignore', str(ROOT / 'tests/upstream_v1/old_ir.py'), str(file)],
                          env=dict(env, HOME=str(tmp_path), PYTHONDONTWRITEBYTECODE='1'), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-4000:]
    job = json.loads(file.read_text())
    assert job['pipelineSpec']['schemaVersion'] == '2.0.0'
    assert job['runtimeConfig']['parameters']['large'] == {'intValue': str(2 ** 53)}
    one, tasks = server.run(job)
    assert one['state'] == 'SUCCEEDED', (one.get('error'), tasks)
    told = [outputs(task)['Output'] for name in tasks if name.startswith('describe') for task in tasks[name]]
    expected = ["7 2.5 'hi' [1, 2] {'k': 'v'} True", "1 1.5 'x' [1] {'a': 1} True", "10 1.5 'ten' [1] {'a': 1} True",
                "2 1.5 'x' [1] {'a': 1} True", "7 1.5 'seven' [1] {'a': 1} True",
                "9007199254740992 1.5 'x' [1] {'a': 1} True"]
    assert sorted(told) == sorted(expected), told
    assert outputs(tasks['measure'][0]) == {'Output': 7}
    answer = server.upload(file, 'old schema')
    assert answer.status == 200, answer.text


# --- workflows that the SDK does not write ---

def workflow(text):
    return yaml.safe_load('apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {generateName: by-hand-}\n' + text)


def test_steps_scripts_and_results(server):
    one, tasks = server.run(workflow('''
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - {name: roll, template: roll}
    - - {name: high, template: show, when: '{{steps.roll.outputs.result}} >= 3', arguments: {parameters: [{name: text, value: 'got {{steps.roll.outputs.result}}'}]}}
      - {name: low, template: show, when: '{{steps.roll.outputs.result}} < 3', arguments: {parameters: [{name: text, value: low}]}}
      - {name: each, template: show, withParam: '[1, "b"]', arguments: {parameters: [{name: text, value: 'n {{item}}'}]}}
    - - {name: sum, template: show, arguments: {parameters: [{name: text, value: '{{steps.each.outputs.result}}'}]}}
  - name: roll
    script: {image: python, command: [python3], source: "import sys\\nprint('not this', file=sys.stderr)\\nprint(4)\\n"}
  - name: show
    inputs: {parameters: [{name: text}]}
    script: {image: bash, command: [bash], source: 'echo "{{inputs.parameters.text}}"; exit 0'}
'''))
    assert one['state'] == 'SUCCEEDED', (one.get('error'), tasks)
    assert outputs(tasks['roll'][0]) == {'result': '4'}
    assert tasks['low'][0]['state'] == 'SKIPPED' and tasks['high'][0]['state'] == 'SUCCEEDED'
    printed = [outputs(task).get('result') for task in tasks['each']]
    assert 'n 1' in printed and 'n b' in printed and ['n 1', 'n b'] in printed


def test_a_captured_failure_keeps_its_exit_code(server):
    one, tasks = server.run(workflow('''
spec:
  entrypoint: main
  templates:
  - name: main
    dag:
      tasks:
      - {name: bad, template: bad, continueOn: {failed: true}}
      - {name: after, template: after, dependencies: [bad], arguments: {parameters: [{name: code, value: '{{tasks.bad.exitCode}} {{tasks.bad.status}}'}]}}
      - {name: never, template: after, depends: bad.Succeeded, arguments: {parameters: [{name: code, value: '{{tasks.bad.outputs.result}}'}]}}
  - name: bad
    container: {image: busybox, command: [sh, -c, 'echo partly; exit 7']}
  - name: after
    inputs: {parameters: [{name: code}]}
    container: {image: busybox, command: [sh, -c, 'echo "{{inputs.parameters.code}}" > /tmp/o']}
    outputs: {parameters: [{name: o, valueFrom: {path: /tmp/o}}, {name: d, valueFrom: {path: /tmp/none, default: dflt}}]}
'''))
    assert one['state'] == 'SUCCEEDED', one.get('error')
    assert outputs(tasks['after'][0]) == {'o': '7 Failed', 'd': 'dflt'}
    assert tasks['never'][0]['state'] == 'SKIPPED'


def test_claims_of_a_workflow(server):
    one, tasks = server.run(workflow('''
spec:
  entrypoint: main
  volumeClaimTemplates: [{metadata: {name: work}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]
  templates:
  - name: main
    steps: [[{name: put, template: put}], [{name: pause, template: pause}], [{name: get, template: get}]]
  - {name: pause, suspend: {duration: 1s}}
  - name: put
    container: {image: busybox, command: [sh, -c, 'echo kept > /mnt/vol/f'], volumeMounts: [{name: work, mountPath: /mnt/vol}]}
  - name: get
    container: {image: busybox, command: [cat, /mnt/vol/f], volumeMounts: [{name: work, mountPath: /mnt/vol}]}
    outputs: {parameters: [{name: f, valueFrom: {path: /mnt/vol/f}}]}
'''))
    assert one['state'] == 'SUCCEEDED', (one.get('error'), tasks)
    assert outputs(tasks['get'][0]) == {'f': 'kept'}


@pytest.mark.parametrize('spec, field', [
    ('{entrypoint: a, templates: [{name: a, container: {image: b, command: [c]}, memoize: {}}]}', 'memoize.key'),
    ('{entrypoint: a, templates: [{name: a, http: {method: GET}}]}', 'http.url'),
    ('{entrypoint: a, templates: [{name: a, http: {url: x, insecureSkipVerify: true}}]}', 'http.insecureSkipVerify'),
    ('{entrypoint: a, hooks: {exit: {}}, templates: [{name: a, container: {image: b, command: [c]}}]}',
     'spec.hooks.exit.template'),
    ('{entrypoint: a, templates: [{name: a, plugin: {hello: {}}}]}', 'templates.a.plugin'),
    ('{entrypoint: a, templates: [{name: a, containerSet: {containers: [{name: b, image: c, command: [d], dependencies: [e]}]}}]}',
     'no container'),
    ('{entrypoint: a, templates: [{name: a, containerSet: {containers: [{name: b, image: c, command: [d], dependencies: [b]}]}}]}',
     'waits for itself'),
    ('{entrypoint: b, templates: [{name: a, container: {image: b, command: [c]}}]}', 'spec.entrypoint'),
    ('{entrypoint: a, templates: [{name: a, dag: {tasks: [{name: t, template: gone}]}}]}', 'tasks[0].template'),
    ('{entrypoint: a, templates: [{name: a, container: {image: b, command: ["{{inputs.parameters.x}}"]}}]}',
     'inputs.parameters.x'),
    ('{entrypoint: a, templates: [{name: a, suspend: {duration: soon}}]}', 'suspend.duration'),
    ('{entrypoint: a, templates: [{name: a, steps: [[{name: t, template: b}]], timeout: soon}, {name: b, suspend: {}}]}',
     'templates.a.timeout'),
    ('{entrypoint: a, templates: [{name: a, dag: {target: x, tasks: [{name: t, template: b}]}}, {name: b, suspend: {}}]}',
     'dag.target'),
    ('{entrypoint: a, templates: [{name: a, daemon: true, suspend: {}}]}', 'templates.a.daemon'),
    ('{entrypoint: a, templates: [{name: a, dag: {tasks: [{name: t, template: b, withItems: [1], onExit: b}]}}, {name: b, suspend: {}}]}',
     'tasks[0].hooks'),
    ('{entrypoint: a, templates: [{name: a, dag: {tasks: [{name: t, template: b, hooks: {x: {template: b}}}]}}, {name: b, suspend: {}}]}',
     'hooks.x.expression'),
    ('{entrypoint: a, templates: [{name: a, container: {image: b, command: [c, "{{workflow.outputs.parameters.x}}"]}}]}',
     'globalName'),
    ('{entrypoint: a, templates: [{name: a, container: {image: b, command: [c, "{{=sprig.now()}}"]}}]}', 'sprig.now'),
    ('{entrypoint: a, templates: [{name: a, dag: {tasks: [{name: t, template: a, dependencies: [t]}]}}]}', 'wait'),
])
def test_what_is_not_supported_is_refused(server, spec, field):
    answer = server.post('/apis/v2beta1/runs', {'display_name': 'r', 'pipeline_spec': workflow('spec: ' + spec)})
    assert answer.status == 400, answer.text
    assert field in answer.text


def test_a_recursion_without_end_ends(server):
    one, _ = server.run(workflow('''
spec:
  entrypoint: a
  templates: [{name: a, steps: [[{name: again, template: a}]]}]
'''))
    assert one['state'] == 'FAILED' and 'recursion' in one['error']['message'], one['error']


@compiled_by_upstream
@pytest.mark.parametrize('how', ['nobody', 'plain'])
def test_paths_on_other_machines(new_server, compiled, tmp_path, how):
    """As a user without rights, and where there is no sandbox."""
    if how == 'nobody' and os.geteuid() != 0:
        pytest.skip('only root becomes somebody else')
    if how == 'plain':
        config = tmp_path / 'config.yaml'
        config.write_text('sandbox: none\n')
        one = new_server(options=['--config', str(config)])
        _, tasks = run(one, compiled, 'chain', {'word': 'plain'})
        assert left(one, tasks['shout'][0], 'shout-Louder') == 'PLAIN!'
        _, tasks = run(one, compiled, 'files')
        assert left(one, tasks['count'][0], 'count-Output') == '3'
    else:
        one = new_server(user=65534)
        _, tasks = run(one, compiled, 'places')
        assert outputs(tasks['make'][0])['make-there'] == 'there'
        assert left(one, tasks['read'][0], 'read-all') == 'f\nw\n[1]'


@compiled_by_upstream
def test_a_parameter_as_a_file(server, compiled):
    assert 'raw' in yaml.safe_load(compiled['parameter-as-file'].read_text())['spec']['arguments']['artifacts'][0]
    one, tasks = run(server, compiled, 'parameter-as-file', {'words': 'given "now"'})
    assert one['state'] == 'SUCCEEDED', one
    assert left(server, tasks['read-file'][0], 'read-file-Output') == 'given "now"/3'


@compiled_by_upstream
def test_recurring(server, compiled):
    answer = server.post('/apis/v2beta1/recurringruns', {
        'display_name': 'v1 again', 'max_concurrency': '1', 'mode': 'ENABLE', 'no_catchup': True,
        'trigger': {'periodic_schedule': {'interval_second': '1'}},
        'pipeline_spec': yaml.safe_load(compiled['names'].read_text()),
        'runtime_config': {'parameters': {'greeting': '[[ScheduledTime]]'}}})
    assert answer.status == 200, answer.text
    recurring = answer.json['recurring_run_id']
    try:
        deadline = time.monotonic() + 60
        runs = []
        while not runs and time.monotonic() < deadline:
            found = server.get('/apis/v2beta1/runs?page_size=100&sort_by=created_at%20desc').json.get('runs', [])
            runs = [one['run_id'] for one in found if one.get('recurring_run_id') == recurring]
        assert server.wait(runs[0])['state'] == 'SUCCEEDED'
        words = left(server, server.tasks(runs[0])['names'][0], 'names-o').split()
        assert words[0] == runs[0] and words[4].startswith('20')
    finally:
        assert server.request('DELETE', f'/apis/v2beta1/recurringruns/{recurring}').status == 200


def test_a_failed_run_is_retried(server):
    """What succeeded stays; what was waited for is there by then."""
    run_id = server.submit(workflow('''
spec:
  entrypoint: main
  templates:
  - name: main
    dag:
      tasks:
      - {name: once, template: once}
      - {name: get, template: get, dependencies: [once]}
      - {name: use, template: use, dependencies: [get], arguments: {parameters: [{name: v, value: '{{tasks.get.outputs.parameters.v}}'}]}}
  - name: once
    container: {image: busybox, command: [sh, -c, 'cat /proc/sys/kernel/random/uuid > /tmp/o']}
    outputs: {parameters: [{name: o, valueFrom: {path: /tmp/o}}]}
  - name: get
    resource: {action: get, manifest: '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "v1-late"}}'}
    outputs: {parameters: [{name: v, valueFrom: {jsonPath: '{.data.v}'}}]}
  - name: use
    inputs: {parameters: [{name: v}]}
    container: {image: busybox, command: [test, '{{inputs.parameters.v}}', '=', here]}
'''))
    assert server.wait(run_id)['state'] == 'FAILED'
    before = outputs(server.tasks(run_id)['once'][0])
    assert kube(server, 'configmaps', {'metadata': {'name': 'v1-late'}, 'data': {'v': 'here'}}).status == 201
    assert server.post(f'/apis/v2beta1/runs/{run_id}:retry').status == 200
    assert server.wait(run_id)['state'] == 'SUCCEEDED'
    assert outputs(server.tasks(run_id)['once'][0]) == before


def test_terminate(server, gate):
    run_id = server.submit(workflow(f'''
spec:
  entrypoint: main
  onExit: bye
  templates:
  - name: main
    steps: [[{{name: wait, template: wait}}, {{name: pause, template: pause}}], [{{name: never, template: bye}}]]
  - {{name: pause, suspend: {{duration: 1h}}}}
  - name: wait
    container: {{image: busybox, command: [sh, -c, {json.dumps(gate.command('true'))}]}}
    sidecars: [{{name: side, image: busybox, command: [sleep, '3600']}}]
  - name: bye
    container: {{image: busybox, command: ['true']}}
'''))
    gate.arrive()
    assert server.post(f'/apis/v2beta1/runs/{run_id}:terminate').status == 200
    assert server.wait(run_id)['state'] == 'CANCELED'
    states = {name: found[0]['state'] for name, found in server.tasks(run_id).items()}
    assert states['wait'] == 'CANCELED' and states['never'] == 'SKIPPED' and states['bye'] == 'SKIPPED', states


def test_resources_are_waited_for_only_so_long(server):
    one, tasks = server.run(workflow('''
spec:
  entrypoint: main
  templates:
  - name: main
    steps: [[{name: make, template: make}], [{name: patch, template: patch}], [{name: check, template: check}]]
  - name: make
    resource: {action: apply, manifest: "apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: v1-patched}\\ndata: {a: b}\\n"}
  - name: patch
    resource: {action: patch, mergeStrategy: merge, manifest: '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "v1-patched"}, "data": {"c": "d"}}', successCondition: data.c == d, failureCondition: data.a == x}
    outputs: {parameters: [{name: all, valueFrom: {jsonPath: '{.data}'}}]}
  - name: check
    activeDeadlineSeconds: 1
    resource: {action: get, manifest: '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "v1-patched"}}', successCondition: data.never == come}
'''))
    assert json.loads(outputs(tasks['patch'][0])['all']) == {'a': 'b', 'c': 'd'}
    assert one['state'] == 'FAILED' and 'DeadlineExceeded' in message(tasks['check'][0])


def test_expressions(server):
    """In arguments, in templates, in lists of loops, in outputs and conditions."""
    one, tasks = server.run(workflow('''
spec:
  entrypoint: main
  arguments: {parameters: [{name: words, value: '[{"w": "a"}, {"w": "b"}, {"w": "c"}]'}, {name: n, value: '4'}]}
  templates:
  - name: main
    dag:
      tasks:
      - {name: roll-it, template: roll}
      - name: show
        template: show
        arguments: {parameters: [{name: text, value: "{{=asInt(tasks['roll-it'].outputs.result) * asInt(workflow.parameters.n)}} {{=sprig.upper('x')}}"}]}
      - name: each
        template: show
        withParam: "{{=toJson(filter(map(fromJSON(workflow.parameters.words), .w), # != 'b'))}}"
        arguments: {parameters: [{name: text, value: "{{=item + '!'}}"}]}
      - {name: low, template: show, dependencies: [roll-it], when: "{{=asInt(tasks['roll-it'].outputs.result) < 2}}", arguments: {parameters: [{name: text, value: low}]}}
      - name: final
        template: show
        dependencies: [low]
        arguments: {parameters: [{name: text, value: "{{=tasks.low.outputs.parameters.o ?? 'nothing'}}"}]}
  - name: roll
    script: {image: python, command: [python3], source: "print(3)"}
  - name: show
    inputs: {parameters: [{name: text}]}
    container: {image: busybox, command: [sh, -c, "echo '{{=sprig.trim(inputs.parameters.text)}} {{=len(inputs.parameters.text)}}' > /tmp/o"]}
    outputs: {parameters: [{name: o, valueFrom: {path: /tmp/o}}]}
'''))
    assert one['state'] == 'SUCCEEDED', (one.get('error'), tasks)
    assert outputs(tasks['show'][0])['o'] == '12 X 4'
    assert sorted(outputs(task)['o'] for task in tasks['each'] if task['type'] == 'RUNTIME') == ['a! 2', 'c! 2']
    assert tasks['low'][0]['state'] == 'SKIPPED' and outputs(tasks['final'][0])['o'] == 'nothing 7'


def test_a_retry_for_some_failures_only(server):
    one, tasks = server.run(workflow('''
spec:
  entrypoint: main
  templates:
  - name: main
    dag: {tasks: [{name: again, template: again}, {name: once, template: once}]}
  - name: again
    retryStrategy: {limit: 3, expression: "asInt(lastRetry.exitCode) == 75 && lastRetry.status == 'Failed'"}
    container: {image: busybox, command: [sh, -c, 'test {{retries}} -ge 2 && echo "{{retries}} {{lastRetry.exitCode}} {{=lastRetry.status}}" > /tmp/o || exit 75']}
    outputs: {parameters: [{name: o, valueFrom: {path: /tmp/o}}]}
  - name: once
    retryStrategy: {limit: 3, expression: "lastRetry.exitCode == '75'"}
    container: {image: busybox, command: [sh, -c, 'exit 4']}
'''))
    assert one['state'] == 'FAILED'
    assert outputs(tasks['again'][0]) == {'o': '2 75 Failed'}
    assert 'exit code 4' in message(tasks['once'][0])
    assert len(tasks['once'][0]['pods']) == 1, tasks['once'][0]['pods']


def test_memoized_steps(server):
    """The key alone decides, whatever else the step is told; in the cache that is named."""
    spec = workflow('''
spec:
  entrypoint: main
  arguments: {parameters: [{name: key, value: ''}, {name: text, value: ''}]}
  templates:
  - name: main
    steps: [[{name: work, template: work, arguments: {parameters: [{name: key, value: '{{workflow.parameters.key}}'}, {name: text, value: '{{workflow.parameters.text}}'}]}}]]
  - name: work
    inputs: {parameters: [{name: key}, {name: text}]}
    memoize: {key: 'k-{{inputs.parameters.key}}', maxAge: 1h, cache: {configMap: {name: some-cache}}}
    container: {image: busybox, command: [sh, -c, 'echo {{inputs.parameters.text}} > /tmp/o']}
    outputs: {parameters: [{name: o, valueFrom: {path: /tmp/o}}]}
''')
    def once(key, text):
        one, tasks = server.run(spec, {'key': key, 'text': text})
        assert one['state'] == 'SUCCEEDED', one
        return tasks['work'][0]['state'], outputs(tasks['work'][0])['o']
    assert once('a', 'one') == ('SUCCEEDED', 'one')
    assert once('a', 'two') == ('CACHED', 'one')
    assert once('b', 'two') == ('SUCCEEDED', 'two')


def test_a_pause_until_somebody_resumes_it(new_server):
    """Also over a crash; what is not paused cannot be resumed."""
    server = new_server()
    run_id = server.submit(workflow('''
spec:
  entrypoint: main
  templates:
  - name: main
    steps: [[{name: approve, template: pause}, {name: approve-too, template: pause}], [{name: go, template: go}]]
  - {name: pause, suspend: {}}
  - {name: go, container: {image: busybox, command: ['true']}}
'''))
    def paused(name):
        return lambda event: (event.get('task', {}).get('name') == name and event['task']['state'] == 'RUNNING')
    server.wait_for(run_id, paused('approve-too'))
    server.kill()
    server.start()
    server.wait_for(run_id, paused('approve-too'))
    states = {name: found[0]['state'] for name, found in server.tasks(run_id).items()}
    assert states['approve'] == 'RUNNING' and 'go' not in states, states
    assert server.post(f'/apis/penstock/v1/runs/{run_id}:resume').status == 200
    assert server.wait(run_id)['state'] == 'SUCCEEDED'
    answer = server.post(f'/apis/penstock/v1/runs/{run_id}:resume')
    assert answer.status == 400 and 'nothing in it is paused' in answer.text
    assert server.post('/apis/penstock/v1/runs/none:resume').status == 404


def test_a_daemon_lives_as_long_as_it_is_needed(server):
    one, tasks = server.run(workflow('''
spec:
  entrypoint: main
  volumeClaimTemplates: [{metadata: {name: work}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]
  templates:
  - name: main
    steps:
    - - {name: service, template: service}
    - - {name: ask, template: ask, arguments: {parameters: [{name: at, value: '{{steps.service.ip}}'}]}}
  - name: service
    daemon: true
    container: {image: busybox, command: [sh, -c, 'mkfifo /mnt/w/answer; echo up > /mnt/w/answer; sleep 3600'], volumeMounts: [{name: work, mountPath: /mnt/w}]}
  - name: ask
    inputs: {parameters: [{name: at}]}
    container: {image: busybox, command: [sh, -c, 'while ! test -p /mnt/w/answer; do sleep 0.05; done; echo "{{inputs.parameters.at}} $(cat /mnt/w/answer)" > /tmp/o'], volumeMounts: [{name: work, mountPath: /mnt/w}]}
    outputs: {parameters: [{name: o, valueFrom: {path: /tmp/o}}]}
'''))
    assert one['state'] == 'SUCCEEDED', (one.get('error'), tasks)
    address, word = outputs(tasks['ask'][0])['o'].split()
    assert word == 'up' and address.count('.') == 3
    assert tasks['service'][0]['state'] == 'SUCCEEDED'


def test_a_dag_has_only_so_long(server):
    one, tasks = server.run(workflow('''
spec:
  entrypoint: main
  templates:
  - name: main
    steps: [[{name: slow, template: slow, continueOn: {failed: true}}], [{name: then, template: then}]]
  - name: slow
    activeDeadlineSeconds: 1
    dag: {tasks: [{name: sleep, template: sleep}, {name: each, template: sleep, withItems: [1, 2]}, {name: never, template: then, dependencies: [sleep]}]}
  - {name: sleep, container: {image: busybox, command: [sleep, '600']}}
  - {name: then, container: {image: busybox, command: ['true']}}
'''))
    assert one['state'] == 'SUCCEEDED', (one.get('error'), tasks)
    assert tasks['slow'][0]['state'] == 'FAILED' and 'DeadlineExceeded' in message(tasks['slow'][0])
    assert tasks['sleep'][0]['state'] == 'CANCELED' and tasks['never'][0]['state'] == 'SKIPPED'
    assert {task['state'] for task in tasks['each']} == {'CANCELED'}
    assert tasks['then'][0]['state'] == 'SUCCEEDED'


def test_hooks_and_outputs_of_the_whole_run(server):
    one, tasks = server.run(workflow('''
spec:
  entrypoint: main
  hooks:
    exit: {template: tell, arguments: {parameters: [{name: s, value: '{{workflow.status}} {{workflow.outputs.parameters.made}}'}]}}
  templates:
  - name: main
    steps:
    - - name: make
        template: make
        hooks:
          running: {template: tell, expression: steps.make.status == "Running", arguments: {parameters: [{name: s, value: it runs}]}}
          exit: {template: tell, arguments: {parameters: [{name: s, value: 'it was {{steps.make.status}}'}]}}
    - - {name: use, template: use}
  - name: make
    container: {image: busybox, command: [sh, -c, 'echo 7 > /tmp/o']}
    outputs: {parameters: [{name: o, globalName: made, valueFrom: {path: /tmp/o}}]}
  - name: use
    container: {image: busybox, command: [sh, -c, 'test {{workflow.outputs.parameters.made}} = 7']}
  - name: tell
    inputs: {parameters: [{name: s}]}
    container: {image: busybox, command: [sh, -c, 'echo "{{inputs.parameters.s}}" > /tmp/o']}
    outputs: {parameters: [{name: o, valueFrom: {path: /tmp/o}}]}
'''))
    assert one['state'] == 'SUCCEEDED', (one.get('error'), tasks)
    assert outputs(tasks['tell'][0])['o'] == 'Succeeded 7'
    assert outputs(tasks['make.running'][0])['o'] == 'it runs'
    assert outputs(tasks['make.onExit'][0])['o'] == 'it was Succeeded'
    assert tasks['use'][0]['start_time'] >= tasks['make.onExit'][0]['end_time']


@pytest.mark.parametrize('fails', [False, True])
def test_a_set_of_containers_in_one_pod(server, fails):
    one, tasks = server.run(workflow(f'''
spec:
  entrypoint: main
  volumes: [{{name: work, emptyDir: {{}}}}]
  templates:
  - name: main
    inputs: {{artifacts: [{{name: given, path: /given/words, raw: {{data: 'some words'}}}}]}}
    containerSet:
      volumeMounts: [{{name: work, mountPath: /exchange}}]
      containers:
      - {{name: a, image: busybox, command: [sh, -c, 'cat /given/words > /exchange/a']}}
      - {{name: b, image: busybox, command: [sh, -c], args: ['{'exit 3' if fails else 'cp /exchange/a /exchange/b'}'], dependencies: [a]}}
      - {{name: c, image: busybox, command: [sh, -c, 'cp /exchange/a /exchange/c'], dependencies: [a]}}
      - {{name: main, image: busybox, command: [sh, -c, 'cat /exchange/b /exchange/c > /tmp/o; echo printed'], dependencies: [b, c]}}
    outputs: {{parameters: [{{name: o, valueFrom: {{path: /tmp/o}}}}]}}
'''))
    task, = tasks['main']
    if fails:
        assert one['state'] == 'FAILED' and 'exit code' in message(task)
    else:
        assert one['state'] == 'SUCCEEDED', (one.get('error'), tasks)
        assert outputs(task) == {'o': 'some wordssome words'}


def test_requests(server):
    """To this server: what it answers is the result, and decides."""
    one, tasks = server.run(workflow(f'''
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - {{name: health, template: get, arguments: {{parameters: [{{name: path, value: /apis/v2beta1/healthz}}]}}}}
      - {{name: none, template: get, arguments: {{parameters: [{{name: path, value: /apis/v2beta1/runs/none}}]}}, continueOn: {{failed: true}}}}
      - {{name: wanted, template: missing}}
      - {{name: make, template: make}}
    - - {{name: use, template: use, arguments: {{parameters: [{{name: v, value: "{{{{=jsonpath(steps.health.outputs.result, '$.pipeline_store')}}}}"}}]}}}}
  - name: get
    inputs: {{parameters: [{{name: path}}]}}
    http: {{url: '{server.url}{{{{inputs.parameters.path}}}}', headers: [{{name: X-Why, value: 'test {{{{workflow.name}}}}'}}]}}
  - name: missing
    http: {{url: {server.url}/apis/v2beta1/runs/none, successCondition: response.statusCode == 404 && response.body contains "not found"}}
  - name: make
    http:
      method: POST
      url: {server.url}/apis/v2beta1/experiments
      headers: [{{name: Content-Type, value: application/json}}]
      body: '{{"display_name": "by-{{{{workflow.name}}}}"}}'
  - name: use
    inputs: {{parameters: [{{name: v}}]}}
    container: {{image: busybox, command: [test, '{{{{inputs.parameters.v}}}}', '=', database]}}
'''))
    assert one['state'] == 'SUCCEEDED', (one.get('error'), tasks)
    assert 'answered 404' in message(tasks['none'][0])
    made = [each['display_name'] for each in server.get('/apis/v2beta1/experiments?page_size=100').json['experiments']]
    assert any(name.startswith('by-by-hand-') for name in made), made
