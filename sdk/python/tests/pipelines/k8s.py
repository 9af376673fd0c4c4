from kfp import dsl, kubernetes


@dsl.component
def step(x: str = 'a') -> str:
    return x


@dsl.pipeline(name='k8s')
def pipeline(secret: str = 's', pvc: str = 'p', label: str = 'l'):
    a = step()
    kubernetes.use_secret_as_env(a, secret_name='sec', secret_key_to_env={'password': 'PW'})
    kubernetes.use_secret_as_volume(a, secret_name='sec', mount_path='/s')
    kubernetes.use_secret_as_env(a, secret_name=secret, secret_key_to_env={'p': 'P'}, optional=True)
    kubernetes.use_secret_as_volume(a, secret_name=secret, mount_path='/s2', optional=True)
    kubernetes.use_config_map_as_env(a, config_map_name='cm', config_map_key_to_env={'k': 'K'})
    kubernetes.use_config_map_as_volume(a, config_map_name='cm', mount_path='/c')
    b = step(x='b')
    kubernetes.add_node_selector(b, label_key='disk', label_value='ssd')
    kubernetes.add_pod_label(b, label_key='l', label_value='v')
    kubernetes.add_pod_annotation(b, annotation_key='an', annotation_value='w')
    kubernetes.set_image_pull_policy(b, 'Always')
    kubernetes.set_image_pull_secrets(b, secret_names=['r1', 'r2'])
    kubernetes.use_field_path_as_env(b, env_name='POD', field_path='metadata.name')
    kubernetes.empty_dir_mount(b, volume_name='e', mount_path='/e', medium='Memory', size_limit='1Gi')
    kubernetes.set_timeout(b, 60)
    kubernetes.add_toleration(b, key='k', operator='Equal', value='v', effect='NoSchedule', toleration_seconds=9)
    c = step(x='c')
    v = kubernetes.CreatePVC(pvc_name_suffix='-x', access_modes=['ReadWriteOnce'], size='5Gi', storage_class_name='standard')
    kubernetes.mount_pvc(c, pvc_name=v.outputs['name'], mount_path='/data')
    d = step(x='d').after(c)
    kubernetes.mount_pvc(d, pvc_name=pvc, mount_path='/data', sub_path='sub')
    kubernetes.mount_pvc(d, pvc_name='const', mount_path='/data2')
    kubernetes.DeletePVC(pvc_name=v.outputs['name']).after(d)
    with dsl.ParallelFor(['1', '2']) as i:
        e = step(x=i)
        kubernetes.use_secret_as_env(e, secret_name=secret, secret_key_to_env={'p': 'P'})
        kubernetes.mount_pvc(e, pvc_name=v.outputs['name'], mount_path='/data')
    kubernetes.add_ephemeral_volume(a, volume_name='ev', mount_path='/ev', access_modes=['ReadWriteOnce'], size='1Gi')
    kubernetes.add_node_affinity(a, match_expressions=[{'key': 'z', 'operator': 'In', 'values': ['1']}], weight=5)
    kubernetes.set_security_context(a, run_as_user=1000)
