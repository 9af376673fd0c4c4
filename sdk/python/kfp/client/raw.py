"""The generated API objects of upstream's clients, as far as people call them: client._run_api, client.runs, …"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from kfp.client.results import Results


class Raw:
    """Calls the client's own methods under the names of the generated API.

    `run_service_retry_run(run_id)` (v2), `retry_run(run_id)` and `get_run(run_id)` (v1) are retry_run and get_run of the
    client. Other names raise AttributeError.
    """

    def __init__(self, client: Results, kind: str):
        self._client = client
        self._kind = kind

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith('_'):
            raise AttributeError(name)
        wanted = name.partition('_service_')[2] or name
        wanted = wanted.replace('job', 'recurring_run')
        client = object.__getattribute__(self, '_client')
        method = getattr(client, wanted, None)
        if method is None or self._kind not in wanted:
            raise AttributeError(f'kfp.Client has no call for {name!r} of the {self._kind} API')
        found: Callable[..., Any] = method
        return found
