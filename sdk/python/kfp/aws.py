"""v1: functions for task.apply() on Amazon's cloud."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from kfp.dsl.task import PipelineTask


def use_aws_secret(secret_name: str = 'aws-secret', aws_access_key_id_name: str = 'AWS_ACCESS_KEY_ID',
                   aws_secret_access_key_name: str = 'AWS_SECRET_ACCESS_KEY',
                   aws_region: str | None = None) -> Callable[[PipelineTask], PipelineTask]:
    """Sets AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY from a secret.

    Args:
        secret_name: which secret.
        aws_access_key_id_name, aws_secret_access_key_name: its keys.
        aws_region: also sets AWS_REGION.
    """
    from kfp import kubernetes

    def change(task: PipelineTask) -> PipelineTask:
        kubernetes.use_secret_as_env(task, secret_name, {aws_access_key_id_name: 'AWS_ACCESS_KEY_ID',
                                                         aws_secret_access_key_name: 'AWS_SECRET_ACCESS_KEY'})
        if aws_region:
            task.set_env_variable('AWS_REGION', aws_region)
        return task
    return change
