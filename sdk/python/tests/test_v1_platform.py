"""What v1 pipelines say about pods, volumes and whole pipelines, in IR's platform spec."""


import pytest
from conftest import compiled

from kfp import aws, azure, compiler, components, dsl, gcp, onprem
from kfp.dsl.extensions.kubernetes import use_secret


def settings(pipeline, task=None):
    """The platform settings of a task (the only one)."""
    found = compiled(pipeline)[1]['platforms']['kubernetes']['deploymentSpec']['executors']
    if task is None:
        assert len(found) == 1
        return next(iter(found.values()))
    return found[f'exec-{task}']


class V1:
    """As the classes of the Kubernetes client: fields in snake_case, and a map to YAML's names."""

    def __init__(self, **fields):
        import re
        vars(self).update(fields)
        self.attribute_map = {name: re.sub('_(.)', lambda match: match.group(1).upper(), name) for name in fields}


def test_container_op_is_a_class_of_tasks():
    class Echo(dsl.ContainerOp):
        def __init__(self, text):
            super().__init__(name='echo', image='alpine', command=['echo'], arguments=[text], file_outputs={'out': '/tmp/out'})

    @dsl.pipeline(name='p')
    def p(text: str = 'x'):
        first = Echo(text)
        assert isinstance(first, dsl.ContainerOp) and isinstance(first, dsl.BaseOp)
        Echo(first.output).after(first)
        assert first.container is first
    document, _ = compiled(p)
    assert document['root']['dag']['tasks']['echo-2']['dependentTasks'] == ['echo']


def test_volumes_as_objects_and_dicts():
    @dsl.pipeline(name='p')
    def p():
        op = dsl.ContainerOp('op', 'alpine', ['true'])
        op.add_volume(V1(name='claim', persistent_volume_claim=V1(claim_name='data')))
        op.container.add_volume_mount(V1(name='claim', mount_path='/data', sub_path='part'))
        op.add_volume_mount({'name': 'secret', 'mountPath': '/secret'})  # before its volume
        op.add_volume({'name': 'secret', 'secret': {'secretName': 'word'}})
        op.add_volume({'name': 'map', 'configMap': {'name': 'settings', 'optional': True}})
        op.add_volume_mount({'name': 'map', 'mountPath': '/map'})
        op.add_volume({'name': 'scratch', 'emptyDir': {}}).add_volume_mount({'name': 'scratch', 'mountPath': '/scratch'})
    found = settings(p)
    assert found['pvcMount'] == [{'constant': 'data', 'mountPath': '/data', 'subPath': 'part',
                                  'pvcNameParameter': {'runtimeValue': {'constant': 'data'}}}]
    assert found['secretAsVolume'][0]['secretName'] == 'word' and found['secretAsVolume'][0]['mountPath'] == '/secret'
    assert found['configMapAsVolume'][0]['optional'] is True
    assert found['emptyDirMounts'] == [{'volumeName': 'scratch', 'mountPath': '/scratch'}]


def test_volume_op_and_pvolumes():
    @dsl.pipeline(name='p')
    def p(size: str = '1Gi'):
        volume = dsl.VolumeOp(name='make', resource_name='data', size=size, modes=dsl.VOLUME_MODE_RWO)
        first = dsl.ContainerOp('first', 'alpine', ['true'], pvolumes={'/mnt': volume.volume})
        second = dsl.ContainerOp('second', 'alpine', ['true'], pvolumes={'/mnt': first.pvolume})
        third = dsl.ContainerOp('third', 'alpine', ['true']).add_pvolumes({'/own': dsl.PipelineVolume(pvc='own').after(second)})
        volume.delete().after(third)
    document, _ = compiled(p)
    tasks = document['root']['dag']['tasks']
    made = tasks['make']['inputs']['parameters']
    assert made['pvc_name_suffix'] == {'runtimeValue': {'constant': '-data'}}
    assert made['access_modes'] == {'runtimeValue': {'constant': ['ReadWriteOnce']}}
    assert made['size'] == {'runtimeValue': {'constant': "{{$.inputs.parameters['pipelinechannel--size']}}"}}
    assert tasks['first']['dependentTasks'] == ['make']
    assert tasks['second']['dependentTasks'] == ['first', 'make']
    assert tasks['third']['dependentTasks'] == ['second']
    assert tasks['deletepvc']['dependentTasks'] == ['make', 'third']
    assert settings(p, 'second')['pvcMount'][0]['taskOutputParameter'] == {'producerTask': 'make', 'outputParameterKey': 'name'}
    with pytest.raises(ValueError, match='either pvc or volume'):
        dsl.PipelineVolume()


