"""A pipeline used as a step of another, tasks that wait without data, and a step that is tried again."""
import kfp
from kfp import dsl


@dsl.component
def add(a: float, b: float) -> float:
    return a + b


@dsl.component
def flaky(marker: str) -> str:
    import os
    import sys
    attempt = int(os.environ['KFP_RETRY_INDEX'])
    print('attempt', attempt)
    if attempt < 1:
        sys.exit(1)
    return f'{marker} after {attempt + 1} attempts'


@dsl.pipeline(name='sum-of-three')
def sum_of_three(a: float, b: float, c: float) -> float:
    first = add(a=a, b=b)
    return add(a=first.output, b=c).output


@dsl.pipeline(name='nested')
def nested(x: float = 1.0) -> float:
    inner = sum_of_three(a=x, b=2.0, c=3.0)
    later = flaky(marker='done').after(inner).set_retry(num_retries=2, backoff_duration='0s')
    later.set_display_name('a step that fails once')
    return add(a=inner.output, b=0.5).output


if __name__ == '__main__':
    kfp.Client().create_run_from_pipeline_func(nested)
