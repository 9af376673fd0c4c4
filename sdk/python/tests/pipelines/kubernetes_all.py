"""Every function of kfp.kubernetes."""

from kfp import dsl, kubernetes


@dsl.component
def name() -> str:
    return 'secret'


@dsl.component
def step():
    pass


@dsl.pipeline(name='kubernetes-all')
def pipeline(secret: str = 's', selector: dict = {'a': 'b'}, tolerations: list = [], affinity: dict = {}):
    made = name()
    one = step()
    kubernetes.use_secret_as_env(one, 'plain', {'key': 'VAR', 'other': 'OTHER'})
    kubernetes.use_secret_as_env(one, secret, {'key': 'VAR2'}, optional=True)
    kubernetes.use_secret_as_volume(one, made.output, '/mnt/secret')
    kubernetes.use_secret_as_volume(one, 'plain', '/mnt/plain', optional=True)
    kubernetes.use_config_map_as_env(one, 'map', {'k': 'MAP'})
    kubernetes.use_config_map_as_volume(one, secret, '/mnt/map', optional=True)
    kubernetes.use_field_path_as_env(one, 'NODE', 'spec.nodeName')
    kubernetes.set_image_pull_secrets(one, ['a', 'b'])
    kubernetes.set_image_pull_policy(one, 'Always')
    two = step()
    kubernetes.add_node_selector(two, 'disk', 'ssd')
    kubernetes.add_node_selector(two, 'zone', 'a')
    kubernetes.add_pod_label(two, 'team', 'one')
    kubernetes.add_pod_annotation(two, 'why', 'not')
    kubernetes.add_toleration(two, key='gpu', operator='Equal', value='yes', effect='NoExecute', toleration_seconds=10)
    kubernetes.add_toleration(two, operator='Exists')
    kubernetes.set_timeout(two, 20)
    kubernetes.set_security_context(two, run_as_user=1000, run_as_group=0, run_as_non_root=True)
    kubernetes.empty_dir_mount(two, 'scratch', '/scratch', medium='Memory', size_limit='1Gi')
    kubernetes.empty_dir_mount(two, 'more', '/more')
    kubernetes.add_ephemeral_volume(two, 'fast', '/fast', ['ReadWriteOnce'], '5Gi', storage_class_name='ssd', labels={'a': 'b'},
                                    annotations={'c': 'd'})
    kubernetes.add_ephemeral_volume(two, 'slow', '/slow', ['ReadWriteMany'], '1Gi')
    kubernetes.add_node_affinity(two, match_expressions=[{'key': 'zone', 'operator': 'In', 'values': ['a', 'b']}])
    kubernetes.add_node_affinity(two, match_fields=[{'key': 'metadata.name', 'operator': 'NotIn', 'values': ['n']}], weight=7)
    three = step()
    kubernetes.add_node_selector_json(three, selector)
    kubernetes.add_toleration_json(three, tolerations)
    kubernetes.add_node_affinity_json(three, affinity)
    claim = kubernetes.CreatePVC(access_modes=['ReadWriteMany'], size='5Gi', pvc_name_suffix='-data', storage_class_name='standard',
                                 annotations={'a': 'b'})
    other = kubernetes.CreatePVC(access_modes=['ReadWriteOnce'], size='1Gi', pvc_name='fixed', volume_name='volume')
    four = step()
    kubernetes.mount_pvc(four, claim.outputs['name'], '/data')
    kubernetes.mount_pvc(four, 'existing', '/existing', sub_path='part')
    kubernetes.mount_pvc(four, secret, '/named')
    kubernetes.DeletePVC(pvc_name=claim.outputs['name']).after(four)
    kubernetes.DeletePVC(pvc_name='fixed').after(other)
    with dsl.ParallelFor(['x', 'y']) as item:
        kubernetes.use_secret_as_env(step(), item, {'key': 'ITEM'})
