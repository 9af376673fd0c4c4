"""Odd names, repeated names, and constants of every shape."""

from typing import Dict, List

from kfp import dsl


@dsl.component
def take_all(s: str, i: int, f: float, b: bool, l: List[str], d: Dict[str, str], any_list: list = [1, 'a', 2.5], any_dict: dict = {'a': {'b': [1.5]}}):
    pass


@dsl.component
def CamelCase_name__x(x: str = 'ü "quoted" \\ and\nlines') -> str:
    return x


@dsl.pipeline(name='Names and Values 2!')
def pipeline(s: str = 'ä', i: int = -5, f: float = 1e-3, b: bool = True, l: List[str] = ['a', 'b'], d: Dict[str, str] = {'k': 'v'}, big: int = 9007199254740992,
             empty: list = [], nothing: dict = {}):
    take_all(s=s, i=i, f=f, b=b, l=l, d=d)
    take_all(s='x', i=0, f=2.0, b=False, l=[], d={}, any_list=[[1, 2], {'x': True}], any_dict={'n': [True]})
    take_all(s='', i=10, f=0.1, b=True, l=['x'], d={'a': 'b'}, any_list=empty, any_dict=nothing)
    one = CamelCase_name__x()
    CamelCase_name__x(x=one.output)
    CamelCase_name__x(x=f'{s}-{i}-{f}-{b}-{one.output}')
    take_all(s=f'{big}', i=big, f=f, b=b, l=[s, 'fixed', one.output], d={'key': s, 'other': f'{i}'})
