"""Which nodes a task may run on."""

from __future__ import annotations

from kfp.compiler import refs
from kfp.dsl import channels
from kfp.kubernetes.pods import add_to_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kfp.compiler.refs import PlatformValue
    from kfp.dsl.task import PipelineTask


def _json(field: str, value: Any) -> PlatformValue:
    return refs.PlatformValue(value, lambda reference, _: {field: reference})


def add_node_selector(task: PipelineTask, label_key: str, label_value: str) -> PipelineTask:
    """Only nodes with this label.

    Args:
        task: the task to change.
        label_key, label_value: the label.
    """
    task.platform.setdefault('nodeSelector', {}).setdefault('labels', {})[label_key] = label_value
    return task


def add_node_selector_json(task: PipelineTask, node_selector_json: Any) -> PipelineTask:
    """Only nodes with these labels.

    Args:
        task: the task to change.
        node_selector_json: a dict of labels, or a pipeline input or output that is one.
    """
    task.platform['nodeSelector'] = {'json': _json('nodeSelectorJson', node_selector_json)}
    return task


def add_toleration(task: PipelineTask, key: str | None = None, operator: str | None = None, value: str | None = None,
                   effect: str | None = None, toleration_seconds: int | None = None) -> PipelineTask:
    """Nodes with this taint too.

    Args:
        task: the task to change.
        key, operator, value, effect: the taint, as in Kubernetes; None for any.
        toleration_seconds: how long it is bearable.
    """
    entry: dict[str, Any] = {'key': key, 'operator': operator, 'value': value, 'effect': effect,
             'tolerationSeconds': None if toleration_seconds is None else str(toleration_seconds)}
    return add_to_list(task, 'tolerations', {name: item for name, item in entry.items() if item is not None})


def add_toleration_json(task: PipelineTask, toleration_json: Any) -> PipelineTask:
    """A toleration, or a list of them.

    Args:
        task: the task to change.
        toleration_json: a dict or list as in Kubernetes, or a pipeline input or output that is one.
    """
    if isinstance(toleration_json, channels.Channel):
        return add_to_list(task, 'tolerations', {'json': _json('tolerationJson', toleration_json)})
    for entry in toleration_json if isinstance(toleration_json, list) else [toleration_json]:
        given = {_snake(name): value for name, value in entry.items()}
        add_toleration(task, **given)
    return task


def _snake(name: str) -> str:
    return {'tolerationSeconds': 'toleration_seconds'}.get(name, name)


def add_node_affinity(task: PipelineTask, match_expressions: list[dict[str, Any]] | None = None,
                      match_fields: list[dict[str, Any]] | None = None, weight: int | None = None) -> PipelineTask:
    """Nodes that match.

    Args:
        task: the task to change.
        match_expressions, match_fields: lists of {key, operator, values}.
        weight: from 1 to 100: such nodes are preferred; None: they are required.
    """
    entry: dict[str, Any] = {}
    if match_expressions:
        entry['matchExpressions'] = match_expressions
    if match_fields:
        entry['matchFields'] = match_fields
    if weight is not None:
        entry['weight'] = weight
    return add_to_list(task, 'nodeAffinity', entry)


def add_node_affinity_json(task: PipelineTask, node_affinity_json: Any) -> PipelineTask:
    """Nodes that match, as a whole node affinity.

    Args:
        task: the task to change.
        node_affinity_json: a dict as in Kubernetes, or a pipeline input or output that is one.
    """
    return add_to_list(task, 'nodeAffinity', {'json': _json('nodeAffinityJson', node_affinity_json)})
