"""v1: components made of functions, run by a program of their own without kfp."""

from __future__ import annotations

import functools
import inspect

from kfp.components import program
from kfp.dsl import annotations as marks
from kfp.dsl import channels, component_classes, errors, kinds, python_source, signature, structures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, NoReturn

    from kfp.dsl.component_classes import BaseComponent, PythonComponent
    from kfp.dsl.structures import ComponentSpec, Container, OutputSpec

# The image of functions that name none; may be set to another.
default_base_image_or_builder = 'python:3.11'

_RUN_PROGRAM = 'program_path=$(mktemp)\nprintf "%s" "$0" > "$program_path"\npython3 -u "$program_path" "$@"\n'


InputPath = marks.InputPath


class InputTextFile(marks.InputPath):
    """The argument is the input's file, open for reading text."""


class InputBinaryFile(marks.InputPath):
    """The argument is the input's file, open for reading bytes."""


class OutputTextFile(marks.OutputPath):
    """The argument is the output's file, open for writing text."""


class OutputBinaryFile(marks.OutputPath):
    """The argument is the output's file, open for writing bytes."""


class FunctionComponent(component_classes.PythonComponent):
    """A v1 component. Each call's spec depends on what its paths are given."""

    lenient = True

    def __init__(self, func: Callable[..., Any], name: str | None, description: str | None, image: str | None,
                 packages: list[str] | None, extra_code: str, annotations_: Any = None):
        location = errors.function_location(func)
        inputs, outputs, text = signature.interface(func, v1=True)
        self._arguments: dict[str, str] = {}  # IR input name -> argument of the function
        self._inputs = inputs
        self._paths: dict[str, tuple[str, OutputSpec]] = {}
        self._returned: dict[str, OutputSpec] = {}
        path_inputs = {}
        for argument, spec in inputs.items():
            key = _path_name(argument) if isinstance(spec.annotation, marks.InputPath) else argument
            self._arguments[key] = argument
            path_inputs[key] = spec
        named_outputs = {}
        for key, output in outputs.items():
            if isinstance(output.annotation, marks.OutputPath):
                self._paths[_path_name(key)] = (key, output)
                named_outputs[_path_name(key)] = output
            else:
                if output.kind.is_artifact:
                    raise errors.SignatureError(
                        f'{func.__name__}() returns the artifact {key!r}; a v1 component gives artifacts by OutputPath(…), '
                        'and @dsl.component by Output[…]', location)
                self._returned[key] = output
                named_outputs[key] = output
        made = structures.ComponentSpec(channels.sanitize(name or func.__name__), path_inputs, named_outputs, description or text)
        super().__init__(made, func)
        self._image = image or _default_image()
        self._packages = list(packages or [])
        self._program = program.build(func, inputs, dict(self._paths.values()), self._returned, extra_code)
        made.container = self._container({})

    @property
    def component_yaml_name(self) -> str:
        return self.component_spec.name

    def aliases(self) -> dict[str, str]:
        return {argument: key for key, argument in self._arguments.items() if argument != key}

    def spec_for(self, arguments: dict[str, Any]) -> ComponentSpec:
        """The spec of one call: a path that is given a value becomes a parameter."""
        base = self.component_spec
        as_text = {}
        inputs = dict(base.inputs)
        for key, spec in base.inputs.items():
            if not isinstance(spec.annotation, marks.InputPath):
                continue
            value = arguments.get(key)
            if value is not None and hasattr(value, 'output') and not isinstance(value, channels.Channel):
                value = arguments[key] = value.output
            if spec.kind.is_artifact and not (isinstance(value, channels.Channel) and value.kind.is_artifact) and value is not None:
                given = value.kind if isinstance(value, channels.Channel) else kinds.Kind(kinds.STRING)
                inputs[key] = structures.InputSpec(given, spec.default, spec.description, annotation=spec.annotation)
                as_text[key] = True
        if not as_text:
            return base
        made = structures.ComponentSpec(base.name, inputs, base.outputs, base.description)
        made.container = self._container(as_text)
        return made

    def _container(self, as_text: dict[str, bool]) -> Container:
        args = []
        for key, spec in self.component_spec.inputs.items():
            argument = self._arguments[key]
            if isinstance(spec.annotation, marks.InputPath):
                if spec.kind.is_artifact and key not in as_text:
                    words = ['--' + argument, "{{$.inputs.artifacts['%s'].path}}" % key]
                else:
                    words = ['----text-' + argument, "{{$.inputs.parameters['%s']}}" % key]
            else:
                words = ['--' + argument, "{{$.inputs.parameters['%s']}}" % key]
            if spec.optional and spec.default in (None, structures.NO_DEFAULT):
                import json
                args.append(json.dumps({'IfPresent': {'InputName': key, 'Then': words}}))
            else:
                args += words
        for key, (argument, output) in self._paths.items():
            place = "{{$.outputs.artifacts['%s'].path}}" if output.kind.is_artifact else "{{$.outputs.parameters['%s'].output_file}}"
            args += ['----out-' + argument, place % key]
        if self._returned:
            args.append('----output-paths')
            args += ["{{$.outputs.parameters['%s'].output_file}}" % key for key in self._returned]
        return structures.Container(self._image, _install(self._packages) + ['sh', '-ec', _RUN_PROGRAM, self._program], args)


