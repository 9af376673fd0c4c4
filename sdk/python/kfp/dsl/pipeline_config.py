"""Settings of a whole pipeline, and of what components take over."""

from __future__ import annotations

import enum
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SIZE = re.compile(r'(0|[1-9]\d*)(\.\d+)?([KMGTPE]i?)?')
_LONGEST = 2**31 - 1


class KubernetesWorkspaceConfig:
    """How the workspace's volume claim is made.

    Args:
        pvcSpecPatch: a dict merged into the claim's spec, such as {'storageClassName': 'fast'}.
    """

    def __init__(self, pvcSpecPatch: dict[str, Any] | None = None):
        self.pvcSpecPatch = pvcSpecPatch or {}

    def set_pvcSpecPatch(self, patch: dict[str, Any]) -> None:
        """Replaces the patch."""
        self.pvcSpecPatch = patch


class WorkspaceConfig:
    """A volume that the tasks of a run share, at /kfp-workspace.

    Args:
        size: such as '5Gi'.
        kubernetes: how its claim is made.

    Raises:
        ValueError: the size is none.
    """

    def __init__(self, size: str, kubernetes: KubernetesWorkspaceConfig | None = None):
        self.size = size
        self.kubernetes = kubernetes or KubernetesWorkspaceConfig()

    @property
    def size(self) -> str:
        """The size, such as '5Gi'."""
        return self._size

    @size.setter
    def size(self, size: str) -> None:
        text = str(size or '').strip()
        if not _SIZE.fullmatch(text):
            raise ValueError(f'WorkspaceConfig needs a size such as "5Gi", and got {size!r}')
        self._size = text

    def set_size(self, size: str) -> None:
        """Sets the size, such as '5Gi'. Raises ValueError when it is none."""
        self.size = size

    def set_kubernetes_config(self, kubernetes_config: KubernetesWorkspaceConfig) -> None:
        """Sets how its claim is made."""
        self.kubernetes = kubernetes_config

    def get_workspace(self) -> dict[str, Any]:
        """The workspace as it stands in the platform spec."""
        return {'size': self.size, 'kubernetes': {'pvcSpecPatch': self.kubernetes.pvcSpecPatch}}


class PipelineConfig:
    """Settings of the runs of a pipeline; times are in seconds, None for no limit.

    Args:
        workspace: a volume that the tasks share.
        ttl_seconds_after_finished, ttl_seconds_after_success, ttl_seconds_after_failure: how long what a run used on the
            cluster is kept after its end.
        active_deadline_seconds: after which a run is ended.

    Raises:
        TypeError: a time is no integer.
        ValueError: a time is negative, or longer than 2**31 - 1.
    """

    def __init__(self, workspace: WorkspaceConfig | None = None, ttl_seconds_after_finished: int | None = None,
                 ttl_seconds_after_success: int | None = None, ttl_seconds_after_failure: int | None = None,
                 active_deadline_seconds: int | None = None):
        self.workspace = workspace
        self.ttl_seconds_after_finished = _seconds('ttl_seconds_after_finished', ttl_seconds_after_finished)
        self.ttl_seconds_after_success = _seconds('ttl_seconds_after_success', ttl_seconds_after_success)
        self.ttl_seconds_after_failure = _seconds('ttl_seconds_after_failure', ttl_seconds_after_failure)
        self.active_deadline_seconds = _seconds('active_deadline_seconds', active_deadline_seconds)

    def to_ir(self) -> dict[str, Any]:
        """The settings as they stand in the platform spec."""
        entry: dict[str, Any] = {}
        if self.workspace is not None:
            entry['workspace'] = self.workspace.get_workspace()
        for key, value in (('resourceTtlOnCompletion', self.ttl_seconds_after_finished),
                           ('resourceTtlOnSuccess', self.ttl_seconds_after_success),
                           ('resourceTtlOnFailure', self.ttl_seconds_after_failure),
                           ('activeDeadlineSeconds', self.active_deadline_seconds)):
            if value is not None:
                entry[key] = value
        return entry


def _seconds(name: str, value: int | None) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f'{name} is a whole number of seconds, and got {value!r}')
    if not 0 <= value <= _LONGEST:
        raise ValueError(f'{name} is a number of seconds from 0 to {_LONGEST}, and got {value}')
    return value


class TaskConfigField(enum.IntEnum):
    """The pod settings that a component may take over."""
    RESOURCES = 1
    ENV = 2
    KUBERNETES_AFFINITY = 3
    KUBERNETES_TOLERATIONS = 4
    KUBERNETES_NODE_SELECTOR = 5
    KUBERNETES_VOLUMES = 6


class TaskConfigPassthrough:
    """One pod setting that goes to the component's TaskConfig.

    Args:
        field: which setting.
        apply_to_task: apply it to the task's own pod as well (False).
    """

    def __init__(self, field: TaskConfigField, apply_to_task: bool = False):
        self.field = field
        self.apply_to_task = apply_to_task

    def __repr__(self) -> str:
        return f'TaskConfigPassthrough({self.field!r}, {self.apply_to_task!r})'


def passthrough_to_ir(item: TaskConfigPassthrough | TaskConfigField) -> dict[str, Any]:
    """A passthrough as it stands in a component. Raises ValueError when it is none."""
    if not isinstance(item, TaskConfigPassthrough):
        item = TaskConfigPassthrough(item)
    try:
        field = TaskConfigField(item.field)
    except ValueError:
        known = ', '.join(TaskConfigField.__members__)
        raise ValueError(f'a task config passthrough takes one of {known}, and got {item.field!r}') from None
    entry: dict[str, Any] = {'field': field.name}
    if item.apply_to_task:
        entry['applyToTask'] = True
    return entry
