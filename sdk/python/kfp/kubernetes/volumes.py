"""Volumes of tasks, and the tasks that make and delete volume claims."""

from __future__ import annotations

from kfp.compiler import refs
from kfp.dsl import component_classes, errors, kinds, structures
from kfp.kubernetes.pods import add_to_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kfp.dsl.channels import Channel
    from kfp.dsl.component_classes import BaseComponent
    from kfp.dsl.structures import InputSpec, OutputSpec
    from kfp.dsl.task import PipelineTask


def mount_pvc(task: PipelineTask, pvc_name: str | Channel, mount_path: str, sub_path: str = '') -> PipelineTask:
    """Mounts a volume claim.

    Args:
        task: the task to change.
        pvc_name: a text, a pipeline input, or the output of CreatePVC, which is then waited for.
        mount_path: the folder.
        sub_path: a folder of the volume, instead of all of it.
    """
    def build(reference: dict[str, Any], constant: Any) -> dict[str, Any]:
        entry = {'pvcNameParameter': reference}
        if constant is not None:
            entry['constant'] = constant
        else:
            entry.update(reference)
        return entry
    entry: dict[str, Any] = {'name': refs.PlatformValue(pvc_name, build), 'mountPath': mount_path}
    if sub_path:
        entry['subPath'] = sub_path
    for channel in _channels(pvc_name):
        if channel.producer is not None and channel.producer.parent is task.parent:
            task.after(channel.producer)
    return add_to_list(task, 'pvcMount', entry)


def _channels(value: Any) -> list[Channel]:
    from kfp.dsl import channels
    return channels.find(value)


def empty_dir_mount(task: PipelineTask, volume_name: str, mount_path: str, medium: str | None = None,
                    size_limit: str | None = None) -> PipelineTask:
    """Mounts an empty folder.

    Args:
        task: the task to change.
        volume_name: its name.
        mount_path: the folder.
        medium: 'Memory' for one in memory.
        size_limit: such as '1Gi'.
    """
    entry: dict[str, Any] = {'volumeName': volume_name, 'mountPath': mount_path}
    if medium:
        entry['medium'] = medium
    if size_limit:
        entry['sizeLimit'] = size_limit
    return add_to_list(task, 'emptyDirMounts', entry)


def add_ephemeral_volume(task: PipelineTask, volume_name: str, mount_path: str, access_modes: list[str], size: str,
                         storage_class_name: str | None = None, labels: dict[str, str] | None = None,
                         annotations: dict[str, str] | None = None) -> PipelineTask:
    """Mounts a volume that is made for the task and deleted with it.

    Args:
        task: the task to change.
        volume_name: its name.
        mount_path: the folder.
        access_modes: a list such as ['ReadWriteOnce'].
        size: such as '5Gi'.
        storage_class_name: None for the cluster's default.
        labels, annotations: of the claim.
    """
    entry: dict[str, Any] = {'volumeName': volume_name, 'mountPath': mount_path, 'accessModes': list(access_modes), 'size': size}
    if storage_class_name is None:
        entry['defaultStorageClass'] = True
    else:
        entry['storageClassName'] = storage_class_name
    metadata = {}
    if labels:
        metadata['labels'] = labels
    if annotations:
        metadata['annotations'] = annotations
    if metadata:
        entry['metadata'] = metadata
    return add_to_list(task, 'genericEphemeralVolume', entry)


def _component(name: str, image: Any, inputs: dict[str, InputSpec], outputs: dict[str, OutputSpec]) -> BaseComponent:
    spec = structures.ComponentSpec(name, inputs, outputs, container=structures.Container(image))
    return component_classes.BaseComponent(spec)


def _input(parameter: str, optional: bool = False, default: Any = structures.NO_DEFAULT) -> InputSpec:
    return structures.InputSpec(kinds.Kind(parameter), default, optional=optional)


def CreatePVC(access_modes: list[str] | Channel, size: str | Channel, pvc_name: str | Channel | None = None,
              pvc_name_suffix: str | Channel | None = None, storage_class_name: str | None = None,
              volume_name: str | None = None, annotations: dict[str, str] | None = None,
              data_source: dict[str, Any] | None = None) -> PipelineTask:
    """A task that makes a volume claim; its output `name` is the claim's name.

    Args:
        volume_name: the volume to bind.
        annotations: of the claim, a dict.
        data_source: a snapshot or claim to start from.
        access_modes: a list such as ['ReadWriteOnce'].
        size: such as '5Gi'. Either pvc_name, or pvc_name_suffix, which is put after the run's name.
        storage_class_name: None for the cluster's default, '' for none.
    """
    if pvc_name is None and pvc_name_suffix is None:
        raise errors.ArgumentError('CreatePVC() needs pvc_name or pvc_name_suffix')
    if pvc_name is not None and pvc_name_suffix is not None:
        raise errors.ArgumentError('CreatePVC() takes pvc_name or pvc_name_suffix, not both')
    given = {'access_modes': access_modes, 'size': size, 'pvc_name': pvc_name, 'pvc_name_suffix': pvc_name_suffix,
             'storage_class_name': storage_class_name, 'volume_name': volume_name, 'annotations': annotations,
             'data_source': data_source}
    return claim_component()(**{name: value for name, value in given.items() if value is not None})


def claim_component() -> BaseComponent:
    """The component that makes a volume claim."""
    return _component('createpvc', 'argostub/createpvc', {
        'access_modes': _input(kinds.LIST), 'size': _input(kinds.STRING),
        'pvc_name': _input(kinds.STRING, True), 'pvc_name_suffix': _input(kinds.STRING, True),
        'storage_class_name': _input(kinds.STRING, True, ''), 'volume_name': _input(kinds.STRING, True),
        'annotations': _input(kinds.STRUCT, True), 'data_source': _input(kinds.STRUCT, True),
    }, {'name': structures.OutputSpec(kinds.Kind(kinds.STRING))})


def DeletePVC(pvc_name: str | Channel) -> PipelineTask:
    """A task that deletes a volume claim."""
    return _component('deletepvc', 'argostub/deletepvc', {'pvc_name': _input(kinds.STRING)}, {})(pvc_name=pvc_name)
