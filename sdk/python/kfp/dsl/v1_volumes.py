"""v1: volumes as tasks, and resources that IR cannot make."""

from __future__ import annotations

from kfp.dsl import channels, context, errors
from kfp.dsl import task as task_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VOLUME_MODE_RWO = ['ReadWriteOnce']
VOLUME_MODE_RWM = ['ReadWriteMany']
VOLUME_MODE_ROM = ['ReadOnlyMany']


class PipelineVolume:
    """A volume that tasks mount by `pvolumes` or add_pvolumes.

    Args:
        pvc: the name of a volume claim: a text, a pipeline input or an output.
        volume: or a volume of Kubernetes: an object or dict.

    Raises:
        ValueProblem: not exactly one of them is given.
    """

    def __init__(self, pvc: Any = None, volume: Any = None, **_: Any):
        if (pvc is None) == (volume is None):
            raise errors.ValueProblem('PipelineVolume() takes either pvc or volume')
        self.pvc = pvc
        self.volume = volume
        self.dependent_tasks: list[Any] = []

    def after(self, *ops: Any) -> PipelineVolume:
        """The same volume, whose users wait for these tasks."""
        made = PipelineVolume(pvc=self.pvc) if self.volume is None else PipelineVolume(volume=self.volume)
        made.dependent_tasks = self.dependent_tasks + list(ops)
        return made


class VolumeOp(task_module.PipelineTask):
    """A task that makes a volume claim; `.volume` is the claim, for pvolumes.

    Args:
        given: set_owner_reference and action are accepted and ignored; others cannot be expressed.
        name: the task's name.
        resource_name: the claim's name, after the run's name when generate_unique_name.
        size: such as '5Gi'.
        storage_class: None for the cluster's default.
        modes: a list such as dsl.VOLUME_MODE_RWM.
        annotations: of the claim, a dict.
        data_source: a snapshot or claim to start from.
        volume_name: the volume to bind.
        generate_unique_name: whether each run makes a claim of its own (True).
    """

    def __init__(self, resource_name: str | None = None, size: Any = None, storage_class: Any = None, modes: Any = None,
                 annotations: dict[str, str] | None = None, data_source: Any = None, volume_name: Any = None,
                 generate_unique_name: bool = True, name: str | None = None, **given: Any):
        from kfp.dsl.v1_objects import plain
        from kfp.kubernetes import volumes
        unknown = sorted(set(given) - {'set_owner_reference', 'action'})
        if unknown:
            raise errors.UnsupportedV1Error(f'dsl.VolumeOp({unknown[0]}=…) cannot be expressed in IR')
        if not resource_name or size is None:
            raise errors.ArgumentError('dsl.VolumeOp() needs resource_name and size')
        component = volumes.claim_component()
        values = {'access_modes': list(modes or VOLUME_MODE_RWM), 'size': str(size), 'storage_class_name': storage_class,
                  'volume_name': volume_name, 'annotations': annotations, 'data_source': plain(data_source),
                  'pvc_name_suffix' if generate_unique_name else 'pvc_name':
                      f'-{resource_name}' if generate_unique_name else resource_name}
        arguments = component.bind((), {key: value for key, value in values.items() if value is not None})
        super().__init__(component.component_spec, arguments, context.current('dsl.VolumeOp'),
                         channels.sanitize(name or resource_name), lenient=True)

    @property
    def volume(self) -> PipelineVolume:
        """The claim, for pvolumes of other tasks."""
        return PipelineVolume(pvc=self.output)

    def delete(self) -> task_module.PipelineTask:
        """A task that deletes the claim. Let it wait for the claim's users by after()."""
        from kfp import kubernetes
        return kubernetes.DeletePVC(pvc_name=self.output)


class ResourceOp:
    """Not offered: IR has no task that makes any resource of Kubernetes.

    Raises UnsupportedV1Error. Make volume claims by VolumeOp or kfp.kubernetes.CreatePVC; other resources in a task, by
    kubectl or the Kubernetes client.
    """

    def __init__(self, name: str | None = None, k8s_resource: Any = None, action: str = 'create', *_: Any, **__: Any):
        from kfp.dsl.v1_objects import field
        kind = field(k8s_resource, 'kind') or 'resource'
        raise errors.UnsupportedV1Error(f'dsl.ResourceOp cannot be expressed in a v2 pipeline: to {action} a {kind}, run kubectl or the '
                                        'Kubernetes client in a task; for volume claims use dsl.VolumeOp')


class VolumeSnapshotOp:
    """Not offered: IR has no task that makes snapshots.

    Raises UnsupportedV1Error. Start a volume from a snapshot by VolumeOp(data_source=…).
    """

    def __init__(self, *_: Any, **__: Any):
        raise errors.UnsupportedV1Error('dsl.VolumeSnapshotOp cannot be expressed in a v2 pipeline; make the snapshot in a task, by kubectl')


def kubernetes_resource_delete_op(name: str, kind: str, *_: Any, **__: Any) -> None:
    """Not offered, as ResourceOp. Raises UnsupportedV1Error."""
    raise errors.UnsupportedV1Error(f'a v2 pipeline cannot delete the {kind} {name!r}; run kubectl in a task, or '
                                    'kfp.kubernetes.DeletePVC for a volume claim')
