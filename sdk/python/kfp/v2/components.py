"""kfp.components under its v1 address."""

from kfp import components as _components

__all__ = _components.__all__


def __getattr__(name):
    return getattr(_components, name)
