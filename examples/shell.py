"""Steps that are shell commands: parameters, files and environment variables without Python."""
import kfp
from kfp import dsl
from kfp.dsl import Artifact, Input, Output, OutputPath


@dsl.container_component
def write(text: str, file: Output[Artifact], length: OutputPath(int)):
    return dsl.ContainerSpec(
        image='debian:12',
        command=['sh', '-c', 'mkdir -p "$(dirname "$1")"; printf %s "$0" > "$1"; printf %s "$0" | wc -c > "$2"'],
        args=[text, file.path, length])


@dsl.container_component
def read(file: Input[Artifact], copy: OutputPath(str)):
    return dsl.ContainerSpec(image='debian:12', command=['sh', '-c', 'echo "$GREETING"; cat "$0" > "$1"'],
                             args=[file.path, copy])


@dsl.pipeline(name='shell')
def shell(text: str = 'quotes " and \' and $HOME, 한글') -> str:
    w = write(text=text)
    r = read(file=w.outputs['file'])
    r.set_env_variable('GREETING', 'hello from the environment')
    r.set_cpu_limit('1').set_memory_limit('256Mi')
    return r.outputs['copy']


if __name__ == '__main__':
    kfp.Client().create_run_from_pipeline_func(shell)
