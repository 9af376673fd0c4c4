"""v1: functions for task.apply() on Microsoft's cloud."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from kfp.dsl.task import PipelineTask

_KEYS = ('AZ_SUBSCRIPTION_ID', 'AZ_TENANT_ID', 'AZ_CLIENT_ID', 'AZ_CLIENT_SECRET')


def use_azure_secret(secret_name: str = 'azcreds') -> Callable[[PipelineTask], PipelineTask]:
    """Sets AZ_SUBSCRIPTION_ID, AZ_TENANT_ID, AZ_CLIENT_ID and AZ_CLIENT_SECRET from the keys of these names of a secret.

    Args:
        secret_name: which secret.
    """
    from kfp import kubernetes
    return lambda task: kubernetes.use_secret_as_env(task, secret_name, {key: key for key in _KEYS})
