"""Components from files: component.yaml of v1, and pipelines and components in IR."""

import json

from kfp.dsl import component_classes, errors, kinds, placeholders, structures


def load_component_from_text(text):
    """The component that `text` (YAML or JSON) describes.

    Takes a v1 component.yaml and compiled pipelines or components.
    Raises ValueProblem when it is neither.
    """
    import yaml
    try:
        documents = [document for document in yaml.load_all(text, getattr(yaml, 'CSafeLoader', yaml.SafeLoader)) if document]
    except yaml.YAMLError as error:
        raise errors.ValueProblem(f'the component is no YAML: {error}') from error
    if not documents or not isinstance(documents[0], dict):
        raise errors.ValueProblem('the component file is empty')
    document = documents[0]
    if 'pipelineSpec' in document:
        document = document['pipelineSpec']
    if 'root' in document and 'pipelineInfo' in document:
        return _from_ir(document, documents[1] if len(documents) > 1 else {})
    if 'implementation' in document:
        return _from_v1(document)
    raise errors.ValueProblem('the file is neither a component.yaml (it has no `implementation`) nor a compiled pipeline '
                              '(it has no `root`)')


def load_component_from_file(file_path):
    """The component in a file. Raises OSError when it cannot be read."""
    with open(file_path, 'rb') as file:
        return load_component_from_text(file.read().decode('utf-8'))


def load_component_from_url(url, auth=None):
    """The component at an http(s) or file URL. auth: (user, password), or None."""
    import urllib.request
    request = urllib.request.Request(url)
    if auth is not None:
        import base64
        user, password = auth
        token = base64.b64encode(f'{user}:{password}'.encode()).decode()
        request.add_header('Authorization', 'Basic ' + token)
    with urllib.request.urlopen(request) as reply:
        return load_component_from_text(reply.read().decode('utf-8'))


def load_component(filename=None, url=None, text=None, component_spec=None):
    """v1: the component in a file, at a URL or in a text."""
    if filename:
        return load_component_from_file(filename)
    if url:
        return load_component_from_url(url)
    if text:
        return load_component_from_text(text)
    raise errors.ValueProblem('load_component() needs a filename, a url or a text')


class ComponentStore:
    """v1: finds component.yaml files by name in folders and under URL prefixes."""

    def __init__(self, local_search_paths=None, url_search_prefixes=None, auth=None):
        self.local_search_paths = local_search_paths or ['.']
        self.url_search_prefixes = url_search_prefixes or []
        self._auth = auth

    def load_component(self, name, digest=None, tag=None):
        import os
        for folder in self.local_search_paths:
            path = os.path.join(folder, name, 'component.yaml')
            if os.path.exists(path):
                return load_component_from_file(path)
        for prefix in self.url_search_prefixes:
            try:
                return load_component_from_url(f'{prefix.rstrip("/")}/{name}/component.yaml', self._auth)
            except OSError:
                continue
        raise RuntimeError(f'no component {name!r} in {self.local_search_paths + self.url_search_prefixes}')

    load_component_from_url = staticmethod(load_component_from_url)
    load_component_from_file = staticmethod(load_component_from_file)


def _from_ir(document, platform):
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


def _single_container(document):
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


def _interface(definitions, make):
    found = {}
    for section in ('parameters', 'artifacts'):
        for name, entry in ((definitions or {}).get(section) or {}).items():
            found[name] = make(entry)
    return found


def _input_from_ir(entry):
    return structures.InputSpec(kinds.from_ir(entry), entry.get('defaultValue', structures.NO_DEFAULT),
                                entry.get('description'), entry.get('literals'), bool(entry.get('isOptional')))


# component.yaml


def _from_v1(document):
    container = (document['implementation'] or {}).get('container')
    name = document.get('name') or 'component'
    if container is None:
        raise errors.UnsupportedV1Error(f'the component {name!r} is a graph; write it as a pipeline')
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

    def __init__(self, name, document):
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

    def _kind(self, entry, is_value):
        type_ = entry.get('type')
        kind = kinds.parameter_kind(type_) or (kinds.artifact_kind(type_) if isinstance(type_, str) else None)
        if kind is None:
            kind = kinds.Kind(kinds.STRING) if is_value else kinds.artifact_kind('Artifact')
        return kind

    def _input(self, entry):
        kind = self._kind(entry, entry['name'] in self._values)
        default = entry.get('default', structures.NO_DEFAULT)
        if kind.is_artifact and default is not None:
            default = structures.NO_DEFAULT
        if isinstance(default, str) or default in (structures.NO_DEFAULT, None):
            default = structures.check_default(entry['name'], kind, default, None)
        elif kind.parameter == kinds.STRING:
            default = str(default)
        return structures.InputSpec(kind, default, entry.get('description'), optional=bool(entry.get('optional')))

    def _known(self, table, name, what):
        if name not in table:
            raise errors.ValueProblem(f'the component {self.component!r} uses the {what} {name!r} and declares none of that name')
        return table[name]

    def output_place(self, name):
        key = self._known(self._output_names, name, 'output')
        if self.outputs[key].kind.is_artifact:
            return "{{$.outputs.artifacts['%s'].path}}" % key
        return "{{$.outputs.parameters['%s'].output_file}}" % key

    def line(self, items):
        return [placeholders.to_text(self.element(item)) for item in items or []]

    def element(self, item):
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

    def _if(self, value):
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

    def _several(self, items):
        if isinstance(items, list):
            return [self.element(item) for item in items]
        return self.element(items)


def _names_under(value, key):
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
