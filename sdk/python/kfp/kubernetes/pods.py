"""Secrets, config maps, labels and other settings of a task's pod."""

from kfp.compiler import refs
from kfp.dsl import errors


def add_to_list(task, field, entry):
    """Appends to a list of the task's platform settings."""
    task.platform.setdefault(field, []).append(entry)
    return task


def named(old_field, new_field, value):
    """A name that is a text or a channel, in the old field and in the new one."""
    def build(reference, constant):
        entry = {new_field: reference}
        if constant is not None:
            entry[old_field] = constant
        return entry
    return refs.PlatformValue(value, build)


def use_secret_as_env(task, secret_name, secret_key_to_env, optional=False):
    """Sets environment variables from a secret.

    secret_key_to_env: {key in the secret: variable}. optional: start without the secret.
    """
    return add_to_list(task, 'secretAsEnv', {
        'name': named('secretName', 'secretNameParameter', secret_name),
        'keyToEnv': [{'secretKey': key, 'envVar': variable} for key, variable in secret_key_to_env.items()],
        'optional': optional})


def use_secret_as_volume(task, secret_name, mount_path, optional=False):
    """Mounts a secret's keys as files under `mount_path`."""
    return add_to_list(task, 'secretAsVolume', {
        'name': named('secretName', 'secretNameParameter', secret_name), 'mountPath': mount_path, 'optional': optional})


def use_config_map_as_env(task, config_map_name, config_map_key_to_env, optional=False):
    """Sets environment variables from a config map.

    config_map_key_to_env: {key in the config map: variable}.
    """
    return add_to_list(task, 'configMapAsEnv', {
        'name': named('configMapName', 'configMapNameParameter', config_map_name),
        'keyToEnv': [{'configMapKey': key, 'envVar': variable} for key, variable in config_map_key_to_env.items()],
        'optional': optional})


def use_config_map_as_volume(task, config_map_name, mount_path, optional=False):
    """Mounts a config map's keys as files under `mount_path`."""
    return add_to_list(task, 'configMapAsVolume', {
        'name': named('configMapName', 'configMapNameParameter', config_map_name), 'mountPath': mount_path,
        'optional': optional})


def use_field_path_as_env(task, env_name, field_path):
    """Sets a variable from a field of the pod, such as 'metadata.name'."""
    return add_to_list(task, 'fieldPathAsEnv', {'name': env_name, 'fieldPath': field_path})


def set_image_pull_policy(task, policy):
    """policy: 'Always', 'Never' or 'IfNotPresent'. Raises ValueProblem for others."""
    if policy not in ('Always', 'Never', 'IfNotPresent'):
        raise errors.ValueProblem(f'the image pull policy is Always, Never or IfNotPresent, and got {policy!r}')
    task.platform['imagePullPolicy'] = policy
    return task


def set_image_pull_secrets(task, secret_names):
    """Names of the secrets by which the image is pulled."""
    for name in secret_names:
        add_to_list(task, 'imagePullSecret', {'name': named('secretName', 'secretNameParameter', name)})
    return task


def set_timeout(task, seconds):
    """Ends the task when it runs longer; 0 for no limit."""
    if not isinstance(seconds, int) or seconds < 0:
        raise errors.ValueProblem(f'the timeout is a number of seconds, and got {seconds!r}')
    task.platform['activeDeadlineSeconds'] = str(seconds)
    return task


def set_security_context(task, run_as_user=None, run_as_group=None, run_as_non_root=None):
    """The ids under which the container runs."""
    entry = task.platform.setdefault('securityContext', {})
    if run_as_user is not None:
        entry['runAsUser'] = str(run_as_user)
    if run_as_group is not None:
        entry['runAsGroup'] = str(run_as_group)
    if run_as_non_root is not None:
        entry['runAsNonRoot'] = run_as_non_root
    return task


def add_pod_label(task, label_key, label_value):
    return task.add_pod_label(label_key, label_value)


def add_pod_annotation(task, annotation_key, annotation_value):
    return task.add_pod_annotation(annotation_key, annotation_value)


def add_init_container(task, name, image, command=None, args=None, env=None, restart_policy=None, **_):
    """A container that runs before the task's own. env: {variable: value}."""
    entry = {'name': name, 'image': image}
    if command:
        entry['command'] = list(command)
    if args:
        entry['args'] = list(args)
    if env:
        entry['env'] = [{'name': key, 'value': value} for key, value in env.items()]
    if restart_policy:
        entry['restartPolicy'] = restart_policy
    return add_to_list(task, 'initContainers', entry)
