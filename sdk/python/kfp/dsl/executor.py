"""Runs a component's function inside a task.

It reads the ExecutorInput that the backend put on the command line, calls the
function with values of the annotated types, and writes the ExecutorOutput. Every
millisecond here is paid by every Python task, so imports are few and late.
"""

import gc
import json
import os
import sys

from kfp.dsl import annotations, artifacts


class ComponentError(Exception):
    """The function broke its own signature; shown without the executor's frames."""


def parse_arguments(argv):
    """{'executor_input': …} from `--executor_input X` and `--executor_input=X` forms."""
    options = {}
    position = 0
    while position < len(argv):
        word = argv[position]
        position += 1
        if not word.startswith('--'):
            continue
        name, equals, value = word[2:].partition('=')
        if not equals and position < len(argv):
            value = argv[position]
            position += 1
        options[name.replace('-', '_')] = value
    return options


def load_module(path):
    """Runs the file at `path` as a module, and returns the module."""
    name = os.path.splitext(os.path.basename(path))[0]
    module = type(sys)(name)
    module.__file__ = path
    with open(path, 'rb') as file:
        code = compile(file.read(), path, 'exec')
    sys.modules[name] = module
    folder = os.path.dirname(os.path.abspath(path))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    exec(code, module.__dict__)
    return module


def _configured_module(function_name):
    """The file that kfp_config.ini, made for containerized components, names."""
    section = ''
    with open('kfp_config.ini') as file:
        for line in file:
            line = line.strip()
            if line.startswith('['):
                section = line[1:-1].lower()
            elif '=' in line and section == 'components':
                name, path = (part.strip() for part in line.split('=', 1))
                if name == function_name:
                    return path
    raise ComponentError(f'kfp_config.ini names no component {function_name}')


def _optional_inner(annotation):
    """X for Optional[X] and for X | None; the annotation itself otherwise."""
    arguments = getattr(annotation, '__args__', None)
    if arguments and type(None) in arguments:
        rest = [a for a in arguments if a is not type(None)]
        if len(rest) == 1:
            return rest[0], True
    return annotation, False


def _is_artifact_class(value):
    return isinstance(value, type) and (
        issubclass(value, artifacts.Artifact) or hasattr(value, 'schema_title'))


def _primitive(annotation):
    """'str', 'int', … for annotations and type names of parameters, else None."""
    origin = getattr(annotation, '__origin__', annotation)
    if isinstance(origin, str):
        return {'string': 'str', 'str': 'str', 'integer': 'int', 'int': 'int',
                'float': 'float', 'double': 'float', 'bool': 'bool', 'boolean': 'bool',
                'list': 'list', 'jsonarray': 'list', 'dict': 'dict',
                'jsonobject': 'dict'}.get(origin.lower())
    if origin in (str, int, float, bool, list, dict):
        return origin.__name__
    return None


