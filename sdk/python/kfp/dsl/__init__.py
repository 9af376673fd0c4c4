"""kfp.dsl: the language in which components and pipelines are written.

Inside a running task (`_KFP_RUNTIME=true`) only the light names are exported by
`from kfp.dsl import *`, and the decorators return the function unchanged, so that
a task starts without loading the authoring code.
"""

import os as _os

TYPE_CHECKING = False
if TYPE_CHECKING:  # the same for type checkers, which know no __getattr__
    from typing import Any

    from kfp.dsl import annotations as annotations
    from kfp.dsl import errors as errors
    from kfp.dsl import structures as structures
    from kfp.dsl import types as types
    from kfp.dsl import v1 as v1
    from kfp.dsl.annotations import (EmbeddedInput as EmbeddedInput, Input as Input, InputPath as InputPath, Output as Output,
                                     OutputPath as OutputPath, PipelineTaskFinalStatus as PipelineTaskFinalStatus,
                                     TaskConfig as TaskConfig)
    from kfp.dsl.artifacts import (Artifact as Artifact, ClassificationMetrics as ClassificationMetrics, Dataset as Dataset,
                                   HTML as HTML, Markdown as Markdown, Metrics as Metrics, Model as Model,
                                   SlicedClassificationMetrics as SlicedClassificationMetrics, get_uri as get_uri)
    from kfp.dsl.channels import (Collected as Collected, OneOf as OneOf, PipelineParam as PipelineParam)
    from kfp.dsl.constants import (EXECUTION_ID_PLACEHOLDER as EXECUTION_ID_PLACEHOLDER,
                                   PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER as PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER,
                                   PIPELINE_JOB_ID_PLACEHOLDER as PIPELINE_JOB_ID_PLACEHOLDER,
                                   PIPELINE_JOB_NAME_PLACEHOLDER as PIPELINE_JOB_NAME_PLACEHOLDER,
                                   PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER as PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER,
                                   PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER as PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER,
                                   PIPELINE_ROOT_PLACEHOLDER as PIPELINE_ROOT_PLACEHOLDER,
                                   PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER as PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER,
                                   PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER as PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER,
                                   PIPELINE_TASK_ID_PLACEHOLDER as PIPELINE_TASK_ID_PLACEHOLDER,
                                   PIPELINE_TASK_NAME_PLACEHOLDER as PIPELINE_TASK_NAME_PLACEHOLDER,
                                   RUN_ID_PLACEHOLDER as RUN_ID_PLACEHOLDER,
                                   WORKSPACE_PATH_PLACEHOLDER as WORKSPACE_PATH_PLACEHOLDER)
    from kfp.dsl.container_op import (ContainerOp as ContainerOp, InputArgumentPath as InputArgumentPath)
    from kfp.dsl.context import (OpsGroup as OpsGroup, Pipeline as Pipeline)
    from kfp.dsl.decorators import (component as component, container_component as container_component, pipeline as pipeline)
    from kfp.dsl.errors import (InconsistentTypeException as InconsistentTypeException,
                                InvalidControlFlowException as InvalidControlFlowException,
                                InvalidTopologyException as InvalidTopologyException, PipelineError as PipelineError)
    from kfp.dsl.groups import (Condition as Condition, Elif as Elif, Else as Else, ExitHandler as ExitHandler, If as If,
                                ParallelFor as ParallelFor, SubGraph as SubGraph)
    from kfp.dsl.importer_task import (importer as importer)
    from kfp.dsl.notebook import (notebook_component as notebook_component)
    from kfp.dsl.pipeline_config import (KubernetesWorkspaceConfig as KubernetesWorkspaceConfig,
                                         PipelineConfig as PipelineConfig, TaskConfigField as TaskConfigField,
                                         TaskConfigPassthrough as TaskConfigPassthrough, WorkspaceConfig as WorkspaceConfig)
    from kfp.dsl.placeholders import (ConcatPlaceholder as ConcatPlaceholder, ContainerSpec as ContainerSpec,
                                      IfPresentPlaceholder as IfPresentPlaceholder)
    from kfp.dsl.runtime import (run_notebook as run_notebook)
    from kfp.dsl.task import (BaseOp as BaseOp, PipelineTask as PipelineTask)
    from kfp.dsl.v1 import (PipelineExecutionMode as PipelineExecutionMode, ROOT_PARAMETER_NAME as ROOT_PARAMETER_NAME,
                            Sidecar as Sidecar, UserContainer as UserContainer, graph_component as graph_component,
                            match_serialized_pipelineparam as match_serialized_pipelineparam,
                            python_component as python_component)
    from kfp.dsl.v1_conf import (PipelineConf as PipelineConf, get_pipeline_conf as get_pipeline_conf)
    from kfp.dsl.v1_volumes import (PipelineVolume as PipelineVolume, ResourceOp as ResourceOp,
                                    VOLUME_MODE_ROM as VOLUME_MODE_ROM, VOLUME_MODE_RWM as VOLUME_MODE_RWM,
                                    VOLUME_MODE_RWO as VOLUME_MODE_RWO, VolumeOp as VolumeOp,
                                    VolumeSnapshotOp as VolumeSnapshotOp,
                                    kubernetes_resource_delete_op as kubernetes_resource_delete_op)

