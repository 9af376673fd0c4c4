"""@dsl.component, @dsl.container_component and @dsl.pipeline."""

import functools

from kfp.dsl import channels, component_classes as components
from kfp.dsl import context, errors, kinds, placeholders, python_source, signature, structures


def component(func=None, *, base_image=None, target_image=None, packages_to_install=None,
              pip_index_urls=None, output_component_file=None, install_kfp_package=True,
              kfp_package_path=None, pip_trusted_hosts=None, use_venv=False, additional_funcs=None,
              embedded_artifact_path=None, task_config_passthroughs=None):
    """Makes a component of a Python function. The function must be self-contained.

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

    Raises SignatureError when the signature is not that of a component.
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


def make_component(func, *, base_image=None, target_image=None, packages_to_install=None, pip_index_urls=None,
                   output_component_file=None, install_kfp_package=True, kfp_package_path=None, pip_trusted_hosts=None,
                   use_venv=False, additional_funcs=None, embedded_artifact_path=None, task_config_passthroughs=None, helper=''):
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


def component_name(name):
    return channels.sanitize(name) or 'component'


def container_component(func):
    """Makes a component of a function that returns a dsl.ContainerSpec.

    The arguments are placeholders: a parameter can be put into the command itself, an
    artifact by its .path or .uri.
    """
    inputs, outputs, description = signature.interface(func)
    arguments = {}
    for name, spec in inputs.items():
        if spec.kind.is_artifact:
            arguments[name] = placeholders.ArtifactValue('inputs', name)
        else:
            arguments[name] = placeholders.Value("{{$.inputs.parameters['%s']}}" % name)
    for name, spec in outputs.items():
        arguments[name] = _output_placeholder(name, spec)
    location = errors.function_location(func)
    container = func(**arguments)
    if not isinstance(container, placeholders.ContainerSpec):
        raise errors.SignatureError(f'{func.__name__}() must return a dsl.ContainerSpec, and returned {container!r}', location)
    spec = structures.ComponentSpec(
        component_name(func.__name__), inputs, outputs, description,
        structures.Container(placeholders.to_text(container.image),
                             [placeholders.to_text(item) for item in container.command or ()],
                             [placeholders.to_text(item) for item in container.args or ()]))
    made = components.ContainerComponent(spec, location)
    made.__name__, made.__doc__ = func.__name__, func.__doc__
    return made


def _output_placeholder(name, spec):
    from kfp.dsl import annotations
    if not spec.kind.is_artifact:
        return placeholders.Value("{{$.outputs.parameters['%s'].output_file}}" % name)
    if isinstance(spec.annotation, annotations.OutputPath):
        return placeholders.Value("{{$.outputs.artifacts['%s'].path}}" % name)
    return placeholders.ArtifactValue('outputs', name)


def pipeline(func=None, name=None, description=None, pipeline_root=None, display_name=None, pipeline_config=None):
    """Makes a pipeline of a function that calls components.

    name: the pipeline's name (the function's). description: else the docstring's.
    pipeline_root: where artifacts are kept. display_name: what the UI shows.
    pipeline_config: a dsl.PipelineConfig.

    The function runs once, now; its mistakes are reported here, with file and line.
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
