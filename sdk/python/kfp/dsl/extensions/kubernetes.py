"""v1: functions for task.apply()."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from kfp.dsl.task import PipelineTask


def use_secret(secret_name: str, secret_volume_mount_path: str, env_variable: str | None = None,
               secret_file_path_in_volume: str | None = None) -> Callable[[PipelineTask], PipelineTask]:
    """Mounts a secret, for `task.apply(use_secret('name', '/mount'))`.

    Args:
        secret_name: which secret.
        secret_volume_mount_path: where its keys are files.
        env_variable: also sets this variable to the mount path, or to the path of the file below it.
        secret_file_path_in_volume: that file.
    """
    from kfp import kubernetes

    def change(task: PipelineTask) -> PipelineTask:
        kubernetes.use_secret_as_volume(task, secret_name, secret_volume_mount_path)
        if env_variable:
            task.set_env_variable(env_variable, secret_volume_mount_path + (secret_file_path_in_volume or ''))
        return task
    return change
