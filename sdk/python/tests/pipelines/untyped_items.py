"""Items of lists whose author did not say what is in them go into inputs of any type."""
from typing import List

from kfp import dsl


@dsl.component
def numbers() -> list:
    return [1, 2]


@dsl.component
def double(x: int) -> int:
    return 2 * x


@dsl.component
def spell(x: bool, y: float) -> str:
    return f'{x} {y}'


@dsl.component
def count(x: dict, y: list) -> int:
    return len(x) + len(y)


@dsl.component
def total(x: List[int]) -> int:
    return sum(x)


@dsl.pipeline(name='untyped-items')
def pipeline(given: list = [1]):
    with dsl.ParallelFor(numbers().output) as item:
        doubled = double(x=item)
    total(x=dsl.Collected(doubled.output))
    with dsl.ParallelFor(given) as one:
        spell(x=one, y=one)
        count(x=one, y=one)
    with dsl.ParallelFor([{'b': [1, 2]}]) as row:
        with dsl.ParallelFor(row.b) as cell:
            double(x=cell)
