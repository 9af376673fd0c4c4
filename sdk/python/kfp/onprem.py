"""v1: functions for task.apply() on clusters of one's own."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from kfp.dsl.task import PipelineTask


def mount_pvc(pvc_name: str = 'pipeline-claim', volume_name: str = 'pipeline',
              volume_mount_path: str = '/mnt/pipeline') -> Callable[[PipelineTask], PipelineTask]:
    """Mounts a volume claim: `task.apply(mount_pvc('claim', 'name', '/path'))`.

    Args:
        pvc_name: the claim's name.
        volume_name: accepted for v1; volumes are named by the platform.
        volume_mount_path: where the task sees it.
    """
    from kfp import kubernetes
    return lambda task: kubernetes.mount_pvc(task, pvc_name, volume_mount_path)


def use_k8s_secret(secret_name: str = 'k8s-secret',
                   k8s_secret_key_to_env: dict[str, str] | None = None) -> Callable[[PipelineTask], PipelineTask]:
    """Sets variables from a secret: `task.apply(use_k8s_secret('s', {'key': 'VARIABLE'}))`.

    Args:
        secret_name: which secret.
        k8s_secret_key_to_env: {key in the secret: variable}.
    """
    from kfp import kubernetes
    return lambda task: kubernetes.use_secret_as_env(task, secret_name, k8s_secret_key_to_env or {})


def add_default_resource_spec(memory_limit: str | None = None, cpu_limit: str | None = None, memory_request: str | None = None,
                              cpu_request: str | None = None) -> Callable[[PipelineTask], PipelineTask]:
    """Sets limits and requests where a task has none of its own.

    Args:
        memory_limit, memory_request: such as '1Gi'; the request is the limit when it is None.
        cpu_limit, cpu_request: such as '500m'; likewise.
    """
    def change(task: PipelineTask) -> PipelineTask:
        for name, value, method in (('resourceMemoryLimit', memory_limit, task.set_memory_limit),
                                    ('resourceMemoryRequest', memory_request or memory_limit, task.set_memory_request),
                                    ('resourceCpuLimit', cpu_limit, task.set_cpu_limit),
                                    ('resourceCpuRequest', cpu_request or cpu_limit, task.set_cpu_request)):
            if value is not None and name not in task.resources and task.spec.container is not None:
                method(value)
        return task
    return change
