"""How components run on this machine."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar


class SubprocessRunner:
    """Runs each task as a process of this machine, with this interpreter and its packages.

    What a component lists in `packages_to_install` goes into an environment of its own, which is built once and used
    again. Tasks see the whole file system, as any program does. Container components run too: their command is run as
    it is, and the image plays no part.

    Args:
        use_venv: accepted for upstream's sake: packages never go into the current environment.
        serialize_pip_installs, max_concurrent_pip_installs: likewise; each environment is built by one pip.
    """

    def __init__(self, use_venv: bool = True, serialize_pip_installs: bool = True, max_concurrent_pip_installs: int = 1):
        self.use_venv = use_venv
        self.serialize_pip_installs = serialize_pip_installs
        self.max_concurrent_pip_installs = max_concurrent_pip_installs

    def _options(self) -> list[str]:
        return ['--runtime', 'host', '--sandbox', 'none']

    def _environment(self) -> dict[str, str]:
        return {}

    def __repr__(self) -> str:
        return f'SubprocessRunner(use_venv={self.use_venv})'


class DockerRunner:
    """Runs each task as a container of its image, through Docker or Podman.

    Args:
        max_concurrent_pip_installs: accepted for upstream's sake.
        container_run_args: of the arguments of `containers.run` of the Docker SDK, `environment` (a dict, or a list of
            'NAME=value' texts) goes to every task; the others are accepted, and a warning says that they do nothing.

    Raises:
        ValueError: image, command or volumes is given: these are the tasks' own.
    """

    def __init__(self, max_concurrent_pip_installs: int = 1, **container_run_args: Any):
        own = sorted({'image', 'command', 'volumes'} & set(container_run_args))
        if own:
            raise ValueError(f'The following docker run arguments should not be specififed: {", ".join(own)}')
        ignored = sorted(set(container_run_args) - {'environment'})
        if ignored:
            import warnings
            warnings.warn(f'DockerRunner: {", ".join(ignored)} have no effect here; only environment has', stacklevel=2)
        self.max_concurrent_pip_installs = max_concurrent_pip_installs
        self.container_run_args = container_run_args
        self._variables = _variables(container_run_args.get('environment'))

    def _options(self) -> list[str]:
        return ['--runtime', 'oci']

    def _environment(self) -> dict[str, str]:
        return self._variables

    def __repr__(self) -> str:
        return f'DockerRunner({self.container_run_args})'


def _variables(environment: Any) -> dict[str, str]:
    if environment is None:
        return {}
    if isinstance(environment, dict):
        return {str(name): str(value) for name, value in environment.items()}
    found = {}
    for item in environment:
        if isinstance(item, str):
            name, _, value = item.partition('=')
        elif isinstance(item, (list, tuple)) and len(item) == 2:
            name, value = str(item[0]), str(item[1])
        else:
            raise ValueError(f"the environment is a dict or a list of 'NAME=value', and got {environment!r}")
        found[name] = value
    return found


class LocalExecutionConfig:
    """What kfp.local.init set. `instance` is the one in force, None before the first init."""

    instance: ClassVar[LocalExecutionConfig | None] = None

    def __init__(self, runner: SubprocessRunner | DockerRunner, pipeline_root: str, workspace_root: str | None = None,
                 raise_on_error: bool = True, enable_caching: bool = False, cache_root: str | None = None):
        if not isinstance(runner, (SubprocessRunner, DockerRunner)):
            raise ValueError(f'Got unknown runner {runner} of type {type(runner).__name__}. Runner should be one of the '
                             'following types: SubprocessRunner. DockerRunner.')
        self.runner = runner
        self.pipeline_root = pipeline_root
        self.workspace_root = workspace_root
        self.raise_on_error = raise_on_error
        self.enable_caching = enable_caching
        self.cache_root = cache_root

    @classmethod
    def validate(cls) -> LocalExecutionConfig:
        """The configuration in force. Raises RuntimeError when there is none."""
        if cls.instance is None:
            raise RuntimeError("Local environment not initialized. Please run 'kfp.local.init()' before executing tasks locally.")
        return cls.instance


def init(runner: SubprocessRunner | DockerRunner, pipeline_root: str = './local_outputs', workspace_root: str | None = None,
         raise_on_error: bool = True, enable_caching: bool = False, cache_root: str | None = None) -> None:
    """From now on, calling a component or pipeline outside a pipeline runs it on this machine.

    Args:
        runner: how tasks run.
        pipeline_root: the folder for what tasks make: <pipeline>-<time>/<task>/<output>.
        workspace_root: accepted for upstream's sake; the workspace of a run is a folder of its own that ends with it.
        raise_on_error: whether a failed run raises RuntimeError; otherwise the error is logged and there are no outputs.
        enable_caching: whether a task may take the outputs of an equal earlier task, also of earlier programs.
        cache_root: where to keep them; else <pipeline_root>/.kfp_cache.

    Raises:
        ValueError: `runner` is no runner.
    """
    root = os.path.abspath(os.fspath(pipeline_root))
    config = LocalExecutionConfig(runner, root, workspace_root, raise_on_error, enable_caching,
                                  os.path.abspath(cache_root) if cache_root else None)
    previous, LocalExecutionConfig.instance = LocalExecutionConfig.instance, config
    if previous is not None:
        from kfp.local import engine
        engine.close()
