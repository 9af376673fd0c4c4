"""Pipelines of the upstream SDK, each for one thing that the IR or the platform spec can say. Those that hold their own
checks fail the step that finds something else."""
import pathlib
from typing import Dict, List, NamedTuple

from kfp import dsl, kubernetes
from kfp.dsl import Artifact, Dataset, Input, Model, Output

WORKSPACE = dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(
    size='1Gi', kubernetes=dsl.KubernetesWorkspaceConfig(pvcSpecPatch={'storageClassName': 'standard'})))


@dsl.component
def expect(value: str, wanted: str):
    assert value == wanted, f'{value!r} is not {wanted!r}'


# --- the workspace ---

@dsl.component
def put(folder: str) -> str:
    import os
    path = os.path.join(folder, 'data', 'note.txt')
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as file:
        file.write('from the first step')
    return path


@dsl.component
def take(path: str) -> str:
    with open(path) as file:
        return file.read()


@dsl.pipeline(name='workspace', pipeline_config=WORKSPACE)
def workspace() -> str:
    step = take(path=put(folder=dsl.WORKSPACE_PATH_PLACEHOLDER).output)
    expect(value=step.output, wanted='from the first step')
    return step.output


@dsl.component
def write_file(data: Output[Dataset]):
    with open(data.path, 'w') as file:
        file.write('one file')


@dsl.component
def write_folder(data: Output[Dataset]):
    import os
    os.makedirs(os.path.join(data.path, 'deep'))
    for name in ('a', 'deep/b'):
        with open(os.path.join(data.path, name), 'w') as file:
            file.write(name)


@dsl.component
def uri_of(data: Input[Dataset]) -> str:
    return data.uri


@dsl.component
def look(data: Input[Dataset]) -> str:
    import os
    assert data.path.startswith('/kfp-workspace/.artifacts/'), data.path
    if os.path.isfile(data.path):
        with open(data.path) as file:
            return file.read()
    return ','.join(sorted(os.path.relpath(os.path.join(root, name), data.path)
                           for root, _, names in os.walk(data.path) for name in names))


@dsl.container_component
def path_of(data: Input[Dataset], result: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image='debian:12', command=['sh', '-ec', 'cat "$0" > /dev/null; echo "$0" > "$1"'],
                             args=[data.path, result])


@dsl.pipeline(name='importer-workspace', pipeline_config=WORKSPACE)
def importer_workspace():
    file_uri = uri_of(data=write_file().outputs['data'])
    folder_uri = uri_of(data=write_folder().outputs['data'])
    file = dsl.importer(artifact_uri=file_uri.output, artifact_class=Dataset, metadata={'key': 'value'},
                        download_to_workspace=True)
    folder = dsl.importer(artifact_uri=folder_uri.output, artifact_class=Dataset, reimport=True,
                          download_to_workspace=True)
    expect(value=look(data=file.output).output, wanted='one file')
    expect(value=look(data=folder.output).output, wanted='a,deep/b')
    path_of(data=file.output)


# --- artifacts ---

@dsl.component
def make(number: int, data: Output[Dataset]):
    data.metadata['number'] = number
    with open(data.path, 'w') as file:
        file.write(str(number))


@dsl.component
def gather(parts: Input[List[Dataset]]) -> str:
    return ' '.join(open(part.path).read() + ':' + str(part.metadata['number']) for part in parts)


@dsl.pipeline(name='collected-artifacts')
def collected_artifacts(numbers: List[int] = [3, 1, 2]) -> str:
    with dsl.ParallelFor(numbers) as number:
        made = make(number=number)
    step = gather(parts=dsl.Collected(made.outputs['data']))
    expect(value=step.output, wanted='3:3 1:1 2:2')
    return step.output


@dsl.component
def read_one(data: Input[Dataset]) -> str:
    with open(data.path) as file:
        return file.read()


@dsl.component
def flip(value: str) -> str:
    return value


@dsl.pipeline(name='one-of')
def one_of(side: str = 'tails') -> Dataset:
    tossed = flip(value=side)
    with dsl.If(tossed.output == 'heads'):
        first = make(number=1)
    with dsl.Elif(tossed.output == 'tails'):
        second = make(number=2)
    with dsl.Else():
        third = make(number=3)
    chosen = dsl.OneOf(first.outputs['data'], second.outputs['data'], third.outputs['data'])
    expect(value=read_one(data=chosen).output, wanted='2')
    return chosen


@dsl.component
def give_model() -> Model:
    model = Model(uri=dsl.get_uri('model'), metadata={'kind': 'tree'})
    with open(model.path, 'w') as file:
        file.write('a model')
    return model


@dsl.component
def give_both() -> NamedTuple('Both', [('data', Dataset), ('score', float)]):
    data = Dataset(uri=dsl.get_uri('data'), metadata={'rows': 2})
    with open(data.path, 'w') as file:
        file.write('1,2')
    return NamedTuple('Both', [('data', Dataset), ('score', float)])(data, 0.5)


