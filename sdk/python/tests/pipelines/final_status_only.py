from kfp import dsl
from kfp.dsl import PipelineTaskFinalStatus


@dsl.component
def fail() -> str:
    raise ValueError()


@dsl.component
def after(status: PipelineTaskFinalStatus, text: str = 'd'):
    print(status)


@dsl.pipeline(name='final-status')
def pipeline():
    f = fail()
    after(text=f.output).ignore_upstream_failure()
