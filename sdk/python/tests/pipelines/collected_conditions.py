from typing import List

from kfp import dsl
from kfp.dsl import Dataset, Input, Output


@dsl.component
def flip(x: int) -> str:
    return 'h'


@dsl.component
def pick(x: str) -> str:
    return x


@dsl.component
def gather(xs: List[str]):
    print(xs)


@dsl.component
def make(d: Output[Dataset]):
    pass


@dsl.component
def read_all(ds: Input[List[Dataset]]):
    pass


@dsl.pipeline(name='collected-conditions')
def pipeline(go: str = 'h'):
    with dsl.ParallelFor([1, 2]) as i:
        f = flip(x=i)
        with dsl.If(f.output == go):
            a = pick(x='a')
        with dsl.Else():
            b = pick(x='b')
        m = make()
    gather(xs=dsl.Collected(f.output))
    read_all(ds=dsl.Collected(m.outputs['d']))
