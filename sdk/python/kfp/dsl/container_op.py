"""v1: dsl.ContainerOp, a task written as an image and a command line."""

from __future__ import annotations

from kfp.dsl import channels, context, errors, kinds, placeholders, structures
from kfp.dsl import task as task_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable


class InputArgumentPath:
    """The path of a file that holds `argument`, in a ContainerOp's command line.

    Args:
        argument: an output of a task, or a text.
        input, path: accepted and ignored: the file lies where the backend puts it.
    """

    def __init__(self, argument: Any, input: str | None = None, path: str | None = None):
        self.argument = argument
        self.input = input
        self.path = path


class ContainerOp(task_module.PipelineTask):
    """A task that runs `command` with `arguments` in `image` (v1).

    Texts may have pipeline inputs and outputs of tasks in them.

    Args:
        name: the task's name.
        image: the image.
        command, arguments: lists of texts, outputs and dsl.InputArgumentPath, or one of them.
        init_containers, sidecars: lists of dsl.UserContainer and dsl.Sidecar.
        container_kwargs: fields of the Kubernetes container: env, resources, image_pull_policy, security_context, volume_mounts.
        artifact_argument_paths: dsl.InputArgumentPath of files that the command reads at a place of its own.
        file_outputs: {name: path}, files that the command writes and that become outputs; their text is the value.
        output_artifact_paths: likewise; they become artifacts.
        is_exit_handler: accepted and ignored: dsl.ExitHandler says so.
        pvolumes: {path: dsl.PipelineVolume}.

    Raises:
        UnsupportedV1Error: something that IR cannot express.
    """

    def __init__(self, name: str, image: Any, command: Any = None, arguments: Any = None, init_containers: Any = None,
                 sidecars: Any = None, container_kwargs: dict[str, Any] | None = None, artifact_argument_paths: Any = None,
                 file_outputs: dict[str, str] | None = None, output_artifact_paths: dict[str, str] | None = None,
                 is_exit_handler: bool = False, pvolumes: dict[str, Any] | None = None):
        pipeline = context.current('dsl.ContainerOp')
        inputs: dict[str, structures.InputSpec] = {}
        given: dict[str, Any] = {}
        names: dict[int, str] = {}

        def render(channel: channels.Channel) -> str:
            if id(channel) not in names:
                key = _input_name(channel, inputs)
                names[id(channel)] = key
                inputs[key] = structures.InputSpec(channel.kind)
                given[key] = channel
            if channel.kind.is_artifact:
                return "{{$.inputs.artifacts['%s'].path}}" % names[id(channel)]
            return "{{$.inputs.parameters['%s']}}" % names[id(channel)]
        line, args = _line(command, render), _line(arguments, render)
        copies = {path: text for path, text in (_placed(item, render) for item in artifact_argument_paths or [])}
        outputs: dict[str, structures.OutputSpec] = {}
        files = {}
        for key, path in (file_outputs or {}).items():
            key = structures.python_name(key)
            outputs[key] = structures.OutputSpec(kinds.Kind(kinds.STRING))
            files[path] = "{{$.outputs.parameters['%s'].output_file}}" % key
        for key, path in (output_artifact_paths or {}).items():
            key = structures.python_name(key)
            outputs[key] = structures.OutputSpec(kinds.artifact_kind('Artifact'))
            files[path] = "{{$.outputs.artifacts['%s'].path}}" % key
        if copies:
            line, args = _reading_command(line, args, copies)
        if files:
            line, args = collecting_command(line, args, files)
        spec = structures.ComponentSpec(channels.sanitize(name) or 'container', inputs, outputs, None,
                                        structures.Container(channels.replace(str(image), render), line, args))
        super().__init__(spec, given, pipeline, lenient=True)
        self._add_surroundings(init_containers, sidecars, container_kwargs, pvolumes)

    def _add_surroundings(self, init_containers: Any, sidecars: Any, container_kwargs: dict[str, Any] | None,
                          pvolumes: dict[str, Any] | None) -> None:
        for key, value in (container_kwargs or {}).items():
            if key == 'env':
                for variable in value:
                    self.add_env_variable(variable)
            elif key == 'resources':
                from kfp.dsl.v1_objects import field, plain
                for resource, amount in plain(field(value, 'limits', {})).items():
                    self.add_resource_limit(resource, amount)
                for resource, amount in plain(field(value, 'requests', {})).items():
                    if '/' not in resource:  # an accelerator is asked for by its limit
                        self.add_resource_request(resource, amount)
            elif key == 'volume_mounts':
                for mount in value:
                    self.add_volume_mount(mount)
            elif key in ('image_pull_policy', 'security_context'):
                getattr(self, 'set_' + key)(value)
            else:
                raise errors.UnsupportedV1Error(f'dsl.ContainerOp(container_kwargs={{{key!r}: …}}) cannot be expressed in a v2 pipeline')
        if pvolumes:
            self.add_pvolumes(pvolumes)
        for container in init_containers or []:
            self.add_init_container(container)
        for container in sidecars or []:
            self.add_sidecar(container)


