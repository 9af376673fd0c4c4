from typing import List

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Output


@dsl.component
def make(x: str, data: Output[Dataset]):
    pass


@dsl.component
def read(data: Input[Dataset]):
    pass


@dsl.pipeline(name='loop-artifacts')
def pipeline():
    with dsl.ParallelFor(['a', 'b']) as x:
        m = make(x=x)
    with dsl.ParallelFor(dsl.Collected(m.outputs['data'])) as d:
        read(data=d)
