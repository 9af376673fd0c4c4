"""kfp.kubernetes: what a task's pod gets beside its container.

Every function takes the task first, changes it and returns it. Names of secrets,
config maps and volume claims may be texts, pipeline inputs or outputs of tasks.
"""

_HOME = {
    'use_secret_as_env': 'pods', 'use_secret_as_volume': 'pods', 'use_config_map_as_env': 'pods',
    'use_config_map_as_volume': 'pods', 'use_field_path_as_env': 'pods', 'set_image_pull_policy': 'pods',
    'set_image_pull_secrets': 'pods', 'set_timeout': 'pods', 'set_security_context': 'pods',
    'add_pod_label': 'pods', 'add_pod_annotation': 'pods', 'add_init_container': 'pods',
    'add_node_selector': 'nodes', 'add_node_selector_json': 'nodes', 'add_toleration': 'nodes',
    'add_toleration_json': 'nodes', 'add_node_affinity': 'nodes', 'add_node_affinity_json': 'nodes',
    'mount_pvc': 'volumes', 'CreatePVC': 'volumes', 'DeletePVC': 'volumes', 'add_ephemeral_volume': 'volumes',
    'empty_dir_mount': 'volumes',
}
__all__ = sorted(_HOME)


def __getattr__(name):
    if name in _HOME:
        value = getattr(__import__('kfp.kubernetes.' + _HOME[name], fromlist=[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'kfp.kubernetes' has no attribute {name!r}")
