"""Components: what is called in a pipeline to make a task."""

from __future__ import annotations

from kfp.dsl import channels, context, errors, kinds, structures
from kfp.dsl import task as task_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from kfp.dsl.channels import Channel
    from kfp.dsl.context import Pipeline
    from kfp.dsl.kinds import Kind
    from kfp.dsl.pipeline_config import PipelineConfig
    from kfp.dsl.structures import ComponentSpec, InputSpec, OutputSpec
    from kfp.dsl.task import PipelineTask


class BaseComponent:
    """A component. Calling it inside a pipeline makes a task.

    Attributes: name, description, component_spec, pipeline_spec (a dict in IR) and
    platform_spec.

    Args:
        spec: its interface and what runs.
        location: "file:line" where it was written.
    """

    # v1 components take text for numbers and the other way round.
    lenient = False
    __name__: str  # of components made of functions

    def __init__(self, spec: ComponentSpec, location: str | None = None):
        self.component_spec = spec
        self.location = location or errors.author_location()
        self.task_name: str | None = None

    @property
    def name(self) -> str:
        """The component's name, such as `add-numbers`."""
        return self.component_spec.name

    @property
    def description(self) -> str | None:
        """What its docstring or file says; None when nothing."""
        return self.component_spec.description

    @property
    def pipeline_spec(self) -> dict[str, Any]:
        """The component as a pipeline of one task, in IR, as a dict."""
        return self._compiled()[0]

    @property
    def platform_spec(self) -> dict[str, Any]:
        """The platform part of the compiled component, as a dict; {} when empty."""
        return self._compiled()[1]

    def _compiled(self) -> tuple[dict[str, Any], dict[str, Any]]:
        from kfp.compiler import compiler
        return compiler.compile_to_ir(self)

    def spec_for(self, arguments: dict[str, Any]) -> ComponentSpec:
        """The spec that a call with these arguments runs."""
        return self.component_spec

    def aliases(self) -> dict[str, str]:
        """Other names that callers may use, to input names."""
        return {}

    def __call__(self, *args: Any, **kwargs: Any) -> PipelineTask:
        if context.Pipeline.get_default_pipeline() is None:
            return self._call_outside(args, kwargs)
        pipeline = context.current(self.name)
        arguments = self.bind(args, kwargs)
        return task_module.PipelineTask(self.spec_for(arguments), arguments, pipeline, self.task_name, self.lenient)

    def _call_outside(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> PipelineTask:
        """Runs it on this machine when kfp.local.init() was called."""
        import sys
        config = sys.modules.get('kfp.local.config')
        if config is None or config.LocalExecutionConfig.instance is None:
            raise errors.OutsidePipelineError(self._outside_message())
        from kfp.local import runs
        return runs.run(self, self.bind(args, kwargs))

    def _outside_message(self) -> str:
        return (f'{self.name} was called outside a pipeline; call it in a function decorated with @dsl.pipeline, or call '
                'kfp.local.init(…) first to run it on this machine. Local environment not initialized. Please run '
                "'kfp.local.init()' before executing tasks locally.")

    def execute(self, **kwargs: Any) -> PipelineTask:
        """Runs the component on this machine; kfp.local.init() must have been called."""
        return self._call_outside((), kwargs)

    @property
    def required_inputs(self) -> set[str]:
        """The names of the inputs that have no default."""
        return {name for name, spec in self.component_spec.inputs.items() if spec.required}

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by input name. Raises ArgumentError for missing and unknown ones."""
        inputs = self.component_spec.inputs
        names = [name for name, spec in inputs.items()
                 if spec.kind.parameter not in (kinds.FINAL_STATUS, kinds.TASK_CONFIG)]
        if len(args) > len(names):
            raise errors.ArgumentError(f'{self.name}() takes {len(names)} arguments and got {len(args)}')
        arguments = dict(zip(names, args))
        aliases = self.aliases()
        for given, value in kwargs.items():
            name = aliases.get(given) or structures.find_name(inputs, given)
            if name is None:
                raise errors.ArgumentError(f'{self.name}() has no input {given!r}; its inputs are: {", ".join(names) or "none"}')
            if name in arguments:
                raise errors.ArgumentError(f'{self.name}() got the input {name!r} twice')
            arguments[name] = value
        missing = [name for name in names if name not in arguments and inputs[name].required]
        if missing:
            described = ', '.join(f'{name!r} ({inputs[name].kind})' for name in missing)
            raise errors.ArgumentError(f'{self.name}() misses the input{"s" if len(missing) > 1 else ""} {described}')
        return {name: value for name, value in arguments.items()
                if not (value is None and inputs[name].optional)}

    def __repr__(self) -> str:
        return f'<{type(self).__name__} {self.name}>'


class PythonComponent(BaseComponent):
    """A component whose program is a Python function, kept in `python_func`.

    Args:
        spec: its interface and what runs.
        python_func: the function.
    """

    def __init__(self, spec: ComponentSpec, python_func: Callable[..., Any]):
        super().__init__(spec, errors.function_location(python_func))
        self.python_func = python_func
        # What `kfp component build` makes an image of.
        self.target_image: str | None = None
        self.base_image: str | None = None
        self.packages_to_install: list[str] = []
        self.__doc__ = python_func.__doc__
        self.__name__ = python_func.__name__
        self.__wrapped__ = python_func

    def _outside_message(self) -> str:
        return (super()._outside_message() + ' To call the function itself use '
                f'{self.python_func.__name__}.python_func(…)')


class ContainerComponent(BaseComponent):
    """A component that runs a command in an image."""


class YamlComponent(BaseComponent):
    """A component or pipeline that was loaded from a file.

    Args:
        spec: its interface and what runs.
        aliases: the names in the file, to input names.
        lenient: whether text is taken for numbers, as in v1.
    """

    def __init__(self, spec: ComponentSpec, aliases: dict[str, str] | None = None, lenient: bool = False):
        super().__init__(spec)
        self._aliases = aliases or {}
        self.lenient = lenient

    def aliases(self) -> dict[str, str]:
        """The names in the file, to input names."""
        return self._aliases


class GraphComponent(BaseComponent):
    """A pipeline. Called inside another pipeline it is one task of it.

    Args:
        spec: its interface and its tasks.
        pipeline_func: the function that made them.
        display_name, pipeline_root, pipeline_config: as for dsl.pipeline.
    """

    def __init__(self, spec: ComponentSpec, pipeline_func: Any, display_name: str | None = None,
                 pipeline_root: str | None = None, pipeline_config: PipelineConfig | None = None):
        super().__init__(spec, errors.function_location(pipeline_func))
        self.pipeline_func = pipeline_func
        self.display_name = display_name
        self.pipeline_root = pipeline_root
        self.pipeline_config = pipeline_config
        self.__doc__ = pipeline_func.__doc__
        self.__name__ = pipeline_func.__name__

    @classmethod
    def from_function(cls, func: Callable[..., Any], name: str | None = None, description: str | None = None,
                      pipeline_root: str | None = None, display_name: str | None = None,
                      pipeline_config: PipelineConfig | None = None) -> GraphComponent:
        """Runs a pipeline function once, and keeps the tasks that it made.

        Args:
            func: the pipeline function.
            name, description, pipeline_root, display_name, pipeline_config: as for dsl.pipeline.
        """
        spec, pipeline = _build(func, name, description)
        return cls(spec, func, display_name, pipeline_root, pipeline_config)


def _build(func: Callable[..., Any], name: str | None, description: str | None) -> tuple[ComponentSpec, Pipeline]:
    from kfp.dsl import signature
    location = errors.function_location(func)
    inputs, outputs, text = signature.interface(func, v1=True)
    pipeline_name = context.pipeline_name(name or func.__name__)
    if not pipeline_name:
        raise errors.SignatureError(f'the pipeline name {name!r} has no letter a-z or digit in it', location)
    pipeline = context.Pipeline(pipeline_name)
    for input_name, spec in inputs.items():
        if spec.kind.untyped:
            spec.kind = kinds.Kind()  # of its own, so that its use can decide it
        channel = channels.Channel(input_name, spec.kind)
        channel.wanted = []
        pipeline.inputs[input_name] = channel
    with pipeline:
        returned = func(**pipeline.inputs)
    for input_name, spec in inputs.items():
        _decide_kind(input_name, spec, pipeline.inputs[input_name].wanted or [], location)
    pipeline.outputs = _returned_channels(func, returned, outputs, location)
    made = structures.ComponentSpec(pipeline_name, inputs, outputs, description or text, graph=pipeline)
    return made, pipeline


def _decide_kind(name: str, spec: InputSpec, wanted: list[Kind], location: str | None) -> None:
    """Gives an untyped input the type of its uses, else of its default, else str."""
    if not spec.kind.untyped:
        return
    used = {kind.parameter for kind in wanted if kind.parameter}
    if len(used) == 1:
        spec.kind.parameter = used.pop()
    elif used == {kinds.INTEGER, kinds.DOUBLE}:
        spec.kind.parameter = kinds.DOUBLE
    elif used:
        spec.kind.parameter = kinds.STRING
    else:
        given = kinds.kind_of_value(spec.default)
        spec.kind.parameter = given.parameter if given else kinds.STRING
    if spec.kind.parameter == kinds.STRING and spec.default not in (structures.NO_DEFAULT, None):
        spec.default = str(spec.default)
    spec.default = structures.check_default(name, spec.kind, spec.default, location)


def _returned_channels(func: Callable[..., Any], returned: Any, outputs: dict[str, OutputSpec],
                       location: str | None) -> dict[str, Channel]:
    """{output name: channel} of what a pipeline function returned."""
    if isinstance(returned, task_module.PipelineTask):
        returned = returned.output if outputs else None
    if not outputs:
        if isinstance(returned, channels.Channel):
            raise errors.SignatureError(
                f'{func.__name__}() returns an output and does not say its type; annotate it, as in `-> {returned.kind}`', location)
        return {}
    if list(outputs) == ['Output'] and not isinstance(returned, tuple):
        found = {'Output': returned}
    elif isinstance(returned, dict):
        found = {name: returned.get(name) for name in outputs}
    elif isinstance(returned, (tuple, list)) and len(returned) == len(outputs):
        found = dict(zip(outputs, returned))
    else:
        raise errors.SignatureError(f'{func.__name__}() must return the outputs {", ".join(outputs)}, and returned {returned!r}', location)
    for name, channel in found.items():
        if isinstance(channel, task_module.PipelineTask):
            channel = found[name] = channel.output
        if not isinstance(channel, channels.Channel) or (channel.producer is None and channel.loop is None):
            raise errors.SignatureError(
                f'the output {name!r} of the pipeline {func.__name__}() must be the output of a task, and is {channel!r}', location)
        if not kinds.accepts(outputs[name].kind, channel.kind):
            raise errors.InconsistentTypeException(
                f'the output {name!r} of the pipeline {func.__name__}() is annotated as {outputs[name].kind} and '
                f'{channel.full_name!r} is a {channel.kind}', location)
    return found
