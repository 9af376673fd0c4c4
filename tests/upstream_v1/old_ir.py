"""A pipeline for the second engine, written with the first SDK (kfp.v2 of 1.8.22), which compiles the schema 2.0.0:
`old_ir.py FILE` writes it, with values of every type."""
import sys

from kfp.v2 import compiler, dsl


@dsl.component(base_image='python:3.11')
def describe(whole: int, real: float = 1.5, text: str = 'x', numbers: list = [1], members: dict = {'a': 1},
             flag: bool = True) -> str:
    return f'{whole!r} {real!r} {text!r} {numbers!r} {members!r} {flag!r}'


@dsl.component(base_image='python:3.11')
def write(data: dsl.Output[dsl.Dataset], size: int = 3):
    with open(data.path, 'w') as f:
        f.write('x' * size)


@dsl.component(base_image='python:3.11')
def measure(data: dsl.Input[dsl.Dataset]) -> int:
    with open(data.path) as f:
        return len(f.read())


@dsl.pipeline(name='old-schema', pipeline_root='minio://mlpipeline/old')
def pipeline(whole: int = 7, real: float = 2.5, text: str = 'hi', large: int = 2 ** 53, numbers: list = [1, 2],
             members: dict = {'k': 'v'}, flag: bool = True):
    describe(whole=whole, real=real, text=text, numbers=numbers, members=members, flag=flag)
    describe(whole=large)
    size = measure(data=write(size=whole).outputs['data'])
    with dsl.Condition(size.output == 7):
        describe(whole=size.output, text='seven')
    with dsl.ParallelFor(numbers) as number:
        describe(whole=number)
    with dsl.ParallelFor([{'n': 10, 't': 'ten'}]) as item:
        describe(whole=item.n, text=item.t)


compiler.Compiler().compile(pipeline_func=pipeline, package_path=sys.argv[1], type_check=False)