# Names that code inside a task uses. Their modules import next to nothing.
_RUNTIME = {
    'Artifact': 'artifacts', 'Dataset': 'artifacts', 'Model': 'artifacts',
    'Metrics': 'artifacts', 'ClassificationMetrics': 'artifacts',
    'SlicedClassificationMetrics': 'artifacts', 'HTML': 'artifacts',
    'Markdown': 'artifacts', 'get_uri': 'artifacts',
    'Input': 'annotations', 'Output': 'annotations', 'InputPath': 'annotations',
    'OutputPath': 'annotations', 'EmbeddedInput': 'annotations',
    'PipelineTaskFinalStatus': 'annotations', 'TaskConfig': 'annotations',
    'PIPELINE_JOB_NAME_PLACEHOLDER': 'constants',
    'PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER': 'constants',
    'PIPELINE_JOB_ID_PLACEHOLDER': 'constants',
    'PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER': 'constants',
    'PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER': 'constants',
    'PIPELINE_TASK_NAME_PLACEHOLDER': 'constants',
    'PIPELINE_TASK_ID_PLACEHOLDER': 'constants',
    'PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER': 'constants',
    'PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER': 'constants',
    'PIPELINE_ROOT_PLACEHOLDER': 'constants',
    'WORKSPACE_PATH_PLACEHOLDER': 'constants', 'run_notebook': 'runtime',
    'RUN_ID_PLACEHOLDER': 'constants', 'EXECUTION_ID_PLACEHOLDER': 'constants',
}

_AUTHORING = {
    'component': 'decorators', 'container_component': 'decorators',
    'pipeline': 'decorators', 'notebook_component': 'notebook',
    'python_component': 'v1', 'graph_component': 'v1', 'UserContainer': 'v1', 'Sidecar': 'v1',
    'PipelineExecutionMode': 'v1', 'ROOT_PARAMETER_NAME': 'v1', 'match_serialized_pipelineparam': 'v1',
    'get_pipeline_conf': 'v1_conf', 'PipelineConf': 'v1_conf',
    'ContainerOp': 'container_op', 'InputArgumentPath': 'container_op',
    'VolumeOp': 'v1_volumes', 'ResourceOp': 'v1_volumes', 'VolumeSnapshotOp': 'v1_volumes',
    'PipelineVolume': 'v1_volumes', 'kubernetes_resource_delete_op': 'v1_volumes',
    'VOLUME_MODE_RWO': 'v1_volumes', 'VOLUME_MODE_RWM': 'v1_volumes', 'VOLUME_MODE_ROM': 'v1_volumes',
    'If': 'groups', 'Elif': 'groups', 'Else': 'groups', 'Condition': 'groups',
    'ParallelFor': 'groups', 'ExitHandler': 'groups', 'SubGraph': 'groups', 'OneOf': 'channels',
    'Collected': 'channels', 'PipelineParam': 'channels', 'importer': 'importer_task',
    'ContainerSpec': 'placeholders', 'IfPresentPlaceholder': 'placeholders',
    'ConcatPlaceholder': 'placeholders', 'PipelineTask': 'task',
    'PipelineConfig': 'pipeline_config', 'WorkspaceConfig': 'pipeline_config',
    'KubernetesWorkspaceConfig': 'pipeline_config',
    'TaskConfigField': 'pipeline_config', 'TaskConfigPassthrough': 'pipeline_config',
    'Pipeline': 'context', 'OpsGroup': 'context', 'BaseOp': 'task', 'PipelineError': 'errors',
    'InconsistentTypeException': 'errors', 'InvalidTopologyException': 'errors',
    'InvalidControlFlowException': 'errors',
}

_SUBMODULES = frozenset(('types', 'errors', 'structures', 'base_component', 'v1', 'extensions', 'pipeline_task'))

_IN_TASK = _os.environ.get('_KFP_RUNTIME') == 'true'
if _IN_TASK:
    _HOME = dict(_AUTHORING, component='runtime', container_component='runtime',
                 pipeline='runtime', notebook_component='runtime', **_RUNTIME)
    __all__ = list(_RUNTIME) + ['component', 'container_component', 'pipeline']
else:
    _HOME = dict(_AUTHORING, **_RUNTIME)
    __all__ = list(_HOME)


if not TYPE_CHECKING:
    def __getattr__(name: str) -> 'Any':
        home = _HOME.get(name)
        if home is not None:
            value = getattr(__import__('kfp.dsl.' + home, fromlist=[name]), name)
            globals()[name] = value
            return value
        if name in _SUBMODULES:
            return __import__('kfp.dsl.' + name, fromlist=['*'])
        raise AttributeError(f"module 'kfp.dsl' has no attribute {name!r}")


def __dir__() -> 'list[str]':
    return sorted(set(globals()) | set(_HOME) | _SUBMODULES)
