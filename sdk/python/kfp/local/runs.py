"""One run on this machine: from the call of a component to a task with its outputs."""

from __future__ import annotations

import datetime
import json
import logging
import os
import shutil
import sys
import threading

from kfp.client import logs, packages
from kfp.client.rest import ApiError, Record
from kfp.dsl import artifacts, channels, component_classes, context, importer_task, kinds, structures
from kfp.local import engine as engines
from kfp.local.config import LocalExecutionConfig
from kfp.local.tasks import LocalTask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_log = logging.getLogger('kfp.local')
_RUNS = '/apis/v2beta1/runs'


def run(component: component_classes.BaseComponent, arguments: dict[str, Any]) -> LocalTask:
    """Runs a component or pipeline with these arguments, and waits for its end.

    Raises RuntimeError when it fails and the configuration says so.
    """
    config = LocalExecutionConfig.validate()
    os.makedirs(config.pipeline_root, exist_ok=True)
    engine = engines.current(config)
    _show_logs()
    return _Run(config, engine, component, arguments).task()


def _show_logs() -> None:
    """Logs go to stderr until the program sets up logging of its own."""
    if not _log.handlers and not logging.getLogger().handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter('%(asctime)s - %(levelname)s - %(message)s', '%H:%M:%S'))
        _log.addHandler(handler)
        _log.setLevel(logging.INFO)
        _log.propagate = False


