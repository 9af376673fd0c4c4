"""The methods that tasks had in v1: what the platform spec can say is said there, the rest is refused by name."""

from __future__ import annotations

from kfp.dsl import channels, errors
from kfp.dsl.v1_objects import container_to_ir, field, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from kfp.dsl.task import PipelineTask

_RESOURCES = {'cpu': 'cpu', 'memory': 'memory'}

# Methods of v1 containers that nothing in IR corresponds to, and what to do instead.
NOT_IN_IR = {
    'add_port': 'tasks have no ports', 'add_volume_devices': 'mount a volume by add_volume_mount',
    'set_ephemeral_storage_limit': 'use kfp.kubernetes.add_ephemeral_volume',
    'set_ephemeral_storage_request': 'use kfp.kubernetes.add_ephemeral_volume',
    'set_stdin': 'tasks have no input', 'set_stdin_once': 'tasks have no input', 'set_tty': 'tasks have no terminal',
    'set_readiness_probe': 'a task is no server', 'set_liveness_probe': 'use set_timeout', 'set_lifecycle': 'do it in the command',
    'set_termination_message_path': 'write an output', 'set_termination_message_policy': 'write an output',
    'add_env_from': 'name the keys: kfp.kubernetes.use_secret_as_env or use_config_map_as_env',
    'set_volume_devices': 'mount a volume by add_volume_mount', 'set_volume_mounts': 'use add_volume_mount',
}


