"""The pipeline that is being built while a pipeline function runs."""

import re

from kfp.dsl import channels, errors

_stack = []


class Group:
    """A scope of tasks: the pipeline itself, a branch, a loop or an exit handler.

    prefix: 'root', 'condition', 'condition-branches', 'for-loop' or 'exit-handler'.
    parent, children: the tree; children are tasks and groups in the author's order.
    """
    prefix = 'root'

    def __init__(self, display_name=None):
        self.display_name = display_name
        self.number = None
        self.parent = None
        self.children = []
        self.location = errors.author_location()

    @property
    def name(self):
        return self.prefix if self.number is None else f'{self.prefix}-{self.number}'

    def add(self, child):
        child.parent = self
        self.children.append(child)

    def ancestors(self):
        """This group and those around it, innermost first."""
        group = self
        while group is not None:
            yield group
            group = group.parent


OpsGroup = Group  # the v1 name


class Pipeline:
    """The tasks and groups of one pipeline; `with Pipeline(…)` makes it the current one."""

    def __init__(self, name):
        self.name = name
        self.root = Group()
        self.current = self.root
        self.tasks = {}
        self.inputs = {}
        self.outputs = {}
        self.conf = None  # a v1 PipelineConf
        self._last_number = 0

    def next_number(self):
        self._last_number += 1
        return self._last_number

    def task_name(self, wanted):
        """`wanted`, or `wanted-2`, … when it is taken."""
        wanted = channels.sanitize(wanted) or 'task'
        name, count = wanted, 1
        while name in self.tasks:
            count += 1
            name = f'{wanted}-{count}'
        return name

    def add_task(self, task):
        self.tasks[task.name] = task
        self.current.add(task)

    def enter(self, group):
        if group.number is None:
            group.number = self.next_number()
        if group.parent is None:
            self.current.add(group)
        self.current = group

    def leave(self, group):
        self.current = group.parent

    def __enter__(self):
        _stack.append(self)
        return self

    def __exit__(self, *_):
        _stack.pop()

    @staticmethod
    def get_default_pipeline():
        """The pipeline being built, or None."""
        return _stack[-1] if _stack else None


def current(what):
    """The pipeline being built. Raises InvalidControlFlowException when there is none."""
    if not _stack:
        raise errors.InvalidControlFlowException(f'{what} works only inside a function decorated with @dsl.pipeline')
    return _stack[-1]


def pipeline_name(name):
    """`name` in the letters that a pipeline's name may have."""
    return re.sub('-+', '-', re.sub('[^-0-9a-z]+', '-', name.lower())).strip('-')