class Executor:
    """One call of one function."""

    def __init__(self, function, executor_input, module):
        self.function = function
        self.module = module
        self.inputs = executor_input.get('inputs') or {}
        self.outputs = executor_input.get('outputs') or {}
        self.values = self.inputs.get('parameterValues') or _legacy_values(self.inputs)
        self.output_artifacts = {}
        self.results = {}
        self.annotations = self._resolve_annotations()
        self._set_task_root()
        for name, listed in (self.outputs.get('artifacts') or {}).items():
            entries = listed.get('artifacts') or []
            if entries:
                self.output_artifacts[name] = self._artifact(entries[0], None)

    def _resolve_annotations(self):
        """The function's annotations; those written as strings are evaluated."""
        resolved = {}
        for name, value in getattr(self.function, '__annotations__', {}).items():
            if isinstance(value, str):
                try:
                    value = eval(value, self.function.__globals__)
                except Exception:  # an annotation that only a type checker can read
                    value = None
            resolved[name] = value
        return resolved

    def _set_task_root(self):
        for listed in (self.outputs.get('artifacts') or {}).values():
            for entry in listed.get('artifacts') or []:
                if entry.get('uri'):
                    artifacts._task_root = entry['uri'].rstrip('/').rpartition('/')[0]
                    return
        file = self.outputs.get('outputFile')
        if file:
            artifacts._task_root = artifacts.path_to_uri(os.path.dirname(file))

    @staticmethod
    def _artifact(entry, annotated):
        """An artifact object of the annotated class, else of its schema's class."""
        cls = annotated if _is_artifact_class(annotated) else None
        if cls is None or cls is artifacts.Artifact:
            title = (entry.get('type') or {}).get('schemaTitle')
            cls = artifacts.BY_TITLE.get(title, cls or artifacts.Artifact)
        artifact = cls(name=entry.get('name'), uri=entry.get('uri'), metadata=entry.get('metadata'))
        custom = entry.get('customPath') or entry.get('custom_path')
        if custom:
            artifact.custom_path = custom
        return artifact

    # Inputs

    def arguments(self):
        """The keyword arguments for the function."""
        code = self.function.__code__
        count = code.co_argcount + code.co_kwonlyargcount
        names = code.co_varnames[:count]
        defaults = self.function.__defaults__ or ()
        with_default = set(names[code.co_argcount - len(defaults):code.co_argcount])
        with_default.update(self.function.__kwdefaults__ or ())
        arguments = {}
        for name in names:
            found, value = self._argument(name)
            if found:
                arguments[name] = value
            elif name not in with_default:
                arguments[name] = None
        return arguments

    def _argument(self, name):
        annotation, _ = _optional_inner(self.annotations.get(name))
        if annotation in (annotations.InputPath, annotations.OutputPath):
            annotation = annotation()  # written without brackets
        if isinstance(annotation, annotations.ArtifactAnnotation):
            if annotation.direction == 'output':
                return True, self._output_artifact(name, annotation)
            if annotation.direction == 'embedded':
                return True, self._embedded(annotation.artifact)
            return self._input_artifact(name, annotation.artifact, annotation.is_list)
        if isinstance(annotation, annotations.OutputPath):
            return True, self._output_path(name)
        if isinstance(annotation, annotations.InputPath):
            return self._input_path(name)
        origin = getattr(annotation, '__origin__', None)
        if origin is list and annotation.__args__ and _is_artifact_class(annotation.__args__[0]):
            return self._input_artifact(name, annotation.__args__[0], True)
        if _is_artifact_class(annotation):
            return self._input_artifact(name, annotation, False)
        metadata = getattr(annotation, '__metadata__', None)
        if metadata and isinstance(metadata[0], annotations.ArtifactAnnotation):
            self.annotations[name] = metadata[0]
            return self._argument(name)
        if name not in self.values:
            return False, None
        return True, self._parameter(name, self.values[name], annotation)

    def _parameter(self, name, value, annotation):
        if annotation is annotations.PipelineTaskFinalStatus:
            return annotations.PipelineTaskFinalStatus.from_json(_from_text(value))
        if annotation is annotations.TaskConfig:
            return annotations.TaskConfig.from_json(_from_text(value))
        if value is None:
            return None
        kind = _primitive(annotation)
        try:
            if kind == 'str':
                return value if isinstance(value, str) else _to_text(value)
            if kind == 'int':
                return int(float(value)) if not isinstance(value, int) else value
            if kind == 'float':
                return float(value)
            if kind == 'bool':
                return value if isinstance(value, bool) else _to_bool(value)
            if kind in ('list', 'dict'):
                return _from_text(value)
            if hasattr(annotation, 'model_validate'):  # a pydantic model
                return annotation.model_validate(_from_text(value))
        except (TypeError, ValueError) as error:
            if kind is None:  # the model says what is wrong
                raise ComponentError(f'input {name!r} of {self.function.__name__}(): {error}') from error
            raise ComponentError(f"input {name!r} of {self.function.__name__}() is a {kind} and got "
                                 f'{value!r}') from error
        return value

    def _input_artifact(self, name, annotated, is_list):
        listed = (self.inputs.get('artifacts') or {}).get(name)
        if listed is None:
            return False, None
        found = [self._artifact(entry, annotated) for entry in listed.get('artifacts') or []]
        if is_list:
            return True, found
        return (True, found[0]) if found else (False, None)

    def _input_path(self, name):
        listed = (self.inputs.get('artifacts') or {}).get(name)
        if listed and listed.get('artifacts'):
            return True, self._artifact(listed['artifacts'][0], None).path
        if name not in self.values:
            return False, None
        import tempfile  # a parameter read through a file
        path = os.path.join(tempfile.mkdtemp(), name)
        value = self.values[name]
        with open(path, 'w') as file:
            file.write(value if isinstance(value, str) else _to_text(value))
        return True, path

    def _embedded(self, annotated):
        path = (self.module.__dict__.get('__KFP_EMBEDDED_ASSET_FILE')
                or self.module.__dict__.get('__KFP_EMBEDDED_ASSET_DIR'))
        if path is None:
            raise ComponentError(f'{self.function.__name__}() has an EmbeddedInput and no embedded files: '
                                 'give dsl.component(embedded_artifact_path=…)')
        cls = annotated if _is_artifact_class(annotated) else artifacts.Artifact
        return cls(name=os.path.basename(path), uri=path)

    # Outputs

    def _output_artifact(self, name, annotation):
        entries = ((self.outputs.get('artifacts') or {}).get(name) or {}).get('artifacts') or []
        if annotation.is_list:
            return [self._artifact(entry, annotation.artifact) for entry in entries]
        if not entries:
            return None
        artifact = self._artifact(entries[0], annotation.artifact)
        self.output_artifacts[name] = artifact
        _make_parent(artifact.path)
        return artifact

    def _output_path(self, name):
        parameter = (self.outputs.get('parameters') or {}).get(name)
        if parameter is not None:
            _make_parent(parameter['outputFile'])
            return parameter['outputFile']
        artifact = self.output_artifacts.get(name)
        if artifact is None:
            return None
        _make_parent(artifact.path)
        return artifact.path

    def take_result(self, result):
        """Sorts what the function returned into parameters and artifacts."""
        annotation = self.annotations.get('return')
        if annotation is None or annotation is type(None):
            return
        fields = getattr(annotation, '_fields', None)
        if fields is None:
            self._take('Output', result, annotation)
            return
        types = getattr(annotation, '__annotations__', {})
        if len(fields) != len(result if isinstance(result, (tuple, dict, list)) else ()):
            raise ComponentError(f'{self.function.__name__}() must return the outputs {", ".join(fields)} '
                                 f'and returned {result!r}')
        for index, field in enumerate(fields):
            value = result[field] if isinstance(result, dict) else result[index]
            self._take(field, value, types.get(field))

    def _take(self, name, value, annotation):
        annotation, optional = _optional_inner(annotation)
        if isinstance(annotation, str):
            annotation = self.function.__globals__.get(annotation, annotation)
        if value is None:  # as upstream: the output is missing, the task is well
            if not optional:
                sys.stderr.write(f'Warning: {self.function.__name__}() returned None for the output {name!r}; it has no value\n')
            return
        if _is_artifact_class(annotation):
            given = self.output_artifacts.get(name)
            if isinstance(value, str) and given is not None:  # the artifact's content
                _make_parent(given.path)
                with open(given.path, 'w') as file:
                    file.write(value)
                return
            if not isinstance(value, artifacts.Artifact) and not hasattr(value, 'uri'):
                raise self._wrong(name, annotation.__name__, value)
            if given is not None:
                value.name = value.name or given.name
                value.uri = value.uri or given.uri
            self.output_artifacts[name] = value
            return
        self.results[name] = self._plain(name, value, annotation)

    def _plain(self, name, value, annotation):
        """`value` as JSON knows it, or ComponentError when it is of another type."""
        if hasattr(value, 'model_dump'):  # a pydantic model
            return value.model_dump(mode='json')
        kind = _primitive(annotation)
        if kind in ('int', 'float', 'bool', 'str') and hasattr(value, 'item') and not isinstance(value, (str, bool, int, float)):
            value = value.item()  # a numpy scalar
        if kind == 'float' and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        accepted = {'str': str, 'int': int, 'float': float, 'bool': bool, 'list': (list, tuple), 'dict': dict}.get(kind, object)
        if not isinstance(value, accepted) or (kind == 'int' and isinstance(value, bool)):
            raise self._wrong(name, kind, value)
        return value

    def _wrong(self, name, expected, value):
        return ComponentError(f'{self.function.__name__}() returned {value!r} ({type(value).__name__}) for the '
                              f'output {name!r}, which is annotated as {expected}')

    def write_output(self):
        """Writes the ExecutorOutput file, unless another replica of the task does."""
        path = self.outputs.get('outputFile')
        if not path or not _writes_output():
            return
        output = {}
        if self.results:
            output['parameterValues'] = self.results
        if self.output_artifacts:
            output['artifacts'] = {}
            for name, artifact in self.output_artifacts.items():
                entry = {'name': artifact.name, 'uri': artifact.uri, 'metadata': artifact.metadata}
                if getattr(artifact, 'custom_path', None):
                    entry['custom_path'] = artifact.custom_path
                output['artifacts'][name] = {'artifacts': [entry]}
        try:
            text = json.dumps(output, default=_plain_number)
        except (TypeError, ValueError) as error:
            raise ComponentError(f'an output of {self.function.__name__}() is no JSON value: {error}') from error
        _make_parent(path)
        with open(path, 'w') as file:
            file.write(text)


