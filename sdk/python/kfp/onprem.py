"""kfp.onprem (v1): functions for task.apply()."""


def mount_pvc(pvc_name='pipeline-claim', volume_name='pipeline', volume_mount_path='/mnt/pipeline'):
    """Mounts a volume claim: `task.apply(mount_pvc('claim', 'name', '/path'))`."""
    from kfp import kubernetes
    return lambda task: kubernetes.mount_pvc(task, pvc_name, volume_mount_path)


def use_k8s_secret(secret_name='k8s-secret', k8s_secret_key_to_env=None):
    """Sets variables from a secret: `task.apply(use_k8s_secret('s', {'key': 'VARIABLE'}))`."""
    from kfp import kubernetes
    return lambda task: kubernetes.use_secret_as_env(task, secret_name, k8s_secret_key_to_env or {})
