"""A run that fails, and a step that runs at its end all the same. This example's run is meant to end FAILED."""
import kfp
from kfp import dsl


@dsl.component
def work(fail: bool):
    import sys
    print('working')
    if fail:
        print('something is wrong', file=sys.stderr)
        sys.exit(3)


@dsl.component
def never(text: str):
    print(text)


@dsl.component
def clean_up(status: dsl.PipelineTaskFinalStatus) -> str:
    print(status.state, status.error_message)
    return status.state


@dsl.pipeline(name='cleanup')
def cleanup(fail: bool = True):
    end = clean_up()
    with dsl.ExitHandler(end):
        w = work(fail=fail)
        never(text='only when it worked').after(w)


if __name__ == '__main__':
    kfp.Client().create_run_from_pipeline_func(cleanup)
