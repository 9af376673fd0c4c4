"""Channels: the values that tasks will give to each other when the pipeline runs."""

from __future__ import annotations

import re

from kfp.dsl import errors, kinds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator

    from kfp.dsl.kinds import Kind

_PATTERN = re.compile(r'\{\{pipelineparam:op=[^;{}]*;name=[^;{}]*;id=(\d+)\}\}')

# Channels by the number in their text form, while their pipeline is being built.
_texts: list[Channel] = []


def sanitize(name: Any) -> str:
    """`name` in the letters that IR names are made of: [a-z0-9-]."""
    return re.sub('-+', '-', re.sub('[^-0-9a-z]+', '-', str(name).lower())).strip('-')


class Channel:
    """A value that exists when the pipeline runs.

    Args:
        name: the output's, the pipeline input's or the loop item's name.
        kind: its Kind.
        producer: the task or group whose output it is; None for a pipeline's input.
        loop: the ParallelFor group whose item it is; None otherwise.
    """

    def __init__(self, name: str, kind: Kind, producer: Any = None, loop: Any = None):
        self.name = name
        self.kind = kind
        self.producer = producer
        self.loop = loop
        self.wanted: list[Kind] | None = None  # the kinds that an untyped pipeline input is used as
        self._text: str | None = None

    @property
    def full_name(self) -> str:
        """The name without prefix: `task-Output`, or an input's own name."""
        if self.producer is not None and self.loop is None:
            return f'{self.producer.name}-{self.name}'
        return self.name

    @property
    def ir_name(self) -> str:
        """The name of the input that carries the channel into a group."""
        return 'pipelinechannel--' + self.full_name

    @property
    def task_name(self) -> str | None:
        """The name of the task that gives it; None for a pipeline's input."""
        return self.producer.name if self.producer is not None else None

    op_name = task_name  # the v1 name

    @property
    def task(self) -> Any:
        """The task that gives it; None for a pipeline's input."""
        return self.producer

    @property
    def channel_type(self) -> str | None:
        """The type as upstream spells it: 'STRING', 'system.Model@0.0.1', …"""
        if self.kind.is_artifact:
            return f'{self.kind.title}@{self.kind.version}'
        return self.kind.parameter

    param_type = channel_type

    @property
    def output_key(self) -> str:
        """The key under which the producer gives the channel."""
        return self.name

    def __str__(self) -> str:
        if self._text is None:
            _texts.append(self)
            self._text = '{{pipelineparam:op=%s;name=%s;id=%d}}' % (
                self.task_name or '', self.name, len(_texts) - 1)
        return self._text

    @property
    def pattern(self) -> str:
        """The text that stands for it in other texts."""
        return str(self)

    def __repr__(self) -> str:
        return f'<{type(self).__name__} {self.full_name} ({self.kind})>'

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> Comparison:  # type: ignore[override]
        return Comparison('==', self, other)

    def __ne__(self, other: Any) -> Comparison:  # type: ignore[override]
        return Comparison('!=', self, other)

    def __lt__(self, other: Any) -> Comparison:
        return Comparison('<', self, other)

    def __le__(self, other: Any) -> Comparison:
        return Comparison('<=', self, other)

    def __gt__(self, other: Any) -> Comparison:
        return Comparison('>', self, other)

    def __ge__(self, other: Any) -> Comparison:
        return Comparison('>=', self, other)

    def __bool__(self) -> bool:
        raise errors.InvalidControlFlowException(
            f'{self.full_name!r} has no value until the pipeline runs, so Python cannot test it; '
            'use `with dsl.If(x == …):`')

    def __iter__(self) -> Iterator[Any]:
        raise errors.InvalidControlFlowException(
            f'{self.full_name!r} has no value until the pipeline runs, so Python cannot loop over it; '
            'use `with dsl.ParallelFor(x) as item:`')

    def ignore_type(self) -> Channel:
        """This channel without its type, so that any input accepts it (v1)."""
        twin = Channel(self.name, kinds.UNTYPED, self.producer, self.loop)
        return twin


