"""The ways in which a task's input says where its value comes from."""

from __future__ import annotations

from typing import Any, Dict

from kfp.dsl import structures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from kfp.dsl.channels import Channel
    from kfp.dsl.kinds import Kind


def constant(value: Any) -> dict[str, Any]:
    return {'runtimeValue': {'constant': structures.ir_value(value)}}


def pipeline_input(channel: Channel) -> dict[str, Any]:
    key = 'componentInputArtifact' if channel.kind.is_artifact else 'componentInputParameter'
    return {key: channel.name}


def component_input(channel: Channel) -> dict[str, Any]:
    key = 'componentInputArtifact' if channel.kind.is_artifact else 'componentInputParameter'
    return {key: channel.ir_name}


def task_output(kind: Kind, task: str, output: str) -> dict[str, Any]:
    if kind.is_artifact:
        return {'taskOutputArtifact': {'producerTask': task, 'outputArtifactKey': output}}
    return {'taskOutputParameter': {'producerTask': task, 'outputParameterKey': output}}


def producer(reference: dict[str, Any] | None) -> str | None:
    """The task of the same dag that gives the value, or None."""
    for key in ('taskOutputParameter', 'taskOutputArtifact'):
        if reference and key in reference:
            return reference[key]['producerTask']
    return None


class Spread(Dict[str, Any]):
    """Fields that belong to the object around, not under one key of it."""


class PlatformValue:
    """A value of a platform setting that may be a channel.

    `build(reference, value)` gives the fields; `value` is None for a channel.
    """

    def __init__(self, value: Any, build: Callable[[dict[str, Any], Any], dict[str, Any]]):
        self.value = value
        self.build = build

    def to_ir(self, reference: dict[str, Any]) -> Spread:
        runtime = reference.get('runtimeValue')
        return Spread(self.build(reference, runtime['constant'] if runtime else None))
