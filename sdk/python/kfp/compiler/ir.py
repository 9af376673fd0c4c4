"""From components to PipelineSpec dicts."""

from __future__ import annotations

import copy

from kfp.compiler import graph as graphs
from kfp.dsl import channels, context, errors, groups, kinds, structures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kfp.compiler.graph import Graph, Scope
    from kfp.dsl.component_classes import BaseComponent
    from kfp.dsl.context import Group, Pipeline
    from kfp.dsl.groups import ParallelFor
    from kfp.dsl.pipeline_config import PipelineConfig
    from kfp.dsl.structures import ComponentSpec
    from kfp.dsl.task import PipelineTask

SDK_VERSION = 'kfp-2.17.0'
SCHEMA_VERSION = '2.1.0'


class Builder:
    """Collects the components and executors of one pipeline under unique names."""

    def __init__(self) -> None:
        self.components: dict[str, dict[str, Any]] = {}
        self.executors: dict[str, dict[str, Any]] = {}
        self.platforms: dict[str, dict[str, Any]] = {}
        self._names: dict[str, bool] = {}

    def unique(self, wanted: str) -> str:
        """`wanted`, or `wanted-2`, … when it is taken."""
        name, count = wanted, 1
        while name in self._names:
            count += 1
            name = f'{wanted}-{count}'
        self._names[name] = True
        return name

    # Pipelines and groups

    def add_dag(self, pipeline: Pipeline) -> dict[str, Any]:
        """The `dag` of a pipeline; its components are added on the way."""
        graph = graphs.Graph(pipeline)
        nested: list[Any] = []
        dag = self._dag(graph, pipeline.root, nested)
        for component, task in nested:
            self._fill_nested(component, task)
        outputs = graphs.dag_outputs(graph.outputs)
        if outputs:
            dag['outputs'] = outputs
        return dag

    def _dag(self, graph: Graph, group: Group, nested: list[Any]) -> dict[str, Any]:
        scope = graph.scopes[group]
        tasks = {}
        for child in group.children:
            if isinstance(child, context.Group):
                tasks[child.name] = self._group_task(graph, scope, child, nested)
            else:
                tasks[child.name] = self._task(scope, child, nested)
        return {'tasks': tasks}

    def _group_task(self, graph: Graph, scope: Scope, group: Group, nested: list[Any]) -> dict[str, Any]:
        name = self.unique('comp-' + group.name)
        inner = graph.scopes[group]
        component = self.components[name] = {}
        component['dag'] = self._dag(graph, group, nested)
        outputs = graphs.dag_outputs(inner.exports)
        if outputs:
            component['dag']['outputs'] = outputs
        component.update(graphs.interface(inner.inputs, inner.exports))
        entry = self._node(scope, group, name, group.display_name or group.name)
        if isinstance(group, groups._Branch):
            entry['triggerPolicy'] = {'condition': group.to_cel()}
        if isinstance(group, groups.ParallelFor):
            self._iterate(entry, group)
        return entry

    @staticmethod
    def _iterate(entry: dict[str, Any], loop: ParallelFor) -> None:
        item = loop.item.ir_name
        if not isinstance(loop.items, channels.Channel):
            entry['parameterIterator'] = {'itemInput': item, 'items': {'raw': loop.raw_items()}}
        elif loop.over_artifacts:
            entry['artifactIterator'] = {'itemInput': item, 'items': {'inputArtifact': loop.items.ir_name}}
        else:
            entry['parameterIterator'] = {'itemInput': item, 'items': {'inputParameter': loop.items.ir_name}}
        if loop.parallelism:
            entry['iteratorPolicy'] = {'parallelismLimit': loop.parallelism}

    @staticmethod
    def _node(scope: Scope, node: Any, component: Any, display_name: str | None) -> dict[str, Any]:
        entry: dict[str, Any] = {'componentRef': {'name': component}, 'taskInfo': {'name': display_name}}
        inputs: dict[str, Any] = {}
        for name, reference in scope.nodes[node].items():
            artifact = 'taskOutputArtifact' in reference or 'componentInputArtifact' in reference
            inputs.setdefault('artifacts' if artifact else 'parameters', {})[name] = reference
        if inputs:
            entry['inputs'] = inputs
        depends = scope.depends.get(node)
        if depends:
            entry['dependentTasks'] = sorted(depends)
        return entry

    # Tasks

    def _task(self, scope: Scope, task: PipelineTask, nested: list[Any]) -> dict[str, Any]:
        name = self.unique('comp-' + task.name)
        component = self.components[name] = {}
        self._fill(component, task, nested)
        entry = self._node(scope, task, name, task.display_name or task.name)
        entry['cachingOptions'] = {'enableCache': True} if task.caching else {}
        if task.cache_key:
            entry['cachingOptions']['cacheKey'] = task.cache_key
        if task.retry:
            entry['retryPolicy'] = dict(task.retry)
        strategy = 'ALL_UPSTREAM_TASKS_COMPLETED' if task.exit_handler is not None else task.strategy
        if strategy:
            entry['triggerPolicy'] = {'strategy': strategy}
        self._final_status(entry, task)
        return entry

    @staticmethod
    def _final_status(entry: dict[str, Any], task: PipelineTask) -> None:
        for name, spec in task.spec.inputs.items():
            if spec.kind.parameter != kinds.FINAL_STATUS:
                continue
            watched = entry.get('dependentTasks')
            if not watched or not (task.exit_handler is not None or task.strategy):
                raise errors.InvalidTopologyException(
                    f'{task.name!r} takes a PipelineTaskFinalStatus, so it must be the exit task of a dsl.ExitHandler, or follow a '
                    'task and have .ignore_upstream_failure()', task.location)
            entry.setdefault('inputs', {}).setdefault('parameters', {})[name] = {
                'taskFinalStatus': {'producerTask': watched[0]}}

    def _fill(self, component: Any, task: PipelineTask, nested: list[Any]) -> None:
        spec = task.spec
        component.update(spec.interface_to_ir())
        if spec.graph is not None or spec.loaded is not None:
            nested.append((component, task))
            return
        label = self.unique('exec-' + task.name)
        component['executorLabel'] = label
        if spec.importer is not None:
            self.executors[label] = {'importer': copy.deepcopy(spec.importer)}
            return
        self.executors[label] = {'container': _container(task)}
        platform = dict(spec.platform, **task.platform_ir)
        if platform:
            self.platforms[label] = platform

    def _fill_nested(self, component: Any, task: PipelineTask) -> None:
        if task.spec.graph is not None:
            component['dag'] = self.add_dag(task.spec.graph)
        else:
            assert task.spec.loaded is not None
            ir, platform = task.spec.loaded
            self._merge(component, ir, platform)

    def _merge(self, component: Any, ir: dict[str, Any], platform: dict[str, Any]) -> None:
        """Adds a loaded pipeline's components and executors under names of our own."""
        names = {old: self.unique(old) for old in sorted(ir.get('components', {}))}
        labels = {}
        executors = ((ir.get('deploymentSpec') or {}).get('executors')) or {}
        for old in sorted(executors):
            labels[old] = self.unique(old)
            self.executors[labels[old]] = copy.deepcopy(executors[old])
        settings = (((platform.get('platforms') or {}).get('kubernetes') or {}).get('deploymentSpec') or {}).get('executors') or {}
        for old, value in settings.items():
            self.platforms[labels.get(old, old)] = copy.deepcopy(value)

        def renamed(part: Any) -> dict[str, Any]:
            part = copy.deepcopy(part)
            if 'executorLabel' in part:
                part['executorLabel'] = labels[part['executorLabel']]
            for entry in part.get('dag', {}).get('tasks', {}).values():
                entry['componentRef']['name'] = names[entry['componentRef']['name']]
            return part
        for old, new in names.items():
            self.components[new] = renamed(ir['components'][old])
        component.update(renamed(ir['root']))


