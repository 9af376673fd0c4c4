from typing import Dict, List

from kfp import dsl


@dsl.component
def name() -> str:
    return 'n'


@dsl.component
def num() -> int:
    return 1


@dsl.component
def show(msg: str, d: Dict = {}, l: List = []):
    print(msg)


@dsl.pipeline(name='fstrings')
def pipeline(a: str, b: int = 3, c: list = [1]):
    n = name()
    k = num()
    show(msg=f'{a} and {b} {n.output} {k.output}')
    show(msg='%s!' % a)
    show(msg='{}'.format(n.output))
    show(msg=a + '-x' if False else f'{a}{a}')
    show(msg='m', d={'a': a, 'n': n.output, 'k': [k.output, 'lit', b]}, l=[a, n.output, 1])
    show(msg=b if False else f'{b}')
    show(msg=f'job {dsl.PIPELINE_JOB_NAME_PLACEHOLDER} {a}')
    show(msg=dsl.PIPELINE_JOB_ID_PLACEHOLDER)
