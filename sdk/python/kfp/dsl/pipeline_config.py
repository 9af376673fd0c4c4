"""Settings of a whole pipeline."""


class KubernetesWorkspaceConfig:
    """pvcSpecPatch: a dict merged into the workspace volume claim's spec."""

    def __init__(self, pvcSpecPatch=None):
        self.pvcSpecPatch = pvcSpecPatch or {}


class WorkspaceConfig:
    """A volume shared by the run's tasks at /kfp-workspace. size: such as '5Gi'."""

    def __init__(self, size, kubernetes=None):
        if not size or not str(size).strip():
            raise ValueError('WorkspaceConfig needs a size such as "5Gi"')
        self.size = str(size).strip()
        self.kubernetes = kubernetes or KubernetesWorkspaceConfig()

    def set_size(self, size):
        self.size = size

    def set_kubernetes_config(self, kubernetes):
        self.kubernetes = kubernetes


class PipelineConfig:
    """Settings of the runs of a pipeline; times are in seconds, None for no limit."""

    def __init__(self, workspace=None, ttl_seconds_after_finished=None, ttl_seconds_after_success=None,
                 ttl_seconds_after_failure=None, active_deadline_seconds=None):
        self.workspace = workspace
        self.ttl_seconds_after_finished = ttl_seconds_after_finished
        self.ttl_seconds_after_success = ttl_seconds_after_success
        self.ttl_seconds_after_failure = ttl_seconds_after_failure
        self.active_deadline_seconds = active_deadline_seconds

    def to_ir(self):
        entry = {}
        if self.workspace is not None:
            entry['workspace'] = {'size': self.workspace.size}
            patch = self.workspace.kubernetes.pvcSpecPatch if self.workspace.kubernetes else None
            if patch:
                entry['workspace']['kubernetes'] = {'pvcSpecPatch': patch}
        for key, value in (('resourceTtlOnCompletion', self.ttl_seconds_after_finished),
                           ('resourceTtlOnSuccess', self.ttl_seconds_after_success),
                           ('resourceTtlOnFailure', self.ttl_seconds_after_failure),
                           ('activeDeadlineSeconds', self.active_deadline_seconds)):
            if value is not None:
                entry[key] = value
        return entry


class TaskConfigField:
    """Names of the pod settings that a component may take over."""
    RESOURCES = 'RESOURCES'
    ENV = 'ENV'
    KUBERNETES_AFFINITY = 'KUBERNETES_AFFINITY'
    KUBERNETES_TOLERATIONS = 'KUBERNETES_TOLERATIONS'
    KUBERNETES_NODE_SELECTOR = 'KUBERNETES_NODE_SELECTOR'
    KUBERNETES_VOLUMES = 'KUBERNETES_VOLUMES'


class TaskConfigPassthrough:
    """field: a TaskConfigField. apply_to_task: apply it to the task's own pod as well."""

    def __init__(self, field, apply_to_task=False):
        self.field = field
        self.apply_to_task = apply_to_task


def passthrough_to_ir(item):
    if not isinstance(item, TaskConfigPassthrough):
        item = TaskConfigPassthrough(item)
    entry = {'field': item.field}
    if item.apply_to_task:
        entry['applyToTask'] = True
    return entry
