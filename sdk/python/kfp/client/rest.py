"""HTTP requests, their errors, and the objects in the replies."""

from __future__ import annotations

import datetime
import http.client
import json
import os
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator, Mapping


class ApiError(Exception):
    """The server refused a request, or none answered.

    status: the HTTP status; 0 when no server answered. code: the gRPC code, or None.
    message: what went wrong. details: the reply's list of details. body: the raw reply.
    """

    def __init__(self, status: int, message: str, code: int | None = None, details: list[Any] | None = None, body: str = '',
                 request: str = ''):
        self.status = status
        self.code = code
        self.message = message
        self.details = details or []
        self.body = body
        self.reason = message
        where = f' ({request})' if request else ''
        super().__init__(f'{status} {message}{where}' if status else f'{message}{where}')


class Record:
    """An object of the API. Fields are attributes; those not in the reply are None.

    `record['display_name']` and `record.get('display_name')` work as well.
    """

    def __init__(self, fields: dict[str, Any]):
        self._fields = fields

    def __getattr__(self, name: str) -> Any:
        if name.startswith('_'):
            raise AttributeError(name)
        return _wrap(self._fields.get(name), name)

    def __getitem__(self, name: str) -> Any:
        return _wrap(self._fields[name], name)

    def get(self, name: str, default: Any = None) -> Any:
        """The field `name`, or `default` when the reply left it out."""
        return _wrap(self._fields.get(name, default), name)

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def to_dict(self) -> dict[str, Any]:
        """The object as it was in the reply."""
        return self._fields

    def __dir__(self) -> list[str]:
        return sorted(set(super().__dir__()) | set(self._fields))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and self._fields == other._fields

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return json.dumps(self._fields, indent=1, ensure_ascii=False, default=str)


# Free JSON: given as it is, because its keys are the user's own.
_PLAIN = frozenset(('pipeline_spec', 'parameters', 'tags', 'plugins_input', 'plugins_output', 'metadata'))


def _wrap(value: Any, name: str) -> Any:
    if name in _PLAIN:
        return value
    if isinstance(value, dict):
        return Record(value)
    if isinstance(value, list):
        return [_wrap(item, '') for item in value]
    if isinstance(value, str) and name.endswith(('_at', '_time')) and len(value) > 18:
        return _time(value)
    return value


def _time(text: str) -> datetime.datetime | str:
    """A datetime for an RFC 3339 text; the text itself when it is none."""
    try:
        return datetime.datetime.strptime(text[:19], '%Y-%m-%dT%H:%M:%S').replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        return text


