"""@dsl.component, @dsl.container_component and @dsl.pipeline."""

from __future__ import annotations

import functools

from kfp.dsl import channels, component_classes as components
from kfp.dsl import context, errors, kinds, placeholders, python_source, signature, structures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, overload

    from kfp.dsl.component_classes import ContainerComponent, GraphComponent, PythonComponent
    from kfp.dsl.pipeline_config import PipelineConfig, TaskConfigField, TaskConfigPassthrough
    from kfp.dsl.structures import OutputSpec


if TYPE_CHECKING:
    @overload
    def component(func: Callable[..., Any], *, base_image: str | None = ..., target_image: str | None = ...,
                  packages_to_install: list[str] | None = ..., pip_index_urls: list[str] | None = ...,
                  output_component_file: str | None = ..., install_kfp_package: bool = ..., kfp_package_path: str | None = ...,
                  pip_trusted_hosts: list[str] | None = ..., use_venv: bool = ...,
                  additional_funcs: list[Callable[..., Any]] | None = ..., embedded_artifact_path: str | None = ...,
                  task_config_passthroughs: list[TaskConfigPassthrough | TaskConfigField] | None = ...) -> PythonComponent: ...

    @overload
    def component(func: None = ..., *, base_image: str | None = ..., target_image: str | None = ...,
                  packages_to_install: list[str] | None = ..., pip_index_urls: list[str] | None = ...,
                  output_component_file: str | None = ..., install_kfp_package: bool = ..., kfp_package_path: str | None = ...,
                  pip_trusted_hosts: list[str] | None = ..., use_venv: bool = ...,
                  additional_funcs: list[Callable[..., Any]] | None = ..., embedded_artifact_path: str | None = ...,
                  task_config_passthroughs: list[TaskConfigPassthrough | TaskConfigField] | None = ...
                  ) -> Callable[[Callable[..., Any]], PythonComponent]: ...


def component(func: Callable[..., Any] | None = None, *, base_image: str | None = None, target_image: str | None = None,
              packages_to_install: list[str] | None = None, pip_index_urls: list[str] | None = None,
              output_component_file: str | None = None, install_kfp_package: bool = True, kfp_package_path: str | None = None,
              pip_trusted_hosts: list[str] | None = None, use_venv: bool = False,
              additional_funcs: list[Callable[..., Any]] | None = None, embedded_artifact_path: str | None = None,
              task_config_passthroughs: list[TaskConfigPassthrough | TaskConfigField] | None = None) -> Any:
    """Makes a component of a Python function. The function must be self-contained.

    Args:
        func: the function, when used without arguments.
        base_image: the image that it runs in ('python:3.11').
        target_image: the image that `kfp component build` makes; the step then runs from it.
        packages_to_install: what pip installs first.
        pip_index_urls, pip_trusted_hosts: where pip looks.
        install_kfp_package: whether the step installs kfp (True).
        kfp_package_path: where from, when not from PyPI.
        use_venv: install into a virtual environment of the step's own (False).
        additional_funcs: functions that the function calls; their text goes along.
        embedded_artifact_path: a file or folder that goes along, for an EmbeddedInput.
        task_config_passthroughs: pod settings to hand to the function as a TaskConfig.
        output_component_file: also compile the component to this file.

    Raises:
        SignatureError: the signature is not that of a component.
    """
    if func is None:
        return functools.partial(
            component, base_image=base_image, target_image=target_image, packages_to_install=packages_to_install,
            pip_index_urls=pip_index_urls, output_component_file=output_component_file,
            install_kfp_package=install_kfp_package, kfp_package_path=kfp_package_path,
            pip_trusted_hosts=pip_trusted_hosts, use_venv=use_venv, additional_funcs=additional_funcs,
            embedded_artifact_path=embedded_artifact_path, task_config_passthroughs=task_config_passthroughs)
    return make_component(
        func, base_image=base_image, target_image=target_image, packages_to_install=packages_to_install,
        pip_index_urls=pip_index_urls, output_component_file=output_component_file, install_kfp_package=install_kfp_package,
        kfp_package_path=kfp_package_path, pip_trusted_hosts=pip_trusted_hosts, use_venv=use_venv,
        additional_funcs=additional_funcs, embedded_artifact_path=embedded_artifact_path,
        task_config_passthroughs=task_config_passthroughs)


