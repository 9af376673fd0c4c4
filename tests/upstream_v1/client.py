"""The client of the upstream SDK 1.8.22 against a server: `client.py HOST SCENARIO`. It asserts, and fails with a
traceback. Its pipelines are IR, compiled by that SDK's own v2 compiler."""
import base64
import io
import json
import pathlib
import sys
import tarfile
import tempfile
import time
import warnings
import zipfile

warnings.simplefilter('ignore')

import kfp
import kfp_server_api
from kfp import components
from kfp.v2 import compiler, dsl

shout = components.load_component_from_text('''
name: shout
inputs: [{name: text, type: String}, {name: times, type: Integer}]
outputs: [{name: loud, type: String}, {name: copy, type: Artifact}, {name: mlpipeline-metrics, type: Artifact}]
implementation:
  container:
    image: debian:12
    command: [sh, -c]
    args:
    - |
      set -e
      for f in "$2" "$3" "$4"; do mkdir -p "$(dirname "$f")"; done
      i=0; while [ $i -lt "$1" ]; do printf %s "$0" | tr a-z A-Z; i=$((i + 1)); done | tee "$2" > "$3"
      echo "{\\"metrics\\": [{\\"name\\": \\"length\\", \\"numberValue\\": ${#0}, \\"format\\": \\"RAW\\"}]}" > "$4"
    - {inputValue: text}
    - {inputValue: times}
    - {outputPath: loud}
    - {outputPath: copy}
    - {outputPath: mlpipeline-metrics}
''')

sleeper = components.load_component_from_text('''
name: sleeper
implementation:
  container: {image: 'debian:12', command: [sleep, '600']}
''')

failer = components.load_component_from_text('''
name: failer
implementation:
  container: {image: 'debian:12', command: [sh, -c, 'echo no luck; exit 3']}
''')


@dsl.pipeline(name='loud')
def loud(text: str = 'quiet', times: int = 1):
    first = shout(text=text, times=times)
    shout(text=first.outputs['loud'], times=1)


@dsl.pipeline(name='long')
def long():
    sleeper()


@dsl.pipeline(name='failing')
def failing():
    failer()


def package(folder, pipeline, ending='.yaml'):
    """That SDK's compiler writes JSON, and its client takes YAML alone: all JSON is YAML."""
    plain = pathlib.Path(folder, 'pipeline.json')
    compiler.Compiler().compile(pipeline, str(plain))
    packed = pathlib.Path(folder, pipeline.__name__ + ending)
    if ending == '.zip':
        with zipfile.ZipFile(packed, 'w') as archive:
            archive.write(plain, 'pipeline.yaml')
    elif ending == '.tar.gz':
        with tarfile.open(packed, 'w:gz') as archive:
            archive.add(plain, 'pipeline.yaml')
    else:
        packed.write_bytes(plain.read_bytes())
    return str(packed)


def predicate(key, op, **value):
    return json.dumps({'predicates': [{'key': key, 'op': op, **value}]})


