"""Placeholders of container components: inputs, outputs, optional ones, joined ones, and those of the job."""

from typing import List, Optional

from kfp import dsl
from kfp.dsl import Dataset, Input, Model, Output, OutputPath


@dsl.container_component
def everything(text: str, number: int, numbers: List[int], data: Input[Dataset], model: Output[Model], out: OutputPath(str),
               maybe: Optional[str] = None, other: str = 'o'):
    return dsl.ContainerSpec(
        image='debian',
        command=['program', dsl.ConcatPlaceholder(['--text=', text, ';', dsl.ConcatPlaceholder(['a', number])])],
        args=[numbers, data.path, data.uri, model.path, model.uri, out, f'prefix-{text}-suffix',
              dsl.IfPresentPlaceholder(input_name='maybe', then=['--maybe', maybe], else_=['--none']),
              dsl.IfPresentPlaceholder(input_name='other', then=dsl.ConcatPlaceholder(['--other=', other])),
              data.metadata['key'], f"{model.metadata['framework']}!"])


@dsl.container_component
def plain(image: str = 'alpine'):
    return dsl.ContainerSpec(image='alpine')


@dsl.component
def make(out: Output[Dataset]):
    pass


@dsl.component
def job(name: str, resource: str, run: str, task: str, task_id: str, created: str, scheduled: str, workspace: str, root: str):
    pass


@dsl.pipeline(name='placeholders-all', pipeline_config=dsl.PipelineConfig(
    workspace=dsl.WorkspaceConfig(size='1Gi', kubernetes=dsl.KubernetesWorkspaceConfig(pvcSpecPatch={'accessModes': ['ReadWriteOnce']})),
    ttl_seconds_after_finished=1, ttl_seconds_after_success=2, ttl_seconds_after_failure=3, active_deadline_seconds=4))
def pipeline(text: str = 't', numbers: List[int] = [1]):
    made = make()
    everything(text=text, number=3, numbers=numbers, data=made.output)
    everything(text=f'{text} and more', number=3, numbers=[4, 5], data=made.output, maybe='m')
    plain()
    job(name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER, resource=dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER, run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        task=dsl.PIPELINE_TASK_NAME_PLACEHOLDER, task_id=dsl.PIPELINE_TASK_ID_PLACEHOLDER,
        created=dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER, scheduled=dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER,
        workspace=dsl.WORKSPACE_PATH_PLACEHOLDER + '/x', root=dsl.PIPELINE_ROOT_PLACEHOLDER)