@dsl.component
def check_both(model: Input[Model], data: Input[Dataset], score: float):
    assert open(model.path).read() == 'a model' and model.metadata['kind'] == 'tree', model.metadata
    assert open(data.path).read() == '1,2' and data.metadata['rows'] == 2 and score == 0.5


@dsl.pipeline(name='returned-artifacts')
def returned_artifacts():
    both = give_both()
    check_both(model=give_model().output, data=both.outputs['data'], score=both.outputs['score'])


@dsl.component
def elsewhere(data: Output[Dataset]):
    data.custom_path = '/tmp/elsewhere.txt'
    with open(data.path, 'w') as file:
        file.write('moved')


@dsl.pipeline(name='custom-path')
def custom_path():
    expect(value=read_one(data=elsewhere().outputs['data']).output, wanted='moved')


# --- values ---

@dsl.component
def facts(job: str, resource: str, run: str, task: str, task_id: str, created: str, root: str) -> str:
    import re
    assert re.fullmatch('[0-9a-f-]{36}', run), run
    assert resource.startswith('placeholders-'), resource
    assert task == 'facts' and task_id and root.startswith('minio://'), (task, task_id, root)
    assert re.match(r'20\d\d-\d\d-\d\dT', created), created
    return job


@dsl.pipeline(name='placeholders')
def placeholders() -> str:
    return facts(job=dsl.PIPELINE_JOB_NAME_PLACEHOLDER, resource=dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER,
                 run=dsl.PIPELINE_JOB_ID_PLACEHOLDER, task=dsl.PIPELINE_TASK_NAME_PLACEHOLDER,
                 task_id=dsl.PIPELINE_TASK_ID_PLACEHOLDER, created=dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER,
                 root=dsl.PIPELINE_ROOT_PLACEHOLDER).output


@dsl.component
def maybe(name: str, size: int = 4, extra: dict = None, items: list = None) -> str:
    return f'{name} {size} {extra} {items}'


@dsl.pipeline(name='inner')
def inner(name: str, size: int = 9, extra: dict = None) -> str:
    return maybe(name=name, size=size, extra=extra).output


@dsl.pipeline(name='optional')
def optional():
    expect(value=maybe(name='a').output, wanted='a 4 None None')
    expect(value=inner(name='b').output, wanted='b 9 None None')
    expect(value=inner(name='c', size=1, extra={'k': [1]}).output, wanted="c 1 {'k': [1]} None")


@dsl.component
def rows() -> List[Dict[str, str]]:
    return [{'letter': 'x', 'word': 'one'}, {'letter': 'y', 'word': 'two'}]


@dsl.component
def joined(a: str, b: str, c: int) -> str:
    return f'{a}{b}{c}'


@dsl.component
def in_order(texts: List[str]) -> str:
    return ' '.join(texts)


@dsl.pipeline(name='nested-loops')
def nested_loops() -> str:
    with dsl.ParallelFor(rows().output, parallelism=1) as row:
        with dsl.ParallelFor([1, 2]) as number:
            step = joined(a=row.letter, b=row.word, c=number)
    whole = in_order(texts=dsl.Collected(step.output))
    expect(value=whole.output, wanted='xone1 xone2 ytwo1 ytwo2')
    return whole.output


@dsl.container_component
def args(name: str, result: dsl.OutputPath(str), size: int = None):
    return dsl.ContainerSpec(
        image='debian:12', command=['sh', '-ec', 'out=$1; shift; echo "$*" > "$out"', 'sh'],
        args=[result, dsl.ConcatPlaceholder(['--name=', name, '!']),
              dsl.IfPresentPlaceholder('size', then=['--size', size], else_=['--no-size'])])


@dsl.pipeline(name='arguments')
def arguments():
    expect(value=args(name='a b').outputs['result'], wanted='--name=a b! --no-size\n')
    expect(value=args(name='c', size=3).outputs['result'], wanted='--name=c! --size 3\n')


# --- ends ---

@dsl.component
def broken():
    raise SystemExit(3)


@dsl.component
def summary(status: dsl.PipelineTaskFinalStatus) -> str:
    print(status)
    return f'{status.state} {status.pipeline_task_name}'


@dsl.component
def anyway(value: str = 'nothing came') -> str:
    return value


@dsl.component
def gives() -> str:
    raise RuntimeError('nothing to give')


@dsl.pipeline(name='ends')
def ends():
    tail = summary()
    with dsl.ExitHandler(tail):
        anyway(value=gives().output).ignore_upstream_failure()


@dsl.component
def second_time(folder: str):
    import os
    path = os.path.join(folder, 'tried')
    if not os.path.exists(path):
        open(path, 'w').close()
        raise RuntimeError('the first time')


@dsl.pipeline(name='retries', pipeline_config=WORKSPACE)
def retries():
    second_time(folder=dsl.WORKSPACE_PATH_PLACEHOLDER).set_retry(num_retries=2, backoff_duration='0s')


