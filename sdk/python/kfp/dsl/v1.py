"""v1 names that have no own module: decorators, containers beside a task, and small helpers."""

from __future__ import annotations

import enum

from kfp.dsl import channels, errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

ROOT_PARAMETER_NAME = 'pipeline-root'


class PipelineExecutionMode(enum.Enum):
    """How v1 compiled pipelines; accepted by the compiler, whose result is always IR."""
    V1_LEGACY = 1
    V2_COMPATIBLE = 2
    V2_ENGINE = 3


def python_component(name: str, description: str | None = None, base_image: str | None = None,
                     target_component_file: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Names a function for func_to_container_op; the function stays a function.

    Args:
        name, description: of the component.
        base_image: the image that it runs in.
        target_component_file: accepted and ignored.
    """

    def mark(func: Any) -> Any:
        func._component_settings = {'name': name, 'description': description, 'base_image': base_image}
        return func
    return mark


def graph_component(func: Callable[..., Any]) -> Any:
    """Not offered: recursion. Raises UnsupportedV1Error."""
    raise errors.UnsupportedV1Error(
        'dsl.graph_component: a v2 pipeline cannot call itself; use dsl.ParallelFor over a list, or put the loop into one task',
        errors.function_location(func))


class UserContainer:
    """A container that runs before a task's own, for init_containers.

    Args:
        name, image: of the container.
        command, args: lists of texts, or one text.
        mirror_volume_mounts: mount the task's volumes in it as well.
        kwargs: further fields of a Kubernetes container, such as env.
    """

    def __init__(self, name: str, image: str, command: Any = None, args: Any = None, mirror_volume_mounts: bool | None = None,
                 **kwargs: Any):
        self.name = name
        self.image = image
        self.command = command
        self.args = args
        self.mirror_volume_mounts = mirror_volume_mounts
        vars(self).update(kwargs)

    def set_mirror_volume_mounts(self, mirror_volume_mounts: bool = True) -> UserContainer:
        """Mounts the task's volumes in it as well."""
        self.mirror_volume_mounts = mirror_volume_mounts
        return self


    def set_env_variable(self, name: str, value: str) -> UserContainer:
        """Sets an environment variable.

        Args:
            name, value: the variable.
        """
        return self.add_env_variable({'name': name, 'value': value})

    def add_env_variable(self, env_variable: Any) -> UserContainer:
        """Sets an environment variable from an object or dict with name and value."""
        return self._append('env', env_variable)

    def add_volume_mount(self, volume_mount: Any) -> UserContainer:
        """Mounts a volume of the task: an object or dict with name and mount_path."""
        return self._append('volume_mounts', volume_mount)

    def add_resource_limit(self, resource_name: str, value: Any) -> UserContainer:
        """Sets a limit.

        Args:
            resource_name: such as 'cpu'.
            value: how much.
        """
        return self._resource('limits', resource_name, value)

    def add_resource_request(self, resource_name: str, value: Any) -> UserContainer:
        """Sets a request.

        Args:
            resource_name: such as 'cpu'.
            value: how much.
        """
        return self._resource('requests', resource_name, value)

    def set_cpu_limit(self, cpu: Any) -> UserContainer:
        """At most so many cores."""
        return self._resource('limits', 'cpu', cpu)

    def set_cpu_request(self, cpu: Any) -> UserContainer:
        """At least so many cores."""
        return self._resource('requests', 'cpu', cpu)

    def set_memory_limit(self, memory: Any) -> UserContainer:
        """At most so much memory."""
        return self._resource('limits', 'memory', memory)

    def set_memory_request(self, memory: Any) -> UserContainer:
        """At least so much memory."""
        return self._resource('requests', 'memory', memory)

    def _append(self, field: str, item: Any) -> UserContainer:
        vars(self)[field] = list(vars(self).get(field) or []) + [item]
        return self

    def _resource(self, end: str, name: str, value: Any) -> UserContainer:
        resources = vars(self).setdefault('resources', {})
        resources.setdefault(end, {})[name] = str(value)
        return self


class Sidecar(UserContainer):
    """A container that runs beside a task's own; the arguments are those of UserContainer."""


def match_serialized_pipelineparam(payload: Any) -> list[channels.Channel]:
    """The outputs and pipeline inputs that stand in a text, each once."""
    return channels.find(payload)
