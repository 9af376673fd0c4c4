"""kfp.dsl under its v1 address."""

from kfp import dsl as _dsl

__all__ = _dsl.__all__


def __getattr__(name):
    return getattr(_dsl, name)
