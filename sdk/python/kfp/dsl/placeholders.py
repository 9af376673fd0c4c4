"""What a container component writes where a value will stand when the task runs."""

import json

from kfp.dsl import errors


class Placeholder:
    """Base of values that become text in a command line."""

    def to_text(self):
        raise NotImplementedError

    def __str__(self):
        return self.to_text()

    def __format__(self, spec):
        return self.to_text()

    def __eq__(self, other):
        return isinstance(other, Placeholder) and self.to_text() == other.to_text()

    def __hash__(self):
        return hash(self.to_text())


class Value(Placeholder):
    """A plain placeholder such as `{{$.inputs.parameters['x']}}`."""

    def __init__(self, text):
        self._text = text

    def to_text(self):
        return self._text


class ArtifactValue(Placeholder):
    """An artifact argument of a container component: `.uri`, `.path`, `.metadata[k]`."""

    def __init__(self, direction, name):
        self._base = f"$.{direction}.artifacts['{name}']"
        self._name = name

    @property
    def uri(self):
        return Value('{{%s.uri}}' % self._base)

    @property
    def path(self):
        return Value('{{%s.path}}' % self._base)

    @property
    def metadata(self):
        return _Metadata(self._base)

    @property
    def name(self):
        return Value('{{%s.name}}' % self._base)

    def to_text(self):
        raise errors.ValueProblem(
            f'the artifact {self._name!r} itself cannot stand in a command; use .path, .uri or .metadata[…]')


class _Metadata(Placeholder):
    def __init__(self, base):
        self._base = base

    def __getitem__(self, key):
        return Value("{{%s.metadata['%s']}}" % (self._base, key))

    def to_text(self):
        return '{{%s.metadata}}' % self._base


class ConcatPlaceholder(Placeholder):
    """The texts of `items` joined into one argument."""

    def __init__(self, items):
        self.items = list(items)

    def to_json(self):
        return {'Concat': [_nested(item) for item in self.items]}

    def to_text(self):
        return json.dumps(self.to_json())


class IfPresentPlaceholder(Placeholder):
    """`then` when the optional input has a value, else `else_` (or nothing).

    input_name: the input's name. then, else_: a text or a list of texts.
    """

    def __init__(self, input_name, then, else_=None):
        self.input_name = input_name
        self.then = then
        self.else_ = else_

    def to_json(self):
        entry = {'InputName': self.input_name, 'Then': _nested(self.then)}
        if self.else_ is not None:
            entry['Else'] = _nested(self.else_)
        return {'IfPresent': entry}

    def to_text(self):
        return json.dumps(self.to_json())


def _nested(item):
    if isinstance(item, list):
        return [_nested(part) for part in item]
    if isinstance(item, (ConcatPlaceholder, IfPresentPlaceholder)):
        return item.to_json()
    return to_text(item)


def to_text(item):
    """The text of one element of a command line."""
    if isinstance(item, (str, Placeholder)):
        return str(item)
    if isinstance(item, bool) or not isinstance(item, (int, float)):
        raise errors.ValueProblem(f'a command line is made of texts and placeholders, and got {item!r}')
    return str(item)


class ContainerSpec:
    """What a container component returns: an image, a command and its arguments."""

    def __init__(self, image, command=None, args=None):
        for name, value in (('command', command), ('args', args)):
            if isinstance(value, str):
                raise errors.ValueProblem(f'ContainerSpec({name}=…) is a list of texts, and got the text {value!r}')
        self.image = image
        self.command = command
        self.args = args