def _legacy_values(inputs):
    """Parameter values in the older {"parameters": {"x": {"stringValue": …}}} form."""
    values = {}
    for name, value in (inputs.get('parameters') or {}).items():
        values[name] = next(iter(value.values()), None) if isinstance(value, dict) else value
    return values


def _plain_number(value):
    if hasattr(value, 'item'):
        return value.item()
    raise TypeError(f'{value!r} of type {type(value).__name__}')


def _to_text(value):
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return json.dumps(value)


def _from_text(value):
    return json.loads(value) if isinstance(value, str) else value


def _to_bool(value):
    text = str(value).lower()
    if text in ('true', '1', 'yes', '1.0'):
        return True
    if text in ('false', '0', 'no', '', '0.0'):
        return False
    raise ValueError(value)


def _make_parent(path):
    folder = os.path.dirname(path) if path else ''
    if folder and not os.path.isdir(folder):
        os.makedirs(folder, exist_ok=True)


def _writes_output():
    """False in all but the first replica of a distributed training job."""
    text = os.environ.get('CLUSTER_SPEC')
    if not text:
        return True
    try:
        spec = json.loads(text)
        task = spec.get('task') or {}
        kind, index = task.get('type'), int(task.get('index') or 0)
    except ValueError:
        return True
    if kind in (None, 'chief', 'master', 'workerpool0'):
        return index == 0
    chiefs = {'chief', 'master', 'workerpool0'} & set(spec.get('cluster') or {})
    return kind == 'worker' and index == 0 and not chiefs


