from kfp import dsl
from kfp.dsl import Artifact, Input, Output


@dsl.component
def flip() -> str:
    return 'heads'


@dsl.component
def text(x: str) -> str:
    return x


@dsl.component
def art(a: Output[Artifact]):
    pass


@dsl.component
def read(a: Input[Artifact]):
    pass


@dsl.pipeline(name='oneof')
def pipeline() -> str:
    f = flip()
    with dsl.If(f.output == 'heads'):
        t1 = text(x='h')
        a1 = art()
    with dsl.Elif(f.output == 'tails'):
        t2 = text(x='t')
        a2 = art()
    with dsl.Else():
        t3 = text(x='e')
        a3 = art()
    one = dsl.OneOf(t1.output, t2.output, t3.output)
    text(x=one)
    read(a=dsl.OneOf(a1.outputs['a'], a2.outputs['a'], a3.outputs['a']))
    return one
