"""The types of inputs and outputs, and what may be given to what."""

from __future__ import annotations

from kfp.dsl import annotations as marks
from kfp.dsl import artifacts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STRING, INTEGER, DOUBLE = 'STRING', 'NUMBER_INTEGER', 'NUMBER_DOUBLE'
BOOLEAN, LIST, STRUCT = 'BOOLEAN', 'LIST', 'STRUCT'
FINAL_STATUS, TASK_CONFIG = 'TASK_FINAL_STATUS', 'TASK_CONFIG'

_CLASSES = {str: STRING, int: INTEGER, float: DOUBLE, bool: BOOLEAN, list: LIST, tuple: LIST,
            dict: STRUCT, marks.PipelineTaskFinalStatus: FINAL_STATUS,
            marks.TaskConfig: TASK_CONFIG}

# Type names of v1 components and of IR, in lower case.
_NAMES = {
    'str': STRING, 'string': STRING, 'text': STRING, 'int': INTEGER, 'integer': INTEGER,
    'float': DOUBLE, 'double': DOUBLE, 'number': DOUBLE, 'bool': BOOLEAN, 'boolean': BOOLEAN,
    'list': LIST, 'jsonarray': LIST, 'dict': STRUCT, 'jsonobject': STRUCT, 'struct': STRUCT,
    'gcspath': STRING, 'gcrpath': STRING, 'gcpregion': STRING, 'gcpprojectid': STRING,
    'localpath': STRING, 'url': STRING, 'uri': STRING, 'pipelinetaskfinalstatus': FINAL_STATUS,
}

_PYTHON = {STRING: 'str', INTEGER: 'int', DOUBLE: 'float', BOOLEAN: 'bool', LIST: 'list',
           STRUCT: 'dict', FINAL_STATUS: 'PipelineTaskFinalStatus', TASK_CONFIG: 'TaskConfig'}

_ARTIFACTS = {title.split('.')[1].lower(): title for title in artifacts.BY_TITLE}


class Kind:
    """The type of an input or output.

    Args:
        parameter: 'STRING', 'LIST', …; None for an artifact, and for a parameter whose type its author did not give
            (`untyped`).
        title, version: the schema of an artifact; None for a parameter.
        is_list: a list of such artifacts.
        item: the Kind of a list's items or of a dict's values, or None when not known.
    """
    __slots__ = ('parameter', 'title', 'version', 'is_list', 'item')

    def __init__(self, parameter: str | None = None, title: str | None = None, version: str = '0.0.1', is_list: bool = False,
                 item: Kind | None = None):
        self.parameter = parameter
        self.title = title
        self.version = version
        self.is_list = is_list
        self.item = item

    @property
    def is_artifact(self) -> bool:
        return self.title is not None

    @property
    def untyped(self) -> bool:
        return self.title is None and self.parameter is None

    def __str__(self) -> str:
        if self.title is not None:
            return f'List[{self.title}]' if self.is_list else self.title
        return _PYTHON.get(self.parameter or '', 'untyped')

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kind) and (self.parameter, self.title, self.is_list) == (
            other.parameter, other.title, other.is_list)

    __hash__ = None  # type: ignore[assignment]

    def listed(self) -> Kind:
        """The Kind of a list of such values."""
        if self.is_artifact:
            return Kind(title=self.title, version=self.version, is_list=True)
        return Kind(LIST, item=self)

    def to_ir(self) -> dict[str, Any]:
        """The entry of an input's or output's definition that states the type."""
        if self.is_artifact:
            entry: dict[str, Any] = {'artifactType': {'schemaTitle': self.title, 'schemaVersion': self.version}}
            if self.is_list:
                entry['isArtifactList'] = True
            return entry
        return {'parameterType': self.parameter or STRING}


UNTYPED = Kind()


def is_artifact_class(value: Any) -> bool:
    return isinstance(value, type) and hasattr(value, 'schema_title') and hasattr(value, 'schema_version')


def artifact_kind(cls: Any, is_list: bool = False) -> Any:
    """The Kind of an artifact class, or of a title such as 'system.Model' or 'Model'."""
    if isinstance(cls, str):
        title = _ARTIFACTS.get(cls.lower()) or (cls if '.' in cls else None)
        if title is None:
            return None
        title, _, version = title.partition('@')
        return Kind(title=title, version=version or '0.0.1', is_list=is_list)
    if not is_artifact_class(cls):
        return None
    return Kind(title=cls.schema_title, version=cls.schema_version, is_list=is_list)


