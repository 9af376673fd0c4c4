from kfp import dsl
from kfp.dsl import PipelineTaskFinalStatus


@dsl.component
def work(m: str) -> str:
    return m


@dsl.component
def bye(reason: str, status: PipelineTaskFinalStatus):
    print(reason, status)


@dsl.component
def plain(text: str):
    print(text)


@dsl.pipeline(name='exit-handler')
def pipeline(m: str = 'hello'):
    e = bye(reason=m)
    with dsl.ExitHandler(e, name='my handler'):
        w = work(m=m)
        plain(text=w.output)
    e2 = plain(text='end')
    with dsl.ExitHandler(e2):
        work(m='x')