def test_variables_nodes_and_resources():
    @dsl.pipeline(name='p')
    def p():
        op = dsl.ContainerOp('op', 'alpine', ['true'], container_kwargs={
            'env': [V1(name='PLAIN', value='1')], 'resources': V1(limits={'cpu': '2', 'nvidia.com/gpu': 1}, requests={'memory': '1G'})})
        op.add_env_variable(V1(name='WORD', value_from=V1(secret_key_ref=V1(name='s', key='k'))))
        op.add_env_variable({'name': 'NODE', 'valueFrom': {'fieldRef': {'fieldPath': 'spec.nodeName'}}})
        op.add_env_variable({'name': 'COLOUR', 'valueFrom': {'configMapKeyRef': {'name': 'm', 'key': 'c', 'optional': True}}})
        op.add_toleration(V1(key='gpu', operator='Exists', effect='NoSchedule', value=None, toleration_seconds=None))
        op.add_affinity(V1(node_affinity=V1(
            required_during_scheduling_ignored_during_execution=V1(node_selector_terms=[
                V1(match_expressions=[V1(key='zone', operator='In', values=['a'])])]),
            preferred_during_scheduling_ignored_during_execution=[
                V1(weight=5, preference=V1(match_expressions=[V1(key='disk', operator='Exists')]))])))
        op.set_security_context(V1(run_as_user=1000, run_as_group=None, run_as_non_root=True))
        op.add_node_selector_constraint('pool', 'big').set_image_pull_policy('Always').set_timeout(60)
        op.add_pod_label('team', 'one').add_pod_annotation('why', 'not')
        op.set_retry(2, 'Always', '30s', 3.0, '5m')
        dsl.ContainerOp('again', 'alpine', ['true']).set_retry(1, None, '10s')
    document, _ = compiled(p)
    container = document['deploymentSpec']['executors']['exec-op']['container']
    assert container['env'] == [{'name': 'PLAIN', 'value': '1'}]
    assert container['resources']['resourceCpuLimit'] == '2' and container['resources']['resourceMemoryRequest'] == '1G'
    assert container['resources']['accelerator']['resourceType'] == 'nvidia.com/gpu'
    assert document['root']['dag']['tasks']['op']['retryPolicy'] == {
        'maxRetryCount': 2, 'backoffDuration': '30s', 'backoffFactor': 3.0, 'backoffMaxDuration': '300s'}
    assert document['root']['dag']['tasks']['again']['retryPolicy']['backoffDuration'] == '10s'
    found = settings(p)
    assert found['secretAsEnv'][0]['keyToEnv'] == [{'secretKey': 'k', 'envVar': 'WORD'}]
    assert found['fieldPathAsEnv'] == [{'name': 'NODE', 'fieldPath': 'spec.nodeName'}]
    assert found['configMapAsEnv'][0]['optional'] is True
    assert found['tolerations'] == [{'key': 'gpu', 'operator': 'Exists', 'effect': 'NoSchedule'}]
    assert found['nodeAffinity'] == [
        {'matchExpressions': [{'key': 'zone', 'operator': 'In', 'values': ['a']}]},
        {'matchExpressions': [{'key': 'disk', 'operator': 'Exists'}], 'weight': 5}]
    assert found['securityContext'] == {'runAsUser': '1000', 'runAsNonRoot': True}
    assert found['nodeSelector'] == {'labels': {'pool': 'big'}} and found['activeDeadlineSeconds'] == '60'
    assert found['podMetadata'] == {'labels': {'team': 'one'}, 'annotations': {'why': 'not'}}


