"""A task: one call of a component in a pipeline."""

from __future__ import annotations

import os
import re

from kfp.dsl import channels, errors, groups, kinds, structures, v1_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator

    from kfp.dsl.channels import Channel
    from kfp.dsl.context import Pipeline
    from kfp.dsl.kinds import Kind
    from kfp.dsl.structures import ComponentSpec

_MEMORY_UNITS = {'E': 10**18, 'Ei': 2**60, 'P': 10**15, 'Pi': 2**50, 'T': 10**12, 'Ti': 2**40,
                 'G': 10**9, 'Gi': 2**30, 'M': 10**6, 'Mi': 2**20, 'K': 10**3, 'Ki': 2**10,
                 'k': 10**3, '': 1}
_SECONDS = {'s': 1, 'm': 60, 'h': 3600, 'd': 86400}
_V1_RETRY_POLICIES = ('Always', 'OnError', 'OnFailure', 'OnTransientError')


class Outputs:
    """The outputs of a task by name; v1 spellings of a name are understood."""

    def __init__(self, task: PipelineTask, found: dict[str, Channel]):
        self._task = task
        self._found = found

    def __getitem__(self, name: str) -> Any:
        key = structures.find_name(self._found, name)
        if key is None:
            names = ', '.join(repr(known) for known in self._found) or 'none'
            raise errors.UnknownOutputError(
                f'task {self._task.name!r} has no output {name!r}; its outputs are: {names}')
        return self._found[key]

    def get(self, name: str, default: Any = None) -> Any:
        key = structures.find_name(self._found, name)
        return default if key is None else self._found[key]

    def keys(self) -> Any:
        return self._found.keys()

    def values(self) -> Any:
        return self._found.values()

    def items(self) -> Any:
        return self._found.items()

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, name: str) -> bool:
        return structures.find_name(self._found, name) is not None


