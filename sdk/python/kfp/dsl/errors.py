"""Errors in what a pipeline's author wrote, with the file and line where it stands."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class PipelineError(Exception):
    """A mistake in a pipeline or component. `location` is "file:line", or None."""

    def __init__(self, message: str, location: str | None = None):
        self.location = location or author_location()
        self.message = message
        super().__init__(f'{self.location}: {message}' if self.location else message)


class InconsistentTypeException(PipelineError):
    """A value of one type was given to an input of another."""


class InvalidTopologyException(PipelineError):
    """A task uses what it cannot reach, or tasks wait for each other in a circle."""


class InvalidControlFlowException(PipelineError):
    """If, Elif, Else, ParallelFor or ExitHandler stand where they cannot."""


class OutsidePipelineError(InvalidControlFlowException, RuntimeError):
    """A component was called where there is no pipeline, and kfp.local was not set up."""


class ArgumentError(PipelineError, TypeError):
    """A component was called with missing, unknown or doubled arguments."""


class SignatureError(PipelineError, TypeError):
    """A component's function cannot be turned into a component."""


class UnknownOutputError(PipelineError, KeyError):
    """A task has no output of that name."""

    __str__ = Exception.__str__


class ValueProblem(PipelineError, ValueError):
    """A value that cannot stand where it was given."""


class UnsupportedV1Error(PipelineError, NotImplementedError):
    """A v1 feature that the intermediate representation cannot express."""


def author_location() -> str | None:
    """"file:line" of the innermost frame outside this package, or None."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        filename = frame.f_code.co_filename
        if not os.path.abspath(filename).startswith(_PACKAGE) and not filename.startswith('<frozen'):
            return f'{filename}:{frame.f_lineno}'
        frame = frame.f_back
    return None


def function_location(func: Any) -> str | None:
    """"file:line" of a function's definition, or None."""
    code = getattr(func, '__code__', None)
    return f'{code.co_filename}:{code.co_firstlineno}' if code else None
