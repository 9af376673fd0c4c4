"""Conditions with every operator on every type, on inputs, outputs and items."""

from typing import Dict, List

from kfp import dsl


@dsl.component
def number() -> int:
    return 1


@dsl.component
def decimal() -> float:
    return 1.5


@dsl.component
def flag() -> bool:
    return True


@dsl.component
def word() -> str:
    return 'its'


@dsl.component
def say(text: str = 'default'):
    print(text)


@dsl.pipeline(name='operators')
def pipeline(n: int = 3, f: float = 0.5, b: bool = False, s: str = 'x', items: List[int] = [1, 2], rows: List[Dict[str, int]] = [{'a': 1}]):
    a, c, d, w = number(), decimal(), flag(), word()
    with dsl.If(a.output > 3):
        say()
    with dsl.If(a.output >= n):
        say()
    with dsl.If(n < a.output):
        say()
    with dsl.If(c.output <= 2.5):
        say()
    with dsl.If(f != 0.5):
        say()
    with dsl.If(d.output == True):  # noqa: E712
        say()
    with dsl.If(b == False):  # noqa: E712
        say()
    with dsl.If(w.output == 'its'):
        say()
    with dsl.If(s != w.output):
        say(text=s)
    with dsl.ParallelFor(items) as item:
        with dsl.If(item == 2, name='named condition'):
            say(text=f'{item}')
    with dsl.ParallelFor([{'k': 1, 'v': 'a'}, {'k': 2, 'v': 'b'}]) as row:
        with dsl.If(row.k == 2):
            say()
