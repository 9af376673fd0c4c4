"""`kfp diagnose-me`: what this machine and the server have."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
    Areas = argparse._SubParsersAction[argparse.ArgumentParser]


def add_commands(areas: Areas) -> None:
    """The command."""
    parser = areas.add_parser('diagnose-me', help='show versions, programs and the server, for a report')
    parser.add_argument('--json', '-j', action='store_true', dest='as_json', help='as JSON')
    parser.add_argument('--project-id', '-p', help=argparse.SUPPRESS)  # upstream's, for Google's cloud
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Prints what was found."""
    found = facts(arguments)
    if arguments.as_json or arguments.format == 'json':
        print(json.dumps(found, indent=2))
        return
    for title, entries in found.items():
        print(title)
        for name, value in entries.items():
            print(f'    {name}: {value}')


def facts(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """What this machine and the server have, by title. No tokens, and no values of variables."""
    import kfp
    return {
        'python': {'version': platform.python_version(), 'executable': sys.executable, 'kfp': kfp.__version__,
                   'kfp_folder': os.path.dirname(kfp.__file__)},
        'machine': {'system': platform.platform(), 'cores': os.cpu_count()},
        'programs': {name: _version_of(name, *words) for name, words in (
            ('penstock', ('--version',)), ('docker', ('--version',)), ('podman', ('--version',)), ('kubectl', ('version', '--client')))},
        'server': _server(arguments),
        'variables': {name: 'set' for name in sorted(os.environ) if name.startswith(('KF_PIPELINES_', 'KFP_', 'PENSTOCK_'))},
    }


def _version_of(program: str, *words: str) -> str:
    path = os.environ.get('PENSTOCK_BINARY') if program == 'penstock' else None
    path = path or shutil.which(program)
    if not path:
        return 'not there'
    try:
        done = subprocess.run([path, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f'{path}: {error}'
    lines = done.stdout.strip().splitlines()
    return f'{lines[0] if lines else "it says nothing"} ({path})'


def _server(arguments: argparse.Namespace) -> dict[str, Any]:
    from kfp.cli.server import client_of
    from kfp.client import ApiError
    client = client_of(arguments)
    found: dict[str, Any] = {'host': client._host}
    try:
        found.update(client._call('GET', '/healthz').to_dict(), answers=True)
        found['runs'] = client.list_runs(page_size=1).total_size or 0
    except (ApiError, OSError) as error:
        found.update(answers=False, error=str(error))
    return found
