from typing import Literal

from kfp import dsl


@dsl.component
def pick(color: Literal['red', 'green'] = 'red', n: Literal[1, 2] = 1):
    print(color)


@dsl.pipeline(name='Literal & Root!', description='multi\nline', pipeline_root='minio://x/y')
def pipeline(color: Literal['red', 'green']):
    pick(color=color)
    pick()