class PipelineTask(v1_task.V1Methods):
    """One call of a component. Its set_… methods return the task, so they chain.

    Made by calling a component in a pipeline.

    Args:
        spec: what the component is.
        arguments: {input: value or output of a task}.
        pipeline: the pipeline being built.
        name: its name; else the component's, with a number when that is taken.
        lenient: whether text is taken for numbers, as in v1.
    """

    def __init__(self, spec: ComponentSpec, arguments: dict[str, Any], pipeline: Pipeline, name: str | None = None,
                 lenient: bool = False):
        self.location = errors.author_location()
        self.spec = spec
        self.parent: Any = None
        self.arguments = arguments
        self.name = pipeline.task_name(name or spec.name)
        self.display_name: str | None = None
        self.exit_handler: Any = None
        self.strategy: str | None = None
        self.retry: dict[str, Any] | None = None
        self.caching = os.environ.get('KFP_DISABLE_EXECUTION_CACHING_BY_DEFAULT', '').lower() not in ('1', 'true')
        self.cache_key: str | None = None
        self.image: str | None = None
        self.env: dict[str, str] = {}
        self.resources: dict[str, Any] = {}
        self.extra_inputs: dict[str, Any] = {}
        self.platform: dict[str, Any] = {}
        self.platform_ir: dict[str, Any] = {}  # set by the compiler
        self._after: list[Any] = []
        self._pipeline = pipeline
        for name, value in arguments.items():
            self._check_argument(name, value, lenient)
        pipeline.add_task(self)
        self._outputs = Outputs(self, {
            key: channels.Channel(key, output.kind, producer=self) for key, output in spec.outputs.items()})

    def _check_argument(self, name: str, value: Any, lenient: bool) -> None:
        wanted = self.spec.inputs[name].kind
        if isinstance(value, PipelineTask):
            value = self.arguments[name] = value.output
        if isinstance(value, channels.Channel):
            given = value.kind
            groups.want(value, wanted)
        else:
            if wanted.is_artifact:
                if value is None and self.spec.inputs[name].optional:
                    self.arguments[name] = None
                    return
                raise errors.InconsistentTypeException(
                    f'{self.name}() got the constant {value!r} for the input {name!r}, which is the artifact {wanted}; '
                    'give it a task\'s output, or dsl.importer(…).output')
            if value is None:
                if self.spec.inputs[name].optional:
                    return
                raise errors.ValueProblem(f'{self.name}() got None for the required input {name!r}')
            if wanted.parameter in (kinds.FINAL_STATUS, kinds.TASK_CONFIG):
                raise errors.ArgumentError(f'{self.name}() gets the input {name!r} from the backend; leave it out')
            if hasattr(value, 'model_dump'):
                value = self.arguments[name] = value.model_dump(mode='json')
            given = kinds.kind_of_value(value)  # type: ignore[assignment]
            if given is None and hasattr(value, 'item'):
                value = self.arguments[name] = value.item()
                given = kinds.kind_of_value(value)
            if given is None:
                raise errors.ValueProblem(
                    f'{self.name}() got {value!r} of type {type(value).__name__} for the input {name!r}; '
                    'a constant is a str, int, float, bool, list or dict')
            allowed = self.spec.inputs[name].literals
            if allowed and not channels.find(value) and value not in allowed:
                raise errors.ValueProblem(f'{self.name}() got {value!r} for the input {name!r}, which may be one of {allowed}')
            if lenient:
                value = self.arguments[name] = _as_v1(value, wanted, name, self.name)
                given = wanted
        if lenient and not wanted.is_artifact and not given.is_artifact and wanted.parameter in (None, kinds.STRING):
            return
        if not kinds.accepts(wanted, given):
            raise errors.InconsistentTypeException(
                f'{self.name}() got {_describe(value)} of type {given} for the input {name!r} of type {wanted}'
                + _way_out(wanted, given))

    # What the task gives

    @property
    def outputs(self) -> Any:
        """The outputs by name."""
        return self._outputs

    @property
    def output(self) -> Any:
        """The only output. Raises UnknownOutputError when there are none or several."""
        if len(self._outputs) != 1:
            names = ', '.join(repr(name) for name in self._outputs)
            raise errors.UnknownOutputError(
                f'task {self.name!r} has no outputs' if not names else
                f'task {self.name!r} has several outputs ({names}); take one by .outputs[name]')
        return next(iter(self._outputs.values()))

    @property
    def inputs(self) -> dict[str, Any]:
        """The arguments given, by input name."""
        return dict(self.arguments)

    @property
    def channel_inputs(self) -> list[Channel]:
        """The outputs and pipeline inputs that it takes, each once."""
        return channels.find([self.arguments, self.extra_inputs])

    @property
    def dependent_tasks(self) -> list[str]:
        """The names of the tasks that it waits for by after()."""
        return [task.name for task in self._after]

    @property
    def platform_spec(self) -> dict[str, Any]:
        """What is set of its pod, as in a platform spec; {} when nothing is."""
        return {'platforms': {'kubernetes': self.platform}} if self.platform else {}

    platform_config = platform_spec

    @property
    def dependencies(self) -> list[Any]:
        """The tasks and groups that it waits for by after()."""
        return self._after

    def waits(self) -> bool:
        """Whether the task depends on another task."""
        return bool(self._after) or any(channel.producer is not None for channel in self.channel_inputs)

    # How the task runs

    def after(self, *tasks: Any) -> PipelineTask:
        """Waits for `tasks` although it takes nothing from them."""
        for task in tasks:
            if not isinstance(task, (PipelineTask, groups._ControlFlow)):
                raise errors.ValueProblem(f'{self.name}.after() takes tasks, and got {task!r}')
            if self.exit_handler is not None:
                raise errors.InvalidTopologyException(f'the exit task {self.name!r} cannot wait for {task.name!r}')
            self._after.append(task)
        return self

    def set_display_name(self, name: str) -> PipelineTask:
        """What the UI calls the task."""
        self.display_name = name
        return self

    def set_caching_options(self, enable_caching: bool = True, cache_key: str | None = None) -> PipelineTask:
        """Whether outputs of an equal earlier task may be used.

        Args:
            enable_caching: True or False.
            cache_key: takes the place of the key that follows from the task and its inputs.
        """
        self.caching = enable_caching
        self.cache_key = cache_key
        return self

    def set_env_variable(self, name: str, value: Any) -> PipelineTask:
        """Sets an environment variable of the container.

        Args:
            name: the variable.
            value: its value, also with pipeline inputs and outputs in it.
        """
        self._needs_container('environment variables')
        self.env[name] = str(value)
        return self

    def set_container_image(self, name: str | Channel) -> PipelineTask:
        """Runs the task in another image; a text, a pipeline input or an output."""
        self._needs_container('an image')
        if channels.find(name):
            self.extra_inputs['base_image'] = str(name)
        self.image = str(name)
        return self

    def set_cpu_limit(self, cpu: str | float | Channel) -> PipelineTask:
        """At most so many cores: '2', '500m', or a pipeline input."""
        return self._quantity('cpu', 'Limit', cpu, _cores)

    def set_cpu_request(self, cpu: str | float | Channel) -> PipelineTask:
        """At least so many cores: '2', '500m', or a pipeline input."""
        return self._quantity('cpu', 'Request', cpu, _cores)

    def set_memory_limit(self, memory: str | Channel) -> PipelineTask:
        """At most so much memory: '512Mi', '4G', or a pipeline input."""
        return self._quantity('memory', 'Limit', memory, _gigabytes)

    def set_memory_request(self, memory: str | Channel) -> PipelineTask:
        """At least so much memory: '512Mi', '4G', or a pipeline input."""
        return self._quantity('memory', 'Request', memory, _gigabytes)

    def _quantity(self, resource: str, end: str, value: Any, convert: Callable[[str, str], float]) -> PipelineTask:
        self._needs_container(f'a {resource} {end.lower()}')
        name = resource + end
        text = str(value)
        self.resources['resource' + name[0].upper() + name[1:]] = text
        if channels.find(text):
            self.extra_inputs[f'{resource}_{end.lower()}'] = text
            self.resources.pop(name, None)
        else:
            self.resources[name] = convert(text, f'set_{resource}_{end.lower()}')
        return self

    def set_accelerator_limit(self, limit: int | str | Channel) -> PipelineTask:
        """How many accelerators: a number, or a pipeline input."""
        self._needs_container('accelerators')
        text = str(limit)
        accelerator = self.resources.setdefault('accelerator', {})
        if channels.find(text):
            self.extra_inputs['accelerator_count'] = text
            accelerator.pop('count', None)
        elif not text.isdigit():
            raise errors.ValueProblem(f'the number of accelerators is a whole number, and got {limit!r}')
        elif int(text) == 0:
            accelerator.pop('count', None)
        else:
            accelerator['count'] = text
        accelerator['resourceCount'] = text
        return self

    def set_gpu_limit(self, gpu: int | str | Channel, vendor: str | None = None) -> PipelineTask:
        """How many GPUs.

        Args:
            gpu: a number, or a pipeline input.
            vendor: 'nvidia' or 'amd', which sets the accelerator type too (v1).
        """
        self.set_accelerator_limit(gpu)
        return self.set_accelerator_type(f'{vendor}.com/gpu') if vendor else self

    def set_accelerator_type(self, accelerator: str | Channel) -> PipelineTask:
        """The accelerator's resource name, such as 'nvidia.com/gpu'."""
        self._needs_container('accelerators')
        text = str(accelerator)
        entry = self.resources.setdefault('accelerator', {})
        if channels.find(text):
            self.extra_inputs['accelerator_type'] = text
            entry.pop('type', None)
        else:
            entry['type'] = text
        entry['resourceType'] = text
        entry.setdefault('count', '1') if 'resourceCount' not in entry else None
        entry.setdefault('resourceCount', '1')
        return self

    def add_node_selector_constraint(self, label_name: str | None = None, value: str | None = None,
                                     accelerator: Any = None) -> PipelineTask:
        """One argument: the accelerator type. Two: a node's label and its value (v1).

        Args:
            label_name: the label, or the accelerator when it is the only argument.
            value: the label's value.
            accelerator: upstream's name of the only argument.
        """
        if value is None:
            return self.set_accelerator_type(accelerator or label_name or '')
        self.platform.setdefault('nodeSelector', {}).setdefault('labels', {})[label_name] = value
        return self

    def set_retry(self, num_retries: int, backoff_duration: Any = None, backoff_factor: Any = None,
                  backoff_max_duration: Any = None, policy: str | None = None) -> PipelineTask:
        """Runs a failed task again.

        `policy` is accepted for v1 and has no meaning in IR: every failure is retried.

        Args:
            num_retries: how many times.
            backoff_duration: the first wait ('30s', '5m', a number of seconds);
            backoff_factor: how it grows (2.0);
            backoff_max_duration: its limit (1 h).
        """
        if backoff_duration in _V1_RETRY_POLICIES or isinstance(backoff_factor, str):  # v1's order: the policy comes second
            backoff_duration, backoff_factor, backoff_max_duration = backoff_factor, backoff_max_duration, policy
        if not isinstance(num_retries, int) or num_retries < 0:
            raise errors.ValueProblem(f'set_retry() needs a number of retries, and got {num_retries!r}')
        self.retry = {
            'maxRetryCount': num_retries,
            'backoffDuration': _duration(backoff_duration or '0s'),
            'backoffFactor': float(2 if backoff_factor is None else backoff_factor),
            'backoffMaxDuration': _duration(backoff_max_duration or '3600s')}
        return self

    def ignore_upstream_failure(self) -> PipelineTask:
        """Runs also when tasks that it waits for failed; inputs from them need defaults."""
        for name, value in self.arguments.items():
            if any(channel.producer is not None for channel in channels.find(value)) and self.spec.inputs[name].required:
                raise errors.ValueProblem(
                    f'{self.name}.ignore_upstream_failure() needs a default for the input {name!r}: when the task '
                    'that gives it fails, there is no value')
        self.strategy = 'ALL_UPSTREAM_TASKS_COMPLETED'
        return self

    def set_debug_pause(self, before: bool = False, after: bool = True, on_error: bool = False) -> PipelineTask:
        """Keeps the pod for a look inside, where Argo runs it. Elsewhere only its variables are set.

        Args:
            before: pause before the program starts.
            after: pause when it has ended; with on_error only when it has failed. Raises ValueProblem when nothing would
                pause.
        """
        if not before and not after:
            raise errors.ValueProblem('set_debug_pause() needs before or after: otherwise nothing pauses'
                                      if not on_error else 'set_debug_pause(on_error=True) is a pause after the end and needs after')
        if before:
            self.set_env_variable('ARGO_DEBUG_PAUSE_BEFORE', 'true')
        if after:
            self.set_env_variable('ARGO_DEBUG_PAUSE_ON_ERROR' if on_error else 'ARGO_DEBUG_PAUSE_AFTER', 'true')
        elif on_error:
            raise errors.ValueProblem('set_debug_pause(on_error=True) is a pause after the end and needs after')
        return self

    def _needs_container(self, what: str) -> None:
        if self.spec.container is None:
            raise errors.ValueProblem(f'{self.name!r} is not one container, so it cannot have {what}; '
                                      'set it on the tasks inside')


