"""Rules of retention, what they never take, and used space."""
import contextlib
import os
import pathlib
import threading
import time
import uuid

import pytest

from conftest import shell
from steps import running
from test_model_registry import BASE, OWN, fresh, make, producer

RULES = f'{OWN}/retention_rules'


def rule(server, status=200, **body):
    answer = server.post(RULES, {'name': fresh('rule'), **body})
    assert answer.status == status, answer.text
    return answer.json


def dry_run(server, *rules):
    answer = server.post(f'{RULES}:dryRun', {'rules': [{'name': f'r{i}', **one} for i, one in enumerate(rules)]} if rules else {})
    assert answer.status == 200, answer.text
    return answer.json


def sweep(server):
    answer = server.post(f'{RULES}:sweep')
    assert answer.status == 200, answer.text
    return answer.json


def usage(server, by):
    answer = server.get(f'{OWN}/usage?by={by}&page_size=1000')
    assert answer.status == 200, answer.text
    return answer.json


def exists(server, run_id):
    return server.get(f'/apis/v2beta1/runs/{run_id}').status == 200


def files(server):
    """Bytes of every artifact's file."""
    root = server.data / 'objects/mlpipeline'
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = pathlib.Path(folder, name)
            # What goes while it is looked at is gone.
            with contextlib.suppress(FileNotFoundError):
                found[str(path.relative_to(root))] = path.stat().st_size
    return found


def logs(server):
    return list((server.data / 'logs').rglob('*.log'))


def made(server, name, size=1000, kind='system.Dataset', **extra):
    run, tasks = server.run(producer({'make': (kind, size)}, name, **extra))
    assert run['state'] == 'SUCCEEDED'
    return run['run_id'], tasks['make'][0]


def artifact_of(task):
    return task['outputs']['artifacts'][0]['artifacts'][0]


def test_rules_are_resources(server):
    one = rule(server, older_than='1000d', selector={'states': ['FAILED'], 'labels': {'team': 'x'}})
    assert one['per'] == 'PIPELINE' and one['action'] == 'DELETE' and one['selector']['states'] == ['FAILED']
    at = f'{RULES}/{one["rule_id"]}'
    assert server.get(at).json == one
    assert one in server.get(RULES).json['retention_rules']
    changed = server.request('PUT', at, {'name': one['name'], 'keep_last': 1000, 'per': 'EXPERIMENT', 'disabled': True})
    assert changed.status == 200 and 'older_than' not in changed.json and changed.json['created_at'] == one['created_at']
    assert server.post(RULES, {'name': one['name'], 'older_than': '1000d'}).status == 409
    assert server.request('DELETE', at).status == 200
    assert server.get(at).status == server.request('DELETE', at).status == 404
    assert server.request('PUT', at, {'name': 'x', 'keep_last': 1}).status == 404
    for body, words in (({}, 'older_than, keep_last or max_bytes'), ({'older_than': 'soon'}, 'older_than'),
                        ({'keep_last': -1}, 'keep_last'), ({'max_bytes': 'many'}, 'max_bytes'),
                        ({'keep_last': 1, 'per': 'PLANET'}, 'per'), ({'keep_last': 1, 'action': 'BURN'}, 'action'),
                        ({'keep_last': 1, 'selector': {'states': ['RUNNING']}}, 'selector.states[0]'),
                        ({'keep_last': 1, 'selector': {'storage_state': 'LOST'}}, 'selector.storage_state'),
                        ({'keep_last': 1, 'selector': {'colour': 'red'}}, 'colour'),
                        ({'max_bytes': 1, 'action': 'ARCHIVE'}, 'action'), ({'keep_last': 1, 'name': ''}, 'name')):
        answer = server.post(RULES, {'name': 'x', **body})
        assert answer.status == 400 and words in answer.text, (body, answer.text)
        answer = server.post(f'{RULES}:dryRun', {'rules': [{'name': 'x', **body}]})
        assert answer.status == 400 and 'rules[0]' in answer.text, answer.text


