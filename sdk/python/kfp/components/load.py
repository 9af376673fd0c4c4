"""Components from files: component.yaml of v1, and pipelines and components in IR."""

from __future__ import annotations

import json

from kfp.dsl import component_classes, errors, kinds, placeholders, structures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from kfp.dsl.component_classes import GraphComponent, YamlComponent
    from kfp.dsl.kinds import Kind
    from kfp.dsl.structures import Container, InputSpec


def load_component_from_text(text: str | bytes) -> YamlComponent | GraphComponent:
    """The component that `text` (YAML or JSON) describes.

    Takes a v1 component.yaml and compiled pipelines or components.

    Args:
        text: the whole file.

    Returns:
        The component; call it in a pipeline.

    Raises:
        ValueProblem: when it is neither.
    """
    import yaml
    try:
        documents = [document for document in yaml.load_all(text, getattr(yaml, 'CSafeLoader', yaml.SafeLoader)) if document]
    except yaml.YAMLError as error:
        raise errors.ValueProblem(f'the component is no YAML: {error}') from error
    return _from_documents(documents, None)


def _from_documents(documents: list[Any],
                    base: str | None) -> YamlComponent | GraphComponent:
    """base: the file or URL that relative references in it start from."""
    if not documents or not isinstance(documents[0], dict):
        raise errors.ValueProblem('the component file is empty')
    document = documents[0]
    if 'pipelineSpec' in document:
        document = document['pipelineSpec']
    if 'root' in document and 'pipelineInfo' in document:
        return _from_ir(document, documents[1] if len(documents) > 1 else {})
    if 'graph' in (document.get('implementation') or {}):
        from kfp.components import graph_file
        return graph_file.from_document(document, base)
    if 'implementation' in document:
        return _from_v1(document)
    raise errors.ValueProblem('the file is neither a component.yaml (it has no `implementation`) nor a compiled pipeline '
                              '(it has no `root`)')


def load_component_from_file(file_path: Any = None,
                             filename: Any = None) -> YamlComponent | GraphComponent:
    """The component in a file.

    Args:
        file_path: a component.yaml, or a compiled pipeline or component.
        filename: the same under its v1 name.

    Raises:
        OSError: the file cannot be read.
        ValueProblem: it holds no component.
    """
    with open(file_path if file_path is not None else filename, 'rb') as file:
        return load_component_from_text(file.read().decode('utf-8'))


def load_component_from_url(url: str, auth: Any = None) -> YamlComponent | GraphComponent:
    """The component at an http(s) or file URL.

    Args:
        url: where it is.
        auth: (user, password), or None.

    Raises:
        OSError: it cannot be fetched.
        ValueProblem: it holds no component.
    """
    return load_component_from_text(_fetch(url, auth))


def _fetch(url: str, auth: Any) -> str:
    import urllib.request
    request = urllib.request.Request(url)
    if auth is not None:
        import base64
        user, password = auth
        token = base64.b64encode(f'{user}:{password}'.encode()).decode()
        request.add_header('Authorization', 'Basic ' + token)
    with urllib.request.urlopen(request) as reply:
        text: str = reply.read().decode('utf-8')
        return text


def load_component_from_spec(component_spec: dict[str, Any]) -> YamlComponent | GraphComponent:
    """The component that a dict describes, as component.yaml would.

    Args:
        component_spec: what reading a component.yaml gives, or an object with to_dict().
    """
    document = component_spec if isinstance(component_spec, dict) else component_spec.to_dict()
    return _from_documents([document], None)


def load_component(filename: Any = None, url: str | None = None, text: str | None = None,
                   component_spec: Any = None) -> YamlComponent | GraphComponent:
    """v1: the component in a file, at a URL, in a text or in a dict.

    Args:
        filename: a file, or
        url: an address, or
        text: the text itself, or
        component_spec: a dict.

    Raises:
        ValueProblem: not exactly one of them is given, or it holds no component.
    """
    given = [value for value in (filename, url, text, component_spec) if value is not None]
    if len(given) != 1:
        raise errors.ValueProblem('load_component() needs one of filename, url, text and component_spec')
    if filename is not None:
        return load_component_from_file(filename)
    if url is not None:
        return load_component_from_url(url)
    return load_component_from_text(text) if text is not None else load_component_from_spec(component_spec)


