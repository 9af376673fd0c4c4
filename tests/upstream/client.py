"""Upstream's client against a server: `client.py HOST SCENARIO`. It asserts, and fails with a traceback."""
import json
import pathlib
import sys
import tarfile
import tempfile
import time
import urllib.request
import warnings
import zipfile

warnings.simplefilter('ignore')

import kfp
import kfp_server_api
import features
import pipelines
from kfp import compiler


def run(client, pipeline, experiment_name='Upstream', **arguments):
    started = client.create_run_from_pipeline_func(pipeline, arguments=arguments, experiment_name=experiment_name)
    ended = client.wait_for_run_completion(started.run_id, timeout=60, sleep_duration=0.2)
    assert ended.run_id == started.run_id
    return ended


def states(ended):
    return {task.display_name: task.state for task in ended.run_details.task_details}


def package(folder, pipeline, ending):
    """The pipeline's package: upstream's compiler writes YAML, its client takes archives of that too."""
    plain = pathlib.Path(folder, 'pipeline.yaml')
    compiler.Compiler().compile(pipeline, str(plain))
    packed = pathlib.Path(folder, 'packed' + ending)
    if ending == '.zip':
        with zipfile.ZipFile(packed, 'w') as archive:
            archive.write(plain, 'pipeline.yaml')
    elif ending == '.tar.gz':
        with tarfile.open(packed, 'w:gz') as archive:
            archive.add(plain, 'pipeline.yaml')
    else:
        packed.write_bytes(plain.read_bytes())
    return str(packed)


def predicate(key, operation, **value):
    return json.dumps({'predicates': [{'key': key, 'operation': operation, **value}]})