class V1Methods:
    """Part of PipelineTask. Each method changes the task and returns it."""

    if TYPE_CHECKING:
        name: str
        platform: dict[str, Any]
        platform_hooks: list[Callable[[PipelineTask], None]]

    @property
    def container(self: Any) -> PipelineTask:
        """The task itself: v1 keeps some of its methods at the container."""
        task: PipelineTask = self
        return task

    @property
    def execution_options(self: Any) -> _ExecutionOptions:
        """v1: `task.execution_options.caching_strategy.max_cache_staleness = 'P0D'` switches caching off."""
        return _ExecutionOptions(self)

    @property
    def pvolumes(self: Any) -> dict[str, Any]:
        """{mount path: PipelineVolume} of add_pvolumes, each to be used by tasks after this one."""
        from kfp.dsl.v1_volumes import PipelineVolume
        return {path: PipelineVolume(pvc=name).after(self) for path, name in self.__dict__.get('_v1_pvolumes', {}).items()}

    @property
    def pvolume(self: Any) -> Any:
        """The only PipelineVolume of add_pvolumes. Raises ValueProblem when there are none or several."""
        found = self.pvolumes
        if len(found) != 1:
            raise errors.ValueProblem(f'task {self.name!r} has {len(found)} volumes; take one by .pvolumes[path]')
        return next(iter(found.values()))

    @property
    def dependent_names(self: Any) -> list[str]:
        """The names of the tasks that it waits for by after()."""
        names: list[str] = self.dependent_tasks
        return names

    def apply(self: Any, modifier: Callable[[Any], Any]) -> PipelineTask:
        """Gives the task to a function that changes it, such as those of kfp.onprem."""
        task: PipelineTask = modifier(self) or self
        return task

    def add_env_variable(self: Any, variable: Any) -> PipelineTask:
        """Sets an environment variable.

        Args:
            variable: an object or dict with `name` and `value`, or with `value_from` a key of a secret or config map, or a
                field of the pod.
        """
        from kfp import kubernetes
        task: PipelineTask = self
        name, source = field(variable, 'name'), field(variable, 'value_from')
        if source is None:
            return task.set_env_variable(name, field(variable, 'value', ''))
        secret, config_map, path = (field(source, key) for key in ('secret_key_ref', 'config_map_key_ref', 'field_ref'))
        if secret is not None:
            return kubernetes.use_secret_as_env(task, field(secret, 'name'), {field(secret, 'key'): name},
                                                bool(field(secret, 'optional', False)))
        if config_map is not None:
            return kubernetes.use_config_map_as_env(task, field(config_map, 'name'), {field(config_map, 'key'): name},
                                                    bool(field(config_map, 'optional', False)))
        if path is not None:
            return kubernetes.use_field_path_as_env(task, name, field(path, 'field_path'))
        raise errors.UnsupportedV1Error(f'the variable {name!r} takes its value from {source!r}; only secrets, config maps and '
                                        'fields of the pod can be expressed')

    def set_image_pull_policy(self: Any, policy: str) -> PipelineTask:
        """When the image is pulled: 'Always', 'Never' or 'IfNotPresent'."""
        from kfp import kubernetes
        return kubernetes.set_image_pull_policy(self, policy)

    def add_pod_label(self: Any, name: str, value: str) -> PipelineTask:
        """Sets a label of the task's pod.

        Args:
            name, value: the label.
        """
        self.platform.setdefault('podMetadata', {}).setdefault('labels', {})[name] = value
        task: PipelineTask = self
        return task

    def add_pod_annotation(self: Any, name: str, value: str) -> PipelineTask:
        """Sets an annotation of the task's pod.

        Args:
            name, value: the annotation.
        """
        self.platform.setdefault('podMetadata', {}).setdefault('annotations', {})[name] = value
        task: PipelineTask = self
        return task

    def set_timeout(self: Any, seconds: int) -> PipelineTask:
        """Ends the task when it runs longer than so many seconds."""
        self.platform['activeDeadlineSeconds'] = str(int(seconds))
        task: PipelineTask = self
        return task

    def add_toleration(self: Any, tolerations: Any) -> PipelineTask:
        """Allows nodes with a taint. tolerations: an object or dict with key, operator, value, effect, toleration_seconds."""
        from kfp import kubernetes
        return kubernetes.add_toleration(self, **{
            name: field(tolerations, name) for name in ('key', 'operator', 'value', 'effect', 'toleration_seconds')})

    def add_affinity(self: Any, affinity: Any) -> PipelineTask:
        """Chooses nodes. affinity: an object or dict with node_affinity; affinity to pods cannot be expressed."""
        from kfp import kubernetes
        task: PipelineTask = self
        if field(affinity, 'pod_affinity') or field(affinity, 'pod_anti_affinity'):
            raise errors.UnsupportedV1Error('add_affinity() takes node_affinity only; affinity to other pods cannot be expressed in IR')
        nodes = field(affinity, 'node_affinity')
        required = field(nodes, 'required_during_scheduling_ignored_during_execution')
        for term in field(required, 'node_selector_terms', []):
            kubernetes.add_node_affinity(task, plain(field(term, 'match_expressions')), plain(field(term, 'match_fields')))
        for preferred in field(nodes, 'preferred_during_scheduling_ignored_during_execution', []):
            term = field(preferred, 'preference')
            kubernetes.add_node_affinity(task, plain(field(term, 'match_expressions')), plain(field(term, 'match_fields')),
                                         field(preferred, 'weight'))
        return task

    def set_security_context(self: Any, security_context: Any) -> PipelineTask:
        """The ids under which the container runs: an object or dict with run_as_user, run_as_group, run_as_non_root."""
        from kfp import kubernetes
        return kubernetes.set_security_context(self, **{
            name: field(security_context, name) for name in ('run_as_user', 'run_as_group', 'run_as_non_root')})

    def add_resource_limit(self: Any, resource_name: str, value: Any) -> PipelineTask:
        """Sets a limit.

        Args:
            resource_name: 'cpu', 'memory', or the name of an accelerator such as 'nvidia.com/gpu'.
            value: how much.

        Raises:
            UnsupportedV1Error: another resource.
        """
        task: PipelineTask = self
        if resource_name in _RESOURCES:
            return task.set_cpu_limit(value) if resource_name == 'cpu' else task.set_memory_limit(value)
        if '/' in resource_name:
            return task.set_accelerator_type(resource_name).set_accelerator_limit(value)
        raise errors.UnsupportedV1Error(f'add_resource_limit({resource_name!r}) cannot be expressed in IR, which has cpu, memory and '
                                        'accelerators')

    def add_resource_request(self: Any, resource_name: str, value: Any) -> PipelineTask:
        """Sets a request.

        Args:
            resource_name: 'cpu' or 'memory'.
            value: how much.

        Raises:
            UnsupportedV1Error: another resource.
        """
        task: PipelineTask = self
        if resource_name in _RESOURCES:
            return task.set_cpu_request(value) if resource_name == 'cpu' else task.set_memory_request(value)
        raise errors.UnsupportedV1Error(f'add_resource_request({resource_name!r}) cannot be expressed in IR, which has cpu and memory')

    def add_volume(self: Any, volume: Any) -> PipelineTask:
        """Names a volume for add_volume_mount: a claim, secret, config map or empty folder, as an object or dict."""
        self.__dict__.setdefault('_v1_volumes', {})[field(volume, 'name')] = volume
        return _join_volumes(self)

    def add_volume_mount(self: Any, volume_mount: Any) -> PipelineTask:
        """Mounts a volume of add_volume: an object or dict with name, mount_path and sub_path."""
        self.__dict__.setdefault('_v1_mounts', []).append((volume_mount, errors.author_location()))
        return _join_volumes(self)

    def add_pvolumes(self: Any, pvolumes: dict[str, Any] | None = None) -> PipelineTask:
        """Mounts PipelineVolumes. pvolumes: {mount path: PipelineVolume}; a task that made one is waited for."""
        from kfp import kubernetes
        from kfp.dsl.v1_volumes import PipelineVolume
        task: PipelineTask = self
        for path, volume in (pvolumes or {}).items():
            if not isinstance(volume, PipelineVolume):
                raise errors.ValueProblem(f'add_pvolumes() takes PipelineVolumes, and got {volume!r} for {path!r}')
            if volume.volume is not None:
                task.add_volume(volume.volume)
                task.add_volume_mount({'name': field(volume.volume, 'name'), 'mount_path': path})
                continue
            kubernetes.mount_pvc(task, volume.pvc, path)
            if volume.dependent_tasks:
                task.after(*volume.dependent_tasks)
            self.__dict__.setdefault('_v1_pvolumes', {})[path] = volume.pvc
        return task

    def add_init_container(self: Any, init_container: Any) -> PipelineTask:
        """Runs a container before the task's own. init_container: a UserContainer, an object or a dict."""
        return _add_container(self, init_container, False)

    def add_sidecar(self: Any, sidecar: Any) -> PipelineTask:
        """Runs a container beside the task's own. sidecar: a Sidecar, an object or a dict."""
        return _add_container(self, sidecar, True)

    if not TYPE_CHECKING:  # a checker knows of no such attributes
        def __getattr__(self, name):
            if name in NOT_IN_IR:
                raise errors.UnsupportedV1Error(f'{name} cannot be expressed in a v2 pipeline; {NOT_IN_IR[name]}')
            raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}')


