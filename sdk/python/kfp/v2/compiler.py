"""kfp.compiler under its v1 address."""

from kfp.compiler import Compiler

__all__ = ['Compiler']
