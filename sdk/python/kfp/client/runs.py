"""The client's methods for runs."""

from __future__ import annotations

import os
import time

from kfp.client import packages
from kfp.client.connection import API, Page, id_part, without_none
from kfp.client.experiments import Experiments
from kfp.client.pipelines import Pipelines
from kfp.client.rest import ApiError, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kfp.client.pipelines import PipelineFunc

ENDED = ('SUCCEEDED', 'FAILED', 'SKIPPED', 'CANCELED', 'ERROR')

# How long a wait goes on without an answer: the time in which a server is started again.
_PATIENCE = 30.0


class RunPipelineResult:
    """A run that was started.

    Args:
        client: whose server it is on.
        run_info: the run as a Record.

    Attributes:
        run_id: its id.
        run_info: the run as it was answered.
    """

    def __init__(self, client: Runs, run_info: Record):
        self._client = client
        self.run_info = run_info
        self.run_id: str = run_info.run_id

    def wait_for_run_completion(self, timeout: float | None = None) -> Record:
        """Waits until the run has ended and returns it.

        Args:
            timeout: seconds, None for no limit.

        Raises:
            TimeoutError: the run has not ended after `timeout` seconds.
        """
        return self._client.wait_for_run_completion(self.run_id, timeout)

    def __repr__(self) -> str:
        return f'RunPipelineResult(run_id={self.run_id})'


