"""Volumes of tasks, and the tasks that make and delete volume claims."""

from kfp.compiler import refs
from kfp.dsl import component_classes, errors, kinds, structures
from kfp.kubernetes.pods import add_to_list


def mount_pvc(task, pvc_name, mount_path, sub_path=''):
    """Mounts a volume claim. pvc_name: a text, a pipeline input, or CreatePVC's output."""
    def build(reference, constant):
        entry = {'pvcNameParameter': reference}
        if constant is not None:
            entry['constant'] = constant
        else:
            entry.update(reference)
        return entry
    entry = {'name': refs.PlatformValue(pvc_name, build), 'mountPath': mount_path}
    if sub_path:
        entry['subPath'] = sub_path
    for channel in _channels(pvc_name):
        if channel.producer is not None and channel.producer.parent is task.parent:
            task.after(channel.producer)
    return add_to_list(task, 'pvcMount', entry)


def _channels(value):
    from kfp.dsl import channels
    return channels.find(value)


def empty_dir_mount(task, volume_name, mount_path, medium=None, size_limit=None):
    """Mounts an empty folder. medium: 'Memory' for one in memory."""
    entry = {'volumeName': volume_name, 'mountPath': mount_path}
    if medium:
        entry['medium'] = medium
    if size_limit:
        entry['sizeLimit'] = size_limit
    return add_to_list(task, 'emptyDirMounts', entry)


def add_ephemeral_volume(task, volume_name, mount_path, access_modes, size, storage_class_name=None, labels=None,
                         annotations=None):
    """Mounts a volume that is made for the task and deleted with it."""
    entry = {'volumeName': volume_name, 'mountPath': mount_path, 'accessModes': list(access_modes), 'size': size}
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


def _component(name, image, inputs, outputs):
    spec = structures.ComponentSpec(name, inputs, outputs, container=structures.Container(image))
    return component_classes.BaseComponent(spec)


def _input(parameter, optional=False, default=structures.NO_DEFAULT):
    return structures.InputSpec(kinds.Kind(parameter), default, optional=optional)


def CreatePVC(access_modes, size, pvc_name=None, pvc_name_suffix=None, storage_class_name=None, volume_name=None,
              annotations=None, data_source=None):
    """A task that makes a volume claim; its output `name` is the claim's name.

    access_modes: a list such as ['ReadWriteOnce']. size: such as '5Gi'. Either
    pvc_name, or pvc_name_suffix, which is put after the run's name.
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


def claim_component():
    """The component that makes a volume claim."""
    return _component('createpvc', 'argostub/createpvc', {
        'access_modes': _input(kinds.LIST), 'size': _input(kinds.STRING),
        'pvc_name': _input(kinds.STRING, True), 'pvc_name_suffix': _input(kinds.STRING, True),
        'storage_class_name': _input(kinds.STRING, True, ''), 'volume_name': _input(kinds.STRING, True),
        'annotations': _input(kinds.STRUCT, True), 'data_source': _input(kinds.STRUCT, True),
    }, {'name': structures.OutputSpec(kinds.Kind(kinds.STRING))})


def DeletePVC(pvc_name):
    """A task that deletes a volume claim."""
    return _component('deletepvc', 'argostub/deletepvc', {'pvc_name': _input(kinds.STRING)}, {})(pvc_name=pvc_name)
