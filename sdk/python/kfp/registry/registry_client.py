"""RegistryClient: packages of pipelines, kept by a Penstock or Kubeflow Pipelines server.

A package is a stored pipeline, named as the pipeline in its file. A version of it is a stored version, named by the
SHA-256 of the file, so that the same file is one version. A tag is a name for one version; the server keeps it among the
version's own tags.
"""

from __future__ import annotations

import hashlib
import os

from kfp.client import Client, packages
from kfp.client.connection import equals
from kfp.client.rest import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TAG = 'registry-tag-'


class ApiAuth:
    """A bearer token.

    Args:
        token: the text.
    """

    def __init__(self, token: str):
        self.token = token


class RegistryClient:
    """Packages on one server.

    Args:
        host: the server's address, as for kfp.Client.
        auth: an ApiAuth, or an object with get_token().
        config_file, auth_file: of upstream's registries on Google's cloud; not offered.

    Raises:
        NotImplementedError: config_file or auth_file is given.
    """

    def __init__(self, host: str, auth: Any = None, config_file: str | None = None, auth_file: str | None = None):
        if config_file or auth_file:
            raise NotImplementedError('RegistryClient keeps packages on a pipelines server, which needs no config_file or auth_file')
        token = auth.token if isinstance(auth, ApiAuth) else None
        self._client = Client(host=host, existing_token=token, credentials=auth if token is None else None)

    def upload_pipeline(self, file_name: str, tags: str | list[str] | None = None,
                        extra_headers: dict[str, str] | None = None) -> tuple[str, str]:
        """Stores a compiled file.

        Args:
            file_name: a .yaml, .json, .zip or .tar.gz file.
            tags: names for the version; a tag that another version had moves here.
            extra_headers: accepted for upstream's sake; `description` of it is kept.

        Returns:
            (package, version). A file that is there already gives the version that it has.
        """
        name: str = packages.read(file_name)[0]['pipelineInfo']['name']
        with open(file_name, 'rb') as file:
            version = 'sha256-' + hashlib.sha256(file.read()).hexdigest()
        description = (extra_headers or {}).get('description')
        pipeline_id = self._client.get_pipeline_id(name)
        if pipeline_id is None:
            pipeline_id = self._client._call('POST', '/pipelines', body={
                key: value for key, value in (('display_name', name), ('name', name), ('description', description)) if value}).pipeline_id
        if self._find(pipeline_id, version) is None:
            self._client.upload_pipeline_version(file_name, version, pipeline_id, description=description)
        for tag in [tags] if isinstance(tags, str) else tags or []:
            self._tag(pipeline_id, version, tag)
        return name, version

    def download_pipeline(self, package_name: str, version: str | None = None, tag: str | None = None,
                          file_name: str | None = None) -> str:
        """Writes a version to a file.

        Args:
            package_name: which package.
            version: which version, or
            tag: a name of it.
            file_name: where to; <package>_<version or tag>.yaml when None.

        Returns:
            The file's path.

        Raises:
            ValueError: not exactly one of version and tag, or there is none.
        """
        if (version is None) == (tag is None):
            raise ValueError('download_pipeline() needs either version or tag')
        record = self._version(package_name, version) if version is not None else self._tagged(package_name, str(tag))
        spec = record['pipeline_spec']
        documents = [spec]
        if 'pipeline_spec' in spec:
            documents = [spec['pipeline_spec']] + ([spec['platform_spec']] if spec.get('platform_spec') else [])
        from kfp.compiler import compiler
        path = os.fspath(file_name or f'{package_name}_{version or tag}.yaml')
        compiler.write_package(documents, path)
        return path

    def get_package(self, package_name: str) -> dict[str, Any]:
        """A package's record. Raises ValueError when there is none."""
        return self._client.get_pipeline(self._id(package_name)).to_dict()

    def list_packages(self) -> list[dict[str, Any]]:
        """All packages' records."""
        return self._all(lambda token: self._client.list_pipelines(token, 100), 'pipelines')

    def delete_package(self, package_name: str) -> bool:
        """Deletes a package with its versions. False when there was none."""
        found = self._client.get_pipeline_id(package_name)
        if found is None:
            return False
        self._client.delete_pipeline(found, cascade=True)
        return True

    def get_version(self, package_name: str, version: str) -> dict[str, Any]:
        """A version's record.

        Args:
            package_name: which package.
            version: which version.

        Raises:
            ValueError: there is none.
        """
        return self._version(package_name, version)

    def list_versions(self, package_name: str) -> list[dict[str, Any]]:
        """The records of a package's versions."""
        pipeline_id = self._id(package_name)
        return self._all(lambda token: self._client.list_pipeline_versions(pipeline_id, token, 100), 'pipeline_versions')

    def delete_version(self, package_name: str, version: str) -> bool:
        """Deletes a version. False when there was none.

        Args:
            package_name: which package.
            version: which version.
        """
        pipeline_id = self._id(package_name)
        found = self._find(pipeline_id, version)
        if found is None:
            return False
        self._client.delete_pipeline_version(pipeline_id, found['pipeline_version_id'])
        return True

    def create_tag(self, package_name: str, version: str, tag: str) -> dict[str, Any]:
        """Names a version.

        Args:
            package_name: which package.
            version: which version.
            tag: the name.

        Raises:
            ValueError: the tag is there already, or the version is not.
        """
        if any(entry['tag'] == tag for entry in self.list_tags(package_name)):
            raise ValueError(f'the package {package_name!r} has the tag {tag!r} already; update_tag moves it')
        return self.update_tag(package_name, version, tag)

    def update_tag(self, package_name: str, version: str, tag: str) -> dict[str, Any]:
        """Names a version; the name is taken from the version that had it.

        Args:
            package_name: which package.
            version: which version.
            tag: the name.

        Raises:
            ValueError: there is no such version.
        """
        self._version(package_name, version)
        self._tag(self._id(package_name), version, tag)
        return self.get_tag(package_name, tag)

    def get_tag(self, package_name: str, tag: str) -> dict[str, Any]:
        """A tag: {'tag': …, 'version': …}.

        Args:
            package_name: which package.
            tag: the name.

        Raises:
            ValueError: there is none.
        """
        return {'tag': tag, 'version': self._tagged(package_name, tag)['display_name']}

    def list_tags(self, package_name: str) -> list[dict[str, Any]]:
        """The tags of a package, as get_tag gives them."""
        return [{'tag': name[len(_TAG):], 'version': version['display_name']}
                for version in self.list_versions(package_name)
                for name in sorted(version.get('tags') or {}) if name.startswith(_TAG)]

    def delete_tag(self, package_name: str, tag: str) -> dict[str, Any]:
        """Takes a name away; returns it as get_tag does.

        Args:
            package_name: which package.
            tag: the name.

        Raises:
            ValueError: there is none.
        """
        entry = self.get_tag(package_name, tag)
        self._set_tags(self._tagged(package_name, tag), {_TAG + tag: None})
        return entry

    def _id(self, package_name: str) -> str:
        found = self._client.get_pipeline_id(package_name)
        if found is None:
            raise ValueError(f'there is no package {package_name!r}')
        return found

    def _find(self, pipeline_id: str, version: str) -> dict[str, Any] | None:
        page = self._client.list_pipeline_versions(pipeline_id, page_size=2, filter=equals('display_name', version))
        return page.pipeline_versions[0].to_dict() if page.pipeline_versions else None

    def _version(self, package_name: str, version: str) -> dict[str, Any]:
        found = self._find(self._id(package_name), version)
        if found is None:
            raise ValueError(f'the package {package_name!r} has no version {version!r}')
        return found

    def _tagged(self, package_name: str, tag: str) -> dict[str, Any]:
        for version in self.list_versions(package_name):
            if _TAG + tag in (version.get('tags') or {}):
                return version
        raise ValueError(f'the package {package_name!r} has no tag {tag!r}')

    def _tag(self, pipeline_id: str, version: str, tag: str) -> None:
        token = ''
        while True:
            page = self._client.list_pipeline_versions(pipeline_id, token, 100)
            for other in page.to_dict().get('pipeline_versions') or []:
                if other['display_name'] != version and _TAG + tag in (other.get('tags') or {}):
                    self._set_tags(other, {_TAG + tag: None})
            token = page.next_page_token or ''
            if not token:
                break
        found = self._find(pipeline_id, version)
        if found is None:
            raise ValueError(f'there is no version {version!r}')
        self._set_tags(found, {_TAG + tag: 'true'})

    def _set_tags(self, version: dict[str, Any], changes: dict[str, str | None]) -> None:
        tags = dict(version.get('tags') or {})
        for name, value in changes.items():
            if value is None:
                tags.pop(name, None)
            else:
                tags[name] = value
        try:
            self._client._call('PATCH', f'/pipelines/{version["pipeline_id"]}/versions/{version["pipeline_version_id"]}', body={'tags': tags})
        except ApiError as error:
            if error.status in (404, 405, 501):
                raise NotImplementedError('this server keeps no tags of versions') from error
            raise

    @staticmethod
    def _all(page_of: Any, members: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        token = ''
        while True:
            page = page_of(token)
            found += page.to_dict().get(members) or []
            token = page.next_page_token or ''
            if not token:
                return found
