"""v1: functions for task.apply() on Google's cloud."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from kfp.dsl.task import PipelineTask

_PREEMPTIBLE = {'key': 'preemptible', 'operator': 'Equal', 'value': 'true', 'effect': 'NoSchedule'}
_GPU = {'key': 'nvidia.com/gpu', 'operator': 'Equal', 'value': 'true', 'effect': 'NoSchedule'}


def use_gcp_secret(secret_name: str = 'user-gcp-sa', secret_file_path_in_volume: str | None = None, volume_name: str | None = None,
                   secret_volume_mount_path: str = '/secret/gcp-credentials') -> Callable[[PipelineTask], PipelineTask]:
    """Mounts a service account's key, and points GOOGLE_APPLICATION_CREDENTIALS at it.

    Args:
        secret_name: which secret; its key is a file named <secret_name>.json.
        secret_file_path_in_volume: that file's path below the mount, when it is another.
        volume_name: accepted for v1; volumes are named by the platform.
        secret_volume_mount_path: where it is mounted.
    """
    from kfp import kubernetes

    def change(task: PipelineTask) -> PipelineTask:
        kubernetes.use_secret_as_volume(task, secret_name, secret_volume_mount_path)
        path = secret_volume_mount_path + (secret_file_path_in_volume or f'/{secret_name}.json')
        for variable in ('GOOGLE_APPLICATION_CREDENTIALS', 'CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE'):
            task.set_env_variable(variable, path)
        return task
    return change


def use_tpu(tpu_cores: int, tpu_resource: str, tf_version: str) -> Callable[[PipelineTask], PipelineTask]:
    """Asks for TPU cores.

    Args:
        tpu_cores: how many.
        tpu_resource: which, such as 'v3'.
        tf_version: of TensorFlow, for the pod's annotation.
    """
    def change(task: PipelineTask) -> PipelineTask:
        task.set_accelerator_type(f'cloud-tpus.google.com/{tpu_resource}').set_accelerator_limit(tpu_cores)
        return task.add_pod_annotation('tf-version.cloud-tpus.google.com', tf_version)
    return change


def use_preemptible_nodepool(toleration: Any = None, hard_constraint: bool = False) -> Callable[[PipelineTask], PipelineTask]:
    """Runs on machines that may be taken away.

    Args:
        toleration: of their taint; the usual one when None.
        hard_constraint: on no others; otherwise they are preferred.
    """
    from kfp import kubernetes
    expression = [{'key': 'cloud.google.com/gke-preemptible', 'operator': 'In', 'values': ['true']}]

    def change(task: PipelineTask) -> PipelineTask:
        task.add_toleration(toleration or _PREEMPTIBLE)
        return kubernetes.add_node_affinity(task, expression, weight=None if hard_constraint else 50)
    return change


def add_gpu_toleration(toleration: Any = None) -> Callable[[PipelineTask], PipelineTask]:
    """Allows nodes that are tainted for GPUs.

    Args:
        toleration: of their taint; the usual one when None.
    """
    return lambda task: task.add_toleration(toleration or _GPU)


__all__ = ['use_gcp_secret', 'use_tpu', 'use_preemptible_nodepool', 'add_gpu_toleration']
