"""Pipelines that upstream's own dsl authors and upstream's own compiler writes."""
from typing import List, NamedTuple

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Metrics, Output


@dsl.component
def add(a: int, b: int) -> int:
    return a + b


@dsl.component
def which_kfp() -> str:
    import kfp
    return kfp.__file__


@dsl.component
def total(numbers: List[int]) -> int:
    return sum(numbers)


@dsl.component
def describe(number: int, settings: dict, names: list, scale: float = 0.5,
             strict: bool = True) -> NamedTuple('Answer', [('text', str), ('scaled', float), ('settings', dict)]):
    from collections import namedtuple
    return namedtuple('Answer', ['text', 'scaled', 'settings'])(
        f'{number} {names} {strict}', number * scale, dict(settings, seen=True))


@dsl.component
def write_data(rows: int, data: Output[Dataset], metrics: Output[Metrics]):
    with open(data.path, 'w') as f:
        f.write('\n'.join(str(row) for row in range(rows)))
    data.metadata['rows'] = rows
    metrics.log_metric('rows', rows)


@dsl.component
def read_data(data: Input[Dataset]) -> int:
    with open(data.path) as f:
        lines = len(f.read().splitlines())
    assert data.metadata['rows'] == lines
    return lines


@dsl.component
def fail(message: str):
    raise ValueError(message)


@dsl.component
def note(text: str):
    print(text)


@dsl.component
def sleep():
    import time
    time.sleep(600)


@dsl.container_component
def shout(text: str, result: dsl.OutputPath(str), copy: Output[Artifact]):
    return dsl.ContainerSpec(image='debian:12', command=['sh', '-c', '''
        mkdir -p "$(dirname "$1")" "$(dirname "$2")"
        printf %s "$0" | tr a-z A-Z | tee "$1" > "$2"'''], args=[text, result, copy.path])


@dsl.pipeline(name='steps', description='Parameters of every type, and a container.')
def steps(number: int = 3, text: str = 'quiet'):
    describe(number=number, settings={'a': [1, 2]}, names=['x', 'y'])
    shout(text=text)
    which_kfp()


@dsl.pipeline(name='artifacts')
def artifacts(rows: int = 7) -> int:
    return read_data(data=write_data(rows=rows).outputs['data']).output


@dsl.pipeline(name='branches')
def branches(number: int = 1):
    first = add(a=number, b=1)
    with dsl.If(first.output > 5):
        note(text='large').set_display_name('large')
    with dsl.Elif(first.output == 5):
        note(text='five').set_display_name('five')
    with dsl.Else():
        note(text='small').set_display_name('small')


@dsl.pipeline(name='loop')
def loop(numbers: List[int] = [1, 2, 3]):
    with dsl.ParallelFor(items=numbers, parallelism=2) as number:
        more = add(a=number, b=10)
    total(numbers=dsl.Collected(more.output))


@dsl.pipeline(name='cleanup')
def cleanup(message: str = 'it went wrong'):
    with dsl.ExitHandler(note(text='cleaned up')):
        fail(message=message)


@dsl.pipeline(name='long')
def long():
    sleep()


@dsl.pipeline(name='whole')
def whole() -> int:
    inner = artifacts(rows=4)
    return add(a=inner.output, b=1).output


@dsl.container_component
def say(text: str):
    return dsl.ContainerSpec(image='debian:12', command=['echo', text])


@dsl.pipeline(name='quick')
def quick(text: str = 'hello'):
    say(text=text).set_caching_options(False)
