"""Long chains of branches, branches in branches, and OneOf at several levels."""

from kfp import dsl


@dsl.component
def roll() -> int:
    return 1


@dsl.component
def text(value: str) -> str:
    return value


@dsl.component
def make(out: dsl.Output[dsl.Dataset], word: str = 'a'):
    with open(out.path, 'w') as f:
        f.write(word)


@dsl.component
def read(data: dsl.Input[dsl.Dataset]) -> str:
    return open(data.path).read()


@dsl.pipeline
def inner(n: int) -> str:
    with dsl.If(n == 1):
        a = text(value='one')
    with dsl.Elif(n == 2):
        b = text(value='two')
    with dsl.Elif(n == 3):
        c = text(value='three')
    with dsl.Else():
        d = text(value='many')
    return dsl.OneOf(a.output, b.output, c.output, d.output)


@dsl.pipeline(name='elif-chains')
def pipeline(n: int = 1) -> str:
    rolled = roll()
    with dsl.If(rolled.output == 1, name='first'):
        with dsl.If(n > 0):
            x = make(word='x')
        with dsl.Else():
            y = make(word='y')
        chosen = read(data=dsl.OneOf(x.outputs['out'], y.outputs['out']))
    with dsl.Elif(rolled.output == 2, name='second'):
        chosen2 = inner(n=n)
    with dsl.Else(name='last'):
        chosen3 = text(value=f'{n} and {rolled.output}')
    last = dsl.OneOf(chosen.output, chosen2.output, chosen3.output)
    text(value=last)
    return last
