"""The pipeline that is being built while a pipeline function runs."""

from __future__ import annotations

import re

from kfp.dsl import channels, errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

    from kfp.dsl.channels import Channel
    from kfp.dsl.task import PipelineTask
    from kfp.dsl.v1_conf import PipelineConf

_stack: list[Pipeline] = []


class Group:
    """A scope of tasks: the pipeline itself, a branch, a loop or an exit handler.

    prefix: 'root', 'condition', 'condition-branches', 'for-loop' or 'exit-handler'.
    parent, children: the tree; children are tasks and groups in the author's order.
    """
    prefix = 'root'

    def __init__(self, display_name: str | None = None):
        self.display_name = display_name
        self.number: int | None = None
        self.parent: Any = None
        self.children: list[Any] = []
        self.location = errors.author_location()

    @property
    def name(self) -> str:
        """The name in IR, such as `for-loop-1`."""
        return self.prefix if self.number is None else f'{self.prefix}-{self.number}'

    def add(self, child: Any) -> None:
        """Puts a task or group into this one."""
        child.parent = self
        self.children.append(child)

    def ancestors(self) -> Iterator[Group]:
        """This group and those around it, innermost first."""
        group: Any = self
        while group is not None:
            yield group
            group = group.parent


OpsGroup = Group  # the v1 name


class Pipeline:
    """The tasks and groups of one pipeline; `with Pipeline(…)` makes it the current one."""

    def __init__(self, name: str):
        self.name = name
        self.root = Group()
        self.current: Any = self.root
        self.tasks: dict[str, PipelineTask] = {}
        self.inputs: dict[str, Channel] = {}
        self.outputs: dict[str, Channel] = {}
        self.conf: PipelineConf | None = None
        self._last_number = 0

    def next_number(self) -> int:
        """A number that no group or loop of the pipeline has yet."""
        self._last_number += 1
        return self._last_number

    def task_name(self, wanted: str) -> str:
        """`wanted`, or `wanted-2`, … when it is taken."""
        wanted = channels.sanitize(wanted) or 'task'
        name, count = wanted, 1
        while name in self.tasks:
            count += 1
            name = f'{wanted}-{count}'
        return name

    def add_task(self, task: PipelineTask) -> None:
        """Puts a task into the block that is open."""
        self.tasks[task.name] = task
        self.current.add(task)

    def enter(self, group: Any) -> None:
        """Opens the block of a group."""
        if group.number is None:
            group.number = self.next_number()
        if group.parent is None:
            self.current.add(group)
        self.current = group

    def leave(self, group: Group) -> None:
        """Closes the block of a group."""
        self.current = group.parent

    def __enter__(self) -> Pipeline:
        _stack.append(self)
        return self

    def __exit__(self, *_: Any) -> None:
        _stack.pop()

    @staticmethod
    def get_default_pipeline() -> Pipeline | None:
        """The pipeline being built, or None."""
        return _stack[-1] if _stack else None


def current(what: str) -> Pipeline:
    """The pipeline being built. Raises InvalidControlFlowException when there is none."""
    if not _stack:
        raise errors.InvalidControlFlowException(f'{what} works only inside a function decorated with @dsl.pipeline')
    return _stack[-1]


def pipeline_name(name: str) -> str:
    """`name` in the letters that a pipeline's name may have."""
    return re.sub('-+', '-', re.sub('[^-0-9a-z]+', '-', name.lower())).strip('-')
