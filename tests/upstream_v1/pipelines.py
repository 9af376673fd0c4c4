"""Pipelines written with the first SDK (kfp 1.8.22), one for each feature, compiled by it into the folder that is named:
`pipelines.py FOLDER` writes FOLDER/<name>.yaml for each function here that is marked with @pipeline."""
import collections
import os
import sys
from typing import NamedTuple

import kfp
import kfp.compiler
from kfp import dsl
from kfp.components import (InputPath, OutputPath, create_component_from_func, func_to_container_op,
                            load_component_from_text)
from kfp.dsl._resource_op import kubernetes_resource_delete_op
from kubernetes import client as k8s

PIPELINES = {}


def pipeline(function=None, *, conf=None):
    def mark(inner):
        name = inner.__name__.replace('_', '-')
        PIPELINES[name] = (dsl.pipeline(name=name, description=inner.__doc__)(inner), conf)
        return inner
    return mark(function) if function else mark


# --- components ---

def _add(a: float, b: float) -> float:
    return a + b


def _say(text: str) -> str:
    print(text)
    return text


def _numbers(count: int) -> list:
    return list(range(count))


def _people() -> list:
    return [{'who': 'ann', 'age': 30}, {'who': 'bob "b"', 'age': 40}]


def _divide(dividend: int, divisor: int) -> NamedTuple('Parts', [('quotient', int), ('remainder', int)]):
    import collections
    return collections.namedtuple('Parts', 'quotient remainder')(dividend // divisor, dividend % divisor)


def _write(lines: int, data_path: OutputPath('Text')):
    with open(data_path, 'w') as f:
        for i in range(lines):
            f.write(f'line {i}\n')


def _count(data_path: InputPath('Text')) -> int:
    with open(data_path) as f:
        return len(f.readlines())


def _measure() -> NamedTuple('Out', [('mlpipeline_ui_metadata', 'UI_metadata'), ('mlpipeline_metrics', 'Metrics')]):
    import collections
    import json
    metrics = {'metrics': [{'name': 'accuracy', 'numberValue': 0.75, 'format': 'PERCENTAGE'}]}
    page = {'outputs': [{'type': 'markdown', 'storage': 'inline', 'source': '# hello'}]}
    return collections.namedtuple('Out', 'mlpipeline_ui_metadata mlpipeline_metrics')(json.dumps(page),
                                                                                      json.dumps(metrics))


add = create_component_from_func(_add)
say = func_to_container_op(_say)
numbers = func_to_container_op(_numbers)
people = func_to_container_op(_people)
divide = create_component_from_func(_divide)
write = create_component_from_func(_write)
count = create_component_from_func(_count)
measure = create_component_from_func(_measure)

shout = load_component_from_text('''
name: Shout
inputs: [{name: Text, type: String}, {name: Mark, default: '!', optional: true}]
outputs: [{name: Louder}]
implementation:
  container:
    image: alpine
    command:
    - sh
    - -c
    - |
      mkdir -p "$(dirname "$1")"
      printf %s "$0" | tr a-z A-Z > "$1"
      printf %s "$2" >> "$1"
    - {inputValue: Text}
    - {outputPath: Louder}
    - {if: {cond: {isPresent: Mark}, then: [{inputValue: Mark}], else: ['.']}}
''')

tally = load_component_from_text('''
name: Tally
inputs: [{name: Text}]
outputs: [{name: Size, type: Integer}]
implementation:
  container:
    image: alpine
    command: [sh, -c, 'mkdir -p "$(dirname "$1")"; wc -c < "$0" | tr -d " " > "$1"', {inputPath: Text}, {outputPath: Size}]
''')


def shell(name, script, **more):
    return dsl.ContainerOp(name=name, image='alpine', command=['sh', '-c'], arguments=[script], **more)


# --- pipelines ---

@pipeline
def chain(x: float = 1.5, word: str = 'hi'):
    """Values from step to step."""
    first = add(x, 4)
    add(first.output, 10).set_display_name('the sum')
    parts = divide(17, 5)
    add(parts.outputs['quotient'], parts.outputs['remainder'])
    shout(word)
    shout(text='so', mark='?')


@pipeline
def files(lines: int = 3):
    """Artifacts by path."""
    count(write(lines).outputs['data'])
    tally('some text')
    tally(say('from a step').output)


@pipeline
def branches(side: str = 'heads'):
    """Conditions."""
    flip = say(side).set_display_name('flip')
    with dsl.Condition(flip.output == 'heads', name='heads'):
        inner = say('it is %s' % flip.output)
        with dsl.Condition(inner.output != 'it is tails'):
            shout(inner.output)
    with dsl.Condition(flip.output == 'tails'):
        say('tails')
    size = numbers(3)
    with dsl.Condition(add(2, 3).output > 4):
        say('more')
    with dsl.Condition(add(2, 3).output <= 4):
        say('less').after(size)


@pipeline
def loops(words: list = ['p', 'q']):
    """Loops over constants, maps, parameters and outputs, nested, and of a limited width."""
    with dsl.ParallelFor(['a', 'b']) as item:
        say(item)
        with dsl.ParallelFor([1, 2]) as inner:
            say('%s%s' % (item, inner))
    with dsl.ParallelFor([{'a': 1, 'b': 2}, {'a': 10, 'b': 20}], parallelism=1) as item:
        add(item.a, item.b)
    with dsl.ParallelFor(words) as word:
        shout(word)
    with dsl.ParallelFor(numbers(3).output) as number:
        add(number, 100)
    with dsl.ParallelFor(people().output) as person:
        say(person.who)
        with dsl.Condition(person.age > 35):
            shout(person.who)
        tally(person.who)


@dsl.graph_component
def halve(n):
    step = divide(n, 2)
    with dsl.Condition(step.outputs['quotient'] > 0):
        halve(step.outputs['quotient'])


@pipeline
def recursion(n: int = 10):
    """A component that calls itself."""
    halve(n).after(say('begin'))


@pipeline
def exits(url: str = 'http://x'):
    """An exit handler, after a failure."""
    bye = shell('bye', 'echo "{{workflow.status}} %s" > /tmp/bye; test "{{workflow.status}}" = Failed' % url,
                file_outputs={'word': '/tmp/bye'})
    with dsl.ExitHandler(bye):
        shell('good', 'true')
        shell('bad', 'echo oh no; exit 3')


@pipeline
def ends_well():
    """An exit handler, after success."""
    bye = shell('bye', 'echo {{workflow.status}} > /tmp/bye', file_outputs={'word': '/tmp/bye'})
    with dsl.ExitHandler(bye):
        shell('good', 'true')


@pipeline
def retries():
    """A step that fails at first."""
    shell('flaky', 'test {{retries}} -ge 2 && echo {{retries}} > /tmp/n', file_outputs={'n': '/tmp/n'}).set_retry(
        3, policy='Always', backoff_duration='1s')
    shell('hopeless', 'exit 4').set_retry(1)


@pipeline
def places():
    """Outputs that are not below /tmp."""
    make = shell('make', 'echo root > /out.txt; mkdir -p /made-up/deep/er /made-up/folder; echo deep > /made-up/deep/er/n; echo f > /made-up/folder/f; '
                 'echo there > /usr/share/made.txt; echo w > /model/weights; printf "[1]" > /data.json',
                 file_outputs={'root': '/out.txt', 'deep': '/made-up/deep/er/n', 'there': '/usr/share/made.txt',
                               'folder': '/made-up/folder', 'model': '/model', 'data': '/data.json'},
                 output_artifact_paths={'mlpipeline-metrics': '/mlpipeline-metrics.json'})
    shell('see', 'echo %s %s %s' % (make.outputs['root'], make.outputs['deep'], make.outputs['there']) + ' > /tmp/seen',
          file_outputs={'seen': '/tmp/seen'})
    read = dsl.ContainerOp(name='read', image='alpine', command=['sh', '-c'],
                           arguments=['cat /in/folder/f /weights/weights /tmp/d.json > /tmp/all'],
                           file_outputs={'all': '/tmp/all'},
                           artifact_argument_paths=[
                               dsl.InputArgumentPath(make.outputs['folder'], path='/in/folder'),
                               dsl.InputArgumentPath(make.outputs['model'], path='/weights'),
                               dsl.InputArgumentPath(make.outputs['data'], path='/tmp/d.json')])
    read.after(make)


@pipeline
def metrics():
    """Metrics and pages."""
    measure()
    shell('by-hand', 'echo \'{"metrics": [{"name": "loss", "numberValue": 0.5}]}\' > /mlpipeline-metrics.json',
          output_artifact_paths={'mlpipeline-metrics': '/mlpipeline-metrics.json',
                                 'mlpipeline-ui-metadata': '/mlpipeline-ui-metadata.json'})


@pipeline
def settings(size: str = '100Mi'):
    """Everything that a container can be told."""
    op = shell('env', 'echo "$COLOUR $WORD $NAME $key" > /tmp/o', file_outputs={'o': '/tmp/o'})
    op.container.add_env_variable(k8s.V1EnvVar(name='COLOUR', value='red'))
    op.container.add_env_variable(k8s.V1EnvVar(name='WORD', value_from=k8s.V1EnvVarSource(
        secret_key_ref=k8s.V1SecretKeySelector(name='v1-hidden', key='word'))))
    op.container.add_env_variable(k8s.V1EnvVar(name='NAME', value_from=k8s.V1EnvVarSource(
        field_ref=k8s.V1ObjectFieldSelector(field_path="metadata.labels['team']"))))
    op.container.add_env_from(k8s.V1EnvFromSource(config_map_ref=k8s.V1ConfigMapEnvSource(name='v1-settings')))
    op.add_pod_label('team', 'blue')
    op.add_node_selector_constraint('zone', 'north')
    op.add_toleration(k8s.V1Toleration(key='gpu', operator='Exists'))
    op.container.set_memory_limit('200Mi').set_cpu_request('10m')
    limited = shell('limited', 'true')
    limited.container.set_memory_limit(size)
    mounted = shell('mounted', 'cat /etc/hidden/word > /tmp/o', file_outputs={'o': '/tmp/o'})
    mounted.add_volume(k8s.V1Volume(name='hidden', secret=k8s.V1SecretVolumeSource(secret_name='v1-hidden')))
    mounted.container.add_volume_mount(k8s.V1VolumeMount(name='hidden', mount_path='/etc/hidden'))


@pipeline
def companions():
    """An init container, and a sidecar that is there before the step and gone after it."""
    op = shell('served', 'for i in $(seq 50); do test -s /shared/ready && break; sleep 0.1; done; '
               'cat /shared/prepared /shared/ready > /tmp/o', file_outputs={'o': '/tmp/o'})
    op.add_volume(k8s.V1Volume(name='shared', empty_dir=k8s.V1EmptyDirVolumeSource()))
    op.container.add_volume_mount(k8s.V1VolumeMount(name='shared', mount_path='/shared'))
    op.add_init_container(dsl.UserContainer('prepare', 'alpine', ['sh', '-c', 'echo prepared > /shared/prepared'],
                                            mirror_volume_mounts=True))
    op.add_sidecar(dsl.Sidecar('server', 'alpine', ['sh', '-c', 'echo ready > /shared/ready; sleep 3600'],
                               mirror_volume_mounts=True))


@pipeline
def slow():
    """A step that takes too long."""
    shell('sleeper', 'sleep 600').set_timeout(1)


@pipeline
def volumes():
    """A claim that the pipeline makes, used by two steps one after the other, and deleted."""
    claim = dsl.VolumeOp(name='claim', resource_name='data', size='10Mi', modes=dsl.VOLUME_MODE_RWO)
    first = shell('first', 'echo one > /mnt/f; echo %s > /tmp/size' % claim.outputs['size'],
                  file_outputs={'size': '/tmp/size'}, pvolumes={'/mnt': claim.volume})
    second = shell('second', 'echo two >> /mnt/f; cat /mnt/f > /mnt/o', file_outputs={'o': '/mnt/o'},
                   pvolumes={'/mnt': first.pvolume})
    drop = dsl.ResourceOp(name='drop', action='delete', k8s_resource=k8s.V1PersistentVolumeClaim(
        api_version='v1', kind='PersistentVolumeClaim', metadata=k8s.V1ObjectMeta(name=claim.outputs['name'])))
    drop.after(second)


@pipeline
def resources(word: str = 'b3Blbg=='):
    """Resources of the cluster: made, waited for, looked at, changed."""
    secret = dsl.ResourceOp(name='secret', k8s_resource=k8s.V1Secret(
        api_version='v1', kind='Secret', metadata=k8s.V1ObjectMeta(generate_name='made-'), data={'word': word},
        type='Opaque'), attribute_outputs={'type': '{.type}'})
    use = shell('use', 'cat /secret/word > /tmp/o; echo %s >> /tmp/o' % secret.outputs['type'],
                file_outputs={'o': '/tmp/o'})
    use.add_volume(k8s.V1Volume(name='made', secret=k8s.V1SecretVolumeSource(secret_name=secret.outputs['name'])))
    use.container.add_volume_mount(k8s.V1VolumeMount(name='made', mount_path='/secret'))
    pod = dsl.ResourceOp(name='pod', k8s_resource={
        'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'generateName': 'inner-'},
        'spec': {'restartPolicy': 'Never', 'containers': [{'name': 'main', 'image': 'alpine', 'command': ['true']}]}},
        success_condition='status.phase == Succeeded', failure_condition='status.phase == Failed',
        attribute_outputs={'phase': '{.status.phase}'})
    shell('after', 'echo %s > /tmp/o' % pod.outputs['phase'], file_outputs={'o': '/tmp/o'})


@pipeline
def deletes(space: str = ''):
    """What the pipeline has made is deleted by the SDK's own steps, also when it is gone already."""
    claim = dsl.VolumeOp(name='claim', resource_name='gone', size='10Mi', modes=dsl.VOLUME_MODE_RWO)
    use = shell('use', 'echo here > /mnt/f', pvolumes={'/mnt': claim.volume})
    claim.delete().after(use)
    settings = dsl.ResourceOp(name='settings', k8s_resource={
        'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'generateName': 'gone-'}, 'data': {'a': 'b'}})
    first = settings.delete()
    kubernetes_resource_delete_op(name=settings.outputs['name'], kind='configmaps',
                                  namespace='kubeflow').after(first)


@pipeline
def own_folders():
    """Steps that make the folders of their outputs themselves, and fail where these are there."""
    shell('make', 'mkdir /tmp/out /tmp/out/deep && echo 1 > /tmp/out/deep/n && '
          'mkdir /not-here/inner && mkdir /not-here/inner/model && echo 2 > /not-here/inner/model/w',
          file_outputs={'n': '/tmp/out/deep/n', 'model': '/not-here/inner/model'})


@pipeline
def failures():
    """An exit handler that is told what failed."""
    bye = shell('bye', "echo '{{workflow.failures}}' > /tmp/f", file_outputs={'f': '/tmp/f'})
    with dsl.ExitHandler(bye):
        shell('bad', 'exit 3').set_display_name('quite bad')
        with dsl.ParallelFor(['a', 'b']) as item:
            shell('picky', 'test %s = a' % item)


@pipeline
def stale():
    """What may be taken from the cache for an hour, and for a day."""
    for text, age in (('hour', 'PT1H'), ('day', 'P1D')):
        step = say(text)
        step.execution_options.caching_strategy.max_cache_staleness = age


@pipeline
def large(n: int = 2 ** 53):
    """The largest whole number that JSON holds."""
    shell('large', 'echo %s > /tmp/o' % n, file_outputs={'o': '/tmp/o'})


@pipeline
def alien():
    """A resource that this server does not have."""
    dsl.ResourceOp(name='job', k8s_resource={'apiVersion': 'batch/v1', 'kind': 'Job', 'metadata': {'name': 'x'},
                                             'spec': {}})


def volume_conf():
    from kfp.dsl.types import List  # noqa: F401
    from kfp.compiler._data_passing_using_volume import rewrite_data_passing_to_use_volumes  # noqa: F401
    from kfp.dsl import data_passing_methods
    conf = dsl.PipelineConf()
    conf.data_passing_method = data_passing_methods.KubernetesVolume(
        volume=k8s.V1Volume(name='data', persistent_volume_claim=k8s.V1PersistentVolumeClaimVolumeSource('v1-data')),
        path_prefix='artifact_data/')
    return conf


@pipeline(conf=volume_conf)
def by_volume():
    """Data passed through a volume."""
    count(write(4).outputs['data'])
    add(say('2').output, 3)
    measure()


@pipeline
def names(greeting: str = 'hello'):
    """The run's own names."""
    shell('names', 'echo "{{workflow.uid}} {{workflow.name}} {{workflow.namespace}} {{pod.name}} %s" > /tmp/o' % greeting,
          file_outputs={'o': '/tmp/o'})
    shell('run-id', f'echo {dsl.RUN_ID_PLACEHOLDER} {dsl.EXECUTION_ID_PLACEHOLDER} > /tmp/o', file_outputs={'o': '/tmp/o'})


def read_file(words: InputPath(str), again: InputPath(str)) -> str:
    return open(words).read() + '/' + open(again).read()


@pipeline
def parameter_as_file(words: str = 'a parameter', number: int = 3):
    """A component that takes files, given parameters of the pipeline."""
    func_to_container_op(read_file)(words, number)


@pipeline
def cached():
    """Caching, and a step that will have none of it."""
    say('once')
    fresh = say('always')
    fresh.execution_options.caching_strategy.max_cache_staleness = 'P0D'


def narrow_conf():
    conf = dsl.PipelineConf()
    conf.set_parallelism(1)
    conf.set_timeout(300)
    conf.set_ttl_seconds_after_finished(60)
    conf.set_image_pull_secrets([k8s.V1ObjectReference(name='registry')])
    return conf


@pipeline(conf=narrow_conf)
def narrow():
    """One step at a time."""
    for i in range(3):
        shell(f'step-{i}', 'true')


def main(folder):
    for name, (function, conf) in PIPELINES.items():
        kfp.compiler.Compiler().compile(function, os.path.join(folder, name + '.yaml'), type_check=False,
                                        pipeline_conf=conf() if conf else None)


if __name__ == '__main__':
    main(sys.argv[1])