class Runs(Experiments, Pipelines):
    """Part of kfp.Client."""

    def run_pipeline(self, experiment_id: str | None = None, job_name: str | None = None,
                     pipeline_package_path: str | os.PathLike[str] | None = None, params: dict[str, Any] | None = None,
                     pipeline_id: str | None = None, version_id: str | None = None, pipeline_root: str | None = None,
                     enable_caching: bool | None = None, cache_key: str | None = None,
                     service_account: str | None = None) -> Record:
        """Starts a run of a package, or of a stored pipeline.

        Args:
            experiment_id: where it belongs; the server's default experiment when None.
            job_name: the run's name.
            pipeline_package_path: a compiled file, or
            pipeline_id: a stored pipeline, and
            version_id: its version; the newest when None.
            params: {input: value}; text is taken for values of other types.
            pipeline_root: where to keep artifacts, when not where the pipeline or the server says.
            enable_caching: for all tasks; None leaves it to the pipeline.
            cache_key: takes the place of the computed key of all tasks.
            service_account: the account of pods, on Kubernetes.

        Returns:
            The run: run_id, display_name, state, …

        Raises:
            ValueError: neither a package nor a pipeline, or params that don't fit.
            ApiError: the server refused it.
        """
        body = self._source(pipeline_package_path, pipeline_id, version_id, params, pipeline_root, enable_caching, cache_key)
        body.update({'display_name': job_name or 'run', 'service_account': service_account,
                     'experiment_id': experiment_id or None})
        run = self._call('POST', '/runs', body=without_none(body))
        print(f'Run details: {self._ui}/#/runs/details/{run.run_id}')
        return run

    def _source(self, package_path: str | os.PathLike[str] | None, pipeline_id: str | None, version_id: str | None,
                params: dict[str, Any] | None, pipeline_root: str | None, enable_caching: bool | None,
                cache_key: str | None) -> dict[str, Any]:
        """The fields of a run that say which pipeline with which values."""
        params = dict(params or {})
        body: dict[str, Any] = {}
        if package_path is not None:
            package = packages.read(package_path)
            packages.set_caching(package, enable_caching, cache_key)
            params = packages.convert_parameters(package[0], params)
            body['pipeline_spec'] = package[0] if not package[1] else {'pipeline_spec': package[0], 'platform_spec': package[1]}
        elif pipeline_id:
            body['pipeline_version_reference'] = {'pipeline_id': pipeline_id}
            if version_id:
                body['pipeline_version_reference']['pipeline_version_id'] = version_id
            if any(isinstance(value, str) for value in params.values()):
                params = self._stored_parameters(pipeline_id, version_id, params)
        else:
            raise ValueError('a run needs pipeline_package_path or pipeline_id')
        runtime: dict[str, Any] = {}
        if params:
            runtime['parameters'] = params
        if pipeline_root:
            runtime['pipeline_root'] = pipeline_root
        if runtime:
            body['runtime_config'] = runtime
        return body

    def _stored_parameters(self, pipeline_id: str, version_id: str | None, params: dict[str, Any]) -> dict[str, Any]:
        """`params` in the types that a stored pipeline declares."""
        version: Record | None
        if version_id:
            version = self.get_pipeline_version(pipeline_id, version_id)
        else:
            versions = self.list_pipeline_versions(pipeline_id, page_size=1, sort_by='created_at desc').pipeline_versions
            version = versions[0] if versions else None
        spec = version.pipeline_spec if version is not None else None
        if not spec:
            return params
        return packages.convert_parameters(spec.get('pipeline_spec', spec), params)

    def create_run_from_pipeline_func(self, pipeline_func: PipelineFunc, arguments: dict[str, Any] | None = None,
                                      run_name: str | None = None, experiment_name: str | None = None,
                                      namespace: str | None = None, pipeline_root: str | None = None,
                                      enable_caching: bool | None = None, cache_key: str | None = None,
                                      service_account: str | None = None, experiment_id: str | None = None,
                                      pipeline_conf: Any = None, mode: Any = None,
                                      launcher_image: str | None = None) -> RunPipelineResult:
        """Compiles a pipeline and runs it.

        Args:
            pipeline_func: what @dsl.pipeline or @dsl.component made, or a v1 pipeline function.
            arguments: {input: value}; text is taken for values of other types.
            run_name: else the pipeline's name with the time.
            experiment_name: where it belongs; made when there is none ('Default').
            namespace: whose it is, on servers with several users.
            pipeline_root, enable_caching, cache_key, service_account: as for run_pipeline.
            experiment_id: in place of experiment_name.
            pipeline_conf: a v1 PipelineConf, compiled into the run.
            mode, launcher_image: of v1, without a meaning here: the result is always IR.
        """
        with packages.compiled(pipeline_func, pipeline_conf=pipeline_conf) as path:
            return self.create_run_from_pipeline_package(
                path, arguments, run_name or packages.run_name(packages.name_of(pipeline_func)), experiment_name, namespace,
                pipeline_root, enable_caching, cache_key, service_account, experiment_id)

    def create_run_from_pipeline_package(self, pipeline_file: str | os.PathLike[str], arguments: dict[str, Any] | None = None,
                                         run_name: str | None = None, experiment_name: str | None = None,
                                         namespace: str | None = None, pipeline_root: str | None = None,
                                         enable_caching: bool | None = None, cache_key: str | None = None,
                                         service_account: str | None = None,
                                         experiment_id: str | None = None) -> RunPipelineResult:
        """Runs a compiled package; the arguments are those of create_run_from_pipeline_func.

        Args:
            pipeline_file: a .yaml, .json, .zip or .tar.gz file.
            arguments, run_name, experiment_name, namespace, pipeline_root, enable_caching, cache_key, service_account,
                experiment_id: as for create_run_from_pipeline_func.
        """
        if not experiment_id:
            name = experiment_name or os.environ.get('KF_PIPELINES_OVERRIDE_EXPERIMENT_NAME') or 'Default'
            experiment_id = self.create_experiment(name, namespace=namespace).experiment_id
        run_name = run_name or packages.run_name(packages.read(pipeline_file)[0]['pipelineInfo']['name'])
        run = self.run_pipeline(experiment_id, run_name, pipeline_file, arguments, None, None, pipeline_root, enable_caching,
                                cache_key, service_account)
        return RunPipelineResult(self, run)

    def get_run(self, run_id: str) -> Record:
        """A run: state, error, run_details, … Raises ApiError when there is none of that id."""
        return self._call('GET', f'/runs/{id_part(run_id)}')

    def list_runs(self, page_token: str = '', page_size: int = 10, sort_by: str = '', experiment_id: str | None = None,
                  namespace: str | None = None, filter: str | None = None) -> Page:
        """A page of runs: .runs, .next_page_token, .total_size.

        Args:
            page_token, page_size, sort_by, namespace, filter: as for list_experiments.
            experiment_id: only those of this experiment.
        """
        return self._list('/runs', page_token, page_size, sort_by, filter, experiment_id=experiment_id,
                          namespace=namespace or self._namespace)

    def archive_run(self, run_id: str) -> Record:
        """Puts a run into the archive."""
        return self._call('POST', f'/runs/{id_part(run_id)}:archive')

    def unarchive_run(self, run_id: str) -> Record:
        """Takes a run out of the archive."""
        return self._call('POST', f'/runs/{id_part(run_id)}:unarchive')

    def terminate_run(self, run_id: str) -> Record:
        """Ends a run: what runs is stopped, and nothing more starts."""
        return self._call('POST', f'/runs/{id_part(run_id)}:terminate')

    def retry_run(self, run_id: str) -> Record:
        """Runs the failed tasks of an ended run again; those that succeeded keep their outputs."""
        return self._call('POST', f'/runs/{id_part(run_id)}:retry')

    def delete_run(self, run_id: str, delete_artifacts: bool = False) -> Record:
        """Deletes a run.

        Args:
            run_id: which.
            delete_artifacts: with the artifacts that it made (Penstock).
        """
        return self._call('DELETE', f'/runs/{id_part(run_id)}', {'delete_artifacts': 'true' if delete_artifacts else None})

    def wait_for_run_completion(self, run_id: str, timeout: float | None = None, sleep_duration: float = 5) -> Record:
        """Waits until the run has ended, however it ended, and returns it.

        A server that tells of changes (Penstock) is listened to; others are asked again and again.

        Args:
            run_id: which.
            timeout: seconds, None for no limit.
            sleep_duration: the longest pause between two questions; the first ones come sooner.

        Raises:
            TimeoutError: it has not ended after `timeout` seconds.
            ApiError: there is no such run, or the server stays away.
        """
        start = time.monotonic()
        run = self.get_run(run_id)
        pause, listening, heard = 0.05, True, start
        while (run.state or '').upper() not in ENDED:
            left = None if timeout is None else start + timeout - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f'the run {run_id} is {run.state} after {timeout} s')
            if listening:
                listening = self._await_change(run_id, left)
            else:
                pause = min(pause * 1.5, sleep_duration)
                time.sleep(pause if left is None else max(0.01, min(pause, left)))
            try:
                run, heard = self.get_run(run_id), time.monotonic()
            except ApiError as error:
                if error.status != 0 or time.monotonic() - heard > _PATIENCE:
                    raise
                listening = False
        return run

    def _await_change(self, run_id: str, seconds: float | None) -> bool:
        """Listens until the run has ended or the time is over. False when the server doesn't tell of changes."""
        import json
        deadline = None if seconds is None else time.monotonic() + seconds
        try:
            for line in self._rest.lines(f'{API}/runs/{id_part(run_id)}:watch', timeout=seconds):
                if (json.loads(line).get('run') or {}).get('state') in ENDED:
                    return True
                if deadline is not None and time.monotonic() > deadline:
                    return True
        except TimeoutError:
            return True
        except (ApiError, ValueError):
            return False
        return False  # the stream broke off

    def get_run_outputs(self, run_id: str) -> dict[str, Any]:
        """The parameters that a run's pipeline returned, by name; {} when it has none or did not succeed.

        Needs a server with task endpoints (Penstock, Kubeflow Pipelines 3).
        """
        for task in self.list_run_tasks(run_id, page_size=1).tasks:
            if task.type == 'ROOT' and task.outputs:
                return {entry['parameter_key']: entry.get('value')
                        for entry in task.outputs.to_dict().get('parameters', [])}
        return {}

    def list_run_tasks(self, run_id: str, page_token: str = '', page_size: int = 100, parent_id: str | None = None) -> Page:
        """A page of a run's tasks: .tasks, .next_page_token, .total_size.

        A task has name, display_name, task_id, type, state, start_time, end_time, inputs and outputs.
        Needs a server with task endpoints (Penstock, Kubeflow Pipelines 3).

        Args:
            run_id: which run.
            page_token, page_size: as for list_experiments.
            parent_id: only the tasks of this group.
        """
        return self._list(f'/runs/{id_part(run_id)}/tasks', page_token, page_size, parent_id=parent_id)
