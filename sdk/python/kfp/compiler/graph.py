"""From the tasks of a pipeline to dags: who gives what to whom, through which scopes."""

from __future__ import annotations

from kfp.compiler import refs
from kfp.dsl import channels, context, errors, groups, kinds, structures, v1_task
from kfp.dsl import task as task_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, NoReturn

    from kfp.dsl.channels import Channel, Collected, OneOf
    from kfp.dsl.context import Group, Pipeline
    from kfp.dsl.kinds import Kind
    from kfp.dsl.task import PipelineTask


class Scope:
    """What the compiler knows about one group: its inputs and what it gives outwards."""

    def __init__(self, group: Group):
        self.group = group
        self.inputs: dict[str, Kind] = {}   # IR name -> Kind
        self.given: dict[str, Any] = {}    # IR name -> the reference in the group around it
        self.exports: dict[str, tuple[Kind, list[tuple[str, str]]]] = {}  # output key -> (Kind, [(subtask, key)])
        self.nodes: dict[Any, dict[str, Any]] = {}    # node -> {input name: reference}
        self.depends: dict[Any, set[str]] = {}  # node -> set of names


class Graph:
    """Resolves every channel of one pipeline."""

    def __init__(self, pipeline: Pipeline):
        self.pipeline = pipeline
        self.scopes = {}
        for group in self._groups(pipeline.root):
            self.scopes[group] = Scope(group)
        for task in pipeline.tasks.values():
            self._resolve_task(task)
        for group in self.scopes:
            self._resolve_group(group)
        self._add_waits()
        self.outputs = {name: self._root_output(name, channel) for name, channel in pipeline.outputs.items()}
        self._collect_dependencies()
        for scope in self.scopes.values():
            _check_cycles(scope)

    def _groups(self, group: Group) -> Iterator[Group]:
        yield group
        for child in group.children:
            if isinstance(child, context.Group):
                yield from self._groups(child)

    # Tasks

    def _resolve_task(self, task: PipelineTask) -> None:
        group = task.parent
        inputs: dict[str, Any] = {}
        for name, value in task.arguments.items():
            if value is None:
                continue
            inputs[name] = self.value(value, group, task, inputs, task.spec.inputs[name].kind)
        for name, value in task.extra_inputs.items():
            inputs[name] = self.value(value, group, task, inputs, kinds.Kind(kinds.STRING))
        for channel in channels.find([task.env, task.resources]):
            self._add_channel_input(channel, group, task, inputs)
        v1_task.check_mounts(task)
        task.platform_ir = self._platform(task.platform, group, task)
        self.scopes[group].nodes[task] = inputs
        # Every scope between a branch and its tasks carries the values of the condition.
        for outer in group.ancestors():
            if isinstance(outer, groups._Branch):
                for comparison in outer.comparisons():
                    for channel in comparison.channels():
                        self.resolve(channel, group, outer)

    def value(self, value: Any, group: Group, node: Any, inputs: dict[str, Any], kind: Kind | None) -> dict[str, Any]:
        """The reference for a task's argument: a channel, or a constant with channels in it."""
        if isinstance(value, channels.Channel):
            return self.resolve(value, group, node)
        found = channels.find(value)
        for channel in found:
            if channel.kind.is_artifact:
                raise errors.InconsistentTypeException(
                    f'the artifact {channel.full_name!r} stands in a text given to {node.name!r}; texts take parameters',
                    node.location)
            self._add_channel_input(channel, group, node, inputs)
        constant = channels.replace(value, channels.placeholder) if found else value
        try:
            return refs.constant(constant)
        except errors.ValueProblem as error:
            raise errors.ValueProblem(error.message, node.location) from error

    def _add_channel_input(self, channel: Channel, group: Group, node: Any, inputs: dict[str, Any]) -> None:
        inputs[channel.ir_name] = self.resolve(channel, group, node)

    def _platform(self, value: Any, group: Group, task: PipelineTask) -> Any:
        """The task's platform settings with channels resolved."""
        if isinstance(value, refs.PlatformValue):
            reference = self.value(value.value, group, task, {}, None)
            producer = refs.producer(reference)
            if producer:
                self.scopes[group].depends.setdefault(task, set()).add(producer)
            return value.to_ir(reference)
        if isinstance(value, dict):
            found: dict[str, Any] = {}
            for key, item in value.items():
                item = self._platform(item, group, task)
                if isinstance(item, refs.Spread):
                    found.update(item)
                else:
                    found[key] = item
            return found
        if isinstance(value, list):
            return [self._platform(item, group, task) for item in value]
        return value

    # Channels

    def resolve(self, channel: Channel, group: Group, user: Any) -> dict[str, Any]:
        """The reference by which a node of `group` gets `channel`."""
        if isinstance(channel, channels.LoopItem):
            self._check_inside(channel, group, user)
            if channel.loop is group:
                return refs.component_input(channel)
            return self._carry(channel, group, user)
        if isinstance(channel, channels.LoopItemField):
            self._check_inside(channel, group, user)
            if channel.loop is group:
                reference = refs.component_input(channel.item)
                reference['parameterExpressionSelector'] = channel.selector
                return reference
            return self._carry(channel, group, user)
        if channel.producer is None:
            if self.pipeline.inputs.get(channel.name) is None:
                raise errors.InvalidTopologyException(
                    f'{user.name!r} uses {channel.name!r}, which is no input of the pipeline {self.pipeline.name!r}', user.location)
            if group is self.pipeline.root:
                return refs.pipeline_input(channel)
            return self._carry(channel, group, user)
        producer, key = self._surface(channel, group, user)
        if producer.parent is group:
            return refs.task_output(channel.kind, producer.name, key)
        return self._carry(channel, group, user)

    def _carry(self, channel: Channel, group: Group, user: Any) -> dict[str, Any]:
        """Makes `channel` an input of `group` and of the groups around it."""
        scope = self.scopes[group]
        name = channel.ir_name
        if name not in scope.inputs:
            scope.inputs[name] = channel.kind
            scope.given[name] = None
            scope.given[name] = self.resolve(channel, group.parent, user)
        return refs.component_input(channel)

    def _check_inside(self, channel: Channel, group: Group, user: Any) -> None:
        if channel.loop not in set(group.ancestors()):
            raise errors.InvalidTopologyException(
                f'{user.name!r} uses the item of a dsl.ParallelFor outside its block; use dsl.Collected(…) on an output of the loop',
                user.location)

    def _surface(self, channel: Channel, group: Group, user: Any) -> tuple[Any, str]:
        """(node, output key) that gives `channel` in a scope that `group` can see."""
        around = list(group.ancestors())
        if isinstance(channel, channels.Collected):
            node, key = self._inner_producer(channel.channel)
            return self._export_up(channel, node, key, around, user)
        node, key = self._inner_producer(channel)
        while isinstance(node.parent, groups.SubGraph) and node.parent not in around:
            self.scopes[node.parent].exports[channel.ir_name] = (channel.kind, [(node.name, key)])
            node, key = node.parent, channel.ir_name
        if node.parent in around:
            return node, key
        self._refuse(channel, node, around, user)

    def _inner_producer(self, channel: Channel) -> tuple[Any, str]:
        if isinstance(channel, channels.OneOf):
            self._export_one_of(channel)
        return channel.producer, channel.output_key

    def _export_up(self, channel: Collected, node: Any, key: str, around: list[Group], user: Any) -> tuple[Any, str]:
        """Hands a Collected output up until a scope around its user."""
        if node.parent in around:
            raise errors.InvalidTopologyException(
                f'dsl.Collected({channel.full_name}) is used inside the loop that it collects from; use it after the loop', user.location)
        kind, looped = channel.channel.kind, False
        while node.parent not in around:
            group = node.parent
            if group is None:
                raise errors.InvalidTopologyException(f'{user.name!r} uses an output of another pipeline', user.location)
            looped = looped or isinstance(group, groups.ParallelFor)
            self.scopes[group].exports[channel.ir_name] = (
                channel.kind if looped else kind, [(node.name, key)])
            node, key = group, channel.ir_name
        if not looped:
            raise errors.InvalidTopologyException(
                f'dsl.Collected({channel.full_name}) is not the output of a task inside a dsl.ParallelFor', user.location)
        return node, key

    def _export_one_of(self, one_of: OneOf) -> None:
        branches = one_of.producer
        selectors = []
        for channel in one_of.channels:
            node, key = self._inner_producer(channel)
            while node.parent is not branches:
                self.scopes[node.parent].exports[channel.ir_name] = (channel.kind, [(node.name, key)])
                node, key = node.parent, channel.ir_name
                if isinstance(node, groups.ParallelFor):
                    raise errors.InvalidControlFlowException(
                        f'{channel.full_name!r} in dsl.OneOf() comes from a dsl.ParallelFor and has many values', one_of.producer.location)
            selectors.append((node.name, key))
        self.scopes[branches].exports[one_of.ir_name] = (one_of.kind, selectors)

    def _refuse(self, channel: Channel, node: Any, around: list[Group], user: Any) -> NoReturn:
        group = node.parent
        ways = []
        while group is not None and group not in around:
            ways.append(group)
            group = group.parent
        if group is None:
            raise errors.InvalidTopologyException(
                f'{user.name!r} uses {channel.full_name!r}, an output of another pipeline', user.location)
        outermost = ways[-1]
        if isinstance(outermost, groups.ParallelFor):
            way = 'use dsl.Collected(…) to get all of them as a list'
        elif isinstance(outermost, groups.ExitHandler):
            way = 'move the user into the exit handler\'s block'
        else:
            way = 'move the user into the branch, or give the output out by dsl.OneOf(…) over all branches'
        raise errors.InvalidTopologyException(
            f'{user.name!r} uses {channel.full_name!r}, which a task inside {outermost.name!r} gives; {way}', user.location)

    # Groups

    def _resolve_group(self, group: Group) -> None:
        if group.parent is None:
            return
        inputs = self.scopes[group.parent].nodes.setdefault(group, {})
        scope = self.scopes[group]
        if isinstance(group, groups._Branch):
            for comparison in group.comparisons():
                for channel in comparison.channels():
                    name = channel.ir_name
                    scope.inputs.setdefault(name, channel.kind)
                    scope.given[name] = self.resolve(channel, group.parent, group)
        if isinstance(group, groups.ParallelFor):
            item = group.item
            if isinstance(group.items, channels.Channel):
                name = group.items.ir_name
                scope.inputs[name] = group.items.kind
                scope.given[name] = self.resolve(group.items, group.parent, group)
            scope.inputs[item.ir_name] = item.kind
            scope.given.pop(item.ir_name, None)
        inputs.update(scope.given)

    def _root_output(self, name: str, channel: Channel) -> tuple[Kind, list[tuple[str, str]]]:
        class _Pipeline:
            location = self.pipeline.root.location
            name = self.pipeline.name
        root = self.pipeline.root
        if channel.loop is not None:
            self._check_inside(channel, root, _Pipeline)
        node, key = self._surface(channel, root, _Pipeline)
        return channel.kind, [(node.name, key)]

    # Order

    def _add_waits(self) -> None:
        for task in self.pipeline.tasks.values():
            for other in task._after:
                self._wait(task, other)
            if task.exit_handler is not None:
                self.scopes[task.parent].depends.setdefault(task, set()).add(task.exit_handler.name)

    def _wait(self, node: Any, other: Any) -> None:
        """`node` waits for `other`; where scopes differ, the groups around them do."""
        mine = _chain(node)
        theirs = _chain(other)
        shared = next((group for group in theirs if group in mine), None)
        if shared is None:
            raise errors.InvalidTopologyException(
                f'{node.name!r} cannot wait for {other.name!r}: it is in another pipeline', node.location)
        inner, outer = mine[shared], theirs[shared]
        if inner is None or outer is None or inner is outer:
            raise errors.InvalidTopologyException(
                f'{node.name!r} cannot wait for {other.name!r}, which is around it', node.location)
        self.scopes[shared].depends.setdefault(inner, set()).add(outer.name)

    def _collect_dependencies(self) -> None:
        for group, scope in self.scopes.items():
            for node, inputs in scope.nodes.items():
                if isinstance(node, context.Group):
                    inputs.update(self.scopes[node].given)
                names = scope.depends.setdefault(node, set())
                for reference in inputs.values():
                    producer = refs.producer(reference)
                    if producer:
                        names.add(producer)
                for other in getattr(node, '_after', ()) if isinstance(node, task_module.PipelineTask) else ():
                    if other.parent is group:
                        names.add(other.name)