def test_a_dry_run_says_what_goes_and_a_sweep_does_it(new_server):
    server = new_server()
    old = [made(server, 'p', 10_000 + i) for i in range(2)]
    other, _ = made(server, 'q')
    newest, task = made(server, 'p', 7)
    before, used = files(server), usage(server, 'run')
    sizes = {u['run_id']: u['artifact_bytes'] for u in used['usage']}
    assert sizes == {old[0][0]: 10_000, old[1][0]: 10_001, other: 1000, newest: 7}
    by_pipeline = {u['pipeline']: u['bytes'] for u in usage(server, 'pipeline')['usage']}
    assert set(by_pipeline) == {'p', 'q'} and sum(by_pipeline.values()) == used['total_bytes']
    assert usage(server, 'namespace')['total_bytes'] == used['total_bytes']
    assert used['total_bytes'] == sum(before.values()) + sum(path.stat().st_size for path in logs(server))

    rule(server, keep_last=1)
    planned = dry_run(server)
    assert {r['run_id'] for r in planned['runs']} == {run for run, _ in old}
    assert all(r['action'] == 'DELETE' and 'newest 1 of pipeline p' in r['reason'] for r in planned['runs'])
    assert sorted(r['artifacts'][0]['bytes'] for r in planned['runs']) == [10_000, 10_001]
    assert {r['artifacts'][0]['uri'] for r in planned['runs']} == {artifact_of(t)['uri'] for _, t in old}
    assert files(server) == before and exists(server, old[0][0])  # nothing has happened

    done = sweep(server)
    assert done['deleted'] == planned['deleted'] == 2 and done['bytes'] == planned['bytes']
    assert [exists(server, run) for run in (old[0][0], old[1][0], other, newest)] == [False, False, True, True]
    assert sum(before.values()) - sum(files(server).values()) == 20_001
    assert len(logs(server)) == 2
    assert used['total_bytes'] - usage(server, 'namespace')['total_bytes'] == done['bytes']
    assert {u['run_id'] for u in usage(server, 'run')['usage']} == {other, newest}
    assert sweep(server) == {'archived': 0, 'deleted': 0, 'bytes': 0}
    assert not dry_run(server)['runs']


def test_runs_in_progress_and_chosen_ones_stay(new_server, gate):
    server = new_server()
    waiting = server.submit(shell(gate.command('true')))
    server.wait_for(waiting, running('step-0'))
    gate.arrive()
    failed, _ = server.run(shell('false'))
    good, _ = server.run(shell('true'))
    assert server.request('PUT', f'{OWN}/runs/{good["run_id"]}/labels', {'labels': {'scratch': 'yes'}}).status == 200
    assert server.get(f'{OWN}/runs/{good["run_id"]}/labels').json == {'labels': {'scratch': 'yes'}}
    time.sleep(1.1)
    goes = lambda **selector: {r['run_id'] for r in dry_run(server, {'older_than': '1s', 'selector': selector})['runs']}
    assert goes() == {failed['run_id'], good['run_id']}
    assert goes(states=['FAILED']) == {failed['run_id']}
    assert goes(labels={'scratch': 'yes'}) == {good['run_id']} and goes(labels={'scratch': 'no'}) == set()
    assert goes(pipeline_names=['nobody']) == goes(experiment_ids=['x']) == goes(storage_state='ARCHIVED') == set()
    assert goes(namespace='elsewhere') == set()
    rule(server, older_than='1s', action='ARCHIVE', selector={'states': ['FAILED']})
    assert sweep(server) == {'archived': 1, 'deleted': 0, 'bytes': 0}
    assert server.get(f'/apis/v2beta1/runs/{failed["run_id"]}').json['storage_state'] == 'ARCHIVED'
    assert goes(storage_state='ARCHIVED') == {failed['run_id']}
    rule(server, older_than='1s', selector={'storage_state': 'ARCHIVED'})
    assert sweep(server)['deleted'] == 1
    gate.open()
    assert server.wait(waiting)['state'] == 'SUCCEEDED'


