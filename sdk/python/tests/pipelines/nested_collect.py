"""Collected over one, two and three loops, of parameters and artifacts, also out of pipelines."""

from typing import List

from kfp import dsl


@dsl.component
def double(n: int) -> int:
    return 2 * n


@dsl.component
def total(numbers: List[int]) -> int:
    return sum(numbers)


@dsl.component
def make(n: int, out: dsl.Output[dsl.Model]):
    pass


@dsl.component
def count(models: dsl.Input[List[dsl.Model]]) -> int:
    return len(models)


@dsl.pipeline
def inner(numbers: List[int]) -> int:
    with dsl.ParallelFor(numbers, parallelism=3) as n:
        one = double(n=n)
    return total(numbers=dsl.Collected(one.output)).output


@dsl.pipeline(name='nested-collect')
def pipeline(numbers: List[int] = [1, 2]) -> List[int]:
    with dsl.ParallelFor(numbers, name='outer loop') as n:
        with dsl.ParallelFor([1, 2, 3], parallelism=2) as m:
            one = double(n=m)
            made = make(n=one.output)
        inner(numbers=numbers)
        total(numbers=dsl.Collected(one.output))
    count(models=dsl.Collected(made.outputs['out']))
    total(numbers=dsl.Collected(one.output))
    return dsl.Collected(one.output)