def parameter_kind(annotation: Any) -> Kind | None:
    """The Kind of a parameter annotated so, or None when it is no parameter type."""
    if annotation is None:
        return None
    if isinstance(annotation, str):
        name = _NAMES.get(annotation.strip().lower().partition('[')[0])
        return Kind(name) if name else None
    if isinstance(annotation, dict):  # a v1 type with properties
        return parameter_kind(next(iter(annotation), None))
    origin = getattr(annotation, '__origin__', None)
    if origin is None:
        try:
            name = _CLASSES.get(annotation)
        except TypeError:
            return None
        if name is None and isinstance(annotation, type):
            name = _NAMES.get(annotation.__name__.lower())  # the v1 type classes
            if hasattr(annotation, 'model_validate'):
                name = STRUCT
        return Kind(name) if name else None
    if origin in (list, tuple):
        arguments = getattr(annotation, '__args__', ()) or ()
        if arguments and is_artifact_class(arguments[0]):
            return None
        return Kind(LIST, item=parameter_kind(arguments[0]) if arguments else None)
    if origin in (dict,) or getattr(origin, '__name__', '') in ('Mapping', 'MutableMapping'):
        of = list(getattr(annotation, '__args__', None) or ())
        return Kind(STRUCT, item=parameter_kind(of[1]) if len(of) == 2 else None)
    if getattr(origin, '__name__', '') in ('Sequence', 'Iterable'):
        return Kind(LIST)
    if str(origin) in ('typing.Literal', 'typing_extensions.Literal') or origin is _literal():
        found = {_CLASSES.get(type(value)) for value in annotation.__args__}
        return Kind(found.pop()) if len(found) == 1 else None
    return None


def _literal() -> Any:
    import typing
    return getattr(typing, 'Literal', object())


def literals(annotation: Any) -> list[Any] | None:
    """The allowed values of a Literal annotation, or None."""
    if getattr(annotation, '__origin__', None) is _literal():
        return list(annotation.__args__)
    return None


def kind_of_value(value: Any) -> Kind | None:
    """The Kind of a constant, or None when it cannot be one."""
    for cls in (bool, int, float, str):
        if isinstance(value, cls):
            return Kind(_CLASSES[cls])
    if isinstance(value, (list, tuple)):
        return Kind(LIST, item=items_kind(value))
    if isinstance(value, dict):
        return Kind(STRUCT)
    return None


def items_kind(values: Any) -> Kind | None:
    """The common Kind of a list's items, or None."""
    names = []
    for value in values:
        kind = kind_of_value(value)
        if kind is None:
            return None
        if kind.parameter not in names:
            names.append(kind.parameter)
    if len(names) == 1:
        return Kind(names[0])
    return Kind(DOUBLE) if set(names) == {INTEGER, DOUBLE} else None


def accepts(wanted: Kind, given: Any) -> bool:
    """Whether an input of Kind `wanted` may get a value of Kind `given`."""
    if wanted.is_artifact != given.is_artifact and not (wanted.untyped or given.untyped):
        return False
    if wanted.untyped or given.untyped:
        return not (wanted.is_artifact or given.is_artifact)
    if wanted.is_artifact:
        any_title = artifacts.Artifact.schema_title
        return wanted.is_list == given.is_list and (
            wanted.title == given.title or any_title in (wanted.title, given.title))
    return wanted.parameter == given.parameter or (wanted.parameter == DOUBLE and given.parameter == INTEGER)


def from_ir(entry: dict[str, Any]) -> Kind:
    """The Kind that an input's or output's definition in IR states."""
    if 'artifactType' in entry:
        schema = entry['artifactType']
        return Kind(title=schema.get('schemaTitle', 'system.Artifact'),
                    version=schema.get('schemaVersion', '0.0.1'),
                    is_list=bool(entry.get('isArtifactList')))
    legacy = {'INT': INTEGER, 'DOUBLE': DOUBLE, 'STRING': STRING}
    return Kind(entry.get('parameterType') or legacy.get(entry.get('type', ''), STRING))


def convert_text(text: str, kind: Kind) -> Any:
    """A value of Kind `kind` from v1-style text. Raises ValueError when it is none."""
    import json
    name = kind.parameter
    if name == INTEGER:
        number = float(text)
        if not number.is_integer():
            raise ValueError(f'{text!r} is no integer')
        return int(text) if text.strip().lstrip('+-').isdigit() else int(number)
    if name == DOUBLE:
        return float(text)
    if name == BOOLEAN:
        lowered = text.strip().lower()
        if lowered in ('true', '1', 'yes', 'y', 't'):
            return True
        if lowered in ('false', '0', 'no', 'n', 'f'):
            return False
        raise ValueError(f'{text!r} is no boolean')
    if name in (LIST, STRUCT):
        value = json.loads(text)
        if not isinstance(value, list if name == LIST else dict):
            raise ValueError(f'{text!r} is no {_PYTHON[name]}')
        return value
    return text
