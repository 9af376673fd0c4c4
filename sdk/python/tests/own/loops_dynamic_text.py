from typing import Dict, List

from kfp import dsl


@dsl.component
def gen() -> List[Dict[str, str]]:
    return [{'a': '1', 'b': '2'}]


@dsl.component
def gen_list() -> List[str]:
    return ['a']


@dsl.component
def show(msg: str):
    print(msg)


@dsl.component
def show_struct(s: Dict):
    print(s)


@dsl.pipeline(name='loops-dynamic')
def pipeline(names: List[str] = ['p', 'q'], plain: list = [1], suffix: str = 's'):
    g = gen()
    with dsl.ParallelFor(names) as n:
        show(msg=n)
        with dsl.ParallelFor(g.output) as item:
            show(msg=item.a)
            show(msg=f'{item.b}-{n}-{suffix}')
            show_struct(s=item)
            inner = gen_list()
            with dsl.ParallelFor(inner.output) as deep:
                show(msg=f'{deep}{n}')
    with dsl.ParallelFor(gen_list().output, parallelism=1) as g2:
        with dsl.If(g2 == 'a'):
            show(msg=g2)
    with dsl.ParallelFor([{'k': ['1', '2'], 'z': 'w'}]) as it:
        with dsl.ParallelFor(it.k) as v:
            show(msg=v)
