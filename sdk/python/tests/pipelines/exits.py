"""Exit handlers: several, with inputs, final status, loops and branches inside."""

from kfp import dsl


@dsl.component
def note(text: str, status: dsl.PipelineTaskFinalStatus):
    pass


@dsl.component
def simple(text: str = 'x'):
    pass


@dsl.component
def work(n: int = 1) -> int:
    return n


@dsl.component
def after(n: int = 0, status: dsl.PipelineTaskFinalStatus = None):
    pass


@dsl.pipeline(name='exits')
def pipeline(message: str = 'bye', n: int = 2):
    with dsl.ExitHandler(note(text=message), name='watched'):
        made = work(n=n)
        with dsl.If(made.output > 1):
            work(n=made.output)
        with dsl.ParallelFor([1, 2, 3], parallelism=1) as item:
            work(n=item)
    with dsl.ExitHandler(simple(text=f'{message} again').set_display_name('last')):
        work()
    one = work()
    simple(text='anyway').after(one).ignore_upstream_failure()
    work(n=one.output).ignore_upstream_failure()
