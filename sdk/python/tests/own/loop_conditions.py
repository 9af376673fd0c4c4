from typing import Dict, List

from kfp import dsl


@dsl.component
def items() -> List[Dict[str, str]]:
    return [{'a': '1', 'b': '2'}]


@dsl.component
def show(msg: str) -> str:
    return msg


@dsl.component
def num(x: int) -> int:
    return x


@dsl.pipeline(name='loop-conditions')
def pipeline(limit: int = 3):
    g = items()
    with dsl.ParallelFor(g.output) as item:
        with dsl.If(item.a == '1'):
            show(msg=item.b)
    with dsl.ParallelFor([{'x': 'q', 'y': 'z'}]) as fixed:
        with dsl.If(fixed.x == 'q'):
            show(msg=fixed.y)
    with dsl.ParallelFor([1, 2, 3]) as i:
        n = num(x=i)
        with dsl.If(n.output > limit):
            s = show(msg='big')
            show(msg=s.output)
    with dsl.If(limit > 1):
        with dsl.ParallelFor(['a', 'b']) as letter:
            with dsl.ParallelFor(g.output) as inner:
                show(msg=letter)
                show(msg=inner.a)
