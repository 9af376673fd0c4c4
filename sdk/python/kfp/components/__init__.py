"""kfp.components: components from files and from functions, in the v1 spellings too."""

import os as _os

_HOME = {
    'load_component': 'load', 'load_component_from_text': 'load', 'load_component_from_file': 'load',
    'load_component_from_url': 'load', 'load_component_from_spec': 'load', 'ComponentStore': 'store',
    'create_component_from_airflow_op': 'functions', 'default_base_image_or_builder': 'functions',
    'func_to_container_op': 'functions', 'create_component_from_func': 'functions',
    'create_component_from_func_v2': 'functions', 'func_to_component_text': 'functions',
    'func_to_component_file': 'functions', 'create_graph_component_from_pipeline_func': 'functions',
    'InputTextFile': 'functions', 'InputBinaryFile': 'functions',
    'OutputTextFile': 'functions', 'OutputBinaryFile': 'functions',
}
_DSL = {'InputPath': 'annotations', 'OutputPath': 'annotations'}
_CLASSES = {'BaseComponent', 'PythonComponent', 'ContainerComponent', 'GraphComponent', 'YamlComponent'}
_ARTIFACTS = {'InputArtifact': 'InputPath', 'OutputArtifact': 'OutputPath'}

__all__ = [] if _os.environ.get('_KFP_RUNTIME') == 'true' else sorted(set(_HOME) | set(_DSL) | _CLASSES)


def __getattr__(name):
    if name in _HOME:
        module = 'kfp.components.' + _HOME[name]
    elif name in _DSL:
        module = 'kfp.dsl.annotations'
    elif name in _CLASSES:
        module = 'kfp.dsl.component_classes'
    elif name in _ARTIFACTS:
        return __getattr__(_ARTIFACTS[name])
    else:
        raise AttributeError(f"module 'kfp.components' has no attribute {name!r}")
    value = getattr(__import__(module, fromlist=[name]), name)
    globals()[name] = value
    return value