def refused(status, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except kfp_server_api.ApiException as error:
        assert error.status == status, error
        assert json.loads(error.body)
        return error
    raise AssertionError(f'{call.__name__}{arguments} was not refused')


def scenario_authored(client):
    """What upstream's dsl and compiler write runs as it means; returns what the server alone can tell."""
    assert client.get_kfp_healthz().multi_user is not True
    ended = {}
    for pipeline in ('steps', 'artifacts', 'branches', 'loop', 'cleanup', 'whole'):
        ended[pipeline] = run(client, getattr(pipelines, pipeline))
        assert ended[pipeline].state == ('FAILED' if pipeline == 'cleanup' else 'SUCCEEDED'), ended[pipeline]
    assert 'fail' in ended['cleanup'].error.message
    found = states(ended['cleanup'])
    assert found['fail'] == 'FAILED' and found['note'] == 'SUCCEEDED', found
    found = states(ended['branches'])
    assert found['small'] == 'SUCCEEDED', found
    assert [found.get(name) in (None, 'SKIPPED') for name in ('large', 'five')] == [True, True], found
    assert states(run(client, pipelines.branches, number=9))['large'] == 'SUCCEEDED'
    assert states(run(client, pipelines.branches, number=4))['five'] == 'SUCCEEDED'
    return {name: one.run_id for name, one in ended.items()}


def scenario_smoke(client):
    assert run(client, pipelines.steps, number=4, text='loud').state == 'SUCCEEDED'


def scenario_details(client):
    # Values of its own: a task that the cache answers has no pod.
    arguments = {'number': 5, 'text': 'with details'}
    ended = run(client, pipelines.steps, **arguments)
    assert ended.state_history[-1].state == 'SUCCEEDED'
    assert ended.runtime_config.parameters == arguments, ended.runtime_config
    assert ended.created_at <= ended.scheduled_at <= ended.finished_at
    assert ended.pipeline_spec['pipelineInfo']['name'] == 'steps'
    assert ended.storage_state == 'AVAILABLE'
    details = {task.display_name: task for task in ended.run_details.task_details}
    assert set(details) >= {'describe', 'shout', 'which-kfp'}
    for task in (details['describe'], details['shout']):
        assert task.run_id == ended.run_id and task.task_id
        assert task.state == 'SUCCEEDED' and task.state_history
        assert task.create_time <= task.start_time <= task.end_time
        assert task.executor_detail.main_job
    again = run(client, pipelines.steps, **arguments)
    assert again.state == 'SUCCEEDED'
    cached = {task.display_name: task for task in again.run_details.task_details}['describe']
    assert cached.state == 'SUCCEEDED' and not cached.executor_detail


def scenario_stored(client):
    """Experiments, pipelines, versions: made, found, listed, deleted."""
    experiment = client.create_experiment('stored things', description='of a test')
    assert client.create_experiment('stored things').experiment_id == experiment.experiment_id
    assert client.get_experiment(experiment_name='stored things').description == 'of a test'
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        for ending in ('.yaml', '.zip', '.tar.gz'):
            name = f'stored{ending}'
            made[ending] = client.upload_pipeline(package(folder, pipelines.steps, ending), name, 'a description')
            assert made[ending].display_name == name and made[ending].description == 'a description'
            assert client.get_pipeline_id(name) == made[ending].pipeline_id
            refused(409, client.upload_pipeline, package(folder, pipelines.steps, ending), name)
            version = client.upload_pipeline_version(package(folder, pipelines.artifacts, ending), 'second',
                                                     pipeline_id=made[ending].pipeline_id, description='better')
            assert client.get_pipeline_version(version.pipeline_id, version.pipeline_version_id).pipeline_spec[
                'pipelineInfo']['name'] == 'artifacts'
            found = client.list_pipeline_versions(version.pipeline_id, sort_by='created_at desc')
            assert [one.display_name for one in found.pipeline_versions][0] == 'second'
            assert found.total_size == 2
            started = client.run_pipeline(experiment.experiment_id, 'by version', pipeline_id=version.pipeline_id,
                                          version_id=version.pipeline_version_id, params={'rows': 3})
            ended = client.wait_for_run_completion(started.run_id, 60, 0.2)
            assert ended.state == 'SUCCEEDED' and ended.experiment_id == experiment.experiment_id
            assert 'read-data' in states(ended)
        first = client.list_pipeline_versions(version.pipeline_id, sort_by='created_at').pipeline_versions[0]
        started = client.run_pipeline(experiment.experiment_id, 'the first', pipeline_id=version.pipeline_id,
                                      version_id=first.pipeline_version_id)
        assert 'shout' in states(client.wait_for_run_completion(started.run_id, 60, 0.2))
        refused(400, client.run_pipeline, experiment.experiment_id, 'x', pipeline_id=version.pipeline_id,
                version_id=version.pipeline_version_id, params={'no_such_input': 1})
        packed = package(folder, pipelines.steps, '.tar.gz')
        started = client.create_run_from_pipeline_package(packed, {'text': 'from a file'}, 'from a package',
                                                          experiment_name='stored things')
        assert started.wait_for_run_completion(60).state == 'SUCCEEDED'
        wrong = pathlib.Path(folder, 'wrong.yaml')
        wrong.write_text('a: [')
        refused(400, client.upload_pipeline, str(wrong), 'wrong')
    names = [f'stored{ending}' for ending in made]
    page = client.list_pipelines(page_size=2, sort_by='display_name desc',
                                 filter=predicate('display_name', 'IS_SUBSTRING', stringValue='stored'))
    assert [one.display_name for one in page.pipelines] == sorted(names, reverse=True)[:2] and page.total_size == 3
    rest = client.list_pipelines(page_token=page.next_page_token, page_size=2, sort_by='display_name desc',
                                 filter=predicate('display_name', 'IS_SUBSTRING', stringValue='stored'))
    assert [one.display_name for one in rest.pipelines] == sorted(names)[:1] and not rest.next_page_token
    client.delete_pipeline_version(version.pipeline_id, version.pipeline_version_id)
    refused(404, client.get_pipeline_version, version.pipeline_id, version.pipeline_version_id)
    for one in made.values():
        for version in client.list_pipeline_versions(one.pipeline_id).pipeline_versions or []:
            client.delete_pipeline_version(one.pipeline_id, version.pipeline_version_id)
        client.delete_pipeline(one.pipeline_id)
        refused(404, client.get_pipeline, one.pipeline_id)
    client.archive_experiment(experiment.experiment_id)
    assert client.get_experiment(experiment.experiment_id).storage_state == 'ARCHIVED'
    client.unarchive_experiment(experiment.experiment_id)
    assert client.get_experiment(experiment.experiment_id).storage_state == 'AVAILABLE'
    client.delete_experiment(experiment.experiment_id)
    refused(404, client.get_experiment, experiment.experiment_id)


def scenario_runs(client):
    """Lists with filters, orders and pages; archived, terminated, deleted."""
    experiment = client.create_experiment('run lists').experiment_id
    started = [client.create_run_from_pipeline_func(
        pipelines.branches, arguments={'number': number}, run_name=f'list {number}', experiment_id=experiment,
        enable_caching=False).run_id for number in range(5)]
    for one in started:
        assert client.wait_for_run_completion(one, 60, 0.2).state == 'SUCCEEDED'
    for order, wanted in (('created_at', started), ('created_at desc', started[::-1]), ('display_name', started)):
        found, token = [], ''
        while True:
            page = client.list_runs(page_token=token, page_size=2, sort_by=order, experiment_id=experiment)
            assert len(page.runs) <= 2 and page.total_size == 5
            found += [one.run_id for one in page.runs]
            token = page.next_page_token
            if not token:
                break
        assert found == wanted, order

    def names(key, operation, **value):
        page = client.list_runs(experiment_id=experiment, sort_by='display_name', page_size=50,
                                filter=predicate(key, operation, **value))
        return [one.display_name for one in page.runs or []]

    assert names('display_name', 'EQUALS', stringValue='list 3') == ['list 3']
    assert names('name', 1, stringValue='list 3') == ['list 3']  # by the number of the operation, as the client itself
    assert names('display_name', 'NOT_EQUALS', string_value='list 3') == ['list 0', 'list 1', 'list 2', 'list 4']
    assert names('display_name', 'IN', string_values={'values': ['list 1', 'list 4', 'no']}) == ['list 1', 'list 4']
    assert names('display_name', 'IS_SUBSTRING', stringValue='ist 2') == ['list 2']
    assert names('display_name', 'EQUALS', stringValue='none') == []
    assert len(names('created_at', 'LESS_THAN', timestampValue='2100-01-01T00:00:00Z')) == 5
    assert names('state', 'EQUALS', stringValue='FAILED') == []
    refused(400, client.list_runs, filter=predicate('no_such_field', 'EQUALS', stringValue='x'))
    refused(400, client.list_runs, page_token='nonsense')

    client.archive_run(started[0])
    assert client.get_run(started[0]).storage_state == 'ARCHIVED'
    assert names('storage_state', 'EQUALS', stringValue='ARCHIVED') == ['list 0']
    assert len(names('storage_state', 'NOT_EQUALS', stringValue='ARCHIVED')) == 4
    client.unarchive_run(started[0])
    assert client.get_run(started[0]).storage_state == 'AVAILABLE'
    client.delete_run(started[0])
    refused(404, client.get_run, started[0])
    assert len(client.list_runs(experiment_id=experiment).runs) == 4

    long = client.create_run_from_pipeline_func(pipelines.long, experiment_id=experiment).run_id
    while client.get_run(long).state != 'RUNNING':
        time.sleep(0.05)
    client.terminate_run(long)
    for _ in range(600):
        if client.get_run(long).state == 'CANCELED':  # the client doesn't wait for this state
            break
        time.sleep(0.1)
    assert client.get_run(long).state == 'CANCELED'


def scenario_raw(client):
    """What the generated client can ask beside what the SDK's does."""
    api = client._run_api.api_client
    failed = run(client, pipelines.cleanup, experiment_name='raw')
    assert failed.state == 'FAILED'
    client._run_api.run_service_retry_run(failed.run_id)
    again = client.wait_for_run_completion(failed.run_id, 60, 0.2)
    assert again.state == 'FAILED' and len(again.state_history) > len(failed.state_history)
    done = run(client, pipelines.steps, experiment_name='raw')
    refused(409, client._run_api.run_service_retry_run, done.run_id)
    refused(400, client._run_api.run_service_terminate_run, done.run_id)
    assert kfp_server_api.AuthServiceApi(api).auth_service_authorize(
        namespace='kubeflow', resources='VIEWERS', verb='GET') is not None
    assert kfp_server_api.DummyFilterServiceApi(api).dummy_filter_service_get_filter().predicates is None
    reports = kfp_server_api.ReportServiceApi(api)
    metadata = {'name': 'w', 'namespace': 'kubeflow', 'uid': done.run_id}
    reports.report_service_report_workflow(json.dumps({'kind': 'Workflow', 'metadata': metadata}))
    refused(400, reports.report_service_report_workflow, json.dumps({'kind': 'Workflow', 'metadata': {}}))
    # A table of the text that a step has left in the store.
    with urllib.request.urlopen(f'{api.configuration.host}/apis/v2beta1/runs/{done.run_id}/tasks') as answer:
        shout = next(task for task in json.load(answer)['tasks'] if task['name'] == 'shout')
    copy = next(one for one in shout['outputs']['artifacts'] if one['artifact_key'] == 'copy')['artifacts'][0]
    pages = kfp_server_api.VisualizationServiceApi(api)
    page = pages.visualization_service_create_visualization_v1('kubeflow', kfp_server_api.V2beta1Visualization(
        type='TABLE', source=copy['uri']))
    assert '<th>QUIET</th>' in page.html
    refused(501, pages.visualization_service_create_visualization_v1, 'kubeflow',
            kfp_server_api.V2beta1Visualization(type='TFDV', source=copy['uri']))


def scenario_recurring(client):
    experiment = client.create_experiment('Recurring').experiment_id
    with tempfile.TemporaryDirectory() as folder:
        packed = package(folder, pipelines.quick, '.yaml')
        every = client.create_recurring_run(experiment, 'every second', interval_second=1, max_concurrency=2,
                                            no_catchup=True, params={'text': '[[Index]] [[ScheduledTime]]'},
                                            pipeline_package_path=packed)
        nightly = client.create_recurring_run(experiment, 'nightly', cron_expression='0 0 2 * * *', enabled=False,
                                              params={'text': 'x'}, pipeline_package_path=packed)
        refused(400, client.create_recurring_run, experiment, 'never', cron_expression='0 0 25 * * *',
                pipeline_package_path=packed)
    assert client.get_recurring_run(nightly.recurring_run_id).status == 'DISABLED'
    listed = client.list_recurring_runs(experiment_id=experiment, sort_by='created_at desc')
    assert [one.display_name for one in listed.recurring_runs] == ['nightly', 'every second']
    deadline = time.monotonic() + 60
    ended = []
    while len(ended) < 2:
        assert time.monotonic() < deadline
        runs = client.list_runs(experiment_id=experiment, sort_by='created_at').runs or []
        ended = [one for one in runs if one.state == 'SUCCEEDED']
        time.sleep(0.1)
    client.disable_recurring_run(every.recurring_run_id)
    assert client.get_recurring_run(every.recurring_run_id).status == 'DISABLED'
    assert ended[0].recurring_run_id == every.recurring_run_id
    number, scheduled = ended[0].runtime_config.parameters['text'].split()
    assert number == '1' and len(scheduled) == 14
    client.enable_recurring_run(nightly.recurring_run_id)
    assert client.get_recurring_run(nightly.recurring_run_id).status == 'ENABLED'
    for one in (every, nightly):
        client.delete_recurring_run(one.recurring_run_id)
        refused(404, client.get_recurring_run, one.recurring_run_id)
    assert client.get_run(ended[0].run_id).state == 'SUCCEEDED'


def scenario_features(client):
    """What each feature pipeline came to, with its outputs' run ids; none of them uses the cache."""
    ids = {}
    for pipeline in features.SUCCEED + features.FAIL:
        started = client.create_run_from_pipeline_func(pipeline, arguments={}, experiment_name='Features',
                                                       enable_caching=False)
        ids[pipeline.name] = started.run_id
    ended = {name: client.wait_for_run_completion(run_id, timeout=90, sleep_duration=0.2) for name, run_id in ids.items()}
    for pipeline in features.SUCCEED:
        run = ended[pipeline.name]
        assert run.state == 'SUCCEEDED', f'{pipeline.name}: {run.state}: {run.error}'
    for pipeline in features.FAIL:
        assert ended[pipeline.name].state == 'FAILED', f'{pipeline.name}: {ended[pipeline.name].state}'
    return {name: [run_id, ended[name].error.message if ended[name].error else ''] for name, run_id in ids.items()}


def main(host, scenario):
    print(json.dumps(globals()[f'scenario_{scenario}'](kfp.Client(host=host))))


if __name__ == '__main__':
    main(*sys.argv[1:])