def _default_image() -> str:
    """What the author set, here or at kfp.components."""
    import kfp.components
    found = vars(kfp.components).get('default_base_image_or_builder', default_base_image_or_builder)
    return found() if callable(found) else found


def _install(packages: list[str]) -> list[str]:
    """The command that installs packages before the program runs."""
    if not packages:
        return []
    quoted = ' '.join(python_source._quote(package) for package in packages)
    line = f'PIP_DISABLE_PIP_VERSION_CHECK=1 python3 -m pip install --quiet --no-warn-script-location {quoted}'
    return ['sh', '-c', f'({line} || {line} --user) && "$0" "$@"']


def _path_name(argument: Any) -> str:
    """v1: `data_path` and `data_file` are the input or output `data`."""
    for ending in ('_path', '_file'):
        if argument.endswith(ending) and len(argument) > len(ending):
            return argument[:-len(ending)]
    return argument


def create_component_from_func(func: Callable[..., Any] | None = None, output_component_file: str | None = None,
                               base_image: str | None = None, packages_to_install: list[str] | None = None,
                               annotations: dict[str, str] | None = None) -> Any:
    """Makes a component of a self-contained function (v1).

    Arguments annotated str, int, float, bool, list or dict are values; InputPath(…) and
    OutputPath(…) are files; arguments without annotation are texts. base_image: 'python:3.11'.

    Args:
        func: the function.
        annotations: accepted for v1 and ignored.
        packages_to_install: what pip installs first.
        output_component_file: also write the component there. Returns the component; call it in a pipeline.
    """
    return func_to_container_op(func, output_component_file, base_image, packages_to_install=packages_to_install)


def func_to_container_op(func: Callable[..., Any] | None = None, output_component_file: str | None = None,
                         base_image: str | None = None, extra_code: str = '', packages_to_install: list[str] | None = None,
                         modules_to_capture: list[str] | None = None, use_code_pickling: bool = False,
                         annotations: dict[str, str] | None = None) -> Any:
    """Makes a component of a self-contained function (v1); see create_component_from_func.

    Args:
        extra_code: program text put before the function. modules_to_capture and use_code_pickling are not offered.
    """
    if func is None:
        return functools.partial(func_to_container_op, output_component_file=output_component_file, base_image=base_image,
                                 extra_code=extra_code, packages_to_install=packages_to_install)
    if use_code_pickling or modules_to_capture:
        raise errors.UnsupportedV1Error('use_code_pickling and modules_to_capture are not offered; put the code into the '
                                        'function, or give it as extra_code')
    if isinstance(func, FunctionComponent):
        func = func.python_func
    settings = getattr(func, '_component_settings', {})
    image = base_image or settings.get('base_image')
    made = FunctionComponent(func, settings.get('name'), settings.get('description'), image, packages_to_install, extra_code)
    if output_component_file:
        func_to_component_file(func, output_component_file, base_image, extra_code, packages_to_install)
    return made


def create_component_from_func_v2(func: Callable[..., Any], base_image: str | None = None,
                                  packages_to_install: list[str] | None = None, output_component_file: str | None = None,
                                  install_kfp_package: bool = True, kfp_package_path: str | None = None) -> PythonComponent:
    """dsl.component under its v1 name."""
    from kfp.dsl import decorators
    return decorators.component(func, base_image=base_image, packages_to_install=packages_to_install,
                                output_component_file=output_component_file, install_kfp_package=install_kfp_package,
                                kfp_package_path=kfp_package_path)


