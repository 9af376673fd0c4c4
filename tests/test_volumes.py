"""Persistent volume claims that pipelines make, mount and delete."""

from conftest import outputs, shell
from steps import message

CLAIMS = '/api/v1/namespaces/kubeflow/persistentvolumeclaims'


def claims(server):
    return {claim['metadata']['name'] for claim in server.get(CLAIMS).json['items']}


def component(label, inputs, output=None):
    made = {'executorLabel': label, 'inputDefinitions': {'parameters': {
        name: {'parameterType': kind, 'isOptional': True} for name, kind in inputs.items()}}}
    if output:
        made['outputDefinitions'] = {'parameters': {output: {'parameterType': 'STRING'}}}
    return made


def constant(value):
    return {'runtimeValue': {'constant': value}}


def from_create():
    return {'taskOutputParameter': {'producerTask': 'create', 'outputParameterKey': 'name'}}


def claim_spec(delete=True, **create):
    """create -> write -> read -> delete"""
    spec = shell('echo kept > /data/file', 'cat /data/file')
    executors = spec['deploymentSpec']['executors']
    executors['exec-create'] = {'container': {'image': 'argostub/createpvc'}}
    executors['exec-delete'] = {'container': {'image': 'argostub/deletepvc'}}
    spec['components']['comp-create'] = component('exec-create', {
        'pvc_name': 'STRING', 'pvc_name_suffix': 'STRING', 'access_modes': 'LIST', 'size': 'STRING',
        'storage_class_name': 'STRING', 'annotations': 'STRUCT'}, 'name')
    spec['components']['comp-delete'] = component('exec-delete', {'pvc_name': 'STRING'})
    create = {'access_modes': ['ReadWriteOnce'], 'size': '5Mi', **create}
    tasks = spec['root']['dag']['tasks']
    tasks['create'] = {'taskInfo': {'name': 'create'}, 'componentRef': {'name': 'comp-create'},
                       'cachingOptions': {'enableCache': True},
                       'inputs': {'parameters': {name: constant(value) for name, value in create.items()}}}
    for name in ('step-0', 'step-1'):
        tasks[name].setdefault('dependentTasks', []).append('create')
        spec['components'][f'comp-{name}']['inputDefinitions'] = {'parameters': {'claim': {'parameterType': 'STRING'}}}
        tasks[name]['inputs'] = {'parameters': {'claim': from_create()}}
    if delete:
        tasks['delete'] = {'taskInfo': {'name': 'delete'}, 'componentRef': {'name': 'comp-delete'},
                           'dependentTasks': ['create', 'step-1'], 'inputs': {'parameters': {'pvc_name': from_create()}}}
    mount = {'pvcMount': [{'mountPath': '/data', 'taskOutputParameter': {
        'producerTask': 'create', 'outputParameterKey': 'name'}, 'pvcNameParameter': {
            'taskOutputParameter': {'producerTask': 'create', 'outputParameterKey': 'name'}}}]}
    platform = {'platforms': {'kubernetes': {'deploymentSpec': {'executors': {
        'exec-step-0': mount, 'exec-step-1': mount}}}}}
    return {'pipeline_spec': spec, 'platform_spec': platform}


def test_a_claim_is_made_written_read_and_deleted(server):
    before = claims(server)
    for _ in range(2):  # a claim is never taken from the cache
        run, tasks = server.run(claim_spec(pvc_name_suffix='-my-data', annotations={'a': 'b'}))
        assert run['state'] == 'SUCCEEDED', run.get('error')
        name = outputs(tasks['create'][0])['name']
        assert name.endswith('-my-data')
        assert [tasks[step][0]['state'] for step in ('create', 'step-0', 'step-1', 'delete')] == ['SUCCEEDED'] * 4
        log = server.get(f'/apis/v1alpha1/runs/{run["run_id"]}/nodes/{tasks["step-1"][0]["task_id"]}/log')
        assert log.text == 'kept\n'
        assert claims(server) == before
        # No process ran for it, so there is no pod and no log.
        assert 'pods' not in tasks['create'][0]
        assert server.get(f'/apis/v1alpha1/runs/{run["run_id"]}/nodes/{tasks["create"][0]["task_id"]}/log').status == 404


def test_a_claim_that_is_not_deleted_stays(server):
    run, tasks = server.run(claim_spec(delete=False, pvc_name='stays', storage_class_name='standard'))
    assert run['state'] == 'SUCCEEDED', run.get('error')
    claim = server.get(f'{CLAIMS}/stays').json
    assert claim['spec']['accessModes'] == ['ReadWriteOnce']
    assert claim['spec']['resources']['requests']['storage'] == '5Mi'
    assert claim['spec']['storageClassName'] == 'standard'
    # Of another run, so that it is not silently shared.
    run, tasks = server.run(claim_spec(delete=False, pvc_name='stays'))
    assert run['state'] == 'FAILED'
    assert 'there is a persistentvolumeclaim "stays" already' in message(tasks['create'][0])
    assert server.request('DELETE', f'{CLAIMS}/stays').status == 200


def test_what_is_wrong_with_a_claim_is_said(server):
    for create, why in (({}, 'none of pvc_name and pvc_name_suffix'),
                        ({'pvc_name': 'a', 'pvc_name_suffix': '-b'}, 'both of pvc_name and pvc_name_suffix'),
                        ({'pvc_name': 'Not A Name'}, 'metadata.name'),
                        ({'pvc_name': 'much', 'size': 'a lot'}, 'storage')):
        run, tasks = server.run(claim_spec(**create))
        assert run['state'] == 'FAILED'
        assert why in message(tasks['create'][0]), message(tasks['create'][0])
    assert 'much' not in claims(server)
