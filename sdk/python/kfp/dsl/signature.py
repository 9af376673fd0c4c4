"""From a Python function to a component's interface."""

from __future__ import annotations

import inspect

from kfp.dsl import annotations as marks
from kfp.dsl import errors, kinds, structures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from kfp.dsl.structures import InputSpec, OutputSpec


def interface(func: Callable[..., Any], v1: bool = False) -> tuple[dict[str, InputSpec], dict[str, OutputSpec], str | None]:
    """(inputs, outputs, description) of a component's function.

    Raises SignatureError, with the function's file and line.

    Args:
        v1: arguments may be untyped, InputPath takes any type name, `_path` and `_file` are cut from the names of paths, and
            the inputs' aliases are kept in `v1_names`.
    """
    location = errors.function_location(func)
    hints = _hints(func, location)
    texts = docstring(func)
    inputs: dict[str, structures.InputSpec] = {}
    outputs: dict[str, structures.OutputSpec] = {}
    for parameter in inspect.signature(func).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise errors.SignatureError(
                f'{func.__name__}() has the argument {parameter}; a component names each of its inputs', location)
        annotation, optional = optional_inner(hints.get(parameter.name, parameter.empty))
        default = structures.NO_DEFAULT if parameter.default is parameter.empty else parameter.default
        _add_argument(func, parameter.name, annotation, optional, default, texts, inputs, outputs, v1, location)
    for name, spec in _returned(func, hints.get('return'), v1, location).items():
        if name in outputs:
            raise errors.SignatureError(f'{func.__name__}() has two outputs named {name!r}', location)
        spec.description = texts.get(name)
        outputs[name] = spec
    return inputs, outputs, texts.get('')


def _add_argument(func: Callable[..., Any], name: str, annotation: Any, optional: bool, default: Any, texts: dict[str, str],
                  inputs: dict[str, InputSpec], outputs: dict[str, OutputSpec], v1: bool, location: str | None) -> None:
    description = texts.get(name)
    if annotation in (marks.InputPath, marks.OutputPath):
        annotation = annotation()
    if isinstance(annotation, marks.ArtifactAnnotation):
        if annotation.direction == 'embedded':
            return
        kind = kinds.artifact_kind(annotation.artifact, annotation.is_list)
        if kind is None:
            raise errors.SignatureError(f'{name!r} of {func.__name__}() is annotated {annotation!r}; '
                                        'give an artifact class such as Dataset', location)
        if annotation.direction == 'output':
            outputs[name] = structures.OutputSpec(kind, annotation=annotation)
            return
        _check_artifact_default(func, name, default, location)
        inputs[name] = structures.InputSpec(kind, default, description, optional=optional, annotation=annotation)
        return
    if isinstance(annotation, marks._PathAnnotation):
        kind = _path_kind(annotation.type, v1)
        if kind is None:
            raise errors.SignatureError(f'{name!r} of {func.__name__}() is annotated {annotation!r}; {annotation.type!r} '
                                        'is no type', location)
        if isinstance(annotation, marks.OutputPath):
            outputs[name] = structures.OutputSpec(kind, annotation=annotation)
        else:
            inputs[name] = structures.InputSpec(kind, default, description, optional=optional, annotation=annotation)
        return
    if annotation is inspect.Parameter.empty:
        if not v1:
            raise errors.SignatureError(
                f'{func.__name__}() does not say the type of its argument {name!r}; annotate it, as in `{name}: str`', location)
        kind = kinds.UNTYPED
    else:
        kind = kinds.parameter_kind(annotation)
        if kind is None:
            kind = _bare_artifact(annotation)
        if kind is None and v1:
            kind = kinds.Kind(kinds.STRING)
        if kind is None:
            raise errors.SignatureError(
                f'the argument {name!r} of {func.__name__}() is annotated {annotation!r}, which is no type of an input; use str, int, '
                'float, bool, list, dict, Input[…], Output[…], InputPath or OutputPath', location)
    default = structures.check_default(name, kind, default, location)
    inputs[name] = structures.InputSpec(
        kind, default, description, kinds.literals(annotation), optional, annotation)


def _check_artifact_default(func: Callable[..., Any], name: str, default: Any, location: str | None) -> None:
    if default is not structures.NO_DEFAULT and default is not None:
        raise errors.SignatureError(f'the artifact {name!r} of {func.__name__}() can only have the default None', location)


def _bare_artifact(annotation: Any) -> Any:
    """The Kind of an artifact class or List[class] written without Input[…]."""
    if getattr(annotation, '__origin__', None) is list and annotation.__args__:
        return kinds.artifact_kind(annotation.__args__[0], True)
    return kinds.artifact_kind(annotation)


