"""The server that runs the tasks of this program: `penstock up` as a child, on a folder of its own.

It is started by the first call and ends with this program, however that ends: it reads a pipe that only we hold open.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading

from kfp.client.rest import Rest
from kfp.local.config import LocalExecutionConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

# So many programs of one user find the packages of earlier ones at the same time.
_SLOTS = 8

_lock = threading.Lock()
_engine: Engine | None = None


class Engine:
    """One running server.

    data: its folder. rest: how to talk to it.
    """

    def __init__(self, config: LocalExecutionConfig):
        self.config = config
        self._temporary: str | None = None
        self._errors = tempfile.TemporaryFile('w+')
        self._process: subprocess.Popen[str] | None = None
        self.data, url = '', None
        for folder in self._folders():
            self.data, url = folder, self._start(folder)
            if url is not None or 'in use' not in self.said():
                break  # otherwise another program works on the folder
        if url is None:
            said = self.said()
            self.close()
            raise RuntimeError(f'kfp.local: penstock did not start: {said or "it said nothing"}')
        self.rest = Rest(url)

    def _folders(self) -> Iterator[str]:
        """Where to keep the server's data: the cache, else a folder of this user's that no other program uses.

        Environments with packages lie there, so that later programs find them; what runs made does not stay.
        """
        if self.config.enable_caching or self.config.cache_root:
            home = self.config.cache_root or os.path.join(self.config.pipeline_root, '.kfp_cache')
            os.makedirs(home, exist_ok=True)
            yield home
        else:
            base = os.environ.get('XDG_CACHE_HOME') or os.path.join(os.path.expanduser('~'), '.cache')
            for number in range(_SLOTS):
                home = os.path.join(base, 'penstock', f'kfp-local-{number}')
                try:
                    os.makedirs(home, mode=0o700, exist_ok=True)
                except OSError:
                    break
                yield home
        self._temporary = tempfile.mkdtemp(prefix='kfp-local-')
        yield self._temporary

    def _start(self, data: str) -> str | None:
        self._errors.seek(0)
        self._errors.truncate()
        command = [binary(), 'up', '--data', data, '--listen', '127.0.0.1:0', '--s3-listen', '127.0.0.1:0', '--log-level', 'error',
                   '--until-input-ends', '--python', sys.executable, *self.config.runner._options()]
        environment = {name: value for name, value in os.environ.items() if not name.startswith('PENSTOCK_')}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
                                         env=environment, text=True, start_new_session=True)
        assert self._process.stdout is not None
        match = re.search(r'ready at (http://\S+)', self._process.stdout.readline())
        if match:
            return match.group(1)
        self._end_process()
        return None

    def said(self) -> str:
        """What the server wrote to its error output."""
        self._errors.seek(0)
        return self._errors.read().strip()

    def file_of(self, uri: str) -> str | None:
        """The path at which the server keeps an object; None for what it doesn't keep."""
        for scheme in ('minio://', 's3://'):
            if uri.startswith(scheme):
                path = os.path.join(self.data, 'objects', uri[len(scheme):])
                return path if os.path.lexists(path) else None
        return None

    def alive(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and self._process.poll() is None

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        """Ends the server, and what still runs under it."""
        self._end_process()
        self._errors.close()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)


def binary() -> str:
    """The path of the program `penstock`. Raises RuntimeError when there is none."""
    given = os.environ.get('PENSTOCK_BINARY')
    found = given if given and os.access(given, os.X_OK) else shutil.which('penstock')
    if not found:
        raise RuntimeError('kfp.local runs tasks by the program penstock, which is not in PATH; put it there, or name it in PENSTOCK_BINARY')
    return found


def current(config: LocalExecutionConfig) -> Engine:
    """The server for this configuration; starts it when there is none."""
    global _engine
    with _lock:
        if _engine is not None and (_engine.config is not config or not _engine.alive()):
            _engine.close()
            _engine = None
        if _engine is None:
            _engine = Engine(config)
        return _engine


def close() -> None:
    """Ends the server, if there is one."""
    global _engine
    with _lock:
        engine, _engine = _engine, None
    if engine is not None:
        engine.close()


def _forget() -> None:
    """In a forked child: the server is the parent's."""
    global _engine, _lock
    _engine, _lock = None, threading.Lock()


atexit.register(close)
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_forget)
