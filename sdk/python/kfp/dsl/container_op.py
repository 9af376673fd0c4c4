"""v1: dsl.ContainerOp, a task written as an image and a command line."""

from kfp.dsl import channels, context, errors, kinds, placeholders, structures
from kfp.dsl import task as task_module


class InputArgumentPath:
    """The path of a file that holds `argument`, in a ContainerOp's command line."""

    def __init__(self, argument, input=None, path=None):
        self.argument = argument


def ContainerOp(name, image, command=None, arguments=None, init_containers=None, sidecars=None, container_kwargs=None,
                artifact_argument_paths=None, file_outputs=None, output_artifact_paths=None, is_exit_handler=False,
                pvolumes=None):
    """Makes a task that runs `command` with `arguments` in `image` (v1).

    Texts may have pipeline inputs and outputs of tasks in them. file_outputs: {name:
    path}, files that the command writes and that become outputs; their text is the
    value. Raises UnsupportedV1Error for init containers, sidecars and volumes.
    """
    for what, value in (('init_containers', init_containers), ('sidecars', sidecars), ('pvolumes', pvolumes),
                        ('artifact_argument_paths', artifact_argument_paths), ('container_kwargs', container_kwargs)):
        if value:
            raise errors.UnsupportedV1Error(f'dsl.ContainerOp({what}=…) cannot be expressed in a v2 pipeline; '
                                            'see kfp.kubernetes for volumes and secrets')
    pipeline = context.current('dsl.ContainerOp')
    inputs, given, names = {}, {}, {}

    def render(channel):
        if id(channel) not in names:
            key = _input_name(channel, inputs)
            names[id(channel)] = key
            inputs[key] = structures.InputSpec(channel.kind)
            given[key] = channel
        if channel.kind.is_artifact:
            return "{{$.inputs.artifacts['%s'].path}}" % names[id(channel)]
        return "{{$.inputs.parameters['%s']}}" % names[id(channel)]

    def line(items):
        if items is None:
            return []
        if isinstance(items, (str, channels.Channel)):
            items = [items]
        return [_word(item, render) for item in items]

    command, args = line(command), line(arguments)
    outputs = {}
    files = {}
    for key, path in dict(file_outputs or {}, **(output_artifact_paths or {})).items():
        key = structures.python_name(key)
        outputs[key] = structures.OutputSpec(kinds.Kind(kinds.STRING))
        files[path] = "{{$.outputs.parameters['%s'].output_file}}" % key
    if files:
        command, args = collecting_command(command, args, files)
    spec = structures.ComponentSpec(channels.sanitize(name) or 'container', inputs, outputs, None,
                                    structures.Container(channels.replace(str(image), render), command, args))
    return task_module.PipelineTask(spec, given, pipeline, lenient=True)


def _word(item, render):
    if isinstance(item, InputArgumentPath):
        if not isinstance(item.argument, channels.Channel) or not item.argument.kind.is_artifact:
            raise errors.UnsupportedV1Error('dsl.InputArgumentPath(…) takes an output that is an artifact; '
                                            'a value can stand in the command itself')
        return render(item.argument)
    if isinstance(item, task_module.PipelineTask):
        item = item.output
    if isinstance(item, channels.Channel):
        if item.kind.is_artifact:
            raise errors.InconsistentTypeException(
                f'the artifact {item.full_name!r} cannot stand in a command; use dsl.InputArgumentPath(…) for its path')
        return render(item)
    return channels.replace(placeholders.to_text(item), render)


def _input_name(channel, taken):
    wanted = structures.python_name(channel.full_name) or 'value'
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f'{wanted}_{count}'
    return name


def collecting_command(command, args, files):
    """A command line that runs `command args` and then copies `files` {from: to}.

    The exit status is the command's own; nothing is copied when it fails. The command
    sees its words unchanged. Needs only a POSIX shell, `mkdir` and `cp`.
    """
    if not command:
        raise errors.ValueProblem('file_outputs need a `command`: the image\'s own entry point cannot be wrapped')
    reads, copies, places = '', '', []
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
