"""What a component is: its inputs, its outputs and what runs."""

from __future__ import annotations

import json

from kfp.dsl import channels, errors, kinds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable

    from kfp.dsl.context import Pipeline
    from kfp.dsl.kinds import Kind

NO_DEFAULT = object()


class InputSpec:
    """One input. `default` is NO_DEFAULT when there is none; None when it is optional."""

    def __init__(self, kind: Kind, default: Any = NO_DEFAULT, description: str | None = None, literals: list[Any] | None = None,
                 optional: bool = False, annotation: Any = None):
        self.kind = kind
        self.default = default
        self.description = description
        self.literals = literals
        self.optional = optional or default is not NO_DEFAULT
        self.annotation = annotation  # what the function says, for v1 programs

    @property
    def required(self) -> bool:
        return not self.optional and self.kind.parameter not in (kinds.FINAL_STATUS, kinds.TASK_CONFIG)

    def to_ir(self) -> dict[str, Any]:
        entry = self.kind.to_ir()
        if not self.required:
            entry['isOptional'] = True
        if self.default is not NO_DEFAULT and self.default is not None and not self.kind.is_artifact:
            entry['defaultValue'] = ir_value(self.default)
        if self.description:
            entry['description'] = self.description
        if self.literals:
            entry['literals'] = [ir_value(value) for value in self.literals]
        return entry


class OutputSpec:
    """One output. `annotation` is what the function says about it."""

    def __init__(self, kind: Kind, description: str | None = None, annotation: Any = None,
                 metadata: dict[str, Any] | None = None):
        self.kind = kind
        self.description = description
        self.annotation = annotation
        self.metadata = metadata

    def to_ir(self) -> dict[str, Any]:
        entry = self.kind.to_ir()
        if self.description:
            entry['description'] = self.description
        if self.metadata:
            entry['metadata'] = self.metadata
        return entry


class Container:
    """What runs in a container. Command and args are lists of texts with placeholders."""

    def __init__(self, image: str, command: list[str] | None = None, args: list[str] | None = None,
                 env: dict[str, str] | None = None):
        self.image = image
        self.command = list(command or [])
        self.args = list(args or [])
        self.env = dict(env or {})

    def to_ir(self) -> dict[str, Any]:
        entry: dict[str, Any] = {'image': self.image}
        if self.command:
            entry['command'] = list(self.command)
        if self.args:
            entry['args'] = list(self.args)
        if self.env:
            entry['env'] = [{'name': name, 'value': value} for name, value in self.env.items()]
        return entry


class ComponentSpec:
    """A component's interface and implementation.

    Args:
        inputs, outputs: dicts in the author's order.
        container: a Container; or importer: the importer's IR; or graph: a Pipeline; or
        loaded: (ir, platform) of a pipeline that was loaded from a file.
    """

    def __init__(self, name: str, inputs: dict[str, InputSpec] | None = None, outputs: dict[str, OutputSpec] | None = None,
                 description: str | None = None, container: Container | None = None, importer: dict[str, Any] | None = None,
                 graph: Pipeline | None = None, loaded: tuple[dict[str, Any], dict[str, Any]] | None = None):
        self.name = name
        self.inputs = inputs or {}
        self.outputs = outputs or {}
        self.description = description
        self.container = container
        self.importer = importer
        self.graph = graph
        self.loaded = loaded
        self.passthroughs: list[dict[str, Any]] | None = None
        self.platform: dict[str, Any] = {}

    def interface_to_ir(self) -> dict[str, Any]:
        """inputDefinitions and outputDefinitions."""
        entry: dict[str, Any] = {}
        definitions = _definitions(self.inputs)
        if definitions:
            entry['inputDefinitions'] = definitions
        definitions = _definitions(self.outputs)
        if definitions:
            entry['outputDefinitions'] = definitions
        if self.passthroughs:
            entry['taskConfigPassthroughs'] = self.passthroughs
        return entry


def _definitions(specs: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    for name, spec in specs.items():
        section = 'artifacts' if spec.kind.is_artifact else 'parameters'
        entry.setdefault(section, {})[name] = spec.to_ir()
    return entry


def ir_value(value: Any) -> Any:
    """`value` as protobuf's Value has it: every number is a double."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        number = float(value)
        if isinstance(value, int) and int(number) != value:
            raise errors.ValueProblem(
                f'the integer {value} is larger than 2**53 and would lose digits; give it as a string')
        if number != number or number in (float('inf'), float('-inf')):
            raise errors.ValueProblem(f'{value} cannot be written as JSON; give it as a string')
        return number
    if isinstance(value, (list, tuple)):
        return [ir_value(item) for item in value]
    if isinstance(value, dict):
        return {_key(key): ir_value(item) for key, item in value.items()}
    if hasattr(value, 'item'):  # a numpy scalar
        return ir_value(value.item())
    raise errors.ValueProblem(f'{value!r} of type {type(value).__name__} is no JSON value; '
                              'a constant is a str, int, float, bool, list or dict')


def _key(key: str) -> str:
    if not isinstance(key, str):
        return json.dumps(key) if isinstance(key, (int, float, bool)) else str(key)
    return key


def check_default(name: str, kind: Kind, default: Any, location: str | None) -> Any:
    """`default` as a value of `kind`; v1 authors give numbers as text."""
    if default is None or default is NO_DEFAULT or kind.is_artifact or kind.untyped:
        return default
    if isinstance(default, str) and kind.parameter != kinds.STRING:
        try:
            return kinds.convert_text(default, kind)
        except ValueError as error:
            raise errors.InconsistentTypeException(
                f'the default of {name!r} is the text {default!r} and the type {kind}: {error}', location) from error
    given = kinds.kind_of_value(default)
    if given is None and hasattr(default, 'model_dump'):
        return default.model_dump(mode='json')
    if kind.parameter == kinds.INTEGER and isinstance(default, float) and default.is_integer():
        return default
    if given is None or not kinds.accepts(kind, given):
        raise errors.InconsistentTypeException(
            f'the default of {name!r} is {default!r} and the type {kind}', location)
    return default


def find_name(names: Iterable[str], wanted: str) -> str | None:
    """The entry of `names` that `wanted` means, also in v1 spellings; None if none."""
    if wanted in names:
        return wanted
    plain = channels.sanitize(wanted)
    matches = [name for name in names if channels.sanitize(name) == plain]
    return matches[0] if len(matches) == 1 else None


def python_name(name: str) -> str:
    """`name` as a Python argument: 'Input Text' becomes 'input_text'."""
    import re
    text = re.sub('_+', '_', re.sub('[^a-zA-Z0-9]+', '_', name)).strip('_')
    return text.lower() if not text.isidentifier() or ' ' in name or text != name else text
