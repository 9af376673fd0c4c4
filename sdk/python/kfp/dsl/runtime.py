"""The decorators as they are inside a task: the function stays what it is."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable


def _unchanged(func: 'Callable[..., Any] | None' = None, **_: 'Any') -> 'Any':
    if func is None:
        return _unchanged
    return func


component = _unchanged
container_component = _unchanged
pipeline = _unchanged
notebook_component = _unchanged


def run_notebook(**kwargs: 'Any') -> None:
    """Executes the notebook of a dsl.notebook_component with these values as its parameters.

    Raises RuntimeError outside the step of such a component.
    """
    raise RuntimeError('dsl.run_notebook() works only in the step of a @dsl.notebook_component')
