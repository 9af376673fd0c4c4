"""What every part of the client shares: the connection, pages of lists, the server itself."""

from __future__ import annotations

import json
import os
import time

from kfp.client.rest import ApiError, Record, Rest

TYPE_CHECKING = False
if TYPE_CHECKING:
    import datetime
    from typing import Any, Callable, Mapping

API = '/apis/v2beta1'
DEFAULT_HOST = 'http://127.0.0.1:8080'
CONTEXT_FILE = os.path.join('~', '.config', 'kfp', 'context.json')


class Page(Record):
    """A page of a list: the list itself ([] when the reply leaves it out), `next_page_token` and `total_size`."""
    _LISTS = {'experiments': 'experiments', 'pipelines': 'pipelines', 'pipeline_versions': 'pipeline_versions', 'runs': 'runs',
              'recurring_runs': 'recurringRuns', 'recurringRuns': 'recurringRuns', 'tasks': 'tasks', 'artifacts': 'artifacts',
              'artifact_tasks': 'artifact_tasks'}

    def __getattr__(self, name: str) -> Any:
        key = self._LISTS.get(name)
        if key is None:
            return super().__getattr__(name)
        return [Record(item) for item in self._fields.get(key) or self._fields.get(name) or []]


class Connection:
    """The base of kfp.Client: where the server is, and how to ask it."""

    def __init__(self, host: str | None, namespace: str | None, existing_token: str | None, cookies: str | None,
                 proxy: str | None, ssl_ca_cert: str | None, credentials: Any, ui_host: str | None,
                 verify_ssl: bool | None):
        self._context = read_context()
        host = host or os.environ.get('KF_PIPELINES_ENDPOINT') or self._context.get('host') or DEFAULT_HOST
        if '://' not in host:
            host = 'http://' + host
        host = host.rstrip('/')
        token: str | Callable[[], str] | None = existing_token
        if credentials is not None:
            token = getattr(credentials, 'get_token', None)
        elif token is None and os.environ.get('KF_PIPELINES_SA_TOKEN_PATH'):
            token = _token_file(os.environ['KF_PIPELINES_SA_TOKEN_PATH'])
        self._rest = Rest(host, token, cookies, proxy, ssl_ca_cert, verify_ssl)
        self._host = host
        base = ui_host or os.environ.get('KF_PIPELINES_UI_ENDPOINT') or host
        self._ui = base.rstrip('/')
        self._namespace: str = namespace or self._context.get('namespace') or ''

    def _call(self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> Record:
        return Record(self._rest.call(method, API + path, query, body))

    def _list(self, path: str, page_token: str = '', page_size: int | None = None, sort_by: str | None = '',
              filter: str | None = None, **more: Any) -> Page:
        query = dict(page_token=page_token, page_size=page_size, sort_by=sort_by, filter=filter, **more)
        return Page(self._rest.call('GET', API + path, query))

    def get_kfp_healthz(self, sleep_duration: int = 5) -> Record:
        """The server's version and whether it has several users (`multi_user`).

        Args:
            sleep_duration: seconds between five attempts, while the server is starting.

        Raises:
            ApiError: no server answers, or it is not ready after the last attempt.
        """
        for _ in range(4):
            try:
                return self._call('GET', '/healthz')
            except ApiError as error:
                if error.status not in (502, 503, 504):
                    raise
                time.sleep(sleep_duration)
        return self._call('GET', '/healthz')

    def set_user_namespace(self, namespace: str) -> None:
        """Uses `namespace` from now on, and keeps it in the context file for later clients.

        Args:
            namespace: whose objects to use on servers with several users.
        """
        self._namespace = namespace
        self._context['namespace'] = namespace
        path = os.path.expanduser(CONTEXT_FILE)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as file:
            json.dump(self._context, file)

    def get_user_namespace(self) -> str:
        """The namespace in use, '' when none was set."""
        return self._namespace


def read_context() -> dict[str, Any]:
    """The context file's object; {} when there is none."""
    try:
        with open(os.path.expanduser(CONTEXT_FILE)) as file:
            found: dict[str, Any] = json.load(file)
            return found
    except (OSError, ValueError):
        return {}


def _token_file(path: str) -> Callable[[], str]:
    def read() -> str:
        with open(path) as file:
            return file.read().strip()
    return read


def equals(key: str, value: str) -> str:
    """The filter for objects whose `key` is `value`."""
    return json.dumps({'predicates': [{'operation': 'EQUALS', 'key': key, 'stringValue': value}]})


def id_part(value: str | None) -> str:
    """An id as part of a path. Raises ValueError for an empty one."""
    from urllib.parse import quote
    if not value:
        raise ValueError('the id is empty')
    return quote(str(value), safe='')


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file."""
    with open(path, 'rb') as file:
        return file.read()


def without_none(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that have a value."""
    return {key: value for key, value in fields.items() if value is not None}


def time_text(value: str | datetime.datetime | None) -> str | None:
    """RFC 3339 of a datetime (a naive one is UTC); texts stay."""
    if value is None or isinstance(value, str):
        return value
    if value.tzinfo is not None:
        import datetime as datetimes
        value = value.astimezone(datetimes.timezone.utc)
    return value.strftime('%Y-%m-%dT%H:%M:%SZ')
