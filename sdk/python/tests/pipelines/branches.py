from kfp import dsl


@dsl.component
def flip() -> str:
    return 'heads'


@dsl.component
def num() -> int:
    return 3


@dsl.component
def show(msg: str):
    print(msg)


@dsl.pipeline(name='branches')
def pipeline(flag: bool, level: int = 3, rate: float = 0.5, name: str = 'n'):
    f = flip()
    n = num()
    with dsl.If(f.output == 'heads'):
        show(msg='heads')
        with dsl.If(n.output > 5, name='inner'):
            show(msg=f'big {n.output}')
    with dsl.Elif(f.output == 'tails'):
        show(msg=f.output)
    with dsl.Else():
        show(msg='edge')
    with dsl.If(flag == True):
        show(msg='flagged')
    with dsl.If(level >= 3):
        show(msg='level')
    with dsl.If(rate < 0.75):
        show(msg='rate')
    with dsl.If(n.output <= level):
        show(msg='both')
    with dsl.If(name != f.output):
        show(msg='names')
    with dsl.Condition('a' != name, 'old'):
        show(msg='cond')
