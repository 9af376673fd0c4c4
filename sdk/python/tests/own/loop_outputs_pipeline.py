from typing import List, NamedTuple

from kfp import dsl
from kfp.dsl import Dataset, Output


@dsl.component
def make(x: str, data: Output[Dataset]) -> int:
    return 1


@dsl.pipeline
def loop_outputs_pipeline() -> NamedTuple('O', [('ints', List[int]), ('sets', List[Dataset])]):
    with dsl.ParallelFor(['a', 'b']) as x:
        with dsl.ParallelFor(['c']) as y:
            m = make(x=f'{x}{y}')
    from collections import namedtuple
    return namedtuple('O', 'ints sets')(dsl.Collected(m.outputs['Output']), dsl.Collected(m.outputs['data']))


pipeline = loop_outputs_pipeline
