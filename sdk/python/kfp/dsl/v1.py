"""v1 names that have no own module: decorators, settings, and what cannot be offered."""

from kfp.dsl import errors

VOLUME_MODE_RWO = ['ReadWriteOnce']
VOLUME_MODE_RWM = ['ReadWriteMany']
VOLUME_MODE_ROM = ['ReadOnlyMany']


def python_component(name, description=None, base_image=None, target_component_file=None):
    """Names a function for func_to_container_op; the function stays a function."""

    def mark(func):
        func._component_settings = {'name': name, 'description': description, 'base_image': base_image}
        return func
    return mark


def graph_component(func):
    """Not offered: recursion. Raises UnsupportedV1Error."""
    raise errors.UnsupportedV1Error(
        'dsl.graph_component: a v2 pipeline cannot call itself; use dsl.ParallelFor over a list, or put the loop into one task',
        errors.function_location(func))


class PipelineConf:
    """Settings of a pipeline (v1). Accepted; those with no meaning in IR are ignored."""

    def __init__(self):
        self.image_pull_secrets = []
        self.timeout = 0
        self.ttl_seconds_after_finished = -1
        self.parallelism = None
        self.default_pod_node_selector = {}
        self.image_pull_policy = None

    def set_image_pull_secrets(self, image_pull_secrets):
        self.image_pull_secrets = image_pull_secrets
        return self

    def set_timeout(self, seconds):
        self.timeout = seconds
        return self

    def set_parallelism(self, max_num_pods):
        self.parallelism = max_num_pods
        return self

    def set_ttl_seconds_after_finished(self, seconds):
        self.ttl_seconds_after_finished = seconds
        return self

    def set_default_pod_node_selector(self, label_name, value):
        self.default_pod_node_selector[label_name] = value
        return self

    def set_image_pull_policy(self, policy):
        self.image_pull_policy = policy
        return self

    def add_op_transformer(self, transformer):
        raise errors.UnsupportedV1Error('add_op_transformer: change the tasks in the pipeline function')


def get_pipeline_conf():
    """The settings of the pipeline being built."""
    from kfp.dsl import context
    pipeline = context.current('dsl.get_pipeline_conf()')
    if not hasattr(pipeline, 'conf'):
        pipeline.conf = PipelineConf()
    return pipeline.conf


def _absent(name, way):
    def refuse(*_, **__):
        raise errors.UnsupportedV1Error(f'dsl.{name} cannot be expressed in a v2 pipeline; {way}')
    refuse.__name__ = name
    refuse.__doc__ = f'Not offered; {way}. Raises UnsupportedV1Error.'
    return refuse


VolumeOp = _absent('VolumeOp', 'use kfp.kubernetes.CreatePVC and mount_pvc')
VolumeSnapshotOp = _absent('VolumeSnapshotOp', 'use kfp.kubernetes.CreatePVC(data_source=…)')
PipelineVolume = _absent('PipelineVolume', 'use kfp.kubernetes.mount_pvc')
ResourceOp = _absent('ResourceOp', 'create the resource in a task with the Kubernetes client')
Sidecar = _absent('Sidecar', 'run its work in a task of its own')
UserContainer = _absent('UserContainer', 'run its work in an earlier task')
