"""Kubernetes objects as v1 authors give them: the client's classes, dicts with their names, or dicts of YAML."""

from __future__ import annotations

import re

from kfp.dsl import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def field(thing: Any, name: str, default: Any = None) -> Any:
    """The field `name` (in snake_case) of an object or dict, also under its camelCase name; `default` when it has none."""
    camel = re.sub('_([a-z])', lambda match: match.group(1).upper(), name)
    if isinstance(thing, dict):
        value = thing.get(name, thing.get(camel))
    else:
        value = getattr(thing, name, None)
    return default if value is None else value


def plain(thing: Any) -> Any:
    """An object of the Kubernetes client as YAML has it: dicts with camelCase names, without what is not set."""
    if isinstance(thing, (list, tuple)):
        return [plain(item) for item in thing]
    if isinstance(thing, dict):
        return {key: plain(value) for key, value in thing.items() if value is not None}
    names = getattr(thing, 'attribute_map', None)
    if names is None:
        return thing
    return {camel: plain(getattr(thing, name)) for name, camel in names.items() if getattr(thing, name) is not None}


def container_to_ir(container: Any, mounts: list[dict[str, Any]], sidecar: bool) -> dict[str, Any]:
    """An entry of initContainers. A sidecar is, as in Kubernetes, one that is started again whenever it ends."""
    name, image = field(container, 'name'), field(container, 'image')
    if not name or not image:
        raise errors.ValueProblem(f'an init container or sidecar needs a name and an image, and got {container!r}')
    entry: dict[str, Any] = {'name': name, 'image': image}
    for key in ('command', 'args'):
        words = field(container, key)
        if words:
            entry[key] = [str(word) for word in ([words] if isinstance(words, str) else words)]
    env = []
    for variable in field(container, 'env', []):
        if field(variable, 'value') is None:
            raise errors.UnsupportedV1Error(f'the variable {field(variable, "name")!r} of the container {name!r} must have a value of its own')
        env.append({'name': field(variable, 'name'), 'value': str(field(variable, 'value'))})
    if env:
        entry['env'] = env
    volume_mounts = plain(field(container, 'volume_mounts', []))
    if field(container, 'mirror_volume_mounts', False):
        volume_mounts = volume_mounts + mounts
    if volume_mounts:
        entry['volumeMounts'] = volume_mounts
    resources = plain(field(container, 'resources'))
    if resources:
        entry['resources'] = resources
    if sidecar:
        entry['restartPolicy'] = 'Always'
    return entry