def refused(status, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except kfp_server_api.ApiException as error:
        assert error.status == status, error
        return json.loads(error.body)
    raise AssertionError(f'{call.__name__}{arguments} was not refused')


def until(what, seconds=60):
    """Asks again until it holds: the client has no way to be told."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < deadline, 'it did not happen'
        time.sleep(0.1)


def ended(client, run_id):
    """wait_for_run_completion() looks every five seconds."""
    until(lambda: client.get_run(run_id).run.status in ('Succeeded', 'Failed', 'Skipped', 'Error'))
    return client.get_run(run_id)


def workflow(detail):
    return json.loads(detail.pipeline_runtime.workflow_manifest)


def nodes_of(detail):
    return {node['displayName']: node for node in workflow(detail)['status']['nodes'].values()}


def scenario_run(client):
    """A package, a run of it, and what the workflow says."""
    assert client.get_kfp_healthz().multi_user is not True
    with tempfile.TemporaryDirectory() as folder:
        started = client.create_run_from_pipeline_package(package(folder, loud), {'text': 'hey', 'times': 2},
                                                          'a run', experiment_name='v1 runs')
    detail = started.wait_for_run_completion(60)
    assert detail.run.status == 'Succeeded', detail.run
    assert detail.run.name == 'a run' and detail.run.storage_state == 'STORAGESTATE_AVAILABLE'
    assert {p.name: p.value for p in detail.run.pipeline_spec.parameters} == {'text': 'hey', 'times': '2'}
    assert detail.run.created_at <= detail.run.scheduled_at <= detail.run.finished_at
    experiment = client.get_experiment(experiment_name='v1 runs')
    reference, = detail.run.resource_references
    assert reference.key.type == 'EXPERIMENT' and reference.key.id == experiment.id
    assert reference.name == 'v1 runs' and reference.relationship == 'OWNER'

    manifest = client._get_workflow_json(started.run_id)
    assert manifest == workflow(detail)
    assert manifest['status']['phase'] == 'Succeeded' and manifest['status']['finishedAt']
    nodes = nodes_of(detail)
    first, second = nodes['shout'], nodes['shout-2']
    assert [node['phase'] for node in (first, second)] == ['Succeeded'] * 2
    assert first['type'] == 'Pod' and first['children'] == [second['id']]
    root = manifest['status']['nodes'][manifest['metadata']['name']]
    assert root['type'] == 'DAG' and root['children'] == [first['id']]
    assert {'name': 'loud', 'value': 'HEYHEY'} in first['outputs']['parameters']
    assert {'name': 'text', 'value': 'HEYHEY'} in second['inputs']['parameters']
    assert manifest['status']['progress'] == '2/2'

    # The tasks' own numbers: of the text they got, by node.
    numbers = {m.node_id: m.number_value for m in detail.run.metrics}
    assert numbers == {first['id']: 3, second['id']: 6}, detail.run.metrics
    data = client.runs.read_artifact(started.run_id, first['id'], 'copy').data
    assert base64.b64decode(data) == b'HEYHEY'
    refused(404, client.runs.read_artifact, started.run_id, first['id'], 'none')
    refused(404, client.runs.read_artifact, started.run_id, 'none', 'copy')

    with tempfile.TemporaryDirectory() as folder:
        started = client.create_run_from_pipeline_package(package(folder, failing), {}, 'it fails')
    detail = ended(client, started.run_id)
    assert detail.run.status == 'Failed' and 'no luck' in detail.run.error
    assert nodes_of(detail)['failer']['phase'] == 'Failed'
    client.runs.retry_run(started.run_id)
    again = ended(client, started.run_id)
    assert again.run.status == 'Failed' and again.run.id == started.run_id
    refused(409, client.runs.retry_run, client.list_runs(sort_by='created_at').runs[0].id)


def _train(rate: float, model_path: components.OutputPath('Model'),
           mlpipeline_metrics_path: components.OutputPath('Metrics')) -> float:
    import json
    with open(model_path, 'w') as f:
        f.write('weights')
    with open(mlpipeline_metrics_path, 'w') as f:
        json.dump({'metrics': [{'name': 'accuracy', 'numberValue': rate * 2, 'format': 'PERCENTAGE'}]}, f)
    return rate * 2


def _use(model_path: components.InputPath('Model'), score: float) -> str:
    with open(model_path) as f:
        return f.read() + str(score)


def scenario_workflow(client):
    """A Workflow, as that SDK's first compiler writes it, submitted and read back by its client."""
    from kfp import dsl as first
    train = components.create_component_from_func(_train)
    use = components.create_component_from_func(_use)

    @first.pipeline(name='training')
    def training(rate: float = 0.1):
        trained = train(rate)
        with first.Condition(trained.outputs['output'] == 0.5):
            with first.ParallelFor([1, 2]):
                use(trained.outputs['model'], trained.outputs['output'])

    started = client.create_run_from_pipeline_func(training, arguments={'rate': 0.25}, experiment_name='v1 workflows')
    detail = started.wait_for_run_completion(90)
    assert detail.run.status == 'Succeeded', detail.run
    assert [(p.name, p.value) for p in detail.run.pipeline_spec.parameters] == [('rate', '0.25')]
    assert json.loads(detail.run.pipeline_spec.workflow_manifest)['kind'] == 'Workflow'
    manifest = workflow(detail)
    by_name = {node['name'].removeprefix(manifest['metadata']['name']): node
               for node in manifest['status']['nodes'].values()}
    assert set(by_name) == {'', '.train', '.condition-1', '.condition-1.for-loop-3', '.condition-1.for-loop-3(0)',
                            '.condition-1.for-loop-3(1)', '.condition-1.for-loop-3(0).use',
                            '.condition-1.for-loop-3(1).use'}
    assert by_name['']['templateName'] == manifest['spec']['entrypoint'] == 'training'
    node = by_name['.train']
    assert node['templateName'] == 'train' and {'name': 'train-Output', 'value': '0.5'} in node['outputs']['parameters']
    assert [(m.name, m.number_value, m.node_id) for m in detail.run.metrics] == [('accuracy', 0.5, node['id'])]
    # Argo keeps artifacts as archives.
    data = base64.b64decode(client.runs.read_artifact(started.run_id, node['id'], 'train-model').data)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.extractfile(archive.getmembers()[0]).read() == b'weights'
    with tempfile.TemporaryDirectory() as folder:
        packed = str(pathlib.Path(folder, 'training.yaml'))
        kfp.compiler.Compiler().compile(training, packed)
        made = client.upload_pipeline(packed, 'training')
    assert [(p.name, p.value) for p in made.parameters] == [('rate', '0.1')]
    assert 'kind: Workflow' in client.pipelines.get_template(made.id).template
    run = client.run_pipeline(detail.run.resource_references[0].key.id, 'skips', pipeline_id=made.id)
    detail = ended(client, run.id)
    assert detail.run.status == 'Succeeded'
    assert nodes_of(detail)['condition-1']['phase'] == 'Skipped'


def scenario_stored(client):
    """Experiments, pipelines, versions: made, found, listed, deleted."""
    experiment = client.create_experiment('v1 things', description='of a test')
    assert client.create_experiment('v1 things').id == experiment.id
    assert client.get_experiment(experiment_id=experiment.id).description == 'of a test'
    assert 'v1 things' in [one.name for one in client.list_experiments(page_size=100).experiments]
    with tempfile.TemporaryDirectory() as folder:
        for ending in ('.yaml', '.zip', '.tar.gz'):
            name = f'v1 stored{ending}'
            made = client.upload_pipeline(package(folder, loud, ending), name, 'a description')
            assert made.name == name and made.description == 'a description'
            assert {p.name: p.value for p in made.parameters} == {'text': 'quiet', 'times': '1'}
            assert client.get_pipeline_id(name) == made.id
            assert client.get_pipeline(made.id).default_version.id == made.default_version.id
            refused(409, client.upload_pipeline, package(folder, loud, ending), name)
            version = client.upload_pipeline_version(package(folder, failing, ending), 'second', pipeline_id=made.id)
            assert version.name == 'second'
            found = client.list_pipeline_versions(made.id, sort_by='created_at desc')
            assert [one.name for one in found.versions][0] == 'second' and found.total_size == 2
            assert client.get_pipeline(made.id).default_version.id == version.id
        assert 'failing' in client.pipelines.get_template(made.id).template
        first = client.list_pipeline_versions(made.id, sort_by='created_at').versions[0]
        assert 'quiet' in client.pipelines.get_pipeline_version_template(first.id).template
        client.pipelines.update_pipeline_default_version(made.id, first.id)
        run = client.run_pipeline(experiment.id, 'the default', pipeline_id=made.id, params={'text': 'x'})
        detail = ended(client, run.id)
        assert detail.run.status == 'Succeeded' and 'shout' in nodes_of(detail)
        assert detail.run.pipeline_spec.pipeline_id == made.id
        run = client.run_pipeline(experiment.id, 'the second', version_id=version.id)
        assert ended(client, run.id).run.status == 'Failed'
        refused(400, client.run_pipeline, experiment.id, 'x', version_id=first.id, params={'no_such_input': 1})
        refused(400, client.run_pipeline, experiment.id, 'x', version_id=first.id, params={'times': 'many'})
        wrong = pathlib.Path(folder, 'wrong.yaml')
        wrong.write_text('a: 1\n')
        refused(400, client.upload_pipeline, str(wrong), 'wrong')
        client.delete_pipeline_version(version.id)
        refused(404, client.pipelines.get_pipeline_version, version.id)
        client.delete_pipeline(made.id)
        refused(404, client.get_pipeline, made.id)
    assert client.get_pipeline_id(name) is None
    client.archive_experiment(experiment.id)
    assert client.get_experiment(experiment.id).storage_state == 'STORAGESTATE_ARCHIVED'
    client.experiments.unarchive_experiment(experiment.id)
    client.delete_experiment(experiment.id)
    refused(404, client.get_experiment, experiment.id)


def scenario_lists(client):
    """Runs in pages, sorted, filtered, with numbers; archived, terminated, deleted."""
    experiment = client.create_experiment('v1 lists').id
    with tempfile.TemporaryDirectory() as folder:
        packed = package(folder, loud)
        runs = [client.run_pipeline(experiment, f'list {i}', packed, {'text': 'same'}).id for i in range(5)]
        stopped = client.run_pipeline(experiment, 'stopped', package(folder, long)).id
    for run in runs:
        assert ended(client, run).run.status == 'Succeeded'
    for order, wanted in (('name', runs + [stopped]), ('created_at desc', [stopped] + runs[::-1])):
        found, token = [], ''
        while True:
            page = client.list_runs(experiment_id=experiment, sort_by=order, page_size=2, page_token=token)
            assert page.total_size == 6 and len(page.runs) <= 2
            found += [one.id for one in page.runs]
            token = page.next_page_token
            if not token:
                break
        assert found == wanted, order

    def names(key, op, **value):
        page = client.list_runs(experiment_id=experiment, sort_by='name', page_size=50, filter=predicate(key, op, **value))
        return [one.name for one in page.runs or []]

    assert names('name', 'EQUALS', stringValue='list 3') == ['list 3']
    assert names('name', 1, stringValue='list 3') == ['list 3']  # by the number of the operation, as the client itself
    assert names('name', 'IS_SUBSTRING', stringValue='ist') == [f'list {i}' for i in range(5)]
    assert names('name', 'IN', stringValues={'values': ['list 1', 'no']}) == ['list 1']
    assert names('created_at', 'GREATER_THAN', timestampValue='2100-01-01T00:00:00Z') == []
    refused(400, client.list_runs, filter=predicate('no_such_field', 'EQUALS', stringValue='x'))
    refused(400, client.list_runs, page_token='nonsense')
    refused(400, client.list_runs, sort_by='no_such_field')

    until(lambda: client.get_run(stopped).run.status == 'Running')
    client.runs.terminate_run(stopped)
    detail = client.wait_for_run_completion(stopped, 60)
    assert detail.run.status == 'Failed' and workflow(detail)['status']['phase'] == 'Failed'
    assert names('status', 'EQUALS', stringValue='Failed') == ['stopped']
    assert len(names('status', 'NOT_EQUALS', stringValue='Failed')) == 5

    client.runs.archive_run(runs[0])
    assert names('storage_state', 'EQUALS', stringValue='STORAGESTATE_ARCHIVED') == ['list 0']
    client.runs.unarchive_run(runs[0])
    assert client.get_run(runs[0]).run.storage_state == 'STORAGESTATE_AVAILABLE'

    metric = kfp_server_api.ApiRunMetric
    for run, value in zip(runs, (0.5, 0.25, 0.75)):
        answer = client.runs.report_run_metrics(run, kfp_server_api.ApiReportRunMetricsRequest(
            metrics=[metric('accuracy', 'node', value, 'PERCENTAGE'), metric('not a name', 'node', value)]))
        assert [one.status for one in answer.results] == ['OK', 'INVALID_ARGUMENT'], answer
    again = client.runs.report_run_metrics(runs[0], kfp_server_api.ApiReportRunMetricsRequest(
        metrics=[metric('accuracy', 'node', 1)]))
    assert [one.status for one in again.results] == ['DUPLICATE_REPORTING']
    shown = [m for m in client.get_run(runs[0]).run.metrics if m.name == 'accuracy']
    assert [(m.number_value, m.format) for m in shown] == [(0.5, 'PERCENTAGE')]
    best = client.list_runs(experiment_id=experiment, sort_by='metric:accuracy desc', page_size=3).runs
    assert [one.id for one in best] == [runs[2], runs[0], runs[1]]
    client.runs.delete_run(runs[0])
    refused(404, client.get_run, runs[0])


def scenario_recurring(client):
    experiment = client.create_experiment('v1 recurring').id
    with tempfile.TemporaryDirectory() as folder:
        packed = package(folder, loud)
        every = client.create_recurring_run(experiment, 'every second', interval_second=1, max_concurrency=2,
                                            no_catchup=True, params={'text': '[[Index]]'}, pipeline_package_path=packed)
        nightly = client.create_recurring_run(experiment, 'nightly', cron_expression='0 0 2 * * *', enabled=False,
                                              pipeline_package_path=packed)
        refused(400, client.create_recurring_run, experiment, 'never', cron_expression='0 0 25 * * *',
                pipeline_package_path=packed)
        refused(400, client.create_recurring_run, experiment, 'many', interval_second=1, max_concurrency=11,
                pipeline_package_path=packed)
    assert every.enabled and every.mode == 'ENABLED' and every.trigger.periodic_schedule.interval_second == '1'
    assert not client.get_recurring_run(nightly.id).enabled
    listed = client.list_recurring_runs(experiment_id=experiment, sort_by='created_at desc')
    assert [one.name for one in listed.jobs] == ['nightly', 'every second']

    def of_job():
        return client.runs.list_runs(resource_reference_key_type='JOB', resource_reference_key_id=every.id,
                                     filter=predicate('status', 'EQUALS', stringValue='Succeeded'),
                                     sort_by='created_at').runs or []

    runs = until(lambda: len(of_job()) >= 2 and of_job())
    client.disable_job(every.id)
    assert client.get_recurring_run(every.id).mode == 'DISABLED'
    owner = {reference.key.type: reference for reference in runs[0].resource_references}
    assert owner['JOB'].key.id == every.id and owner['JOB'].name == 'every second'
    assert {p.name: p.value for p in runs[0].pipeline_spec.parameters}['text'] == '1'
    client.jobs.enable_job(nightly.id)
    assert client.get_recurring_run(nightly.id).enabled
    for one in (every, nightly):
        client.delete_job(one.id)
        refused(404, client.get_recurring_run, one.id)
    assert client.get_run(runs[0].id).run.status == 'Succeeded'


def main(host, scenario):
    print(json.dumps(globals()[f'scenario_{scenario}'](kfp.Client(host=host))))


if __name__ == '__main__':
    main(*sys.argv[1:])
