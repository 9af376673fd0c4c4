"""PipelinesClient: pipelines, runs and experiments by their names."""

from __future__ import annotations

import json
import os
import time

from kfp.client import Client
from kfp.client.connection import equals
from kfp.client.rest import ApiError
from kfp.kubeflow_client import constants
from kfp.kubeflow_client.types import (Experiment, ListExperimentsResponse, ListPipelinesResponse, ListPipelineVersionsResponse,
                                       ListRunsResponse, Pipeline, PipelineVersion, Run)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable


class KubernetesBackendConfig:
    """How to reach the server.

    Args:
        base_url: its address; else what kfp.Client finds.
        user_token: a bearer token.
        is_secure: False trusts any certificate.
        custom_ca: a file of authorities to trust.
        namespace: whose objects to use on servers with several users.
    """

    def __init__(self, base_url: str | None = None, user_token: str | None = None, is_secure: bool | None = None,
                 custom_ca: str | None = None, namespace: str | None = None):
        self.base_url = base_url
        self.user_token = user_token
        self.is_secure = is_secure
        self.custom_ca = custom_ca
        self.namespace = namespace

    def __repr__(self) -> str:
        token = '***' if self.user_token else None
        return (f'KubernetesBackendConfig(base_url={self.base_url!r}, user_token={token!r}, is_secure={self.is_secure!r}, '
                f'custom_ca={self.custom_ca!r}, namespace={self.namespace!r})')


