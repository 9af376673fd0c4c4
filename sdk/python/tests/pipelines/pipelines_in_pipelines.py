"""Pipelines as steps: twice, in loops, branches and exit handlers, with their outputs and settings."""

from typing import NamedTuple

from kfp import dsl


@dsl.component
def add(a: int, b: int = 2) -> int:
    return a + b


@dsl.component
def make(out: dsl.Output[dsl.Model]):
    pass


@dsl.component
def note(text: str):
    pass


@dsl.pipeline(name='innermost')
def innermost(n: int) -> int:
    return add(a=n).output


@dsl.pipeline(name='middle', description='In between.')
def middle(n: int = 5) -> NamedTuple('Outputs', [('sum', int), ('model', dsl.Model)]):
    one = innermost(n=n)
    two = innermost(n=one.output)
    made = make()
    outputs = NamedTuple('Outputs', [('sum', int), ('model', dsl.Model)])
    return outputs(sum=two.output, model=made.output)


@dsl.component
def use(model: dsl.Input[dsl.Model]):
    pass


@dsl.pipeline(name='pipelines-in-pipelines')
def pipeline(n: int = 1) -> dsl.Model:
    first = middle(n=n).set_display_name('first').set_caching_options(False)
    second = middle().after(first)
    use(model=second.outputs['model'])
    with dsl.If(first.outputs['sum'] > 2):
        middle(n=first.outputs['sum'])
    with dsl.ParallelFor([1, 2]) as item:
        innermost(n=item)
    with dsl.ExitHandler(note(text='the end'), name='guarded'):
        innermost(n=3)
        with dsl.ParallelFor([1]) as item:
            middle(n=item)
    return second.outputs['model']