def PipelineParam(name: str, op_name: str | None = None, value: Any = None, param_type: Any = None,
                  pattern: str | None = None) -> Channel:
    """A reference to a pipeline input by name (v1).

    Args:
        name: the input's name.
        op_name: must be None: in IR a task's output is taken from the task itself.
        value, pattern: accepted for v1 and ignored.
        param_type: its type: a name or a class.

    Raises:
        UnsupportedV1Error: op_name is given.
    """
    if op_name:
        raise errors.UnsupportedV1Error(
            'dsl.PipelineParam(op_name=…) has no equivalent; use the task\'s .output or .outputs[name]')
    return Channel(name, kinds.parameter_kind(param_type) or kinds.UNTYPED)


class LoopItem(Channel):
    """The item of a ParallelFor. `item.key` and `item['key']` take one field of it.

    A field named as an attribute of channels (name, kind, loop, …) needs the brackets.
    """

    def __init__(self, name: str, kind: Kind, loop: Any, fields: dict[str, Kind] | None = None):
        super().__init__(name, kind, loop=loop)
        self._fields = fields or {}
        self._taken: dict[str, LoopItemField] = {}

    def __getattr__(self, key: str) -> LoopItemField:
        if key.startswith('_'):
            raise AttributeError(key)
        return self[key]

    def __getitem__(self, key: str) -> LoopItemField:
        if self.kind.is_artifact:
            raise errors.ValueProblem(f'the loop item {self.name!r} is an artifact and has no field {key!r}')
        if self._fields and key not in self._fields:
            raise errors.ValueProblem(f'the loop items have no field {key!r}; they have {sorted(self._fields)}')
        if key not in self._taken:
            kind = self._fields.get(key) or (self.kind.item if self.kind.parameter == kinds.STRUCT else None)
            self._taken[key] = LoopItemField(self, key, kind or kinds.UNTYPED)
        return self._taken[key]


class LoopItemField(Channel):
    """One field of a loop item that is a dict."""

    def __init__(self, item: LoopItem, key: str, kind: Kind):
        super().__init__(f'{item.name}-subvar-{key}', kind, loop=item.loop)
        self.item = item
        self.key = key

    @property
    def selector(self) -> str:
        """The CEL expression that takes the field out of the item."""
        return f'parseJson(string_value)["{self.key}"]'


class OneOf(Channel):
    """The output of whichever branch of an If/Elif/Else ran.

    `dsl.OneOf(a, b, …)` takes one output from each branch, all of one type.
    Raises InvalidControlFlowException when a branch is missing.
    """

    def __init__(self, *channels: Any):
        if len(channels) == 1 and isinstance(channels[0], (list, tuple)):
            channels = tuple(channels[0])
        if not channels:
            raise errors.InvalidControlFlowException('dsl.OneOf() needs one output from each branch')
        for channel in channels:
            if not isinstance(channel, Channel):
                raise errors.InvalidControlFlowException(
                    f'dsl.OneOf() takes outputs of tasks, and got {channel!r}; '
                    'a constant can be given by a task that returns it')
            if channel.kind != channels[0].kind:
                raise errors.InconsistentTypeException(
                    f'the outputs in dsl.OneOf() are of different types: {channels[0].kind} and {channel.kind}')
        from kfp.dsl import groups
        branches = groups.branches_of(channels)
        number = branches.add_one_of(self)
        super().__init__(f'oneof-{number}', channels[0].kind, producer=branches)
        self.channels = channels

    @property
    def output_key(self) -> str:
        """The key under which the branches give it."""
        return self.ir_name


class Collected(Channel):
    """The outputs of all iterations of the loops around `output`, as a list."""

    def __init__(self, output: Any):
        if isinstance(output, Collected) or not isinstance(output, Channel) or output.producer is None:
            raise errors.InvalidControlFlowException(
                'dsl.Collected() takes the output of a task inside a dsl.ParallelFor, and got '
                f'{output!r}')
        super().__init__(output.name, output.kind.listed(), producer=output.producer)
        self.channel = output

    @property
    def full_name(self) -> str:
        """The name of what is collected."""
        return self.channel.full_name

    @property
    def output_key(self) -> str:
        """The key under which the inner task gives it."""
        return self.channel.output_key