def test_what_is_registered_never_goes(new_server):
    server = new_server()
    run, task = made(server, 'p', 5000, 'system.Model')
    uri = artifact_of(task)['uri']
    registered = server.post(f'{OWN}/models:register', {'run_id': run, 'model': 'm'}).json
    # Another artifact of the same kind of run, registered by a client under KServe's name for the store.
    foreign, other_task = made(server, 'p', 6000, 'system.Model')
    version = make(server, f'registered_models/{registered["registered_model"]["id"]}/versions', name='x',
                   registeredModelId=registered['registered_model']['id'])
    make(server, f'model_versions/{version["id"]}/artifacts', artifactType='model-artifact',
         uri=artifact_of(other_task)['uri'].replace('minio://', 's3://') + '/')
    last, _ = made(server, 'p', 10, 'system.Model')
    rule(server, keep_last=1)
    planned = dry_run(server)
    assert {r['run_id'] for r in planned['runs']} == {run, foreign} and all('artifacts' not in r for r in planned['runs'])
    assert {k['uri'] for k in planned['kept_artifacts']} == {uri, artifact_of(other_task)['uri']}
    assert all('registered model-artifact' in k['reason'] for k in planned['kept_artifacts'])
    done = sweep(server)
    assert done['deleted'] == 2 and not exists(server, run) and not exists(server, foreign)
    assert sorted(files(server).values()) == [10, 5000, 6000]
    # A deletion that a client asks for leaves it alone, too.
    assert server.request('DELETE', f'/apis/v2beta1/runs/{last}?delete_artifacts=true').status == 200
    assert sorted(files(server).values()) == [5000, 6000]
    # Given up, it goes with the next sweep.
    at = f'{BASE}/model_artifacts/{registered["model_artifact"]["id"]}'
    assert server.request('PATCH', at, {'state': 'DELETED'}).status == 200
    assert [a['uri'] for a in dry_run(server)['unneeded_artifacts']] == [uri]
    assert sweep(server)['bytes'] == 5000
    assert list(files(server).values()) == [6000]
    assert usage(server, 'namespace')['total_bytes'] == 6000


def test_what_a_kept_run_took_from_the_cache_stays(new_server):
    server = new_server()
    first, task = made(server, 'p', 5000, caching=True)
    second, again = made(server, 'p', 5000, caching=True)
    assert again['state'] == 'CACHED' and artifact_of(again)['uri'] == artifact_of(task)['uri']
    at = rule(server, keep_last=1)['rule_id']
    assert [k['reason'] for k in dry_run(server)['kept_artifacts']] == [f'run {second} refers to it']
    assert sweep(server)['deleted'] == 1
    assert not exists(server, first) and list(files(server).values()) == [5000]
    assert server.get(f'/apis/v2beta1/artifacts/{artifact_of(again)["artifact_id"]}').status == 200
    # With the last one that needs it, it goes; a later run makes it anew.
    assert server.request('DELETE', f'{RULES}/{at}').status == 200
    assert server.request('DELETE', f'/apis/v2beta1/runs/{second}?delete_artifacts=true').status == 200
    assert files(server) == {} and usage(server, 'namespace')['total_bytes'] == 0
    third, anew = made(server, 'p', 5000, caching=True)
    assert anew['state'] == 'SUCCEEDED' and list(files(server).values()) == [5000]


