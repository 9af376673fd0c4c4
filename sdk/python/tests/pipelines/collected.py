from typing import List

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Output


@dsl.component
def double(x: int) -> int:
    return 2 * x


@dsl.component
def total(xs: List[int]) -> int:
    return sum(xs)


@dsl.component
def make(x: int, data: Output[Dataset]):
    pass


@dsl.component
def join(parts: Input[List[Dataset]]) -> str:
    return ''


@dsl.pipeline(name='collected')
def pipeline() -> List[int]:
    with dsl.ParallelFor([1, 2, 3]) as i:
        d = double(x=i)
        m = make(x=d.output)
    total(xs=dsl.Collected(d.output))
    join(parts=dsl.Collected(m.outputs['data']))
    with dsl.ParallelFor([1, 2]) as a:
        with dsl.ParallelFor([3, 4]) as b:
            d2 = double(x=b)
    total(xs=dsl.Collected(d2.output))
    return dsl.Collected(d.output)