def test_containers_beside_a_task():
    @dsl.pipeline(name='p')
    def p():
        op = dsl.ContainerOp('op', 'alpine', ['true'], init_containers=[dsl.UserContainer('before', 'busybox', command='true')],
                             sidecars=[dsl.Sidecar('beside', 'nginx', args=['-v'], env=[{'name': 'A', 'value': 1}])])
        op.add_init_container(dsl.UserContainer('third', 'x').set_env_variable('B', '2').set_memory_limit('1G').add_resource_request('cpu', 1))
    assert settings(p)['initContainers'] == [
        {'name': 'before', 'image': 'busybox', 'command': ['true']},
        {'name': 'beside', 'image': 'nginx', 'args': ['-v'], 'env': [{'name': 'A', 'value': '1'}], 'restartPolicy': 'Always'},
        {'name': 'third', 'image': 'x', 'env': [{'name': 'B', 'value': '2'}],
         'resources': {'limits': {'memory': '1G'}, 'requests': {'cpu': '1'}}}]


def test_files_that_a_container_reads_and_writes():
    @dsl.component
    def make(data: dsl.Output[dsl.Dataset]):
        pass

    @dsl.pipeline(name='p')
    def p():
        made = make()
        dsl.ContainerOp('op', 'alpine', ['cp', '/in', '/out'],
                        artifact_argument_paths=[dsl.InputArgumentPath(made.output, path='/in')], output_artifact_paths={'copy': '/out'})
    document, _ = compiled(p)
    container = document['deploymentSpec']['executors']['exec-op']['container']
    assert "{{$.inputs.artifacts['make_data'].path}}" in container['command']
    assert "{{$.outputs.artifacts['copy'].path}}" in container['command']
    assert list(document['components']['comp-op']['outputDefinitions']) == ['artifacts']


def test_pipeline_conf():
    @dsl.component
    def say():
        pass

    @dsl.pipeline(name='p')
    def p():
        dsl.get_pipeline_conf().set_timeout(100).set_image_pull_policy('Never')
        say()
        say().set_image_pull_policy('Always')

    conf = dsl.PipelineConf().set_ttl_seconds_after_finished(5).set_default_pod_node_selector('pool', 'one')
    conf.set_image_pull_secrets([V1(name='key')]).add_op_transformer(lambda op: op.add_pod_label('by', 'transformer'))
    for _ in range(2):  # compiled twice, it is in there once
        _, platform = compiler.compiler.compile_to_ir(p, conf=conf)
        platform = platform['platforms']['kubernetes']
        assert platform['pipelineConfig'] == {'activeDeadlineSeconds': 100, 'resourceTtlOnCompletion': 5}
        for label, policy in (('exec-say', 'Never'), ('exec-say-2', 'Always')):
            found = platform['deploymentSpec']['executors'][label]
            assert found['imagePullPolicy'] == policy and found['nodeSelector'] == {'labels': {'pool': 'one'}}
            assert [secret['secretName'] for secret in found['imagePullSecret']] == ['key']
            assert found['podMetadata'] == {'labels': {'by': 'transformer'}}
    for call in (lambda: conf.set_parallelism(3), lambda: conf.set_dns_config({}), lambda: conf.set_pod_disruption_budget(1)):
        with pytest.warns(UserWarning, match='no counterpart'):
            call()