_V1_TYPES = {kinds.STRING: 'String', kinds.INTEGER: 'Integer', kinds.DOUBLE: 'Float', kinds.BOOLEAN: 'Boolean',
             kinds.LIST: 'JsonArray', kinds.STRUCT: 'JsonObject'}


def func_to_component_text(func: Callable[..., Any], extra_code: str = '', base_image: str | None = None,
                           packages_to_install: list[str] | None = None, modules_to_capture: list[str] | None = None,
                           use_code_pickling: bool = False, annotations: dict[str, str] | None = None) -> str:
    """The component of a function as component.yaml text (v1); see create_component_from_func for the arguments."""
    import yaml
    made = func_to_container_op(func, None, base_image, extra_code, packages_to_install, modules_to_capture, use_code_pickling)
    document: dict[str, Any] = {'name': (func.__name__.replace('_', ' ')).capitalize()}
    if made.description:
        document['description'] = made.description
    spec = made.component_spec
    arguments: list[Any] = []
    for key, value in spec.inputs.items():
        entry = {'name': key}
        if not value.kind.untyped:
            entry['type'] = _type_text(value)
        if value.optional:
            entry['optional'] = True
            if value.default not in (None, structures.NO_DEFAULT):
                import json
                entry['default'] = value.default if isinstance(value.default, str) else json.dumps(value.default)
        document.setdefault('inputs', []).append(entry)
        is_path = isinstance(value.annotation, InputPath)
        words = ['--' + made._arguments[key], {'inputPath' if is_path else 'inputValue': key}]
        arguments += [{'if': {'cond': {'isPresent': key}, 'then': words}}] if value.optional else words
    for key, value in spec.outputs.items():
        document.setdefault('outputs', []).append({'name': key, 'type': _type_text(value)})
    for key, (argument, _spec) in made._paths.items():
        arguments += ['----out-' + argument, {'outputPath': key}]
    if made._returned:
        arguments += ['----output-paths'] + [{'outputPath': key} for key in made._returned]
    container = spec.container
    document['implementation'] = {'container': {'image': container.image, 'command': container.command, 'args': arguments}}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _type_text(spec: Any) -> str:
    written = getattr(spec.annotation, 'type', None)
    if isinstance(written, str):
        return written
    if spec.kind.is_artifact:
        return spec.kind.title.rpartition('.')[2]
    return _V1_TYPES.get(spec.kind.parameter, 'String')


def func_to_component_file(func: Callable[..., Any], output_component_file: str, base_image: str | None = None,
                           extra_code: str = '', packages_to_install: list[str] | None = None,
                           modules_to_capture: list[str] | None = None, use_code_pickling: bool = False,
                           annotations: dict[str, str] | None = None) -> None:
    """Writes the component of a function to a component.yaml file (v1); see func_to_component_text."""
    text = func_to_component_text(func, extra_code, base_image, packages_to_install, modules_to_capture, use_code_pickling)
    with open(output_component_file, 'w') as file:
        file.write(text)


def create_graph_component_from_pipeline_func(pipeline_func: Any, output_component_file: str | None = None,
                                              embed_component_specs: bool = False,
                                              annotations: dict[str, str] | None = None) -> BaseComponent:
    """The pipeline as a component: call it inside another pipeline.

    Args:
        pipeline_func: a pipeline function, or what @dsl.pipeline made.
        output_component_file: also compile it to this file, which load_component reads.
        embed_component_specs: accepted for v1: they always are.
        annotations: accepted for v1 and ignored.
    """
    made = pipeline_func
    if not isinstance(pipeline_func, component_classes.BaseComponent):
        made = component_classes.GraphComponent.from_function(pipeline_func)
    if output_component_file:
        from kfp.compiler import Compiler
        Compiler().compile(made, output_component_file)
    return made


def create_component_from_airflow_op(op_class: Any, base_image: str | None = 'apache/airflow:master-python3.6-ci',
                                     variable_output_names: Any = None, xcom_output_names: Any = None,
                                     modules_to_capture: list[str] | None = None) -> NoReturn:
    """Not offered. Raises UnsupportedV1Error: call the operator in a function of your own."""
    raise errors.UnsupportedV1Error('create_component_from_airflow_op is not offered; call the operator in a @dsl.component with '
                                    'packages_to_install=["apache-airflow"]')


__all__ = [name for name, value in list(globals().items()) if inspect.isfunction(value) and not name.startswith('_')]
