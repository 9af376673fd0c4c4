from typing import NamedTuple

from kfp import dsl
from kfp.dsl import Dataset, Input, Output


@dsl.component
def add(a: int, b: int = 1) -> int:
    return a + b


@dsl.component
def make(data: Output[Dataset]):
    pass


@dsl.component
def read(data: Input[Dataset]) -> str:
    return ''


@dsl.pipeline(name='inner-pipeline')
def inner(x: int, data: Input[Dataset], y: int = 2) -> NamedTuple('O', [('total', int), ('copy', Dataset)]):
    t = add(a=x, b=y)
    read(data=data)
    with dsl.If(t.output > 3):
        add(a=t.output)
    m = make()
    from collections import namedtuple
    return namedtuple('O', 'total copy')(t.output, m.outputs['data'])


@dsl.pipeline(name='middle')
def middle(n: int) -> int:
    m = make()
    i = inner(x=n, data=m.outputs['data'])
    i.set_display_name('the inner one')
    return add(a=i.outputs['total']).output


@dsl.pipeline(name='nested')
def pipeline(n: int = 5) -> int:
    a = add(a=n)
    m1 = middle(n=a.output)
    mk = make()
    i2 = inner(x=m1.output, data=mk.outputs['data'], y=7)
    read(data=i2.outputs['copy'])
    return m1.output