class PipelinesClient:
    """Pipelines, their versions, runs and experiments, by name.

    Args:
        backend_config: how to reach the server; what kfp.Client finds when None.
    """

    def __init__(self, backend_config: KubernetesBackendConfig | None = None):
        config = backend_config or KubernetesBackendConfig()
        self._client = Client(host=config.base_url, existing_token=config.user_token, ssl_ca_cert=config.custom_ca,
                              namespace=config.namespace, verify_ssl=config.is_secure)

    @property
    def kfp_client(self) -> Client:
        """The kfp.Client of the same server, for what has no name here."""
        return self._client

    # Pipelines

    def upload_pipeline(self, pipeline: Callable[..., Any] | str, *, name: str | None = None, version: str | None = None,
                        description: str | None = None) -> PipelineVersion:
        """Stores a pipeline, or a new version of it when there is one of the name.

        Args:
            pipeline: what @dsl.pipeline made, or the path of a compiled file.
            name: the pipeline's; else its own name or the file's.
            version: the version's; else made from the time.
            description: kept with it.

        Returns:
            The version.
        """
        from kfp.client import packages
        if isinstance(pipeline, (str, os.PathLike)):
            return self._upload(os.fspath(pipeline), name or os.path.basename(os.fspath(pipeline)).split('.')[0], version, description)
        with packages.compiled(pipeline) as path:
            return self._upload(path, name or packages.name_of(pipeline), version, description)

    def _upload(self, path: str, name: str, version: str | None, description: str | None) -> PipelineVersion:
        from kfp.client import packages
        known = self._client.get_pipeline_id(name)
        if known is not None:
            made = self._client.upload_pipeline_version(path, version or packages.run_name(name), known, description=description)
            return PipelineVersion(made.to_dict())
        pipeline = self._client.upload_pipeline(path, name, description)
        newest = self._newest(pipeline.pipeline_id)
        if version and newest.display_name != version:
            try:
                newest = PipelineVersion(self._client._call(
                    'PATCH', f'/pipelines/{pipeline.pipeline_id}/versions/{newest.pipeline_version_id}',
                    body={'display_name': version}).to_dict())
            except ApiError as error:  # an older server
                import warnings
                warnings.warn(f'the version keeps the name {newest.display_name!r}: {error}', stacklevel=3)
        return newest

    def _newest(self, pipeline_id: str) -> PipelineVersion:
        page = self._client.list_pipeline_versions(pipeline_id, page_size=1, sort_by='created_at desc')
        if not page.pipeline_versions:
            raise ValueError(f'the pipeline {pipeline_id} has no version')
        return PipelineVersion(page.pipeline_versions[0].to_dict())

    def _pipeline_id(self, name: str) -> str:
        found = self._client.get_pipeline_id(name)
        if found is None:
            raise ValueError(f'No pipeline is named {name!r}.')
        return found

    def get_pipeline(self, name: str) -> Pipeline:
        """The pipeline of that name. Raises ValueError when there is none, or several."""
        return Pipeline(self._client.get_pipeline(self._pipeline_id(name)).to_dict())

    def get_pipeline_version(self, name: str, version: str) -> PipelineVersion:
        """A version of a pipeline by both their names.

        Args:
            name: the pipeline's.
            version: the version's.

        Raises:
            ValueError: there is none.
        """
        pipeline_id = self._pipeline_id(name)
        page = self._client.list_pipeline_versions(pipeline_id, page_size=100, filter=equals('display_name', version))
        if not page.pipeline_versions:
            raise ValueError(f'The pipeline {name!r} has no version {version!r}.')
        return PipelineVersion(page.pipeline_versions[0].to_dict())

    def list_pipelines(self, *, page_token: str = '', page_size: int = 10) -> ListPipelinesResponse:
        """A page of pipelines.

        Args:
            page_token: the next_page_token of the page before; '' for the first.
            page_size: how many at most.
        """
        return ListPipelinesResponse(self._client.list_pipelines(page_token, page_size).to_dict())

    def list_pipeline_versions(self, name: str, *, page_token: str = '', page_size: int = 10) -> ListPipelineVersionsResponse:
        """A page of the versions of a pipeline.

        Args:
            name: the pipeline's.
            page_token: the next_page_token of the page before; '' for the first.
            page_size: how many at most.

        Raises:
            ValueError: there is none of the name.
        """
        return ListPipelineVersionsResponse(
            self._client.list_pipeline_versions(self._pipeline_id(name), page_token, page_size).to_dict())

    def delete_pipeline(self, name: str, *, version: str | None = None, force: bool = False) -> None:
        """Deletes a pipeline with its versions, or one version.

        Args:
            name: the pipeline's.
            version: only this version.
            force: also when there are several versions.

        Raises:
            ValueError: there is no such pipeline or version, or several versions and no `force`.
        """
        if version is not None:
            found = self.get_pipeline_version(name, version)
            self._client.delete_pipeline_version(found.pipeline_id, found.pipeline_version_id)
            return
        pipeline_id = self._pipeline_id(name)
        count = len(self._client.list_pipeline_versions(pipeline_id, page_size=2).pipeline_versions)
        if count > 1 and not force:
            raise ValueError(f'The pipeline {name!r} has several versions; delete it with force=True.')
        self._client.delete_pipeline(pipeline_id, cascade=True)

    # Runs

    def run(self, pipeline: str | Callable[..., Any] | Pipeline | PipelineVersion, *, params: dict[str, Any] | None = None,
            name: str | None = None, experiment: str | None = None, version: str | None = None) -> Run:
        """Starts a run.

        Args:
            pipeline: the name of a stored pipeline, the path of a compiled file (.yaml, .yml), what @dsl.pipeline made, or
                what get_pipeline and upload_pipeline returned.
            params: {input: value}.
            name: the run's; else made from the pipeline's name and the time.
            experiment: the name of an experiment that exists; the default one when None.
            version: the name of the version of a stored pipeline; the newest when None.

        Raises:
            ValueError: there is no such pipeline, version or experiment, or params don't fit.
        """
        from kfp.client import packages
        experiment_id = self.get_experiment(experiment).experiment_id if experiment else None
        if callable(pipeline):
            with packages.compiled(pipeline) as path:
                return self._run_package(path, packages.name_of(pipeline), params, name, experiment_id)
        if isinstance(pipeline, str) and pipeline.lower().endswith(('.yaml', '.yml')):
            return self._run_package(pipeline, os.path.basename(pipeline).split('.')[0], params, name, experiment_id)
        if isinstance(pipeline, PipelineVersion):
            chosen, title = pipeline, pipeline.display_name
        else:
            title = pipeline if isinstance(pipeline, str) else pipeline.display_name
            pipeline_id = self._pipeline_id(pipeline) if isinstance(pipeline, str) else pipeline.pipeline_id
            chosen = self.get_pipeline_version(title, version) if version else self._newest(pipeline_id)
        made = self._client.run_pipeline(experiment_id, name or packages.run_name(title), params=params,
                                         pipeline_id=chosen.pipeline_id, version_id=chosen.pipeline_version_id)
        return Run(made.to_dict())

    def _run_package(self, path: str, title: str, params: dict[str, Any] | None, name: str | None,
                     experiment_id: str | None) -> Run:
        from kfp.client import packages
        return Run(self._client.run_pipeline(experiment_id, name or packages.run_name(title), path, params).to_dict())

    def get_run(self, run_id: str) -> Run:
        """A run by its id. Raises ApiError when there is none."""
        return Run(self._client.get_run(run_id).to_dict())

    def list_runs(self, *, pipeline: str | None = None, experiment: str | None = None, status: str | None = None,
                  page_token: str = '', page_size: int = 10) -> ListRunsResponse:
        """A page of runs.

        Args:
            pipeline: only those of this stored pipeline; looked for in the page, which may so be short or empty while
                next_page_token says that there is more.
            experiment: only those of this experiment.
            status: only those in this state, such as 'succeeded'.
            page_token, page_size: which page, and how long.
        """
        experiment_id = self.get_experiment(experiment).experiment_id if experiment else None
        page = self._client.list_runs(page_token, page_size, experiment_id=experiment_id,
                                      filter=equals('state', status.upper()) if status else None).to_dict()
        if pipeline is not None:
            pipeline_id = self._pipeline_id(pipeline)
            page = dict(page, runs=[run for run in page.get('runs') or []
                                    if (run.get('pipeline_version_reference') or {}).get('pipeline_id') == pipeline_id])
        return ListRunsResponse(page)

    def wait_for_run_status(self, run: str | Run, *, status: set[str] | None = None, timeout: float | None = 600,
                            polling_interval: float = 5, callbacks: list[Callable[[Run], None]] | None = None) -> Run:
        """Waits until a run is in one of the states, or has ended.

        Args:
            run: a run or its id.
            status: states such as constants.RUN_RUNNING; {constants.RUN_COMPLETE} when None. The end of the run ends the
                wait, whatever is wanted.
            timeout: seconds, None for no limit.
            polling_interval: the pause between questions, to servers that don't tell of changes.
            callbacks: called with the run at the end of the wait.

        Raises:
            TimeoutError: the time is over.
        """
        wanted = {state.lower() for state in status or {constants.RUN_COMPLETE}} | constants.TERMINAL_STATES
        run_id = run if isinstance(run, str) else run.run_id
        start, listening = time.monotonic(), True
        while True:
            found = self.get_run(run_id)
            if (found.state or '').lower() in wanted:
                for callback in callbacks or []:
                    callback(found)
                return found
            left = None if timeout is None else start + timeout - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f'the run {run_id} is {found.state} after {timeout} s')
            if listening:
                listening = self._listen(run_id, wanted, left)
            else:
                time.sleep(polling_interval if left is None else min(polling_interval, left))

    def _listen(self, run_id: str, wanted: set[str] | frozenset[str], seconds: float | None) -> bool:
        """Reads the run's changes until it is in one of the states. False when the server tells of none."""
        try:
            for line in self._client._rest.lines(f'/apis/v2beta1/runs/{run_id}:watch', timeout=seconds):
                if ((json.loads(line).get('run') or {}).get('state') or '').lower() in wanted:
                    return True
        except TimeoutError:
            return True
        except (ApiError, ValueError):
            return False
        return False

    # Experiments

    def create_experiment(self, name: str, *, description: str | None = None) -> Experiment:
        """The experiment of that name; makes it when there is none.

        Args:
            name: what to call it.
            description: kept with it.
        """
        return Experiment(self._client.create_experiment(name, description).to_dict())

    def get_experiment(self, name: str) -> Experiment:
        """The experiment of that name. Raises ValueError when there is none."""
        return Experiment(self._client.get_experiment(experiment_name=name).to_dict())

    def list_experiments(self, *, page_token: str = '', page_size: int = 10) -> ListExperimentsResponse:
        """A page of experiments.

        Args:
            page_token: the next_page_token of the page before; '' for the first.
            page_size: how many at most.
        """
        return ListExperimentsResponse(self._client.list_experiments(page_token, page_size).to_dict())

    def delete_experiment(self, name: str) -> None:
        """Deletes the experiment of that name; its runs stay. Raises ValueError when there is none."""
        self._client.delete_experiment(self.get_experiment(name).experiment_id)