def test_functions_for_apply(tmp_path):
    @dsl.pipeline(name='p')
    def p():
        def op(name):
            return dsl.ContainerOp(name, 'alpine', ['true'])
        op('aws').apply(aws.use_aws_secret(aws_region='mars'))
        op('azure').apply(azure.use_azure_secret())
        op('gcp').apply(gcp.use_gcp_secret()).apply(gcp.add_gpu_toleration())
        op('pool').apply(gcp.use_preemptible_nodepool(hard_constraint=True))
        op('tpu').apply(gcp.use_tpu(8, 'v3', '1.12'))
        op('claim').apply(onprem.mount_pvc('c', 'v', '/c')).apply(onprem.use_k8s_secret('s', {'a': 'B'}))
        op('size').set_cpu_limit('3').apply(onprem.add_default_resource_spec(memory_limit='1G', cpu_limit='1'))
        op('secret').apply(use_secret('s', '/s', 'WHERE', '/file'))
    document, _ = compiled(p)
    containers = {name[5:]: entry['container'] for name, entry in document['deploymentSpec']['executors'].items()}
    assert containers['aws']['env'] == [{'name': 'AWS_REGION', 'value': 'mars'}]
    assert containers['gcp']['env'][0] == {'name': 'GOOGLE_APPLICATION_CREDENTIALS', 'value': '/secret/gcp-credentials/user-gcp-sa.json'}
    assert containers['secret']['env'] == [{'name': 'WHERE', 'value': '/s/file'}]
    assert containers['size']['resources']['resourceCpuLimit'] == '3'
    assert containers['size']['resources']['resourceMemoryRequest'] == '1G'
    assert containers['tpu']['resources']['accelerator'] == {
        'type': 'cloud-tpus.google.com/v3', 'resourceType': 'cloud-tpus.google.com/v3', 'count': '8', 'resourceCount': '8'}
    assert len(settings(p, 'azure')['secretAsEnv'][0]['keyToEnv']) == 4
    assert settings(p, 'pool')['nodeAffinity'][0].get('weight') is None
    assert settings(p, 'claim')['pvcMount'][0]['mountPath'] == '/c'


def test_sub_graph_gives_out_its_outputs():
    @dsl.component
    def one() -> int:
        return 1

    @dsl.component
    def take(n: int):
        pass

    with pytest.warns(UserWarning, match='no effect'):
        @dsl.pipeline(name='p')
        def p():
            with dsl.SubGraph(parallelism=2):
                inner = one()
            take(n=inner.output)
    document, _ = compiled(p)
    tasks = document['root']['dag']['tasks']
    assert tasks['take']['inputs']['parameters']['n'] == {
        'taskOutputParameter': {'producerTask': 'sub-graph-1', 'outputParameterKey': 'pipelinechannel--one-Output'}}
    assert 'triggerPolicy' not in tasks['sub-graph-1'] and tasks['take']['dependentTasks'] == ['sub-graph-1']


def test_cache_staleness():
    @dsl.pipeline(name='p')
    def p():
        op = dsl.ContainerOp('never', 'alpine', ['true'])
        op.execution_options.caching_strategy.max_cache_staleness = 'P0D'
        op = dsl.ContainerOp('month', 'alpine', ['true'])
        with pytest.warns(UserWarning, match='P30D'):
            op.execution_options.caching_strategy.max_cache_staleness = 'P30D'
    tasks = compiled(p)[0]['root']['dag']['tasks']
    assert tasks['never']['cachingOptions'] == {} and tasks['month']['cachingOptions'] == {'enableCache': True}


GRAPH = '''
name: Twice
description: Adds twice.
inputs:
- {name: Start number, type: Integer, default: '3'}
outputs:
- {name: Sum, type: Integer}
implementation:
  graph:
    tasks:
      second:
        componentRef: {spec: &add {name: Add, inputs: [{name: a, type: Integer}, {name: b, type: Integer}],
          outputs: [{name: Sum, type: Integer}],
          implementation: {container: {image: alpine, command: [add, {inputValue: a}, {inputValue: b}, {outputPath: Sum}]}}}}
        arguments: {a: {taskOutput: {taskId: first, outputName: Sum}}, b: {graphInput: {inputName: Start number}}}
        executionOptions: {cachingStrategy: {maxCacheStaleness: P0D}}
      first:
        componentRef: {spec: *add}
        arguments: {a: '1', b: {graphInput: {inputName: Start number}}}
    outputValues:
      Sum: {taskOutput: {taskId: second, outputName: Sum}}
'''


