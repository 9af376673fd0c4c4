"""kfp.components: components from files and from functions, in the v1 spellings too."""

from __future__ import annotations

import os as _os

TYPE_CHECKING = False
if TYPE_CHECKING:  # the same for type checkers, which know no __getattr__
    from typing import Any

    from kfp.components.functions import (InputBinaryFile as InputBinaryFile, InputTextFile as InputTextFile,
                                          OutputBinaryFile as OutputBinaryFile, OutputTextFile as OutputTextFile,
                                          create_component_from_airflow_op as create_component_from_airflow_op,
                                          create_component_from_func as create_component_from_func,
                                          create_component_from_func_v2 as create_component_from_func_v2,
                                          create_graph_component_from_pipeline_func as create_graph_component_from_pipeline_func,
                                          default_base_image_or_builder as default_base_image_or_builder,
                                          func_to_component_file as func_to_component_file,
                                          func_to_component_text as func_to_component_text,
                                          func_to_container_op as func_to_container_op)
    from kfp.components.load import (load_component as load_component, load_component_from_file as load_component_from_file,
                                     load_component_from_spec as load_component_from_spec,
                                     load_component_from_text as load_component_from_text,
                                     load_component_from_url as load_component_from_url)
    from kfp.components.store import (ComponentStore as ComponentStore)
    from kfp.dsl.annotations import InputPath as InputPath, OutputPath as OutputPath
    from kfp.dsl.annotations import InputPath as InputArtifact, OutputPath as OutputArtifact
    from kfp.dsl.component_classes import (BaseComponent as BaseComponent, ContainerComponent as ContainerComponent,
                                           GraphComponent as GraphComponent, PythonComponent as PythonComponent,
                                           YamlComponent as YamlComponent)

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


if not TYPE_CHECKING:
    def __getattr__(name: str) -> Any:
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
