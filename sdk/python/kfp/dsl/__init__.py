"""kfp.dsl: the language in which components and pipelines are written.

Inside a running task (`_KFP_RUNTIME=true`) only the light names are exported by
`from kfp.dsl import *`, and the decorators return the function unchanged, so that
a task starts without loading the authoring code.
"""

import os as _os

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


def __getattr__(name):
    home = _HOME.get(name)
    if home is not None:
        value = getattr(__import__('kfp.dsl.' + home, fromlist=[name]), name)
        globals()[name] = value
        return value
    if name in _SUBMODULES:
        return __import__('kfp.dsl.' + name, fromlist=['*'])
    raise AttributeError(f"module 'kfp.dsl' has no attribute {name!r}")


def __dir__():
    return sorted(set(globals()) | set(_HOME) | _SUBMODULES)