def make_component(func: Callable[..., Any], *, base_image: str | None = None, target_image: str | None = None,
                   packages_to_install: list[str] | None = None, pip_index_urls: list[str] | None = None,
                   output_component_file: str | None = None, install_kfp_package: bool = True,
                   kfp_package_path: str | None = None, pip_trusted_hosts: list[str] | None = None, use_venv: bool = False,
                   additional_funcs: list[Callable[..., Any]] | None = None, embedded_artifact_path: str | None = None,
                   task_config_passthroughs: list[TaskConfigPassthrough | TaskConfigField] | None = None,
                   helper: str = '') -> PythonComponent:
    """The component of a function; the arguments are those of `component`. helper: program text put before the function."""
    inputs, outputs, description = signature.interface(func)
    if target_image:
        container = structures.Container(target_image, ['python3', '-m', 'kfp.dsl.executor_main'],
                                         python_source.component_arguments(func.__name__))
    else:
        program = python_source.component_program(func, additional_funcs, embedded_artifact_path, helper)
        command = python_source.component_command(
            program, packages_to_install, pip_index_urls, pip_trusted_hosts, install_kfp_package,
            kfp_package_path, use_venv)
        container = structures.Container(base_image or python_source.DEFAULT_IMAGE, command,
                                         python_source.component_arguments(func.__name__))
    spec = structures.ComponentSpec(component_name(func.__name__), inputs, outputs, description, container)
    if task_config_passthroughs:
        from kfp.dsl import pipeline_config
        spec.passthroughs = [pipeline_config.passthrough_to_ir(item) for item in task_config_passthroughs]
    made = components.PythonComponent(spec, func)
    made.target_image, made.base_image = target_image, base_image or python_source.DEFAULT_IMAGE
    made.packages_to_install = list(packages_to_install or [])
    if output_component_file:
        from kfp.compiler import Compiler
        Compiler().compile(made, output_component_file)
    return made


def component_name(name: str) -> str:
    return channels.sanitize(name) or 'component'


def container_component(func: Callable[..., Any]) -> ContainerComponent:
    """Makes a component of a function that returns a dsl.ContainerSpec.

    The arguments are placeholders: a parameter can be put into the command itself, an
    artifact by its .path or .uri.
    """
    inputs, outputs, description = signature.interface(func)
    arguments: dict[str, Any] = {}
    for name, spec in inputs.items():
        if spec.kind.is_artifact:
            arguments[name] = placeholders.ArtifactValue('inputs', name)
        else:
            arguments[name] = placeholders.Value("{{$.inputs.parameters['%s']}}" % name)
    for name, output in outputs.items():
        arguments[name] = _output_placeholder(name, output)
    location = errors.function_location(func)
    container = func(**arguments)
    if not isinstance(container, placeholders.ContainerSpec):
        raise errors.SignatureError(f'{func.__name__}() must return a dsl.ContainerSpec, and returned {container!r}', location)
    component_spec = structures.ComponentSpec(
        component_name(func.__name__), inputs, outputs, description,
        structures.Container(placeholders.to_text(container.image),
                             [placeholders.to_text(item) for item in container.command or ()],
                             [placeholders.to_text(item) for item in container.args or ()]))
    made = components.ContainerComponent(component_spec, location)
    made.__name__, made.__doc__ = func.__name__, func.__doc__
    return made


def _output_placeholder(name: str, spec: OutputSpec) -> Any:
    from kfp.dsl import annotations
    if not spec.kind.is_artifact:
        return placeholders.Value("{{$.outputs.parameters['%s'].output_file}}" % name)
    if isinstance(spec.annotation, annotations.OutputPath):
        return placeholders.Value("{{$.outputs.artifacts['%s'].path}}" % name)
    return placeholders.ArtifactValue('outputs', name)


if TYPE_CHECKING:
    @overload
    def pipeline(func: Callable[..., Any], name: str | None = ..., description: str | None = ..., pipeline_root: str | None = ...,
                 display_name: str | None = ..., pipeline_config: PipelineConfig | None = ...) -> GraphComponent: ...

    @overload
    def pipeline(func: str | None = ..., name: str | None = ..., description: str | None = ..., pipeline_root: str | None = ...,
                 display_name: str | None = ..., pipeline_config: PipelineConfig | None = ...
                 ) -> Callable[[Callable[..., Any]], GraphComponent]: ...


def pipeline(func: Any = None, name: str | None = None, description: str | None = None, pipeline_root: str | None = None,
             display_name: str | None = None, pipeline_config: PipelineConfig | None = None) -> Any:
    """Makes a pipeline of a function that calls components.

    The function runs once, now; its mistakes are reported here, with file and line.

    Args:
        func: the function, when used without arguments; in v1 the first argument may be the name.
        name: the pipeline's name (the function's).
        description: else the docstring's.
        pipeline_root: where artifacts are kept.
        display_name: what the UI shows.
        pipeline_config: a dsl.PipelineConfig.
    """
    if isinstance(func, str):  # v1: @dsl.pipeline('name', 'description')
        func, name, description = None, func, name or description
    if func is None:
        return functools.partial(pipeline, name=name, description=description, pipeline_root=pipeline_root,
                                 display_name=display_name, pipeline_config=pipeline_config)
    made = components.GraphComponent.from_function(func, name, description, pipeline_root, display_name, pipeline_config)
    handler = getattr(func, '_component_human_name', None)
    if handler:
        made.display_name = made.display_name or handler
    return made


__all__ = ['component', 'container_component', 'pipeline', 'make_component', 'context', 'kinds']
