"""dsl.importer: an artifact that exists already."""

from __future__ import annotations

from kfp.dsl import channels, component_classes, errors, kinds, structures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kfp.dsl.task import PipelineTask


def importer(artifact_uri: Any, artifact_class: Any, reimport: bool = False, metadata: dict[str, Any] | None = None,
             download_to_workspace: bool = False) -> PipelineTask:
    """A task whose output `artifact` is what lies at `artifact_uri`.

    Args:
        artifact_uri: a URI, a pipeline input or a task's output.
        artifact_class: its class, such as dsl.Dataset.
        reimport: make a new artifact even when one with this URI is known (False).
        metadata: a dict of JSON values; may have pipeline inputs and outputs in it.
        download_to_workspace: also copy it to the run's workspace (False).
    """
    kind = kinds.artifact_kind(artifact_class)
    if kind is None:
        raise errors.ValueProblem(f'dsl.importer() needs an artifact class such as dsl.Dataset, and got {artifact_class!r}')
    text = kinds.Kind(kinds.STRING)
    inputs = {'uri': structures.InputSpec(text)}
    arguments = {'uri': artifact_uri}
    names: dict[int, str] = {}
    for channel in channels.find(metadata or {}):
        name = 'metadata' if not names else f'metadata-{len(names) + 1}'
        names[id(channel)] = name
        inputs[name] = structures.InputSpec(channel.kind)
        arguments[name] = channel
    if channels.find(artifact_uri):
        uri = {'runtimeParameter': 'uri'}
    elif isinstance(artifact_uri, str):
        uri = {'constant': artifact_uri}
    else:
        raise errors.ValueProblem(f'dsl.importer() needs a URI, and got {artifact_uri!r}')
    entry: dict[str, Any] = {'artifactUri': uri,
             'typeSchema': {'schemaTitle': kind.title, 'schemaVersion': kind.version}}
    if metadata:
        entry['metadata'] = structures.ir_value(channels.replace(
            metadata, lambda channel: "{{$.inputs.parameters['%s']}}" % names[id(channel)]))
    if reimport:
        entry['reimport'] = True
    if download_to_workspace:
        entry['downloadToWorkspace'] = True
    spec = structures.ComponentSpec('importer', inputs, {'artifact': structures.OutputSpec(kind)}, importer=entry)
    return component_classes.BaseComponent(spec)(**{'uri': artifact_uri}, **{k: v for k, v in arguments.items() if k != 'uri'})