def _from_ir(document: dict[str, Any], platform: dict[str, Any]) -> YamlComponent:
    """A compiled pipeline, or the only component of one that was compiled alone."""
    root = document['root']
    inputs = _interface(root.get('inputDefinitions'), _input_from_ir)
    outputs = _interface(root.get('outputDefinitions'), lambda entry: structures.OutputSpec(
        kinds.from_ir(entry), entry.get('description'), metadata=entry.get('metadata')))
    info = document['pipelineInfo']
    single = _single_container(document)
    if single is not None:
        spec = structures.ComponentSpec(info['name'], inputs, outputs, info.get('description'), container=single)
        labels = ((platform.get('platforms') or {}).get('kubernetes') or {}).get('deploymentSpec', {}).get('executors', {})
        spec.platform = next(iter(labels.values()), {})
        return component_classes.YamlComponent(spec)
    spec = structures.ComponentSpec(info['name'], inputs, outputs, info.get('description'), loaded=(document, platform))
    return component_classes.YamlComponent(spec)


def _single_container(document: dict[str, Any]) -> Container | None:
    """The Container of a file made of one component, else None."""
    tasks = document['root'].get('dag', {}).get('tasks', {})
    executors = (document.get('deploymentSpec') or {}).get('executors', {})
    if len(tasks) != 1 or len(executors) != 1 or len(document.get('components', {})) != 1:
        return None
    task = next(iter(tasks.values()))
    component = next(iter(document['components'].values()))
    if any(document['root'].get(end) != component.get(end) for end in ('inputDefinitions', 'outputDefinitions')):
        return None
    container = next(iter(executors.values())).get('container')
    plain = set(task) <= {'cachingOptions', 'componentRef', 'inputs', 'taskInfo'}
    references = [reference for section in task.get('inputs', {}).values() for reference in section.items()]
    direct = all(reference.get('componentInputParameter') == name or reference.get('componentInputArtifact') == name
                 for name, reference in references)
    if container is None or not plain or not direct or set(container) - {'image', 'command', 'args', 'env'}:
        return None
    env = {entry['name']: entry.get('value', '') for entry in container.get('env', [])}
    return structures.Container(container['image'], container.get('command'), container.get('args'), env)