@dsl.component
def wait():
    import time
    time.sleep(600)


@dsl.pipeline(name='deadline', pipeline_config=dsl.PipelineConfig(active_deadline_seconds=1))
def deadline():
    wait()


@dsl.pipeline(name='task-timeout')
def task_timeout():
    kubernetes.set_timeout(wait(), seconds=1)


# --- the platform ---

@dsl.component
def surroundings() -> str:
    import os
    assert open('/etc/settings/colour').read() == 'green'
    assert open('/etc/hidden/word').read() == 'sesame'
    assert os.environ['WORD'] == 'sesame' and os.environ['COLOUR'] == 'green'
    assert os.path.isdir('/scratch') and os.path.isdir('/ephemeral')
    open('/scratch/x', 'w').close()
    open('/ephemeral/x', 'w').close()
    assert os.environ['TEAM'] == 'blue', os.environ['TEAM']
    assert os.environ['NODE']
    return os.environ['NOTE']


@dsl.pipeline(name='platform')
def platform(secret: str = 'hidden', settings: str = 'settings') -> str:
    step = surroundings()
    step.set_caching_options(False).set_cpu_request('100m').set_memory_limit('512Mi')
    kubernetes.use_secret_as_env(step, secret_name=secret, secret_key_to_env={'word': 'WORD'})
    kubernetes.use_secret_as_volume(step, secret_name='hidden', mount_path='/etc/hidden')
    kubernetes.use_config_map_as_env(step, config_map_name=settings, config_map_key_to_env={'colour': 'COLOUR'})
    kubernetes.use_config_map_as_volume(step, config_map_name='settings', mount_path='/etc/settings')
    kubernetes.empty_dir_mount(step, volume_name='scratch', mount_path='/scratch', size_limit='10Mi')
    kubernetes.add_ephemeral_volume(step, volume_name='eph', mount_path='/ephemeral', access_modes=['ReadWriteOnce'],
                                    size='1Gi')
    kubernetes.add_pod_label(step, 'team', 'blue')
    kubernetes.add_pod_annotation(step, 'note', 'read me')
    kubernetes.use_field_path_as_env(step, env_name='TEAM', field_path="metadata.labels['team']")
    kubernetes.use_field_path_as_env(step, env_name='NOTE', field_path="metadata.annotations['note']")
    kubernetes.use_field_path_as_env(step, env_name='NODE', field_path='spec.nodeName')
    kubernetes.add_toleration(step, key='dedicated', operator='Equal', value='ml', effect='NoSchedule')
    kubernetes.set_image_pull_policy(step, 'IfNotPresent')
    kubernetes.set_image_pull_secrets(step, ['registry'])
    return step.output


@dsl.component(task_config_passthroughs=[
    dsl.TaskConfigField.RESOURCES, dsl.TaskConfigField.KUBERNETES_TOLERATIONS,
    dsl.TaskConfigField.KUBERNETES_NODE_SELECTOR,
    dsl.TaskConfigPassthrough(field=dsl.TaskConfigField.ENV, apply_to_task=True),
    dsl.TaskConfigPassthrough(field=dsl.TaskConfigField.KUBERNETES_VOLUMES, apply_to_task=True)])
def passes_on(config: dsl.TaskConfig) -> str:
    import os
    assert config.resources['limits']['nvidia.com/gpu'] == '64', config.resources
    assert config.tolerations[0]['key'] == 'gpu', config.tolerations
    assert config.node_selector == {'zone': 'b'}, config.node_selector
    assert {'name': 'MODE', 'value': 'fast'} in config.env, config.env
    assert os.environ['MODE'] == 'fast'
    assert config.volume_mounts[0]['mountPath'] == '/etc/settings', config.volume_mounts
    return config.volumes[0]['configMap']['name']


@dsl.pipeline(name='task-config')
def task_config() -> str:
    # More GPUs than any machine has: the step itself does not ask for them.
    step = passes_on().set_env_variable('MODE', 'fast').set_accelerator_type('nvidia.com/gpu').set_accelerator_limit(64)
    kubernetes.add_toleration(step, key='gpu', operator='Exists')
    kubernetes.add_node_selector(step, 'zone', 'b')
    kubernetes.use_config_map_as_volume(step, config_map_name='settings', mount_path='/etc/settings')
    return step.output


# --- embedded files ---

_ASSET = pathlib.Path(__file__).with_name('asset.txt')


@dsl.component(embedded_artifact_path=str(_ASSET))
def reads_asset(asset: dsl.EmbeddedInput[Artifact]) -> str:
    with open(asset.path) as file:
        return file.read()


@dsl.pipeline(name='embedded')
def embedded():
    expect(value=reads_asset().output, wanted=_ASSET.read_text())


SUCCEED = [workspace, importer_workspace, collected_artifacts, one_of, returned_artifacts, custom_path, placeholders,
           optional, nested_loops, arguments, retries, platform, task_config, embedded]
FAIL = [ends, deadline, task_timeout]
