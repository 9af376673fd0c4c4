"""The client's methods for what runs leave behind: logs and artifacts."""

from __future__ import annotations

import os

from kfp.client.connection import API, Page, id_part
from kfp.client.rest import ApiError, Record
from kfp.client.schedules import Schedules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

_LOG = '/apis/v1alpha1/runs/{}/nodes/{}/log'
_CHUNK = 1 << 20


class Results(Schedules):
    """Part of kfp.Client."""

    def get_run_logs(self, run_id: str, task: str | None = None) -> dict[str, str] | str:
        """The logs of a run's tasks as they are now.

        Args:
            run_id: which run.
            task: a task's display name, id or pod; None for all.

        Returns:
            {task's display name: text}, or the text alone when `task` is given.

        Raises:
            ValueError: the run has no such task with a log.
        """
        details = self.get_run(run_id).run_details
        logs: dict[str, str] = {}
        for entry in (details.task_details if details else None) or []:
            names = (entry.display_name, entry.task_id, entry.pod_name)
            if task is not None and task not in names:
                continue
            text = self._log_of(run_id, entry)
            if text is not None:
                name = entry.display_name or entry.task_id
                logs[name] = logs.get(name, '') + text
        if task is None:
            return logs
        if not logs:
            raise ValueError(f'the run {run_id} has no task {task!r} with a log')
        return ''.join(logs.values())

    def _log_of(self, run_id: str, task: Record) -> str | None:
        """A task's log: by its own id (Penstock), else by its pod (Kubeflow Pipelines); None when it has none."""
        if not task.pod_name and not any(child.pod_name for child in task.child_tasks or []):
            return None
        for node in [task.task_id, task.pod_name] + [child.pod_name for child in task.child_tasks or []]:
            if not node:
                continue
            try:
                return self._rest.send('GET', _LOG.format(id_part(run_id), id_part(node))).decode('utf-8', 'replace')
            except ApiError as error:
                if error.status != 404:
                    raise
        return None

    def follow_run_logs(self, run_id: str, task: str | None = None) -> Iterator[tuple[str, str]]:
        """The lines of a run's logs as they are written, until the run has ended (Penstock).

        Args:
            run_id: which run; it may have ended already.
            task: a task's name, display name or id; None for all.

        Returns:
            An iterator of (task's name, line without its end). Lines of tasks that run at the same time are mixed.
        """
        from kfp.client import logs
        self.get_run(run_id)  # an unknown run is told at once
        return logs.follow(self._rest, run_id, task)

    def list_artifacts(self, run_id: str | None = None, page_token: str = '', page_size: int = 100, sort_by: str = '',
                       filter: str | None = None, namespace: str | None = None) -> Page:
        """A page of artifacts: .artifacts, .next_page_token, .total_size.

        An artifact has artifact_id, name, type, uri and metadata.

        Args:
            run_id: only what this run made; all of them in one page.
            page_token, page_size, sort_by, filter, namespace: as for list_experiments.
        """
        if run_id is None:
            return self._list('/artifacts', page_token, page_size, sort_by, filter, namespace=namespace or self._namespace)
        found = [dict(artifact.to_dict(), task=task) for task, _, artifact in self._run_artifacts(run_id)]
        return Page({'artifacts': found, 'total_size': len(found)})

    def _run_artifacts(self, run_id: str) -> Iterator[tuple[str, str, Record]]:
        """(task's name, output's name, artifact) of all that the tasks of a run made, each artifact once."""
        token, seen = '', set()
        while True:
            page = self.list_run_tasks(run_id, page_token=token, page_size=200)
            for task in page.tasks:
                if task.type not in ('RUNTIME', 'IMPORTER') or not task.outputs:
                    continue
                for output in task.outputs.artifacts or []:
                    for artifact in output.artifacts or []:
                        if artifact.artifact_id not in seen:
                            seen.add(artifact.artifact_id)
                            yield task.name, output.artifact_key, artifact
            token = page.next_page_token or ''
            if not token:
                return

    def download_artifact(self, artifact: str | Record, path: str | os.PathLike[str]) -> str:
        """Copies an artifact, a file or a folder, to `path`.

        Args:
            artifact: what list_artifacts gave, an artifact's id, or a `minio://…` or `s3://…` URI.
            path: where to; it must not exist. Folders around it are made.

        Returns:
            `path`.

        Raises:
            ValueError: the artifact lies where the server cannot read it.
            FileExistsError: there is something at `path`.
            ApiError: there is no such artifact, or its object is gone.
        """
        target = os.fspath(path)
        if os.path.lexists(target):
            raise FileExistsError(f'{target} is there already')
        uri = artifact if isinstance(artifact, str) else artifact.uri
        if '://' not in uri:
            uri = self._call('GET', f'/artifacts/{id_part(uri)}').uri
        source, _, place = uri.partition('://')
        if source not in ('minio', 's3') or '/' not in place:
            raise ValueError(f'{uri} is not kept by the server; read it from where it lies')
        self._download(source, place, target)
        return target

    def download_run_artifacts(self, run_id: str, folder: str | os.PathLike[str]) -> list[str]:
        """Copies all that the tasks of a run made to `folder`, each as <task>/<output>.

        Args:
            run_id: which run.
            folder: where to. What several tasks of one name made goes to <task>-2, <task>-3, …

        Returns:
            The paths. What has no file, such as metrics, and what lies elsewhere are left out.
        """
        paths: list[str] = []
        for task, output, artifact in self._run_artifacts(run_id):
            if not (artifact.uri or '').startswith(('minio://', 's3://')):
                continue
            wanted, count = os.path.join(os.fspath(folder), _plain(task), _plain(output)), 1
            path = wanted
            while os.path.lexists(path):
                count += 1
                path = os.path.join(os.fspath(folder), f'{_plain(task)}-{count}', _plain(output))
            try:
                paths.append(self.download_artifact(artifact, path))
            except ApiError as error:
                if error.status != 404:
                    raise
        return paths

    def _download(self, source: str, place: str, target: str) -> None:
        import json
        from urllib.parse import quote
        os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
        with self._rest.open('GET', f'/artifacts/{source}/{quote(place)}') as reply:
            if reply.headers.get('Content-Type', '').startswith('application/json'):
                listing = json.loads(reply.read())
            else:
                _copy(reply, target)
                return
        os.makedirs(target, exist_ok=True)
        prefix = listing['prefix']
        for entry in listing.get('objects') or []:
            name = entry['key'][len(prefix):]
            parts = name.split('/')
            if not name or '..' in parts or '' in parts:
                continue  # never outside the target
            path = os.path.join(target, *parts)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with self._rest.open('GET', f'/artifacts/{source}/{quote(listing["bucket"])}/{quote(entry["key"])}') as reply:
                _copy(reply, path)


def _plain(name: str) -> str:
    """A name that a server gave, as one part of a path."""
    return name.replace('/', '_').replace('\0', '_').lstrip('.') or '_'


def _copy(reply: object, path: str) -> None:
    """Writes a reply to a file that is there only when it is whole."""
    part = path + '.part'
    try:
        with open(part, 'wb') as file:
            while True:
                piece: bytes = reply.read(_CHUNK)  # type: ignore[attr-defined]
                if not piece:
                    break
                file.write(piece)
        os.replace(part, path)
    except BaseException:
        if os.path.exists(part):
            os.unlink(part)
        raise


__all__ = ['Results', 'API']