def _line(items: Any, render: Callable[[channels.Channel], str]) -> list[str]:
    if items is None:
        return []
    if isinstance(items, (str, channels.Channel)):
        items = [items]
    return [_word(item, render) for item in items]


def _placed(item: Any, render: Callable[[channels.Channel], str]) -> tuple[str, str]:
    """(the place at which the command reads, the place at which the backend puts the file)."""
    if not isinstance(item, InputArgumentPath) or not item.path:
        raise errors.UnsupportedV1Error('artifact_argument_paths takes dsl.InputArgumentPath(…, path=…)')
    return item.path, _word(item, render)


def _word(item: Any, render: Callable[[channels.Channel], str]) -> str:
    if isinstance(item, InputArgumentPath):
        argument = item.argument.output if isinstance(item.argument, task_module.PipelineTask) else item.argument
        if not isinstance(argument, channels.Channel) or not argument.kind.is_artifact:
            raise errors.UnsupportedV1Error('dsl.InputArgumentPath(…) takes an output that is an artifact; '
                                            'a value can stand in the command itself')
        return render(argument)
    if isinstance(item, task_module.PipelineTask):
        item = item.output
    if isinstance(item, channels.Channel):
        if item.kind.is_artifact:
            raise errors.InconsistentTypeException(
                f'the artifact {item.full_name!r} cannot stand in a command; use dsl.InputArgumentPath(…) for its path')
        return render(item)
    text: str = channels.replace(placeholders.to_text(item), render)
    return text


def _input_name(channel: channels.Channel, taken: dict[str, structures.InputSpec]) -> str:
    wanted = structures.python_name(channel.full_name) or 'value'
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f'{wanted}_{count}'
    return name


def _reading_command(command: list[str], args: list[str], copies: dict[str, str]) -> tuple[list[str], list[str]]:
    """A command line that first copies `copies` {to: from} and then becomes `command args`."""
    if not command:
        raise errors.ValueProblem('artifact_argument_paths need a `command`: the image\'s own entry point cannot be wrapped')
    script, places = '', []
    for target, source in copies.items():
        places += [source, target]
        script += 'mkdir -p "$(dirname "$2")" && cp -r "$1" "$2" || exit 1; shift 2\n'
    return ['sh', '-c', script + 'exec "$@"\n', 'sh'] + places + command, args


def collecting_command(command: list[str], args: list[str], files: dict[str, str]) -> tuple[list[str], list[str]]:
    """A command line that runs `command args` and then copies `files` {from: to}.

    The exit status is the command's own; nothing is copied when it fails. The command
    sees its words unchanged. Needs only a POSIX shell, `mkdir` and `cp`.
    """
    if not command:
        raise errors.ValueProblem('file_outputs need a `command`: the image\'s own entry point cannot be wrapped')
    reads, copies = '', ''
    places: list[str] = []
    for number, (source, target) in enumerate(files.items()):
        places += [source, target]
        reads += f's{number}=$1; t{number}=$2; shift 2; '
        copies += f'mkdir -p "$(dirname "$t{number}")" && '
        if 'outputs.artifacts' in target:
            copies += f'cp -r "$s{number}" "$t{number}" || exit 1\n'
        else:  # as Argo: a value has no newline at its end
            copies += f'v=$(cat "$s{number}") && printf %s "$v" > "$t{number}" || exit 1\n'
    script = f'{reads}"$@" || exit $?\n{copies}'
    return ['sh', '-c', script, 'sh'] + places + list(command), list(args)