class _Run:
    def __init__(self, config: LocalExecutionConfig, engine: engines.Engine, component: component_classes.BaseComponent,
                 arguments: dict[str, Any]):
        self.config = config
        self.engine = engine
        self.component = component
        spec = component.component_spec
        self.is_pipeline = spec.graph is not None or spec.loaded is not None
        given = {name: value for name, value in arguments.items() if spec.inputs[name].kind.is_artifact}
        self.parameters = {name: value for name, value in arguments.items() if name not in given}
        imported = {name: self._keep(name, value) for name, value in given.items() if value is not None}
        self.document, self.platform = _compile(component, imported)
        stamp = datetime.datetime.now().strftime('%Y-%m-%d-%H-%M-%S-%f')
        self.folder = os.path.join(config.pipeline_root, f'{self.document["pipelineInfo"]["name"]}-{stamp}')

    def _keep(self, name: str, value: Any) -> tuple[str, Any]:
        """(URI, artifact): puts the file of an input artifact where the server finds it."""
        if not hasattr(value, 'uri'):
            raise ValueError(f'{self.component.name}() got {value!r} for the input {name!r}, which is an artifact; '
                             'give it the output of a component, or an object such as dsl.Dataset(uri=path)')
        path = value.path
        if not path or not os.path.exists(path):
            return value.uri, value
        key = f'mlpipeline/kfp-local/{os.urandom(8).hex()}/{os.path.basename(path.rstrip("/"))}'
        target = os.path.join(self.engine.data, 'objects', key)
        _place(path, target)
        return 'minio://' + key, value

    def task(self) -> LocalTask:
        what = 'pipeline' if self.is_pipeline else 'task'
        name = self.component.name
        _log.info('Running %s: %r' if self.is_pipeline else 'Executing %s %r', what, name)
        run_id = self._submit()
        try:
            state = self._follow(run_id)
            reply = Record(self.engine.rest.call('GET', f'{_RUNS}/{run_id}'))
            tasks = self._tasks(run_id)
            outputs = self._outputs(tasks) if state == 'SUCCEEDED' else {}
        except BaseException:
            self._end(run_id)
            raise
        self._remove(run_id)
        if state != 'SUCCEEDED':
            self._fail(reply, tasks)
        else:
            _log.info('%s %r finished with status SUCCESS', what.capitalize(), name)
            for key, value in outputs.items():
                _log.info('    %s: %r', key, value)
        return LocalTask(self.component, outputs, state or 'FAILED')

    def _submit(self) -> str:
        converted = packages.convert_parameters(self.document, self.parameters)
        spec = {'pipeline_spec': self.document, 'platform_spec': self.platform} if self.platform else self.document
        body: dict[str, Any] = {'display_name': self.component.name, 'pipeline_spec': spec, 'runtime_config': {'parameters': converted}}
        if not self.config.enable_caching:
            body['runtime_config']['disable_caching'] = True
        for executor in self.document['deploymentSpec']['executors'].values():
            self._add_variables(executor)
        try:
            run_id: str = self.engine.rest.call('POST', _RUNS, body=body)['run_id']
        except ApiError as error:
            raise ValueError(error.message) from None
        return run_id

    def _add_variables(self, executor: dict[str, Any]) -> None:
        """The runner's own variables, which win over the task's."""
        variables = self.config.runner._environment()
        if variables and 'container' in executor:
            kept = [entry for entry in executor['container'].get('env', []) if entry['name'] not in variables]
            executor['container']['env'] = kept + [{'name': key, 'value': value} for key, value in variables.items()]

    def _follow(self, run_id: str) -> str | None:
        """Shows what tasks print, and returns the state in which the run has ended."""
        reader = logs.LogReader(self.engine.rest, run_id)
        printer = threading.Thread(target=_print_lines, args=(reader, self.is_pipeline), daemon=True)
        printer.start()
        state = None
        told: dict[str, str] = {}
        try:
            for event in logs.events(self.engine.rest, run_id):
                if 'run' in event:
                    state = event['run'].get('state')
                elif 'task' in event:
                    reader.tell(event['task'])
                    if self.is_pipeline:
                        _tell(event['task'], told)
        finally:
            reader.finish()
            printer.join()
        return state

    def _tasks(self, run_id: str) -> list[Record]:
        found: list[Record] = []
        token = ''
        while True:
            page = self.engine.rest.call('GET', f'{_RUNS}/{run_id}/tasks', {'page_size': 200, 'page_token': token})
            found += [Record(entry) for entry in page.get('tasks', [])]
            token = page.get('next_page_token', '')
            if not token:
                return found

    def _outputs(self, tasks: list[Record]) -> dict[str, Any]:
        """The pipeline's outputs by name; every artifact of its tasks is put under the pipeline root on the way."""
        places: dict[str, str] = {}
        for task in tasks:
            if task.type in ('RUNTIME', 'IMPORTER'):
                self._keep_outputs(task, places)
        specs = self.component.component_spec.outputs
        found: dict[str, Any] = {}
        root = next((task for task in tasks if task.type == 'ROOT'), None)
        outputs = (root.to_dict().get('outputs') if root is not None else None) or {}
        for entry in outputs.get('parameters', []):
            kind = specs[entry['parameter_key']].kind if entry['parameter_key'] in specs else None
            found[entry['parameter_key']] = _value(entry.get('value'), kind)
        for entry in outputs.get('artifacts', []):
            name = entry['artifact_key']
            kind = specs[name].kind if name in specs else None
            listed = [_artifact(item, kind, places) for item in entry.get('artifacts', [])]
            found[name] = listed if kind is not None and kind.is_list else (listed[0] if listed else None)
        return {name: found[name] for name in [key for key in specs if key in found] + [key for key in found if key not in specs]}

    def _keep_outputs(self, task: Record, places: dict[str, str]) -> None:
        """Puts what a task made into a folder of its own, with the file executor_output.json, which tells of it."""
        outputs = task.to_dict().get('outputs') or {}
        folder = _free(self.folder, _plain(task.name))
        os.makedirs(folder)
        told: dict[str, Any] = {'parameterValues': {entry['parameter_key']: entry.get('value') for entry in outputs.get('parameters', [])}}
        for output in outputs.get('artifacts', []):
            listed = told.setdefault('artifacts', {}).setdefault(output['artifact_key'], {'artifacts': []})['artifacts']
            for artifact in output.get('artifacts', []):
                uri = artifact.get('uri') or ''
                source = self.engine.file_of(uri)
                if source is not None and uri not in places:
                    places[uri] = _free(folder, _plain(output['artifact_key']))
                    _place(source, places[uri])
                listed.append({'name': artifact.get('name'), 'uri': places.get(uri, uri), 'metadata': artifact.get('metadata') or {}})
        with open(os.path.join(folder, 'executor_output.json'), 'w') as file:
            json.dump(told, file)

    def _end(self, run_id: str) -> None:
        """The caller was interrupted: the run ends too."""
        try:
            self.engine.rest.call('POST', f'{_RUNS}/{run_id}:terminate', body={})
        except ApiError:
            pass

    def _remove(self, run_id: str) -> None:
        """Without a cache nobody asks for the run again; what it made lies under the pipeline root."""
        if not self.config.enable_caching:
            try:
                self.engine.rest.call('DELETE', f'{_RUNS}/{run_id}', {'delete_artifacts': 'true'})
            except ApiError as error:
                _log.warning('the run %s was not removed: %s', run_id, error)

    def _fail(self, reply: Record, tasks: list[Record]) -> None:
        failed = [_way_to(task) for task in tasks if task.state == 'FAILED' and task.type in ('RUNTIME', 'IMPORTER')]
        if self.is_pipeline:
            message = f'Pipeline {self.component.name!r} finished with status FAILURE.'
            if failed:
                message += ' Inner task failed: ' + ', '.join(dict.fromkeys(failed)) + '.'
        else:
            message = f'Task {self.component.name!r} finished with status FAILURE'
        reason = reply.error.message if reply.error else None
        if reason:
            message += f'\n{reason}'
        if self.config.raise_on_error:
            raise RuntimeError(message)
        _log.error('%s', message)


