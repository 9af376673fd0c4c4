"""The decorators as they are inside a task: the function stays what it is."""


def _unchanged(func=None, **_):
    if func is None:
        return _unchanged
    return func


component = _unchanged
container_component = _unchanged
pipeline = _unchanged
notebook_component = _unchanged
