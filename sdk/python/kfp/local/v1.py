"""v1: running pipelines on this machine by kfp.LocalClient and kfp.run_pipeline_func_locally."""

from __future__ import annotations

import os

from kfp.dsl import component_classes
from kfp.local import config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from kfp.local.tasks import LocalTask
    from kfp.local.config import DockerRunner, SubprocessRunner


class ExecutionMode:
    """How tasks run.

    Args:
        mode: 'local' for processes, 'docker' for containers.
        images_to_exclude, ops_to_exclude: accepted for v1 and ignored.
        docker_options: accepted for v1 and ignored.

    Raises:
        ValueError: another mode.
    """

    DOCKER = 'docker'
    LOCAL = 'local'

    def __init__(self, mode: str = DOCKER, images_to_exclude: Any = (), ops_to_exclude: Any = (), docker_options: Any = ()):
        if mode not in (self.DOCKER, self.LOCAL):
            raise ValueError(f'the execution mode is docker or local, and got {mode!r}')
        self.mode = mode

    def runner(self) -> SubprocessRunner | DockerRunner:
        """The runner of kfp.local for this mode."""
        return config.DockerRunner() if self.mode == self.DOCKER else config.SubprocessRunner()


class RunPipelineResult:
    """A run that has ended.

    Attributes:
        run_id: its name.
        success: whether it succeeded.
        outputs: what the pipeline returned.
    """

    def __init__(self, name: str, task: LocalTask):
        self.run_id = name
        self.success = task.state == 'SUCCEEDED'
        self.outputs = task.outputs

    def wait_for_run_completion(self, timeout: float | None = None) -> RunPipelineResult:
        """Returns at once: it has ended."""
        return self

    def __repr__(self) -> str:
        return f'RunPipelineResult(run_id={self.run_id}, success={self.success})'


class LocalClient:
    """Runs pipelines on this machine, through kfp.local.

    Args:
        pipeline_root: the folder for what tasks make; ./local_outputs when None.
    """

    ExecutionMode = ExecutionMode

    def __init__(self, pipeline_root: str | None = None):
        self.pipeline_root = os.path.abspath(pipeline_root or './local_outputs')

    def create_run_from_pipeline_func(self, pipeline_func: Callable[..., Any], arguments: dict[str, Any] | None = None,
                                      execution_mode: Any = None) -> RunPipelineResult:
        """Runs a pipeline to its end.

        Args:
            pipeline_func: a pipeline function, or what @dsl.pipeline made.
            arguments: {input: value}; text is taken for values of other types.
            execution_mode: processes ('local') when None.

        Returns:
            The result; `success` says how it ended.
        """
        from kfp.local import runs
        component = pipeline_func
        if not isinstance(component, component_classes.BaseComponent):
            component = component_classes.GraphComponent.from_function(pipeline_func)
        mode = execution_mode or ExecutionMode(ExecutionMode.LOCAL)
        before = config.LocalExecutionConfig.instance
        config.init(mode.runner(), self.pipeline_root, raise_on_error=False)
        try:
            task = runs.run(component, component.bind((), arguments or {}))
        finally:
            from kfp.local import engine
            engine.close()
            config.LocalExecutionConfig.instance = before
        return RunPipelineResult(component.name, task)


def run_pipeline_func_locally(pipeline_func: Callable[..., Any], arguments: dict[str, Any] | None = None,
                              local_client: LocalClient | None = None, pipeline_root: str | None = None,
                              execution_mode: ExecutionMode | None = None) -> RunPipelineResult:
    """v1: runs a pipeline on this machine.

    Args:
        pipeline_func, arguments, execution_mode: as for LocalClient.create_run_from_pipeline_func.
        local_client: a LocalClient; a new one when None.
        pipeline_root: its folder.
    """
    client = local_client or LocalClient(pipeline_root)
    return client.create_run_from_pipeline_func(pipeline_func, arguments, execution_mode)
