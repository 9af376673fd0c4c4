"""kfp.dsl.types: the v1 type classes, and the errors and artifact classes of v2."""

from __future__ import annotations

from kfp.dsl import kinds
from kfp.dsl.artifacts import (HTML, Artifact, ClassificationMetrics, Dataset, Markdown, Metrics, Model,
                               SlicedClassificationMetrics)
from kfp.dsl.errors import InconsistentTypeException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class InconsistentTypeWarning(Warning):
    """v1 warned with this where types do not fit; here they are errors."""


class BaseType:
    """Base of the v1 type classes; used as annotations."""

    def to_dict(self) -> dict[str, Any] | str:
        """The type as component.yaml has it: its name, with its properties if it has some."""
        properties = {name: value for name, value in vars(self).items() if value is not None}
        return {type(self).__name__: properties} if properties else type(self).__name__


class Integer(BaseType):
    """An integer."""


class String(BaseType):
    """A text."""


class Float(BaseType):
    """A number."""


class Bool(BaseType):
    """A truth value."""


class List(BaseType):
    """A list."""


class Dict(BaseType):
    """A dict."""


class GCSPath(BaseType):
    """The path of an object in Google Cloud Storage."""


class GCRPath(BaseType):
    """The name of an image in the Google Container Registry."""


class GCPRegion(BaseType):
    """A region of the Google Cloud."""


class GCPProjectID(BaseType):
    """A project of the Google Cloud."""


class LocalPath(BaseType):
    """A path of the task's file system."""


def check_types(checked_type: Any, expected_type: Any) -> bool:
    """Whether a value of one type may be given to an input of another.

    Args:
        checked_type: the value's type: a name, a class or a dict.
        expected_type: the input's.
    """
    wanted, given = kinds.parameter_kind(expected_type), kinds.parameter_kind(checked_type)
    if wanted is None or given is None:
        return checked_type is None or expected_type is None or checked_type == expected_type
    return kinds.accepts(wanted, given)


def verify_type_compatibility(given_type: Any, expected_type: Any, error_message_prefix: str = '') -> bool:
    """True when the types fit, as check_types says.

    Args:
        given_type: the value's type.
        expected_type: the input's.
        error_message_prefix: begins the error's message.

    Raises:
        InconsistentTypeException: they don't fit.
    """
    if not check_types(given_type, expected_type):
        raise InconsistentTypeException(f'{error_message_prefix}{given_type!r} was given where {expected_type!r} is wanted')
    return True


__all__ = ['Artifact', 'Bool', 'ClassificationMetrics', 'Dataset', 'Dict', 'Float', 'GCPProjectID', 'GCPRegion', 'GCRPath',
           'GCSPath', 'HTML', 'InconsistentTypeException', 'Integer', 'List', 'LocalPath', 'Markdown', 'Metrics', 'Model',
           'SlicedClassificationMetrics',
           'String', 'BaseType', 'InconsistentTypeWarning', 'check_types', 'verify_type_compatibility']