def _interface(definitions: dict[str, Any] | None, make: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    found = {}
    for section in ('parameters', 'artifacts'):
        for name, entry in ((definitions or {}).get(section) or {}).items():
            found[name] = make(entry)
    return found


def _input_from_ir(entry: dict[str, Any]) -> InputSpec:
    return structures.InputSpec(kinds.from_ir(entry), entry.get('defaultValue', structures.NO_DEFAULT),
                                entry.get('description'), entry.get('literals'), bool(entry.get('isOptional')))


# component.yaml


def _from_v1(document: dict[str, Any]) -> YamlComponent:
    container = (document['implementation'] or {}).get('container')
    name = document.get('name') or 'component'
    if container is None:
        raise errors.ValueProblem(f'the component {name!r} has neither implementation.container nor implementation.graph')
    reader = _V1Reader(name, document)
    command = reader.line(container.get('command'))
    args = reader.line(container.get('args'))
    env = {key: reader.element(value) for key, value in (container.get('env') or {}).items()}
    files = container.get('fileOutputs') or {}
    if files:
        from kfp.dsl import container_op
        command, args = container_op.collecting_command(command, args, {
            path: reader.output_place(output) for output, path in files.items()})
    spec = structures.ComponentSpec(
        structures.python_name(name).replace('_', '-').lower(), reader.inputs, reader.outputs, document.get('description'),
        structures.Container(container['image'], command, args, env))
    return component_classes.YamlComponent(spec, reader.aliases, lenient=True)


class _V1Reader:
    """The inputs, outputs and command line of a component.yaml."""

    def __init__(self, name: str, document: dict[str, Any]):
        self.component = name
        self.inputs, self.outputs, self.aliases = {}, {}, {}
        self._input_names, self._output_names = {}, {}
        self._values = _names_under(document['implementation'], 'inputValue')
        for entry in document.get('inputs') or []:
            key = structures.python_name(entry['name'])
            self._input_names[entry['name']] = key
            self.aliases[entry['name']] = key
            self.inputs[key] = self._input(entry)
        for entry in document.get('outputs') or []:
            key = structures.python_name(entry['name'])
            self._output_names[entry['name']] = key
            self.outputs[key] = structures.OutputSpec(self._kind(entry, False), entry.get('description'))

    def _kind(self, entry: dict[str, Any], is_value: bool) -> Kind:
        type_ = entry.get('type')
        kind = kinds.parameter_kind(type_) or (kinds.artifact_kind(type_) if isinstance(type_, str) else None)
        if kind is None:
            kind = kinds.Kind(kinds.STRING) if is_value else kinds.artifact_kind('Artifact')
        return kind

    def _input(self, entry: dict[str, Any]) -> InputSpec:
        kind = self._kind(entry, entry['name'] in self._values)
        default = entry.get('default', structures.NO_DEFAULT)
        if kind.is_artifact and default is not None:
            default = structures.NO_DEFAULT
        if isinstance(default, str) or default in (structures.NO_DEFAULT, None):
            default = structures.check_default(entry['name'], kind, default, None)
        elif kind.parameter == kinds.STRING:
            default = str(default)
        return structures.InputSpec(kind, default, entry.get('description'), optional=bool(entry.get('optional')))

    def _known(self, table: dict[str, str], name: str, what: str) -> str:
        if name not in table:
            raise errors.ValueProblem(f'the component {self.component!r} uses the {what} {name!r} and declares none of that name')
        return table[name]

    def output_place(self, name: str) -> str:
        key = self._known(self._output_names, name, 'output')
        if self.outputs[key].kind.is_artifact:
            return "{{$.outputs.artifacts['%s'].path}}" % key
        return "{{$.outputs.parameters['%s'].output_file}}" % key

    def line(self, items: Any) -> list[str]:
        return [placeholders.to_text(self.element(item)) for item in items or []]

    def element(self, item: Any) -> Any:
        """A text or placeholder for one element of a command line."""
        if not isinstance(item, dict):
            return item if isinstance(item, str) else json.dumps(item)
        (what, value), = item.items()
        if what in ('inputValue', 'inputPath', 'inputUri'):
            key = self._known(self._input_names, value, 'input')
            if self.inputs[key].kind.is_artifact:
                if what == 'inputValue':
                    raise errors.ValueProblem(f'the component {self.component!r} takes the artifact {value!r} by inputValue; '
                                              'use inputPath')
                return placeholders.Value("{{$.inputs.artifacts['%s'].%s}}" % (key, 'uri' if what == 'inputUri' else 'path'))
            return placeholders.Value("{{$.inputs.parameters['%s']}}" % key)
        if what == 'outputPath':
            return placeholders.Value(self.output_place(value))
        if what == 'outputUri':
            key = self._known(self._output_names, value, 'output')
            return placeholders.Value("{{$.outputs.artifacts['%s'].uri}}" % key)
        if what == 'executorInput':
            return placeholders.Value('{{$}}')
        if what == 'concat':
            return placeholders.ConcatPlaceholder([self.element(part) for part in value])
        if what == 'if':
            return self._if(value)
        raise errors.ValueProblem(f'the component {self.component!r} has the unknown placeholder {what!r}')

    def _if(self, value: Any) -> Any:
        condition = value['cond']
        if isinstance(condition, dict) and 'isPresent' in condition:
            key = self._known(self._input_names, condition['isPresent'], 'input')
            otherwise = value.get('else')
            return placeholders.IfPresentPlaceholder(key, self._several(value['then']),
                                                     None if otherwise is None else self._several(otherwise))
        if isinstance(condition, (bool, str)):
            chosen = value['then'] if str(condition).lower() == 'true' else value.get('else') or []
            return placeholders.ConcatPlaceholder(self._several(chosen))
        raise errors.UnsupportedV1Error(f'the component {self.component!r} has the condition {condition!r}; '
                                        'only isPresent can be expressed')

    def _several(self, items: Any) -> Any:
        if isinstance(items, list):
            return [self.element(item) for item in items]
        return self.element(items)


def _names_under(value: Any, key: str) -> set[str]:
    """The values of `key` anywhere in a nested value."""
    found = set()
    if isinstance(value, dict):
        for name, item in value.items():
            if name == key and isinstance(item, str):
                found.add(item)
            found |= _names_under(item, key)
    elif isinstance(value, list):
        for item in value:
            found |= _names_under(item, key)
    return found
