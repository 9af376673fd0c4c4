"""Secrets, config maps, labels and other settings of a task's pod."""

from __future__ import annotations

from kfp.compiler import refs
from kfp.dsl import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kfp.compiler.refs import PlatformValue
    from kfp.dsl.channels import Channel
    from kfp.dsl.task import PipelineTask


def add_to_list(task: PipelineTask, field: str, entry: dict[str, Any]) -> PipelineTask:
    """Appends to a list of the task's platform settings."""
    task.platform.setdefault(field, []).append(entry)
    return task


def named(old_field: str, new_field: str, value: Any) -> PlatformValue:
    """A name that is a text or a channel, in the old field and in the new one."""
    def build(reference: dict[str, Any], constant: Any) -> dict[str, Any]:
        entry = {new_field: reference}
        if constant is not None:
            entry[old_field] = constant
        return entry
    return refs.PlatformValue(value, build)


def use_secret_as_env(task: PipelineTask, secret_name: str | Channel, secret_key_to_env: dict[str, str],
                      optional: bool = False) -> PipelineTask:
    """Sets environment variables from a secret.

    Args:
        task: the task to change.
        secret_name: a text, a pipeline input or an output.
        secret_key_to_env: {key in the secret: variable}.
        optional: start without the secret.
    """
    return add_to_list(task, 'secretAsEnv', {
        'name': named('secretName', 'secretNameParameter', secret_name),
        'keyToEnv': [{'secretKey': key, 'envVar': variable} for key, variable in secret_key_to_env.items()],
        'optional': optional})


def use_secret_as_volume(task: PipelineTask, secret_name: str | Channel, mount_path: str,
                         optional: bool = False) -> PipelineTask:
    """Mounts a secret's keys as files.

    Args:
        task: the task to change.
        secret_name: a text, a pipeline input or an output.
        mount_path: the folder.
        optional: start also when there is none.
    """
    return add_to_list(task, 'secretAsVolume', {
        'name': named('secretName', 'secretNameParameter', secret_name), 'mountPath': mount_path, 'optional': optional})


def use_config_map_as_env(task: PipelineTask, config_map_name: str | Channel, config_map_key_to_env: dict[str, str],
                          optional: bool = False) -> PipelineTask:
    """Sets environment variables from a config map.

    Args:
        task: the task to change.
        config_map_name: a text, a pipeline input or an output.
        optional: start also when there is none.
        config_map_key_to_env: {key in the config map: variable}.
    """
    return add_to_list(task, 'configMapAsEnv', {
        'name': named('configMapName', 'configMapNameParameter', config_map_name),
        'keyToEnv': [{'configMapKey': key, 'envVar': variable} for key, variable in config_map_key_to_env.items()],
        'optional': optional})


def use_config_map_as_volume(task: PipelineTask, config_map_name: str | Channel, mount_path: str,
                             optional: bool = False) -> PipelineTask:
    """Mounts a config map's keys as files.

    Args:
        task: the task to change.
        config_map_name: a text, a pipeline input or an output.
        mount_path: the folder.
        optional: start also when there is none.
    """
    return add_to_list(task, 'configMapAsVolume', {
        'name': named('configMapName', 'configMapNameParameter', config_map_name), 'mountPath': mount_path,
        'optional': optional})


def use_field_path_as_env(task: PipelineTask, env_name: str, field_path: str) -> PipelineTask:
    """Sets a variable from a field of the pod.

    Args:
        task: the task to change.
        env_name: the variable.
        field_path: such as 'metadata.name'.
    """
    return add_to_list(task, 'fieldPathAsEnv', {'name': env_name, 'fieldPath': field_path})


def set_image_pull_policy(task: PipelineTask, policy: str) -> PipelineTask:
    """When the image is pulled.

    Args:
        task: the task to change.
        policy: 'Always', 'Never' or 'IfNotPresent'.

    Raises:
        ValueProblem: another policy.
    """
    if policy not in ('Always', 'Never', 'IfNotPresent'):
        raise errors.ValueProblem(f'the image pull policy is Always, Never or IfNotPresent, and got {policy!r}')
    task.platform['imagePullPolicy'] = policy
    return task


def set_image_pull_secrets(task: PipelineTask, secret_names: list[Any]) -> PipelineTask:
    """By which secrets the image is pulled.

    Args:
        task: the task to change.
        secret_names: a list of texts, pipeline inputs and outputs.
    """
    for name in secret_names:
        add_to_list(task, 'imagePullSecret', {'name': named('secretName', 'secretNameParameter', name)})
    return task


def set_timeout(task: PipelineTask, seconds: int) -> PipelineTask:
    """Ends the task when it runs longer.

    Args:
        task: the task to change.
        seconds: a whole number; 0 for no limit.

    Raises:
        ValueProblem: it is none.
    """
    if not isinstance(seconds, int) or seconds < 0:
        raise errors.ValueProblem(f'the timeout is a number of seconds, and got {seconds!r}')
    task.platform['activeDeadlineSeconds'] = str(seconds)
    return task


def set_security_context(task: PipelineTask, run_as_user: int | None = None, run_as_group: int | None = None,
                         run_as_non_root: bool | None = None) -> PipelineTask:
    """The ids under which the container runs.

    Args:
        task: the task to change.
        run_as_user, run_as_group: numbers.
        run_as_non_root: refuse to run as user 0.
    """
    entry = task.platform.setdefault('securityContext', {})
    if run_as_user is not None:
        entry['runAsUser'] = str(run_as_user)
    if run_as_group is not None:
        entry['runAsGroup'] = str(run_as_group)
    if run_as_non_root is not None:
        entry['runAsNonRoot'] = run_as_non_root
    return task


def add_pod_label(task: PipelineTask, label_key: str, label_value: str) -> PipelineTask:
    """Sets a label of the task's pod.

    Args:
        task: the task to change.
        label_key, label_value: the label.
    """
    return task.add_pod_label(label_key, label_value)


def add_pod_annotation(task: PipelineTask, annotation_key: str, annotation_value: str) -> PipelineTask:
    """Sets an annotation of the task's pod.

    Args:
        task: the task to change.
        annotation_key, annotation_value: the annotation.
    """
    return task.add_pod_annotation(annotation_key, annotation_value)


def add_init_container(task: PipelineTask, name: str, image: str, command: list[str] | None = None,
                       args: list[str] | None = None, env: dict[str, str] | None = None, restart_policy: str | None = None,
                       **_: Any) -> PipelineTask:
    """A container that runs before the task's own.

    Args:
        task: the task to change.
        name, image: of the container.
        command, args: lists of texts.
        env: {variable: value}.
        restart_policy: 'Always' for one that runs beside the task until its end.
    """
    entry: dict[str, Any] = {'name': name, 'image': image}
    if command:
        entry['command'] = list(command)
    if args:
        entry['args'] = list(args)
    if env:
        entry['env'] = [{'name': key, 'value': value} for key, value in env.items()]
    if restart_policy:
        entry['restartPolicy'] = restart_policy
    return add_to_list(task, 'initContainers', entry)
