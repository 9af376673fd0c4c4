"""Artifacts as arguments and results, without Input and Output."""

from typing import List, NamedTuple

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Metrics, Model


@dsl.component
def make(n: int) -> Dataset:
    data = Dataset(uri=dsl.get_uri(), metadata={'n': n})
    with open(data.path, 'w') as f:
        f.write('x')
    return data


@dsl.component
def several(data: Dataset) -> NamedTuple('Outputs', [('model', Model), ('metrics', Metrics), ('count', int)]):
    outputs = NamedTuple('Outputs', [('model', Model), ('metrics', Metrics), ('count', int)])
    return outputs(Model(uri=dsl.get_uri('model')), Metrics(uri=dsl.get_uri('metrics')), 1)


@dsl.component
def take(models: List[Model], anything: Artifact) -> int:
    return len(models)


@dsl.pipeline(name='pythonic-artifacts')
def pipeline(n: int = 1) -> NamedTuple('Outputs', [('model', Model), ('count', int)]):
    with dsl.ParallelFor([1, 2]) as item:
        one = several(data=make(n=item).output)
    take(models=dsl.Collected(one.outputs['model']), anything=make(n=n).output)
    last = several(data=make(n=n).output)
    outputs = NamedTuple('Outputs', [('model', Model), ('count', int)])
    return outputs(last.outputs['model'], last.outputs['count'])