def _chain(node: Any) -> dict[Any, Any]:
    """{group around the node: the child of it on the way to the node (None: itself)}."""
    found, child, group = {}, node, node.parent
    while group is not None:
        found[group] = child
        child, group = group, group.parent
    return found


def _check_cycles(scope: Scope) -> None:
    by_name = {node.name: node for node in scope.nodes}
    state: dict[Any, str] = {}

    def visit(node: Any, path: list[str]) -> None:
        if state.get(node) == 'done':
            return
        if state.get(node) == 'open':
            start = path.index(node.name)
            circle = ' -> '.join(path[start:] + [node.name])
            raise errors.InvalidTopologyException(f'tasks wait for each other in a circle: {circle}', node.location)
        state[node] = 'open'
        for name in sorted(scope.depends.get(node, ())):
            if name in by_name:
                visit(by_name[name], path + [node.name])
        state[node] = 'done'

    for node in scope.nodes:
        visit(node, [])


def interface(inputs: dict[str, Kind], exports: dict[str, tuple[Kind, list[tuple[str, str]]]]) -> dict[str, Any]:
    """inputDefinitions and outputDefinitions of a group's component."""
    entry: dict[str, Any] = {}
    for name, kind in inputs.items():
        section = 'artifacts' if kind.is_artifact else 'parameters'
        entry.setdefault('inputDefinitions', {}).setdefault(section, {})[name] = kind.to_ir()
    for name, (kind, _) in exports.items():
        section = 'artifacts' if kind.is_artifact else 'parameters'
        entry.setdefault('outputDefinitions', {}).setdefault(section, {})[name] = kind.to_ir()
    return entry


def dag_outputs(exports: dict[str, tuple[Kind, list[tuple[str, str]]]]) -> dict[str, Any]:
    """dag.outputs for {key: (Kind, selectors)}."""
    entry: dict[str, Any] = {}
    for name, (kind, selectors) in exports.items():
        if kind.is_artifact:
            entry.setdefault('artifacts', {})[name] = {'artifactSelectors': [
                {'producerSubtask': task, 'outputArtifactKey': key} for task, key in selectors]}
        elif len(selectors) == 1:
            task, key = selectors[0]
            entry.setdefault('parameters', {})[name] = {
                'valueFromParameter': {'producerSubtask': task, 'outputParameterKey': key}}
        else:
            entry.setdefault('parameters', {})[name] = {'valueFromOneof': {'parameterSelectors': [
                {'producerSubtask': task, 'outputParameterKey': key} for task, key in selectors]}}
    return entry


__all__ = ['Graph', 'interface', 'dag_outputs', 'structures']
