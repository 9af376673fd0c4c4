from typing import Optional

from kfp import dsl
from kfp.dsl import Dataset, Input, Output, OutputPath


@dsl.container_component
def simple():
    return dsl.ContainerSpec(image='alpine', command=['echo'], args=['hi'])


@dsl.container_component
def copy(text: str, out: Output[Dataset], size: OutputPath(int)):
    """Copies text."""
    return dsl.ContainerSpec(
        image='alpine',
        command=['sh', '-c', 'mkdir -p $(dirname $1); echo "$0" > "$1"; echo 1 > $2'],
        args=[text, out.path, size])


@dsl.container_component
def placeholders(a: str, data: Input[Dataset], b: Optional[str] = None, c: str = 'dflt'):
    return dsl.ContainerSpec(
        image='alpine',
        command=['sh', '-c', dsl.ConcatPlaceholder(['--x=', a, '/', dsl.ConcatPlaceholder(['q', c])])],
        args=[
            dsl.IfPresentPlaceholder(input_name='b', then=['--b', b], else_=['--no-b', 'x']),
            dsl.IfPresentPlaceholder(input_name='c', then='one'),
            'uri=', data.uri, data.path,
            f'{a}-suffix',
        ])


@dsl.pipeline(name='containers')
def pipeline(t: str = 'text'):
    simple()
    c = copy(text=t)
    placeholders(a=t, data=c.outputs['out'])
    placeholders(a=f"n {c.outputs['size']}", data=c.outputs['out'], b='B')
