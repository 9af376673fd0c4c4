"""The client's methods for stored pipelines and their versions."""

from __future__ import annotations

import json
import os

from kfp.client import packages
from kfp.client.connection import API, Connection, Page, equals, id_part, read_file
from kfp.client.rest import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, TypeAlias

    from kfp.dsl.component_classes import BaseComponent
    PipelineFunc: TypeAlias = BaseComponent | Callable[..., Any]


class Pipelines(Connection):
    """Part of kfp.Client."""

    def upload_pipeline(self, pipeline_package_path: str | os.PathLike[str], pipeline_name: str | None = None,
                        description: str | None = None, namespace: str | None = None, display_name: str | None = None,
                        tags: dict[str, str] | None = None) -> Record:
        """Stores a compiled package as a new pipeline with its first version.

        Args:
            pipeline_package_path: a .yaml, .json, .zip or .tar.gz file.
            pipeline_name: what to call it; else the file's name.
            description: kept with it.
            namespace: whose it is, on servers with several users.
            display_name: what the UI shows, when it is not the name.
            tags: kept with it.

        Returns:
            The pipeline: pipeline_id, display_name, …

        Raises:
            ApiError: the package is not sound, or the name is taken.
        """
        file_name = os.path.basename(os.fspath(pipeline_package_path))
        query = {'name': pipeline_name or file_name.split('.')[0], 'display_name': display_name, 'description': description,
                 'namespace': namespace or self._namespace, 'tags': json.dumps(tags) if tags else None}
        reply = Record(self._rest.upload(API + '/pipelines/upload', query, file_name, read_file(pipeline_package_path)))
        print(f'Pipeline details: {self._ui}/#/pipelines/details/{reply.pipeline_id}')
        return reply

    def upload_pipeline_from_pipeline_func(self, pipeline_func: PipelineFunc, pipeline_name: str | None = None,
                                           description: str | None = None, namespace: str | None = None) -> Record:
        """Compiles a pipeline and stores it; see upload_pipeline.

        Args:
            pipeline_func: what @dsl.pipeline made.
            pipeline_name: what to call it; else the pipeline's own name.
            description: kept with it.
            namespace: whose it is, on servers with several users.
        """
        with packages.compiled(pipeline_func, pipeline_name) as path:
            return self.upload_pipeline(path, pipeline_name or packages.name_of(pipeline_func), description, namespace)

    def upload_pipeline_version(self, pipeline_package_path: str | os.PathLike[str], pipeline_version_name: str | None = None,
                                pipeline_id: str | None = None, pipeline_name: str | None = None,
                                description: str | None = None, display_name: str | None = None,
                                tags: dict[str, str] | None = None) -> Record:
        """Stores a compiled package as a version of a pipeline.

        Args:
            pipeline_package_path: a .yaml, .json, .zip or .tar.gz file.
            pipeline_version_name: what to call the version; else the file's name.
            pipeline_id: the pipeline's id, or
            pipeline_name: its name.
            description: kept with the version.
            display_name: what the UI shows, when it is not the name.
            tags: kept with the version.

        Returns:
            The version: pipeline_id, pipeline_version_id, …

        Raises:
            ValueError: not exactly one of pipeline_id and pipeline_name, or none has the name.
        """
        if bool(pipeline_id) == bool(pipeline_name):
            raise ValueError('upload_pipeline_version() needs either pipeline_id or pipeline_name')
        if pipeline_name:
            pipeline_id = self.get_pipeline_id(pipeline_name)
            if pipeline_id is None:
                raise ValueError(f'Cannot find the pipeline {pipeline_name!r}.')
        file_name = os.path.basename(os.fspath(pipeline_package_path))
        query = {'name': pipeline_version_name or file_name.split('.')[0], 'display_name': display_name,
                 'pipelineid': pipeline_id, 'description': description, 'tags': json.dumps(tags) if tags else None}
        reply = Record(self._rest.upload(API + '/pipelines/upload_version', query, file_name,
                                         read_file(pipeline_package_path)))
        print(f'Pipeline version details: {self._ui}/#/pipelines/details/{pipeline_id}/version/{reply.pipeline_version_id}')
        return reply

    def upload_pipeline_version_from_pipeline_func(self, pipeline_func: PipelineFunc,
                                                   pipeline_version_name: str | None = None,
                                                   pipeline_id: str | None = None, pipeline_name: str | None = None,
                                                   description: str | None = None) -> Record:
        """Compiles a pipeline and stores it as a version; see upload_pipeline_version.

        Args:
            pipeline_func: what @dsl.pipeline made.
            pipeline_version_name: what to call the version; else the pipeline's own name.
            pipeline_id: the pipeline's id, or
            pipeline_name: its name.
            description: kept with the version.
        """
        with packages.compiled(pipeline_func) as path:
            return self.upload_pipeline_version(path, pipeline_version_name or packages.name_of(pipeline_func), pipeline_id,
                                                pipeline_name, description)

    def get_pipeline_id(self, name: str) -> str | None:
        """The id of the pipeline of that name; None when there is none.

        Raises:
            ValueError: several have the name.
        """
        page = self.list_pipelines(page_size=100, filter=equals('display_name', name))
        if not page.pipelines:
            return None
        if len(page.pipelines) > 1:
            raise ValueError(f'Several pipelines are named {name!r}; use their ids.')
        found: str = page.pipelines[0].pipeline_id
        return found

    def get_pipeline(self, pipeline_id: str) -> Record:
        """A stored pipeline. Raises ApiError when there is none of that id."""
        return self._call('GET', f'/pipelines/{id_part(pipeline_id)}')

    def list_pipelines(self, page_token: str = '', page_size: int = 10, sort_by: str = '', filter: str | None = None,
                       namespace: str | None = None) -> Page:
        """A page of pipelines: .pipelines, .next_page_token, .total_size; see list_experiments for the arguments."""
        return self._list('/pipelines', page_token, page_size, sort_by, filter, namespace=namespace or self._namespace)

    def delete_pipeline(self, pipeline_id: str, cascade: bool = False) -> Record:
        """Deletes a pipeline.

        Args:
            pipeline_id: which.
            cascade: with its versions; otherwise it must have none.
        """
        return self._call('DELETE', f'/pipelines/{id_part(pipeline_id)}', {'cascade': 'true' if cascade else None})

    def get_pipeline_version(self, pipeline_id: str, pipeline_version_id: str) -> Record:
        """A version, with its pipeline_spec.

        Args:
            pipeline_id, pipeline_version_id: whose, and which.

        Raises:
            ApiError: there is none of these ids.
        """
        return self._call('GET', f'/pipelines/{id_part(pipeline_id)}/versions/{id_part(pipeline_version_id)}')

    def list_pipeline_versions(self, pipeline_id: str, page_token: str = '', page_size: int = 10, sort_by: str = '',
                               filter: str | None = None) -> Page:
        """A page of a pipeline's versions: .pipeline_versions, .next_page_token, .total_size.

        See list_experiments for the arguments.
        """
        return self._list(f'/pipelines/{id_part(pipeline_id)}/versions', page_token, page_size, sort_by, filter)

    def delete_pipeline_version(self, pipeline_id: str, pipeline_version_id: str | None = None,
                                version_id: str | None = None) -> Record:
        """Deletes a version.

        Args:
            pipeline_id: the pipeline's id.
            pipeline_version_id: the version's id.
            version_id: the same under its v1 name; v1 gives it alone, and the pipeline is looked for.
        """
        if pipeline_version_id is None and version_id is None:
            pipeline_id, version_id = self._pipeline_of_version(pipeline_id), pipeline_id
        version = pipeline_version_id or version_id
        return self._call('DELETE', f'/pipelines/{id_part(pipeline_id)}/versions/{id_part(version)}')

    def _pipeline_of_version(self, version_id: str) -> str:
        """The id of the pipeline that has this version (v1 names a version alone)."""
        token = ''
        while True:
            page = self.list_pipelines(page_token=token, page_size=100)
            for pipeline in page.pipelines:
                if any(version.pipeline_version_id == version_id
                       for version in self.list_pipeline_versions(pipeline.pipeline_id, page_size=200).pipeline_versions):
                    found: str = pipeline.pipeline_id
                    return found
            token = page.next_page_token or ''
            if not token:
                raise ValueError(f'no pipeline has the version {version_id!r}')