def _container(task: PipelineTask) -> dict[str, Any]:
    assert task.spec.container is not None
    entry = task.spec.container.to_ir()
    render = channels.placeholder
    if task.image is not None:
        entry['image'] = channels.replace(task.image, render)
    if task.env:
        env = dict(task.spec.container.env, **task.env)
        entry['env'] = [{'name': name, 'value': channels.replace(value, render)} for name, value in env.items()]
    if task.resources:
        entry['resources'] = channels.replace(task.resources, render)
    return entry


def wrap_component(component: BaseComponent, name: str | None = None) -> ComponentSpec:
    """A pipeline of one task for a component that is none."""
    spec = component.component_spec
    pipeline = context.Pipeline(context.pipeline_name(name or spec.name))
    with pipeline:
        arguments = {}
        for key, value in spec.inputs.items():
            if value.kind.parameter in (kinds.FINAL_STATUS, kinds.TASK_CONFIG):
                continue
            channel = pipeline.inputs[key] = channels.Channel(key, value.kind)
            channel.wanted = []
            arguments[key] = channel
        task = component(**arguments)
        pipeline.outputs = dict(task.outputs.items())
    inputs = {key: value for key, value in spec.inputs.items() if key in pipeline.inputs}
    return structures.ComponentSpec(pipeline.name, inputs, spec.outputs, spec.description, graph=pipeline)


def pipeline_spec(spec: ComponentSpec, display_name: str | None = None, pipeline_root: str | None = None,
                  pipeline_config: PipelineConfig | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """(PipelineSpec, PlatformSpec) dicts of a pipeline's ComponentSpec."""
    assert spec.graph is not None
    builder = Builder()
    root = {'dag': builder.add_dag(spec.graph)}
    if not root['dag']['tasks']:
        raise errors.InvalidTopologyException(f'the pipeline {spec.name!r} has no tasks', spec.graph.root.location)
    interface = spec.interface_to_ir()
    root.update(interface)
    document: dict[str, Any] = {
        'pipelineInfo': {'name': spec.name},
        'components': builder.components,
        'deploymentSpec': {'executors': builder.executors},
        'root': root,
        'schemaVersion': SCHEMA_VERSION,
        'sdkVersion': SDK_VERSION,
    }
    if display_name:
        document['pipelineInfo']['displayName'] = display_name
    if spec.description:
        document['pipelineInfo']['description'] = spec.description
    if pipeline_root:
        document['defaultPipelineRoot'] = pipeline_root
    platform: dict[str, Any] = {}
    if builder.platforms:
        platform['deploymentSpec'] = {'executors': builder.platforms}
    if pipeline_config is not None:
        settings = pipeline_config.to_ir()
        if settings:
            platform['pipelineConfig'] = settings
    return document, {'platforms': {'kubernetes': platform}} if platform else {}
