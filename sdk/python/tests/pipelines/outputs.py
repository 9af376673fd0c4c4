from typing import Dict, List, NamedTuple

from kfp import dsl


@dsl.component
def one() -> int:
    return 1


@dsl.component
def several(x: int) -> NamedTuple('Outputs', [('a', str), ('b', List[int]), ('c', Dict[str, int])]):
    from collections import namedtuple
    return namedtuple('Outputs', 'a b c')('s', [x], {'x': x})


@dsl.component
def use(a: str, b: list, c: dict) -> str:
    return a


@dsl.pipeline(name='outputs')
def pipeline() -> NamedTuple('Out', [('first', str), ('second', int)]):
    t1 = one()
    t2 = several(x=t1.output)
    t3 = use(a=t2.outputs['a'], b=t2.outputs['b'], c=t2.outputs['c'])
    from collections import namedtuple
    return namedtuple('Out', 'first second')(t3.output, t1.output)
