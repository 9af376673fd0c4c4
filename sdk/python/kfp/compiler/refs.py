"""The ways in which a task's input says where its value comes from."""

from kfp.dsl import structures


def constant(value):
    return {'runtimeValue': {'constant': structures.ir_value(value)}}


def pipeline_input(channel):
    key = 'componentInputArtifact' if channel.kind.is_artifact else 'componentInputParameter'
    return {key: channel.name}


def component_input(channel):
    key = 'componentInputArtifact' if channel.kind.is_artifact else 'componentInputParameter'
    return {key: channel.ir_name}


def task_output(kind, task, output):
    if kind.is_artifact:
        return {'taskOutputArtifact': {'producerTask': task, 'outputArtifactKey': output}}
    return {'taskOutputParameter': {'producerTask': task, 'outputParameterKey': output}}


def producer(reference):
    """The task of the same dag that gives the value, or None."""
    for key in ('taskOutputParameter', 'taskOutputArtifact'):
        if key in (reference or {}):
            return reference[key]['producerTask']
    return None


class Spread(dict):
    """Fields that belong to the object around, not under one key of it."""


class PlatformValue:
    """A value of a platform setting that may be a channel.

    `build(reference, value)` gives the fields; `value` is None for a channel.
    """

    def __init__(self, value, build):
        self.value = value
        self.build = build

    def to_ir(self, reference):
        runtime = reference.get('runtimeValue')
        return Spread(self.build(reference, runtime['constant'] if runtime else None))