def _as_v1(value: Any, wanted: Kind, name: str, task_name: str) -> Any:
    """A v1 constant, in which numbers may be given as text and text as numbers."""
    if wanted.is_artifact or channels.find(value):
        return value
    if isinstance(value, str) and wanted.parameter not in (None, kinds.STRING):
        try:
            return kinds.convert_text(value, wanted)
        except ValueError as error:
            raise errors.InconsistentTypeException(
                f'{task_name}() got {value!r} for the input {name!r} of type {wanted}: {error}') from error
    if wanted.parameter in (None, kinds.STRING) and not isinstance(value, str):
        import json
        return json.dumps(value) if isinstance(value, (dict, list, tuple)) else str(value)
    if not kinds.accepts(wanted, kinds.kind_of_value(value)):
        raise errors.InconsistentTypeException(f'{task_name}() got {value!r} for the input {name!r} of type {wanted}')
    return value


def _describe(value: Any) -> str:
    return repr(value.full_name) if isinstance(value, channels.Channel) else repr(value)


def _way_out(wanted: Kind, given: Any) -> str:
    if wanted.parameter == kinds.STRING and not given.is_artifact:
        return '; make it a text with an f-string: f"{value}"'
    if given.is_artifact and not wanted.is_artifact:
        return '; annotate the input as Input[…], or let the task return the value'
    if wanted.is_artifact and not given.is_artifact:
        return '; annotate the input as a parameter, or let the task write an artifact'
    if wanted.is_list and not given.is_list:
        return '; outputs of a loop become a list by dsl.Collected(…)'
    return ''


def _cores(text: str, method: str) -> float:
    match = re.match(r'^(\d+(?:\.\d+)?)(m?)$', text)
    if not match:
        raise errors.ValueProblem(f'{method}() takes a number of cores such as "2", "0.5" or "500m", and got {text!r}')
    return float(match.group(1)) / (1000 if match.group(2) else 1)


def _gigabytes(text: str, method: str) -> float:
    match = re.match(r'^(\d+(?:\.\d+)?)([EPTGMK]i?|k)?$', text)
    if not match:
        raise errors.ValueProblem(f'{method}() takes a size such as "512Mi" or "4G", and got {text!r}')
    return float(match.group(1)) * _MEMORY_UNITS[match.group(2) or ''] / 10**9


def _duration(value: Any) -> str:
    if isinstance(value, (int, float)):
        return f'{int(value)}s'
    match = re.match(r'^(\d+)([smhd]?)$', value)
    if not match:
        raise errors.ValueProblem(f'a duration is a number with s, m, h or d, such as "30s", and got {value!r}')
    return f'{int(match.group(1)) * _SECONDS[match.group(2) or "s"]}s'


BaseOp = PipelineTask  # the v1 name
