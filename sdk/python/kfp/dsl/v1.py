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


class Sidecar(UserContainer):
    """A container that runs beside a task's own; the arguments are those of UserContainer."""


def match_serialized_pipelineparam(payload: Any) -> list[channels.Channel]:
    """The outputs and pipeline inputs that stand in a text, each once."""
    return channels.find(payload)
