"""Following the logs of all tasks of a run at once."""

from __future__ import annotations

import json
import queue
import threading

from kfp.client.connection import API, id_part
from kfp.client.rest import ApiError, Rest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

# So many logs are read at a time; further tasks wait for their turn, and nothing of them is lost.
_READERS = 8
_STARTED = ('RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELED')
_FINAL = ('SUCCEEDED', 'FAILED', 'CANCELED', 'SKIPPED')


def events(rest: Rest, run_id: str) -> Iterator[dict[str, Any]]:
    """The changes of a run and its tasks until it has ended: {"task": {…}} and {"run": {…}}."""
    for line in rest.lines(f'{API}/runs/{id_part(run_id)}:watch'):
        event = json.loads(line)
        yield event
        if (event.get('run') or {}).get('state') in _FINAL:
            return


def follow(rest: Rest, run_id: str, wanted: str | None = None) -> Iterator[tuple[str, str]]:
    """(task's name, line) of every task, or of the wanted one, until the run has ended and every log is read.

    Ends early, and ends its readers, when the caller closes it.
    """
    reader = LogReader(rest, run_id)
    done = threading.Event()
    failure: list[BaseException] = []

    def watch() -> None:
        try:
            for event in events(rest, run_id):
                task = event.get('task')
                if task and wanted in (None, task.get('name'), task.get('display_name'), task.get('task_id')):
                    reader.tell(task)
                if done.is_set():
                    return
        except ApiError as error:
            failure.append(error)
        finally:
            reader.finish()
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield from reader
    finally:
        done.set()
        reader.stop()
    if failure:
        raise failure[0]


class LogReader:
    """Reads the logs of the tasks that it is told of, and gives their lines in the order in which they come.

    `tell` and `finish` belong to one thread, iteration to another.
    """

    def __init__(self, rest: Rest, run_id: str):
        self._rest = rest
        self._run_id = run_id
        self._lines: queue.Queue[tuple[str, str] | None] = queue.Queue(10000)
        self._tasks: queue.Queue[tuple[str, str] | None] = queue.Queue()
        self._known: set[str] = set()
        self._readers = 0
        self._lock = threading.Lock()
        self._stopped = False
        self._finished = False

    def tell(self, task: dict[str, Any]) -> None:
        """A task has changed: its log is read once it has started."""
        if task.get('type') != 'RUNTIME' or task.get('state') not in _STARTED or task['task_id'] in self._known:
            return
        self._known.add(task['task_id'])
        self._tasks.put((task['task_id'], task.get('name') or task['task_id']))
        with self._lock:
            if self._readers < _READERS:
                self._readers += 1
                threading.Thread(target=self._read_logs, daemon=True).start()

    def finish(self) -> None:
        """No further task will be told; iteration ends when all logs are read."""
        with self._lock:
            self._finished = True
            for _ in range(self._readers):
                self._tasks.put(None)
            if self._readers == 0:
                self._put(None)

    def stop(self) -> None:
        """The lines are of no more interest."""
        self._stopped = True
        self._tasks.put(None)

    def _read_logs(self) -> None:
        while not self._stopped:
            task = self._tasks.get()
            if task is None:
                break
            try:
                for line in self._rest.lines('/apis/v1alpha1/runs/{}/nodes/{}/log'.format(
                        id_part(self._run_id), id_part(task[0])), {'follow': 'true'}):
                    self._put((task[1], line))
                    if self._stopped:
                        break
            except ApiError as error:
                if error.status != 404:  # a task without a log
                    self._put((task[1], f'(the log cannot be read: {error.message})'))
        with self._lock:
            self._readers -= 1
            if self._readers == 0 and self._finished:
                self._put(None)

    def _put(self, item: tuple[str, str] | None) -> None:
        while not self._stopped:
            try:
                self._lines.put(item, timeout=1)
                return
            except queue.Full:
                continue

    def __iter__(self) -> Iterator[tuple[str, str]]:
        while True:
            item = self._lines.get()
            if item is None:
                return
            yield item
