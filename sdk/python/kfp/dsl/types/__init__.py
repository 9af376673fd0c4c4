"""kfp.dsl.types: the v1 type classes, and the errors and artifact classes of v2."""

from kfp.dsl.artifacts import (HTML, Artifact, ClassificationMetrics, Dataset, Markdown, Metrics, Model,
                               SlicedClassificationMetrics)
from kfp.dsl.errors import InconsistentTypeException


class BaseType:
    """Base of the v1 type classes; used as annotations."""


class Integer(BaseType):
    pass


class String(BaseType):
    pass


class Float(BaseType):
    pass


class Bool(BaseType):
    pass


class List(BaseType):
    pass


class Dict(BaseType):
    pass


class GCSPath(BaseType):
    pass


class GCRPath(BaseType):
    pass


class GCPRegion(BaseType):
    pass


class GCPProjectID(BaseType):
    pass


class LocalPath(BaseType):
    pass


__all__ = ['Artifact', 'Bool', 'ClassificationMetrics', 'Dataset', 'Dict', 'Float', 'GCPProjectID', 'GCPRegion', 'GCRPath',
           'GCSPath', 'HTML', 'InconsistentTypeException', 'Integer', 'List', 'LocalPath', 'Markdown', 'Metrics', 'Model',
           'SlicedClassificationMetrics', 'String']