def test_graph_files():
    twice = components.load_component_from_text(GRAPH)

    @dsl.pipeline(name='p')
    def p() -> int:
        twice(start_number=4)
        return twice().outputs['Sum']
    document, _ = compiled(p)
    inner = document['components']['comp-twice']
    assert inner['inputDefinitions']['parameters']['start_number'] == {
        'parameterType': 'NUMBER_INTEGER', 'isOptional': True, 'defaultValue': 3.0}
    assert inner['dag']['tasks']['add-2']['dependentTasks'] == ['add']
    assert inner['dag']['tasks']['add-2']['cachingOptions'] == {}
    assert inner['dag']['outputs']['parameters']['Sum']['valueFromParameter']['producerSubtask'] == 'add-2'
    for wrong, said in ((GRAPH.replace('taskId: first', 'taskId: third'), "'third'"),
                        (GRAPH.replace("a: '1'", 'a: {taskOutput: {taskId: second, outputName: Sum}}'), 'circle'),
                        (GRAPH.replace('inputName: Start number}}}\n        exec', 'inputName: nothing}}}\n        exec'), "'nothing'"),
                        (GRAPH.replace('      Sum: {task', '      Total: {task'), "'Sum'"),
                        (GRAPH.replace('      first:\n', '      first:\n        isEnabled: {"==": {}}\n'), 'condition')):
        with pytest.raises(Exception, match=said):
            components.load_component_from_text(wrong)


def test_component_store(tmp_path):
    text = 'name: Say\nimplementation: {container: {image: alpine, command: [echo]}}\n'
    for name in ('a/say', 'b/shout'):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / 'component.yaml').write_text(text)
    store = components.ComponentStore([str(tmp_path)])
    assert store.list() == ['a/say', 'b/shout'] and store.search('sh') == ['b/shout']
    assert store.load_component('a/say').name == 'say'
    import hashlib
    assert store.load_component('a/say', digest=hashlib.sha256(text.encode()).hexdigest()).name == 'say'
    with pytest.raises(RuntimeError, match='of that digest'):
        store.load_component('a/say', digest='0')
    store = components.ComponentStore([str(tmp_path / 'none')], [tmp_path.as_uri()], uri_search_template='file:///none/{name}')
    assert store.load_component('a/say').name == 'say'
    assert components.ComponentStore.default_store.local_search_paths == ['.']


def test_loading_from_dicts_and_files(tmp_path):
    made = components.load_component(component_spec={
        'name': 'Say', 'implementation': {'container': {'image': 'alpine', 'command': ['echo']}}})
    assert made.name == 'say'
    with pytest.raises(ValueError, match='one of filename'):
        components.load_component()

    def add(a: int, b: int = 2) -> int:
        return a + b
    path = str(tmp_path / 'c.yaml')
    components.func_to_component_file(add, path, base_image='python:3.9')
    loaded = components.load_component(path)
    assert loaded.required_inputs == {'a'} and loaded.component_spec.container.image == 'python:3.9'

    @dsl.pipeline(name='inner')
    def inner(n: int):
        loaded(a=n)
    graph = components.create_graph_component_from_pipeline_func(inner, output_component_file=path)
    assert graph is inner and components.load_component(filename=path).name == 'inner'


def test_default_image(monkeypatch):
    def f():
        pass
    monkeypatch.setattr(components, 'default_base_image_or_builder', 'mine:1')
    assert components.create_component_from_func(f).component_spec.container.image == 'mine:1'


def test_types():
    from kfp.dsl import types as kinds
    assert kinds.Integer().to_dict() == 'Integer' and kinds.check_types('Integer', int) and not kinds.check_types('List', 'Integer')
    assert kinds.check_types('Mine', 'Mine') and not kinds.check_types('Mine', 'Other')
    with pytest.raises(kinds.InconsistentTypeException, match='wanted'):
        kinds.verify_type_compatibility('String', 'Integer', 'a: ')
    assert dsl.match_serialized_pipelineparam('plain') == []


def test_tokens(tmp_path):
    from kfp import auth
    (tmp_path / 'token').write_text(' secret\n')
    assert auth.ServiceAccountTokenVolumeCredentials(str(tmp_path / 'token')).get_token() == 'secret'
    with pytest.raises(NotImplementedError):
        auth.TokenCredentialsBase().get_token()