def _path_kind(type_: Any, v1: bool) -> Any:
    if type_ is None:
        return kinds.artifact_kind('Artifact')
    kind = kinds.parameter_kind(type_) or kinds.artifact_kind(type_)
    if kind is None and isinstance(type_, (str, dict)):
        kind = kinds.artifact_kind('Artifact')  # a v1 type name of the author's own
    return kind


def _returned(func: Callable[..., Any], annotation: Any, v1: bool, location: str | None) -> dict[str, OutputSpec]:
    """The outputs that the return annotation states."""
    annotation, _ = optional_inner(annotation)
    if annotation is None or annotation is type(None) or annotation is inspect.Parameter.empty:
        return {}
    fields = getattr(annotation, '_fields', None)
    if fields is None:
        return {'Output': structures.OutputSpec(_output_kind(func, 'Output', annotation, v1, location), annotation=annotation)}
    types = getattr(annotation, '__annotations__', None) or getattr(annotation, '_field_types', {})
    return {name: structures.OutputSpec(_output_kind(func, name, types.get(name), v1, location), annotation=types.get(name))
            for name in fields}


def _output_kind(func: Callable[..., Any], name: str, annotation: Any, v1: bool, location: str | None) -> Any:
    if hasattr(annotation, '__forward_arg__'):  # NamedTuple fields given as texts
        annotation = annotation.__forward_arg__
    annotation, _ = optional_inner(annotation)
    if isinstance(annotation, marks.ArtifactAnnotation):
        annotation = annotation.artifact
    kind = kinds.parameter_kind(annotation) or _bare_artifact(annotation)
    if kind is None and isinstance(annotation, str):
        kind = kinds.artifact_kind(annotation)
    if kind is None and v1:
        kind = kinds.Kind(kinds.STRING)
    if kind is None:
        raise errors.SignatureError(
            f'the output {name!r} of {func.__name__}() is annotated {annotation!r}, which is no type of an output', location)
    return kind


def optional_inner(annotation: Any) -> tuple[Any, bool]:
    """(X, True) for Optional[X] and X | None; (annotation, False) otherwise."""
    arguments = getattr(annotation, '__args__', None)
    if arguments and type(None) in arguments and getattr(annotation, '__origin__', None) is not tuple:
        rest = [argument for argument in arguments if argument is not type(None)]
        if len(rest) == 1:
            return rest[0], True
    metadata = getattr(annotation, '__metadata__', None)
    if metadata and isinstance(metadata[0], marks.ArtifactAnnotation):
        return metadata[0], False
    return annotation, False


def _hints(func: Callable[..., Any], location: str | None) -> dict[str, Any]:
    """The function's annotations; those written as texts are evaluated."""
    hints = {}
    scope = dict(vars(marks))
    from kfp.dsl import artifacts
    scope.update(vars(artifacts))
    scope.update(func.__globals__)
    for name, value in getattr(func, '__annotations__', {}).items():
        if isinstance(value, str) and kinds.parameter_kind(value) is None and kinds.artifact_kind(value) is None:
            try:
                value = eval(value, scope)
            except Exception as error:
                raise errors.SignatureError(f'the annotation {value!r} of {name!r} of {func.__name__}() cannot be read: {error}',
                                            location) from error
        hints[name] = value
    return hints


def docstring(func: Callable[..., Any]) -> dict[str, str]:
    """{'': description, argument: its text, …} of a docstring in Google's style."""
    text = inspect.getdoc(func)
    if not text:
        return {}
    found: dict[str, list[str]] = {'': []}
    lines, section = text.split('\n'), ''
    names = set(inspect.signature(func).parameters)
    current, indent = None, None
    for line in lines:
        heading = line.strip().rstrip(':').lower()
        if not line.startswith(' ') and line.rstrip().endswith(':') and heading in (
                'args', 'arguments', 'parameters', 'params', 'returns', 'return', 'yields', 'raises', 'example', 'examples', 'attributes'):
            section, current, indent = heading, None, None
            continue
        if section == '':
            found[''].append(line)
            continue
        if not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        name, colon, rest = line.strip().partition(':')
        name = name.partition('(')[0].strip()
        is_entry = colon and (indent is None or depth <= indent)
        if section in ('args', 'arguments', 'parameters', 'params') and is_entry and name in names:
            current, indent = name, depth
            found[name] = [rest.strip()]
        elif section in ('returns', 'return') and is_entry and name.isidentifier():
            current, indent = name, depth
            found.setdefault(name, [rest.strip()])
        elif current is not None:
            found[current].append(line.strip())
    while found[''] and not found[''][-1].strip():
        found[''].pop()
    texts = {name: '\n'.join(lines).strip() for name, lines in found.items()}
    paragraphs = texts['']
    head, _, tail = paragraphs.partition('\n\n')
    texts[''] = f'{head}\n{tail}' if tail else head
    return {name: text for name, text in texts.items() if text}
