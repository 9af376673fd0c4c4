"""kfp.kubernetes: what a task's pod gets beside its container.

Every function takes the task first, changes it and returns it. Names of secrets,
config maps and volume claims may be texts, pipeline inputs or outputs of tasks.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # the same for type checkers, which know no __getattr__
    from typing import Any

    from kfp.kubernetes.nodes import (add_node_affinity as add_node_affinity, add_node_affinity_json as add_node_affinity_json,
                                      add_node_selector as add_node_selector, add_node_selector_json as add_node_selector_json,
                                      add_toleration as add_toleration, add_toleration_json as add_toleration_json)
    from kfp.kubernetes.pods import (add_init_container as add_init_container, add_pod_annotation as add_pod_annotation,
                                     add_pod_label as add_pod_label, set_image_pull_policy as set_image_pull_policy,
                                     set_image_pull_secrets as set_image_pull_secrets,
                                     set_security_context as set_security_context, set_timeout as set_timeout,
                                     use_config_map_as_env as use_config_map_as_env,
                                     use_config_map_as_volume as use_config_map_as_volume,
                                     use_field_path_as_env as use_field_path_as_env, use_secret_as_env as use_secret_as_env,
                                     use_secret_as_volume as use_secret_as_volume)
    from kfp.kubernetes.volumes import (CreatePVC as CreatePVC, DeletePVC as DeletePVC,
                                        add_ephemeral_volume as add_ephemeral_volume, empty_dir_mount as empty_dir_mount,
                                        mount_pvc as mount_pvc)

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


if not TYPE_CHECKING:
    def __getattr__(name: str) -> Any:
        if name in _HOME:
            value = getattr(__import__('kfp.kubernetes.' + _HOME[name], fromlist=[name]), name)
            globals()[name] = value
            return value
        raise AttributeError(f"module 'kfp.kubernetes' has no attribute {name!r}")
