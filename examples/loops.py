"""Loops over given and computed lists, a limit on how many run at once, and what they made, collected."""
from typing import List

import kfp
from kfp import dsl


@dsl.component
def count_to(n: int) -> List[int]:
    return list(range(n))


@dsl.component
def square(x: int) -> int:
    return x * x


@dsl.component
def add_up(numbers: List[int]) -> int:
    return sum(numbers)


@dsl.component
def show(text: str):
    print(text)


@dsl.pipeline(name='loops')
def loops(n: int = 5) -> int:
    numbers = count_to(n=n)
    with dsl.ParallelFor(numbers.output, parallelism=2) as x:
        squares = square(x=x)
    with dsl.ParallelFor([{'name': 'a', 'size': 1}, {'name': 'b', 'size': 2}]) as item:
        show(text=f'{item.name}: {item.size}')
    return add_up(numbers=dsl.Collected(squares.output)).output


if __name__ == '__main__':
    kfp.Client().create_run_from_pipeline_func(loops)
