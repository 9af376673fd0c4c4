"""Control flow: `with dsl.If(…):`, `dsl.ParallelFor`, `dsl.ExitHandler`."""

from __future__ import annotations

import json

from kfp.dsl import channels, context, errors, kinds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kfp.dsl.channels import Channel, Comparison, LoopItem
    from kfp.dsl.context import Group, Pipeline
    from kfp.dsl.kinds import Kind
    from kfp.dsl.task import PipelineTask


class _ControlFlow(context.Group):
    """A group entered by `with`."""

    def __enter__(self) -> Any:
        self._pipeline = context.current(f'dsl.{type(self).__name__}')
        self._pipeline.enter(self)
        return self._value()

    def _value(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None:
        self._pipeline.leave(self)

    def after(self, *tasks: Any) -> _ControlFlow:
        """The whole group waits for `tasks` (v1)."""
        for child in self.children:
            child.after(*tasks)
        return self


class Branches(context.Group):
    """The If, Elif and Else that belong together."""
    prefix = 'condition-branches'

    def __init__(self) -> None:
        super().__init__()
        self.one_ofs: list[Any] = []

    def add_one_of(self, channel: Channel) -> int:
        self.one_ofs.append(channel)
        return len(self.one_ofs)

    @property
    def complete(self) -> bool:
        return isinstance(self.children[-1], Else)


class _Branch(_ControlFlow):
    """A group that runs when `conditions` hold and `negated` do not."""
    prefix = 'condition'

    def __init__(self, condition: Any, name: str | None = None):
        super().__init__(name)
        self.condition: Any = self._check(condition)
        self.negated: list[Any] = []

    def _check(self, condition: Any) -> Comparison:
        if isinstance(condition, channels.Comparison):
            condition.to_cel()  # what cannot be compared is told here, at the author's line
            return condition
        if isinstance(condition, channels.Channel) and condition.kind.parameter in (kinds.BOOLEAN, None):
            return channels.Comparison('==', condition, True)
        raise errors.InvalidControlFlowException(
            f'dsl.{type(self).__name__} takes a comparison with the output of a task or a pipeline input, such '
            f'as `task.output == 3`, and got {condition!r}; for a fixed value use a Python `if`')

    def comparisons(self) -> list[Comparison]:
        """All that decides whether it runs."""
        return self.negated + ([self.condition] if self.condition is not None else [])

    def to_cel(self) -> str:
        """The condition as a CEL expression."""
        parts = [f'!({negated.to_cel()})' for negated in self.negated]
        if self.condition is not None:
            parts.append(self.condition.to_cel())
        return ' && '.join(parts)


class If(_Branch):
    """Runs its tasks when the comparison holds.

    condition: a comparison (==, !=, <, <=, >, >=) with a task's output or a pipeline
    input. name: what the UI shows.
    """


class Condition(If):
    """The v1 name of dsl.If."""


class _Following(_Branch):
    def __enter__(self) -> Any:
        pipeline = context.current(f'dsl.{type(self).__name__}')
        parent = pipeline.current
        previous = next((child for child in reversed(parent.children) if isinstance(child, context.Group)), None)
        if isinstance(previous, Branches) and not previous.complete:
            branches = previous
        elif isinstance(previous, If):
            branches = self._wrap(pipeline, parent, previous)
        else:
            raise errors.InvalidControlFlowException(
                f'dsl.{type(self).__name__} must follow a dsl.If or dsl.Elif of the same block')
        for sibling in branches.children:
            self.negated.append(sibling.condition)
        branches.add(self)
        return super().__enter__()

    @staticmethod
    def _wrap(pipeline: Pipeline, parent: Group, first: If) -> Branches:
        """Puts a new Branches group where `first` stood. It takes over its number."""
        branches = Branches()
        branches.number, first.number = first.number, pipeline.next_number()
        branches.parent = parent
        parent.children[parent.children.index(first)] = branches
        branches.add(first)
        return branches

    def __exit__(self, *_: Any) -> None:
        self._pipeline.current = self.parent.parent


class Elif(_Following):
    """Runs when its comparison holds and those before it do not."""


class Else(_Following):
    """Runs when no comparison of the If and Elifs before it holds."""

    def __init__(self, name: str | None = None):
        context.Group.__init__(self, name)
        self.condition = None
        self.negated: list[Any] = []


def branches_of(one_of_channels: Any) -> Branches:
    """The Branches group whose every branch gives one of the channels.

    Raises InvalidControlFlowException when they are not such outputs.
    """
    homes = []
    for channel in one_of_channels:
        group = getattr(channel.producer, 'parent', None)
        while group is not None and not isinstance(group.parent, Branches):
            group = group.parent
        if group is None:
            raise errors.InvalidControlFlowException(
                f'{channel.full_name!r} in dsl.OneOf() is not the output of a task inside an If/Elif/Else')
        homes.append(group)
    branches = homes[0].parent
    if any(home.parent is not branches for home in homes):
        raise errors.InvalidControlFlowException('the outputs in dsl.OneOf() are from different If/Elif/Else blocks')
    if not branches.complete:
        raise errors.InvalidControlFlowException(
            'dsl.OneOf() needs a dsl.Else: without it, possibly no branch runs and there is no output')
    missing = [child.name for child in branches.children if child not in homes]
    if missing or len(homes) != len(branches.children):
        raise errors.InvalidControlFlowException(
            f'dsl.OneOf() needs exactly one output from each of the {len(branches.children)} branches, and got {len(homes)}')
    return branches


class ParallelFor(_ControlFlow):
    """Runs its tasks once for each item, in parallel; `as item` gives the item.

    Args:
        loop_args: the name of `items` in v1.
        items: a list of texts, numbers or dicts, or a task's output or pipeline input that is a list.
        name: what the UI shows.
        parallelism: how many iterations run at a time; None or 0 for all.
    """
    prefix = 'for-loop'

    def __init__(self, items: Any = None, name: Any = None, parallelism: int | None = None, loop_args: Any = None):
        if isinstance(name, int):  # v1: ParallelFor(loop_args, parallelism)
            name, parallelism = None, name
        super().__init__(name)
        if items is None:
            items = loop_args
        if parallelism is not None and (not isinstance(parallelism, int) or parallelism < 0):
            raise errors.ValueProblem(f'parallelism is a number of iterations, 0 for no limit, and got {parallelism!r}')
        self.parallelism = parallelism
        self.items = items
        pipeline = context.current('dsl.ParallelFor')
        if isinstance(items, channels.Channel):
            self.item = self._item_of_channel(items, pipeline)
        else:
            self.item = self._item_of_list(items, pipeline)

    def _value(self) -> Any:
        return self.item

    @property
    def over_artifacts(self) -> bool:
        """Whether the items are artifacts."""
        return self.item.kind.is_artifact

    def _item_of_channel(self, items: Any, pipeline: Pipeline) -> LoopItem:
        kind = items.kind
        if kind.is_artifact:
            if not kind.is_list:
                raise errors.InconsistentTypeException(
                    f'dsl.ParallelFor needs a list and {items.full_name!r} is one {kind}')
            item_kind = kinds.Kind(title=kind.title, version=kind.version)
        elif kind.untyped:
            want(items, kinds.Kind(kinds.LIST))
            item_kind = kinds.UNTYPED
        elif kind.parameter == kinds.LIST:
            item_kind = kind.item or kinds.UNTYPED
        else:
            raise errors.InconsistentTypeException(
                f'dsl.ParallelFor needs a list and {items.full_name!r} is a {kind}; annotate it as List[…]')
        name = f'{items.full_name}-loop-item'
        taken = {group.item.name for group in pipeline.current.ancestors() if isinstance(group, ParallelFor)}
        unique, count = name, 1
        while unique in taken:
            count += 1
            unique = f'{name}-{count}'
        return channels.LoopItem(unique, item_kind, self)

    def _item_of_list(self, items: Any, pipeline: Pipeline) -> LoopItem:
        if not isinstance(items, (list, tuple)) or not items:
            raise errors.ValueProblem(f'dsl.ParallelFor needs a list with at least one item, and got {items!r}')
        if channels.find(list(items)):
            raise errors.ValueProblem('the list given to dsl.ParallelFor has outputs of tasks or pipeline inputs in it; '
                                      'make the list in a task and loop over its output')
        kind = kinds.items_kind(items)
        if kind is None:
            raise errors.InconsistentTypeException(
                f'the items of a dsl.ParallelFor must be of one type, and got {list(items)!r}')
        fields = {}
        if kind.parameter == kinds.STRUCT:
            for key in items[0]:
                values = [item[key] for item in items if key in item]
                if len(values) == len(items):
                    fields[key] = kinds.items_kind(values) or kinds.UNTYPED
        return channels.LoopItem(f'loop-item-param-{pipeline.next_number()}', kind, self, fields)

    def raw_items(self) -> str:
        """The items of a fixed list, as JSON text."""
        return json.dumps(list(self.items), sort_keys=True)


class SubGraph(_ControlFlow):
    """v1: a block of tasks. Tasks outside may take the outputs of those inside.

    Args:
        parallelism: how many of its tasks v1 ran at a time. IR limits only loops, so it has no effect, and a warning says so.
    """
    prefix = 'sub-graph'

    def __init__(self, parallelism: int | None = None):
        super().__init__()
        if parallelism is not None:
            if not isinstance(parallelism, int) or parallelism < 1:
                raise errors.ValueProblem(f'parallelism is a number of tasks, at least 1, and got {parallelism!r}')
            import warnings
            warnings.warn('dsl.SubGraph(parallelism=…) has no counterpart in a v2 pipeline and no effect', stacklevel=2)
        self.parallelism = parallelism


class ExitHandler(_ControlFlow):
    """Runs `exit_task` when the tasks inside have ended, also when they failed.

    Args:
        exit_op: the name of `exit_task` in v1.
        exit_task: a task made before, that waits for nothing.
        name: what the UI shows.
    """
    prefix = 'exit-handler'

    def __init__(self, exit_task: PipelineTask | None = None, name: str | None = None, exit_op: PipelineTask | None = None):
        super().__init__(name)
        from kfp.dsl import task as task_module
        exit_task = exit_task if exit_task is not None else exit_op
        if not isinstance(exit_task, task_module.PipelineTask):
            raise errors.InvalidControlFlowException(f'dsl.ExitHandler takes a task, and got {exit_task!r}')
        pipeline = context.current('dsl.ExitHandler')
        if exit_task.exit_handler is not None:
            raise errors.InvalidControlFlowException(f'{exit_task.name!r} is already the exit task of another handler')
        if exit_task.parent is not pipeline.current:
            raise errors.InvalidControlFlowException(
                f'the exit task {exit_task.name!r} must be made in the same block as its dsl.ExitHandler')
        if exit_task.waits():
            raise errors.InvalidTopologyException(
                f'the exit task {exit_task.name!r} must not depend on other tasks: it runs however they end')
        self.exit_task = exit_task
        exit_task.exit_handler = self


def want(channel: Channel, kind: Kind) -> None:
    """Notes that an untyped pipeline input is used as a `kind` (v1 pipelines)."""
    if channel.wanted is not None:
        channel.wanted.append(kind)
