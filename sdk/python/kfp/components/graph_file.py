"""component.yaml files whose implementation is a graph of other components."""

from __future__ import annotations

import os

from kfp.dsl import channels, component_classes, context, errors, kinds, structures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def from_document(document: dict[str, Any], base: str | None) -> component_classes.GraphComponent:
    """The pipeline that the graph describes.

    Args:
        base: the file or URL that relative URLs of components start from.

    Raises:
        ValueProblem: for what is wrong in the file.
    """
    return _Reader(document, base).component()


class _Reader:
    def __init__(self, document: dict[str, Any], base: str | None):
        self.document = document
        self.base = base
        self.name = document.get('name') or 'graph'
        graph = document['implementation']['graph'] or {}
        self.tasks: dict[str, Any] = graph.get('tasks') or {}
        self.values: dict[str, Any] = graph.get('outputValues') or {}
        self.inputs = {structures.python_name(entry['name']): entry for entry in document.get('inputs') or []}
        self.made: dict[str, Any] = {}
        self.open: list[str] = []
        if not self.tasks:
            raise errors.ValueProblem(f'the component {self.name!r} is a graph without tasks')

    def component(self) -> component_classes.GraphComponent:
        def graph(**given: Any) -> None:
            self.given = given
            for task_id in self.tasks:
                self.task(task_id)
        pipeline = context.Pipeline(context.pipeline_name(self.name))
        inputs = {key: self._input(entry) for key, entry in self.inputs.items()}
        for key, spec in inputs.items():
            pipeline.inputs[key] = channels.Channel(key, spec.kind)
            pipeline.inputs[key].wanted = []
        with pipeline:
            graph(**pipeline.inputs)
        outputs = {}
        for entry in self.document.get('outputs') or []:
            key = structures.python_name(entry['name'])
            if entry['name'] not in self.values:
                raise errors.ValueProblem(f'the graph {self.name!r} gives no value for its output {entry["name"]!r}')
            channel = pipeline.outputs[key] = self.value(self.values[entry['name']], f'the output {entry["name"]!r}')
            outputs[key] = structures.OutputSpec(channel.kind, entry.get('description'))
        graph.__name__, graph.__doc__ = structures.python_name(self.name), self.document.get('description')
        whole = structures.ComponentSpec(pipeline.name, inputs, outputs, self.document.get('description'), graph=pipeline)
        made = component_classes.GraphComponent(whole, graph)
        made.lenient = True
        return made

    def _input(self, entry: dict[str, Any]) -> structures.InputSpec:
        kind = kinds.parameter_kind(entry.get('type'))
        if kind is None and self._is_artifact(entry['name']):
            kind = kinds.artifact_kind(entry['type']) if isinstance(entry.get('type'), str) else None
            kind = kind or kinds.artifact_kind('Artifact')
        kind = kind or kinds.Kind(kinds.STRING)
        default = entry.get('default', structures.NO_DEFAULT)
        if default is not structures.NO_DEFAULT:
            default = structures.NO_DEFAULT if kind.is_artifact else structures.check_default(entry['name'], kind, default, None)
        return structures.InputSpec(kind, default, entry.get('description'), optional=bool(entry.get('optional')))

    def _is_artifact(self, name: str) -> bool:
        """Whether a task takes the graph's input as an artifact."""
        for task in self.tasks.values():
            component = self._component_of(task)
            for argument, value in (task.get('arguments') or {}).items():
                if isinstance(value, dict) and (value.get('graphInput') or {}).get('inputName') == name:
                    key = structures.find_name(component.component_spec.inputs, structures.python_name(argument))
                    if key and component.component_spec.inputs[key].kind.is_artifact:
                        return True
        return False

    def _component_of(self, task: dict[str, Any]) -> Any:
        from kfp.components import load
        reference = task.get('componentRef') or {}
        if '_loaded' not in reference:
            if 'spec' in reference:
                reference['_loaded'] = load._from_documents([reference['spec']], self.base)
            elif 'url' in reference:
                url = reference['url']
                if '://' not in url and self.base:
                    url = os.path.join(os.path.dirname(self.base), url)
                reference['_loaded'] = load.load_component_from_url(url)
            else:
                raise errors.ValueProblem(f'a task of the graph {self.name!r} names no component: componentRef needs spec or url')
        return reference['_loaded']

    def task(self, task_id: str) -> Any:
        """The task; it and those that it takes from are made when they are not there yet."""
        if task_id in self.made:
            return self.made[task_id]
        if task_id not in self.tasks:
            raise errors.ValueProblem(f'the graph {self.name!r} uses the task {task_id!r} and has none of that name')
        if task_id in self.open:
            circle = ' -> '.join(self.open[self.open.index(task_id):] + [task_id])
            raise errors.InvalidTopologyException(f'tasks of the graph {self.name!r} wait for each other in a circle: {circle}')
        self.open.append(task_id)
        entry = self.tasks[task_id]
        if entry.get('isEnabled') not in (None, True, 'true', 'True'):
            raise errors.UnsupportedV1Error(f'the task {task_id!r} of the graph {self.name!r} has a condition, which a file cannot give; '
                                            'write it as a pipeline with dsl.If')
        arguments = {structures.python_name(name): self.value(value, f'the argument {name!r} of {task_id!r}')
                     for name, value in (entry.get('arguments') or {}).items()}
        task = self.made[task_id] = self._component_of(entry)(**arguments)
        staleness = (((entry.get('executionOptions') or {}).get('cachingStrategy')) or {}).get('maxCacheStaleness')
        if staleness is not None:
            task.execution_options.caching_strategy.max_cache_staleness = staleness
        self.open.pop()
        return task

    def value(self, value: Any, what: str) -> Any:
        if not isinstance(value, dict):
            return value
        if 'graphInput' in value:
            given = value['graphInput']
            name = given['inputName'] if isinstance(given, dict) else given
            key = structures.python_name(name)
            if key not in self.given:
                raise errors.ValueProblem(f'{what} of the graph {self.name!r} takes the input {name!r}, which the graph does not have')
            return self.given[key]
        if 'taskOutput' in value:
            output = value['taskOutput']
            return self.task(output['taskId']).outputs[output['outputName']]
        raise errors.ValueProblem(f'{what} of the graph {self.name!r} is {value!r}; it takes a text, graphInput or taskOutput')