def _add_container(task: Any, container: Any, sidecar: bool) -> PipelineTask:
    mounts = [{'name': field(mount, 'name'), 'mountPath': field(mount, 'mount_path')}
              for mount, _ in task.__dict__.get('_v1_mounts', [])]
    task.platform.setdefault('initContainers', []).append(container_to_ir(container, mounts, sidecar))
    found: PipelineTask = task
    return found


def _join_volumes(task: Any) -> PipelineTask:
    """Puts each mount whose volume is known into the platform spec."""
    volumes = task.__dict__.get('_v1_volumes', {})
    left = []
    for mount, location in task.__dict__.get('_v1_mounts', []):
        if field(mount, 'name') in volumes:
            _mount(task, volumes[field(mount, 'name')], mount)
        else:
            left.append((mount, location))
    task.__dict__['_v1_mounts'] = left
    found: PipelineTask = task
    return found


def _mount(task: PipelineTask, volume: Any, mount: Any) -> None:
    from kfp import kubernetes
    name, path, sub_path = field(volume, 'name'), field(mount, 'mount_path'), field(mount, 'sub_path', '')
    claim, secret, config_map, empty = (field(volume, key) for key in (
        'persistent_volume_claim', 'secret', 'config_map', 'empty_dir'))
    if claim is not None:
        kubernetes.mount_pvc(task, field(claim, 'claim_name'), path, sub_path)
        return
    if sub_path:
        raise errors.UnsupportedV1Error(f'the mount of {name!r} has a sub_path, which only volume claims can have in IR')
    if secret is not None:
        kubernetes.use_secret_as_volume(task, field(secret, 'secret_name'), path, bool(field(secret, 'optional', False)))
    elif config_map is not None:
        kubernetes.use_config_map_as_volume(task, field(config_map, 'name'), path, bool(field(config_map, 'optional', False)))
    elif empty is not None or (isinstance(volume, dict) and ('empty_dir' in volume or 'emptyDir' in volume)):
        kubernetes.empty_dir_mount(task, name, path, field(empty or {}, 'medium'), field(empty or {}, 'size_limit'))
    else:
        raise errors.UnsupportedV1Error(f'the volume {name!r} is none of those that IR can express: a volume claim, a secret, a '
                                        'config map or an empty folder')


def check_mounts(task: Any) -> None:
    """Raises ValueProblem when a mount names a volume that the task does not have."""
    for mount, location in task.__dict__.get('_v1_mounts', []):
        raise errors.ValueProblem(f'{task.name!r} mounts the volume {field(mount, "name")!r}, which add_volume() did not name', location)


class _ExecutionOptions:
    """v1: `task.execution_options.caching_strategy.max_cache_staleness`."""

    _task: Any

    def __init__(self, task: Any):
        self.__dict__['_task'] = task

    @property
    def caching_strategy(self) -> _ExecutionOptions:
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        if name != 'max_cache_staleness':
            raise AttributeError(name)
        off = channels.sanitize(value) in ('p0d', 'p0', 'pt0s', 'p0m', 'p0w', 'pt0m', 'pt0h')
        if not off and value is not None:
            import warnings
            warnings.warn(f'max_cache_staleness={value!r}: IR knows only whether results may be used again, so they may, however old',
                          stacklevel=2)
        self._task.set_caching_options(not off)
