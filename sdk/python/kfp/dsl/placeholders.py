"""What a container component writes where a value will stand when the task runs."""

from __future__ import annotations

import json

from kfp.dsl import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kfp.dsl.structures import ComponentSpec


class Placeholder:
    """Base of values that become text in a command line."""

    def to_text(self) -> str:
        raise NotImplementedError

    def __str__(self) -> str:
        return self.to_text()

    def __format__(self, spec: str) -> str:
        return self.to_text()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Placeholder) and self.to_text() == other.to_text()

    def __hash__(self) -> int:
        return hash(self.to_text())


class Value(Placeholder):
    """A plain placeholder such as `{{$.inputs.parameters['x']}}`."""

    def __init__(self, text: str):
        self._text = text

    def to_text(self) -> str:
        return self._text


class ArtifactValue(Placeholder):
    """An artifact argument of a container component: `.uri`, `.path`, `.metadata[k]`."""

    def __init__(self, direction: str, name: str):
        self._base = f"$.{direction}.artifacts['{name}']"
        self._name = name

    @property
    def uri(self) -> Value:
        return Value('{{%s.uri}}' % self._base)

    @property
    def path(self) -> Value:
        return Value('{{%s.path}}' % self._base)

    @property
    def metadata(self) -> _Metadata:
        return _Metadata(self._base)

    @property
    def name(self) -> Value:
        return Value('{{%s.name}}' % self._base)

    def to_text(self) -> str:
        raise errors.ValueProblem(
            f'the artifact {self._name!r} itself cannot stand in a command; use .path, .uri or .metadata[…]')


class _Metadata(Placeholder):
    def __init__(self, base: str):
        self._base = base

    def __getitem__(self, key: str) -> Value:
        return Value("{{%s.metadata['%s']}}" % (self._base, key))

    def to_text(self) -> str:
        return '{{%s.metadata}}' % self._base


class ConcatPlaceholder(Placeholder):
    """The texts of `items` joined into one argument."""

    def __init__(self, items: Any):
        self.items = list(items)

    def to_json(self) -> dict[str, Any]:
        """The placeholder as IR has it."""
        return {'Concat': [_nested(item) for item in self.items]}

    def to_text(self) -> str:
        """The placeholder as one element of a command line."""
        return json.dumps(self.to_json())


class IfPresentPlaceholder(Placeholder):
    """`then` when the optional input has a value, else `else_` (or nothing).

    Args:
        input_name: the input's name.
        then, else_: a text or a list of texts.
    """

    def __init__(self, input_name: str, then: Any, else_: Any = None):
        self.input_name = input_name
        self.then = then
        self.else_ = else_

    def to_json(self) -> dict[str, Any]:
        """The placeholder as IR has it."""
        entry = {'InputName': self.input_name, 'Then': _nested(self.then)}
        if self.else_ is not None:
            entry['Else'] = _nested(self.else_)
        return {'IfPresent': entry}

    def to_text(self) -> str:
        """The placeholder as one element of a command line."""
        return json.dumps(self.to_json())


def _nested(item: Any) -> Any:
    if isinstance(item, list):
        return [_nested(part) for part in item]
    if isinstance(item, (ConcatPlaceholder, IfPresentPlaceholder)):
        return item.to_json()
    return to_text(item)


def to_text(item: Any) -> str:
    """The text of one element of a command line."""
    if isinstance(item, (str, Placeholder)):
        return str(item)
    if isinstance(item, bool) or not isinstance(item, (int, float)):
        raise errors.ValueProblem(f'a command line is made of texts and placeholders, and got {item!r}')
    return str(item)


class ContainerSpec:
    """What a container component returns: an image, a command and its arguments."""

    def __init__(self, image: Any, command: list[Any] | None = None, args: list[Any] | None = None):
        for name, value in (('command', command), ('args', args)):
            if isinstance(value, str):
                raise errors.ValueProblem(f'ContainerSpec({name}=…) is a list of texts, and got the text {value!r}')
        self.image = image
        self.command = command
        self.args = args