def test_a_budget(new_server):
    server = new_server()
    runs = [made(server, 'p', 100_000)[0] for _ in range(4)]
    made(server, 'q', 300_000)
    budget = {'max_bytes': 250_000, 'per': 'PIPELINE', 'selector': {'pipeline_names': ['p']}}
    planned = dry_run(server, budget)
    assert {r['run_id'] for r in planned['runs']} == set(runs[:2])
    assert all('more than 250000' in r['reason'] for r in planned['runs'])
    assert {r['run_id'] for r in dry_run(server, {**budget, 'keep_last': 3})['runs']} == {runs[0]}
    assert len(dry_run(server, {**budget, 'max_bytes': 10**9})['runs']) == 0
    # What must stay frees nothing: the next ones go instead.
    server.post(f'{OWN}/models:register', {'run_id': runs[0], 'model': 'm', 'task': 'make'})
    assert {r['run_id'] for r in dry_run(server, budget)['runs']} == set(runs[1:3])
    rule(server, **budget)
    assert sweep(server)['deleted'] == 2
    assert [exists(server, run) for run in runs] == [True, False, False, True]
    assert usage(server, 'pipeline')['usage'][0]['pipeline'] == 'q'


def test_shared_content_is_freed_with_its_last_user(new_server):
    """Two objects of the same bytes are one content of the store; its disk space comes back with the second."""
    server = new_server()
    s3, body = server.s3(), os.urandom(1 << 20)
    runs = []
    for i in range(2):
        run, tasks = server.run(shell('true'))
        s3.put_object(Bucket='mlpipeline', Key=f'up/{i}/model', Body=body)
        answer = server.post('/apis/v2beta1/artifacts', {
            'artifact': {'name': 'model', 'type': 'Model', 'uri': f'minio://mlpipeline/up/{i}/model'},
            'run_id': run['run_id'], 'task_id': tasks['step-0'][0]['task_id'], 'producer_key': 'model'})
        assert answer.status == 200, answer.text
        runs.append(run['run_id'])

    def blobs():
        return sum(path.stat().st_size for path in (server.data / 's3/blobs').rglob('*') if path.is_file())
    assert blobs() == 1 << 20
    for run, left in zip(runs, (1 << 20, 0)):
        assert server.request('DELETE', f'/apis/v2beta1/runs/{run}?delete_artifacts=true').status == 200
        assert blobs() == left
    assert 'Contents' not in s3.list_objects_v2(Bucket='mlpipeline', Prefix='up/')


def test_a_sweep_that_is_killed_goes_on(new_server):
    server = new_server()
    runs = [made(server, 'p', 2000)[0] for _ in range(12)]
    # The kill comes at another place each time.
    rule_id = rule(server, keep_last=2)['rule_id']
    for delay in (0.002, 0.01, 0.02):
        def swept():
            try:
                server.post(f'{RULES}:sweep')
            except OSError:
                pass  # it was killed
        thread = threading.Thread(target=swept)
        thread.start()
        time.sleep(delay)
        server.kill()
        thread.join()
        server.start()
        # What is listed is whole.
        for run in runs:
            if not exists(server, run):
                continue
            tasks = server.tasks(run)
            key = artifact_of(tasks['make'][0])['uri'].removeprefix('minio://mlpipeline/') if tasks else None
            # The sweep goes on while this looks: what is not whole any more must be gone.
            assert files(server).get(key) == 2000 or not exists(server, run)
    sweep(server)
    assert [exists(server, run) for run in runs] == [False] * 10 + [True] * 2
    assert list(files(server).values()) == [2000] * 2 and len(logs(server)) == 2
    assert usage(server, 'run')['total_size'] == 2
    assert server.get(f'{RULES}/{rule_id}').status == 200


def test_usage_is_asked_for_with_sense(server):
    for query in ('by=planet', 'page_size=0', 'page_size=x', 'skip=-1'):
        assert server.get(f'{OWN}/usage?{query}').status == 400, query
    assert server.get(f'{OWN}/runs/{uuid.uuid4()}/labels').status == 404
    run, _ = server.run(shell('true'))
    for labels in (None, [], {'a': 1}, {'': 'x'}, {'a': 'x' * 300}):
        assert server.request('PUT', f'{OWN}/runs/{run["run_id"]}/labels', {'labels': labels}).status == 400