def _compile(component: component_classes.BaseComponent,
             imported: dict[str, tuple[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(PipelineSpec, PlatformSpec) of a component; its input artifacts come from importers."""
    from kfp.compiler import compiler, ir
    if not imported:
        return compiler.compile_to_ir(component)
    spec = component.component_spec
    pipeline = context.Pipeline(context.pipeline_name(spec.name))
    with pipeline:
        arguments: dict[str, Any] = {}
        for name, value in spec.inputs.items():
            if name in imported:
                uri, artifact = imported[name]
                made = importer_task.importer(artifact_uri=uri, artifact_class=_class_of(value.kind),
                                              reimport=True, metadata=dict(artifact.metadata) or None)
                arguments[name] = made.output
            elif not value.kind.is_artifact and value.kind.parameter not in (kinds.FINAL_STATUS, kinds.TASK_CONFIG):
                channel = pipeline.inputs[name] = channels.Channel(name, value.kind)
                channel.wanted = []
                arguments[name] = channel
        task = component(**arguments)
        pipeline.outputs = dict(task.outputs.items())
    inputs = {name: value for name, value in spec.inputs.items() if name in pipeline.inputs}
    wrapped = structures.ComponentSpec(pipeline.name, inputs, spec.outputs, spec.description, graph=pipeline)
    document, platform = ir.pipeline_spec(wrapped)
    exact = {uri: artifact.metadata for uri, artifact in imported.values()}
    for executor in document['deploymentSpec']['executors'].values():
        if 'metadata' in executor.get('importer', {}):  # whose integers a constant of IR would make doubles
            executor['importer']['metadata'] = exact[executor['importer']['artifactUri']['constant']]
    return document, platform


def _class_of(kind: kinds.Kind) -> type:
    """An artifact class with the kind's schema."""
    known = artifacts.BY_TITLE.get(kind.title or '')
    if known is not None:
        return known
    return type('Imported', (artifacts.Artifact,), {'schema_title': kind.title, 'schema_version': kind.version})


def _value(value: Any, kind: kinds.Kind | None) -> Any:
    """A parameter in the Python type that its component declares."""
    if kind is None or value is None:
        return value
    if kind.parameter == kinds.INTEGER and isinstance(value, float):
        return int(value)
    if kind.parameter == kinds.DOUBLE and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _artifact(entry: dict[str, Any], kind: kinds.Kind | None, places: dict[str, str]) -> artifacts.Artifact:
    uri = entry.get('uri') or ''
    title = kind.title if kind is not None and kind.title else 'system.' + str(entry.get('type') or 'Artifact').rpartition('.')[2]
    cls = artifacts.BY_TITLE.get(title, artifacts.Artifact)
    return cls(name=entry.get('name'), uri=places.get(uri, uri), metadata=dict(entry.get('metadata') or {}))


def _place(source: str, target: str) -> None:
    """`source`, a file or folder, at `target` as well: linked where that goes, else copied."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.isdir(source):
        shutil.copytree(source, target, copy_function=_link)
    else:
        _link(source, target)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _free(folder: str, name: str) -> str:
    """A path in the folder at which there is nothing: the name, else with a number."""
    path, count = os.path.join(folder, name), 1
    while os.path.lexists(path):
        count += 1
        path = os.path.join(folder, f'{name}-{count}')
    return path


def _way_to(task: Record) -> str:
    """'task' inside 'pipeline', innermost first."""
    path = (task.scope_path or task.name).split('/')
    return ' inside '.join(repr(name) for name in reversed(path[1:] or path) if not name.isdigit())


def _plain(name: str) -> str:
    return name.replace('/', '_').lstrip('.') or '_'


def _tell(task: dict[str, Any], told: dict[str, str]) -> None:
    if task.get('type') not in ('RUNTIME', 'IMPORTER') or told.get(task['task_id']) == task.get('state'):
        return
    told[task['task_id']] = task['state']
    if task['state'] == 'RUNNING':
        _log.info('Executing task %r', task['name'])
    elif task['state'] == 'FAILED':
        _log.error('Task %r finished with status FAILURE', task['name'])
    elif task['state'] in ('SUCCEEDED', 'CACHED'):
        _log.info('Task %r finished with status SUCCESS', task['name'])


def _print_lines(reader: logs.LogReader, named: bool) -> None:
    for task, line in reader:
        sys.stdout.write(f'[{task}] {line}\n' if named else f'    {line}\n')
        sys.stdout.flush()


__all__ = ['run']
