from kfp import dsl
from kfp.dsl import Artifact, Input, Output


@dsl.component
def val() -> int:
    return 1


@dsl.component
def make(a: Output[Artifact]):
    pass


@dsl.component
def use(x: int, a: Input[Artifact]):
    pass


@dsl.pipeline(name='condition-scopes')
def pipeline(n: int):
    v = val()
    m = make()
    with dsl.If(v.output == 1):
        with dsl.If(n == 2):
            use(x=v.output, a=m.outputs['a'])
    with dsl.ParallelFor([1, 2]) as i:
        with dsl.If(i == 1):
            use(x=i, a=m.outputs['a'])
        with dsl.Elif(i == 2):
            use(x=v.output, a=m.outputs['a'])
        k = val().after(m)
    val().after(v).after(m)
