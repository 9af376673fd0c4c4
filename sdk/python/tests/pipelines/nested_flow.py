from typing import List

from kfp import dsl


@dsl.component
def flip() -> str:
    return 'heads'


@dsl.component
def items() -> List[str]:
    return ['a']


@dsl.component
def show(msg: str) -> str:
    return msg


@dsl.pipeline(name='nested-flow')
def pipeline(who: str = 'w', go: bool = True):
    f = flip()
    it = items()
    done = show(msg='done')
    with dsl.ExitHandler(done):
        with dsl.If(f.output == 'heads'):
            with dsl.ParallelFor(it.output) as x:
                s = show(msg=x)
                with dsl.If(s.output == who):
                    show(msg=f'{s.output} {f.output} {who}')
                with dsl.Else():
                    show(msg='else')
            g = flip()
        late = show(msg='late')
    show(msg='after').after(late) if False else None
    z = show(msg='z')
    y = show(msg='y').after(z)
    with dsl.If(y.output == z.output):
        show(msg='same').after(f)
