"""Which nodes a task may run on."""

from kfp.compiler import refs
from kfp.dsl import channels
from kfp.kubernetes.pods import add_to_list


def _json(field, value):
    return refs.PlatformValue(value, lambda reference, _: {field: reference})


def add_node_selector(task, label_key, label_value):
    """Only nodes with this label."""
    task.platform.setdefault('nodeSelector', {}).setdefault('labels', {})[label_key] = label_value
    return task


def add_node_selector_json(task, node_selector_json):
    """Only nodes with these labels: a dict or a channel that is one."""
    task.platform['nodeSelector'] = {'json': _json('nodeSelectorJson', node_selector_json)}
    return task


def add_toleration(task, key=None, operator=None, value=None, effect=None, toleration_seconds=None):
    """Nodes with this taint too."""
    entry = {'key': key, 'operator': operator, 'value': value, 'effect': effect,
             'tolerationSeconds': None if toleration_seconds is None else str(toleration_seconds)}
    return add_to_list(task, 'tolerations', {name: item for name, item in entry.items() if item is not None})


def add_toleration_json(task, toleration_json):
    """A toleration, or a list of them, as a dict, list or channel."""
    if isinstance(toleration_json, channels.Channel):
        return add_to_list(task, 'tolerations', {'json': _json('tolerationJson', toleration_json)})
    for entry in toleration_json if isinstance(toleration_json, list) else [toleration_json]:
        given = {_snake(name): value for name, value in entry.items()}
        add_toleration(task, **given)
    return task


def _snake(name):
    return {'tolerationSeconds': 'toleration_seconds'}.get(name, name)


def add_node_affinity(task, match_expressions=None, match_fields=None, weight=None):
    """Nodes that match; with a weight they are preferred, without it required."""
    entry = {}
    if match_expressions:
        entry['matchExpressions'] = match_expressions
    if match_fields:
        entry['matchFields'] = match_fields
    if weight is not None:
        entry['weight'] = weight
    return add_to_list(task, 'nodeAffinity', entry)


def add_node_affinity_json(task, node_affinity_json):
    """A node affinity as a dict or channel."""
    return add_to_list(task, 'nodeAffinity', {'json': _json('nodeAffinityJson', node_affinity_json)})
