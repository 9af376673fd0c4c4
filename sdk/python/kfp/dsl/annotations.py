"""What a component's function writes in its signature. Light: loaded in every task."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, Any, TypeVar

    _Artifact = TypeVar('_Artifact')


class ArtifactAnnotation:
    """`Input[X]`, `Output[X]`, `Input[List[X]]` or `EmbeddedInput[X]` in a signature.

    Args:
        direction: 'input', 'output' or 'embedded'.
        artifact: the artifact class (or a string naming it).
        is_list: whether the argument is a list of artifacts.
    """
    __slots__ = ('direction', 'artifact', 'is_list')

    def __init__(self, direction: str, artifact: 'Any', is_list: bool):
        self.direction = direction
        self.artifact = artifact
        self.is_list = is_list

    # typing.Optional[...] and friends take callables only before Python 3.11.
    def __call__(self, *_: 'Any', **__: 'Any') -> None:
        raise TypeError(f'{self!r} is an annotation and cannot be called')

    def __repr__(self) -> str:
        inner = getattr(self.artifact, '__name__', self.artifact)
        if self.is_list:
            inner = f'List[{inner}]'
        name = {'input': 'Input', 'output': 'Output'}.get(self.direction, 'EmbeddedInput')
        return f'{name}[{inner}]'

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, ArtifactAnnotation) and self.direction == other.direction
                and self.artifact is other.artifact and self.is_list == other.is_list)

    def __hash__(self) -> int:
        return hash((self.direction, id(self.artifact), self.is_list))


def _annotation(direction: str, item: 'Any') -> 'ArtifactAnnotation':
    origin = getattr(item, '__origin__', None)
    if origin is list:
        return ArtifactAnnotation(direction, item.__args__[0], True)
    return ArtifactAnnotation(direction, item, False)


if TYPE_CHECKING:  # for type checkers, Input[Dataset] is a Dataset
    Input = Annotated[_Artifact, 'input']
    Output = Annotated[_Artifact, 'output']
    EmbeddedInput = Annotated[_Artifact, 'embedded']
else:
    class Input:
        """`Input[Dataset]`: an artifact that the task reads; `Input[List[Dataset]]`: several."""

        def __class_getitem__(cls, item: 'Any') -> 'Any':
            return _annotation('input', item)

    class Output:
        """`Output[Model]`: an artifact that the task writes at `.path`."""

        def __class_getitem__(cls, item: 'Any') -> 'Any':
            return _annotation('output', item)

    class EmbeddedInput:
        """`EmbeddedInput[Dataset]`: the files given as `embedded_artifact_path`."""

        def __class_getitem__(cls, item: 'Any') -> 'Any':
            return _annotation('embedded', item)


class _PathAnnotation:
    """Base of InputPath and OutputPath. `type` is a type name, a class or None."""

    def __init__(self, type: 'Any' = None):
        self.type = type

    def __call__(self, *_: 'Any', **__: 'Any') -> None:
        raise TypeError(f'{self!r} is an annotation and cannot be called')

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.type!r})'

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.type == other.type

    def __hash__(self) -> int:
        return hash((type(self), str(self.type)))


class InputPath(_PathAnnotation):
    """The argument is the path of a file that holds the input."""


class OutputPath(_PathAnnotation):
    """The argument is the path at which the function must write the output."""


class PipelineTaskFinalStatus:
    """How the watched task or exit-handler group ended; given to an exit task.

    Attributes: state, pipeline_job_resource_name, pipeline_task_name, error_code
    and error_message (both None when there was no error).
    """

    def __init__(self, state: 'str | None' = None, pipeline_job_resource_name: 'str | None' = None,
                 pipeline_task_name: 'str | None' = None, error_code: 'int | None' = None, error_message: 'str | None' = None):
        self.state = state
        self.pipeline_job_resource_name = pipeline_job_resource_name
        self.pipeline_task_name = pipeline_task_name
        self.error_code = error_code
        self.error_message = error_message

    @classmethod
    def from_json(cls, value: 'dict[str, Any]') -> 'PipelineTaskFinalStatus':
        """The status in what the backend gives."""
        error = value.get('error') or {}
        return cls(value.get('state'), value.get('pipelineJobResourceName'),
                   value.get('pipelineTaskName'), error.get('code'), error.get('message'))

    def __repr__(self) -> str:
        fields = ', '.join(f'{k}={v!r}' for k, v in vars(self).items())
        return f'PipelineTaskFinalStatus({fields})'


class TaskConfig:
    """The pod settings handed through to a component that starts pods itself.

    Args:
        affinity, tolerations, node_selector, env, volumes, volume_mounts, resources: as in a Kubernetes pod; None when not
            handed through.
        extra: further fields that a newer backend gives.
    """

    def __init__(self, affinity: 'Any' = None, tolerations: 'Any' = None, node_selector: 'Any' = None, env: 'Any' = None,
                 volumes: 'Any' = None, volume_mounts: 'Any' = None, resources: 'Any' = None, **extra: 'Any'):
        self.affinity = affinity
        self.tolerations = tolerations
        self.node_selector = node_selector
        self.env = env
        self.volumes = volumes
        self.volume_mounts = volume_mounts
        self.resources = resources
        vars(self).update(extra)

    @classmethod
    def from_json(cls, value: 'Any') -> 'TaskConfig':
        """The settings in what the backend gives."""
        names = {'nodeSelector': 'node_selector', 'volumeMounts': 'volume_mounts'}
        return cls(**{names.get(k, k): v for k, v in value.items()})

    def __repr__(self) -> str:
        return f'TaskConfig({vars(self)!r})'