class Comparison:
    """`left operator right`, where at least one side is a channel."""

    def __init__(self, operator: str, left: Any, right: Any):
        self.operator = operator
        self.left = left
        self.right = right

    def channels(self) -> list[Channel]:
        return [side for side in (self.left, self.right) if isinstance(side, Channel)]

    def __bool__(self) -> bool:
        # Python compares channels itself in `in` tests and keyed lookups: by identity.
        if self.operator in ('==', '!='):
            same = self.left is self.right
            return same if self.operator == '==' else not same
        raise errors.InvalidControlFlowException(
            'a comparison with the output of a task has no value until the pipeline runs; '
            'use it in `with dsl.If(…):`')

    def to_cel(self) -> str:
        left, right = _operand(self.left, self.right), _operand(self.right, self.left)
        # A comparison of an untyped value with a number compares numbers.
        if isinstance(self.left, Channel) and self.left.kind.untyped:
            left = _cast_like(left, self.right)
        if isinstance(self.right, Channel) and self.right.kind.untyped:
            right = _cast_like(right, self.left)
        return f'{left} {self.operator} {right}'


ConditionOperator = Comparison


def _kind(value: Any) -> Kind | None:
    return value.kind if isinstance(value, Channel) else kinds.kind_of_value(value)


def _operand(value: Any, beside: Any) -> str:
    """`value` in CEL, which compares only what is of one type."""
    text = _text(value)
    own, other = _kind(value), _kind(beside)
    if own is None or other is None or own.parameter == other.parameter:
        return text
    numbers = (kinds.INTEGER, kinds.DOUBLE)
    if own.parameter == kinds.INTEGER and other.parameter == kinds.DOUBLE:
        return f'double({text})'
    if isinstance(value, (bool, int, float)) and other.parameter == kinds.STRING:
        return f"'{text}'"
    if isinstance(value, str) and other.parameter in numbers:
        try:
            return repr(kinds.convert_text(value, other))
        except ValueError as error:
            raise errors.InvalidControlFlowException(
                f'a condition compares a number with the text {value!r}, and it never holds') from error
    if own.parameter == kinds.INTEGER and other.parameter == kinds.STRING and isinstance(beside, Channel):
        return f'string({text})'
    return text


def _text(value: Any) -> str:
    if isinstance(value, Channel):
        if value.kind.is_artifact or value.kind.parameter in (kinds.LIST, kinds.STRUCT, kinds.FINAL_STATUS):
            raise errors.InvalidControlFlowException(
                f'{value.full_name!r} is a {value.kind}; conditions compare strings, numbers and booleans')
        text = f"inputs.parameter_values['{value.ir_name}']"
        return f'int({text})' if value.kind.parameter == kinds.INTEGER else text
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        if find(value):
            raise errors.InvalidControlFlowException(
                f'a condition cannot compare with the text {value!r} that has outputs of tasks in it; '
                'make the text in a task')
        return "'" + value.replace('\\', '\\\\').replace("'", "\\'").replace('\n', '\\n') + "'"
    raise errors.InvalidControlFlowException(
        f'a condition compares strings, numbers and booleans, and got {value!r}')


def _cast_like(text: str, other: Any) -> str:
    if isinstance(other, bool) or isinstance(other, Channel):
        return text
    if isinstance(other, int):
        return f'int({text})'
    if isinstance(other, float):
        return f'double({text})'
    return text


def find(value: Any) -> list[Channel]:
    """The channels in a text, list or dict, in order, each once."""
    found: list[Channel] = []

    def visit(part: Any) -> None:
        if isinstance(part, Channel):
            if not any(part is seen for seen in found):
                found.append(part)
        elif isinstance(part, str):
            for match in _PATTERN.finditer(part):
                visit(_texts[int(match.group(1))])
        elif isinstance(part, dict):
            for key, item in part.items():
                visit(key)
                visit(item)
        elif isinstance(part, (list, tuple)):
            for item in part:
                visit(item)
    visit(value)
    return found


def replace(value: Any, render: Callable[[Channel], str]) -> Any:
    """`value` with every channel in it replaced by the text render(channel)."""
    if isinstance(value, Channel):
        return render(value)
    if isinstance(value, str):
        return _PATTERN.sub(lambda match: render(_texts[int(match.group(1))]), value)
    if isinstance(value, dict):
        return {replace(key, render): replace(item, render) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [replace(item, render) for item in value]
    return value


def placeholder(channel: Channel) -> str:
    """The text that the backend replaces by the channel's value inside a constant."""
    return "{{$.inputs.parameters['%s']}}" % channel.ir_name
