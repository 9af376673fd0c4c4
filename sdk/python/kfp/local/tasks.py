"""The task that a call on this machine returns."""

from __future__ import annotations

from kfp.dsl import errors
from kfp.dsl.task import PipelineTask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kfp.dsl.component_classes import BaseComponent


class LocalTask(PipelineTask):
    """A task that has run. `output` and `outputs` hold values and artifacts, not references.

    Its set_… and add_… methods, of no use any more, warn and return the task.

    Attributes:
        name: the component's name.
        state: 'SUCCEEDED', or how it ended otherwise.
    """

    def __init__(self, component: BaseComponent, outputs: dict[str, Any], state: str):
        # What a task in a pipeline has beside this has no meaning here.
        self.name = component.name
        self.state = state
        self._values = outputs

    @property
    def outputs(self) -> dict[str, Any]:
        """The outputs by name: parameters as Python values, artifacts as objects with a local `path`."""
        return self._values

    @property
    def output(self) -> Any:
        """The only output. Raises UnknownOutputError when there are none or several."""
        if len(self._values) != 1:
            names = ', '.join(repr(name) for name in self._values) or 'none'
            raise errors.UnknownOutputError(f'task {self.name!r} has no single output; its outputs are: {names}')
        return next(iter(self._values.values()))

    @property
    def inputs(self) -> dict[str, Any]:
        """Nothing: the arguments are not kept."""
        return {}

    def __repr__(self) -> str:
        return f'<LocalTask {self.name} {self.state}: {self._values!r}>'


def _without_effect(name: str) -> Any:
    def method(self: LocalTask, *_: Any, **__: Any) -> LocalTask:
        import warnings
        warnings.warn(f'{name}() has no effect on {self.name!r}, which has run already', stacklevel=2)
        return self
    method.__name__ = name
    method.__doc__ = 'Without an effect: the task has run.'
    return method


for _name in dir(PipelineTask):
    if _name.startswith(('set_', 'add_')) or _name in ('after', 'ignore_upstream_failure', 'apply'):
        setattr(LocalTask, _name, _without_effect(_name))