def _show(error, component_path):
    """Prints the author's part of the traceback, from the component's file on."""
    import traceback
    if isinstance(error, ComponentError):
        sys.stderr.write(f'Error: {error}\n')
        return
    tb = error.__traceback__
    first = tb
    while first is not None and first.tb_frame.f_code.co_filename != component_path:
        first = first.tb_next
    if first is None and isinstance(error, SyntaxError):
        tb = None
    traceback.print_exception(type(error), error, first or tb)


def main(argv=None):
    """The program. Exit status 1 when the function raises; its own when it exits."""
    options = parse_arguments(sys.argv[1:] if argv is None else argv)
    path = options.get('component_module_path')
    try:
        function_name = options['function_to_execute']
        executor_input = json.loads(options['executor_input'])
        if path is None:
            path = _configured_module(function_name)
        loaded = set(sys.modules)
        gc.freeze()  # the function's own objects come later, and are collected as always
        module = load_module(path)
        function = module.__dict__.get(function_name)
        function = getattr(function, 'python_func', function)
        if function is None:
            raise ComponentError(f'{path} defines no function {function_name}')
        executor = Executor(function, executor_input, module)
        arguments = executor.arguments()
        gc.enable()
        result = function(**arguments)
        executor.take_result(result)
        executor.write_output()
    except KeyError as error:
        if error.args and error.args[0] in ('function_to_execute', 'executor_input'):
            sys.stderr.write(f'Error: the option --{error.args[0]} is missing\n')
        else:
            _show(error, path)
        _leave(1)
    except Exception as error:
        _show(error, path)
        _leave(1)
    if argv is None and _may_leave_at_once(loaded):
        del executor, function, result, arguments
        names = module.__dict__
        for name in [name for name in names if name != '__builtins__']:
            names[name] = None
        gc.collect()  # closes what the function left open; looks at its objects only
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _may_leave_at_once(loaded):
    """Whether Python's own way of ending, which takes longer than a small function, has
    nothing to do: no exit handlers, no threads, and no modules but the standard ones."""
    import atexit
    if 'threading' in sys.modules or atexit._ncallbacks():
        return False
    standard = os.path.dirname(os.__file__) + os.sep
    for name in set(sys.modules) - loaded:
        file = getattr(sys.modules[name], '__file__', None)
        if file is None or name == 'ephemeral_component' or os.sep + 'kfp' + os.sep in file:
            continue
        if not file.startswith(standard) or '-packages' in file:
            return False
    return True


def _leave(status):
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(status)