class Rest:
    """Sends requests to one server."""

    def __init__(self, host: str, token: str | Callable[[], str] | None = None, cookies: str | None = None,
                 proxy: str | None = None, ssl_ca_cert: str | None = None, verify_ssl: bool | None = None):
        self.host = host.rstrip('/')
        self._settled = False  # whether self.host is known to have the API right under it
        self._token = token
        self._cookies = cookies
        handlers: list[urllib.request.BaseHandler] = []
        if proxy:
            handlers.append(urllib.request.ProxyHandler({'http': proxy, 'https': proxy}))
        elif _is_local(self.host):
            handlers.append(urllib.request.ProxyHandler({}))
        if self.host.startswith('https'):
            context = ssl.create_default_context(cafile=ssl_ca_cert)
            if verify_ssl is False:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def call(self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> dict[str, Any]:
        """The reply's JSON. Raises ApiError."""
        data = None if body is None else json.dumps(body).encode()
        return self._json(method, path, query, data, 'application/json')

    def _json(self, method: str, path: str, query: Mapping[str, Any] | None, data: bytes | None,
              content_type: str) -> dict[str, Any]:
        """Sends, and finds out at the first reply whether the API lies under /pipeline."""
        try:
            return self._parsed(self.send(method, path, query, data, content_type))
        except ApiError as error:
            if self._settled or error.code is not None or error.status not in (200, 404, 405):
                raise
            first, self.host = self.host, self._other_prefix()
            try:
                return self._parsed(self.send(method, path, query, data, content_type))
            except ApiError:
                self.host = first
                raise error from None

    def _parsed(self, content: bytes) -> dict[str, Any]:
        try:
            parsed: dict[str, Any] = json.loads(content or b'{}')
        except ValueError:
            raise ApiError(200, f'{self.host} answers, but not with JSON: it is no pipelines server',
                           body=content.decode('utf-8', 'replace')) from None
        self._settled = True
        return parsed

    def _other_prefix(self) -> str:
        if self.host.endswith('/pipeline'):
            return self.host[:-len('/pipeline')]
        return self.host + '/pipeline'

    def upload(self, path: str, query: Mapping[str, Any], filename: str, content: bytes) -> dict[str, Any]:
        """Sends a file as the form field `uploadfile`."""
        boundary = 'penstock-' + os.urandom(12).hex()
        safe = filename.replace('"', '%22')
        data = (f'--{boundary}\r\nContent-Disposition: form-data; name="uploadfile"; filename="{safe}"\r\n'
                'Content-Type: application/octet-stream\r\n\r\n').encode() + content + f'\r\n--{boundary}--\r\n'.encode()
        return self._json('POST', path, query, data, f'multipart/form-data; boundary={boundary}')

    def send(self, method: str, path: str, query: Mapping[str, Any] | None = None, data: bytes | None = None,
             content_type: str | None = None, timeout: float | None = 60) -> bytes:
        """The reply's bytes. Raises ApiError."""
        with self.open(method, path, query, data, content_type, timeout) as reply:
            try:
                content: bytes = reply.read()
            except (http.client.HTTPException, OSError) as error:
                raise self._unreachable(error, f'{method} {path}') from None
            return content

    def open(self, method: str, path: str, query: Mapping[str, Any] | None = None, data: bytes | None = None,
             content_type: str | None = None, timeout: float | None = 60) -> Any:
        """The open reply, a file to read from and to close. Raises ApiError.

        timeout: seconds without a byte after which reading raises an OSError; None for no limit.
        """
        url = self.host + path
        given = {key: value for key, value in (query or {}).items() if value is not None and value != ''}
        if given:
            url += '?' + urllib.parse.urlencode(given)
        request = urllib.request.Request(url, data=data, method=method)
        if data is not None:
            request.add_header('Content-Type', content_type or 'application/octet-stream')
        if self._token:
            token = self._token() if callable(self._token) else self._token
            request.add_header('Authorization', 'Bearer ' + token)
        if self._cookies:
            request.add_header('Cookie', self._cookies)
        try:
            return self._opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            raise _refused(error, f'{method} {url}') from None
        except (http.client.HTTPException, OSError) as error:
            raise self._unreachable(error, f'{method} {url}') from None

    def lines(self, path: str, query: Mapping[str, Any] | None = None, timeout: float | None = None) -> Iterator[str]:
        """The lines of a reply as they come, without their ends; closing the iterator closes the reply.

        timeout: seconds without a line after which TimeoutError is raised; None for no limit.
        """
        reply = self.open('GET', path, query, timeout=timeout)
        try:
            while True:
                try:
                    line = reply.readline()
                except socket.timeout:
                    raise TimeoutError(f'nothing came from {self.host}{path} in {timeout} s') from None
                except (http.client.HTTPException, OSError) as error:
                    raise self._unreachable(error, f'GET {path}') from None
                if not line:
                    return
                yield line.decode('utf-8', 'replace').rstrip('\n')
        finally:
            reply.close()

    def _unreachable(self, error: Exception, request: str) -> ApiError:
        reason = getattr(error, 'reason', error)
        return ApiError(0, f'no server answers at {self.host}: {reason}. Start one with `penstock up`, or give its address by '
                           'Client(host=…) or KF_PIPELINES_ENDPOINT', request=request)


def _is_local(host: str) -> bool:
    name = urllib.parse.urlsplit(host).hostname or ''
    return name in ('localhost', '::1') or name.startswith('127.')


def _refused(error: urllib.error.HTTPError, request: str) -> ApiError:
    body = error.read().decode('utf-8', 'replace')
    code, message = None, body.strip() or error.reason
    details: list[Any] = []
    try:
        parsed = json.loads(body)
        if isinstance(parsed, dict):
            details = parsed.get('details') or []
            code = parsed.get('code')
            outer = parsed.get('message') or parsed.get('error_message') or parsed.get('error') or message
            first = details[0] if details and isinstance(details[0], dict) else {}
            message = first.get('message') or outer
    except ValueError:
        pass
    return ApiError(error.code, message, code, details, body, request)
