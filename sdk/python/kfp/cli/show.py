"""How commands print records: as a table or as JSON."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Sequence

    from kfp.client.rest import Record

COLUMNS = {
    'pipeline': ('pipeline_id', 'display_name', 'created_at'),
    'version': ('pipeline_version_id', 'display_name', 'created_at', 'pipeline_id'),
    'run': ('run_id', 'display_name', 'state', 'created_at'),
    'recurring-run': ('recurring_run_id', 'display_name', 'status', 'created_at'),
    'experiment': ('experiment_id', 'display_name', 'storage_state', 'created_at'),
    'task': ('name', 'state', 'start_time', 'end_time', 'task_id'),
    'artifact': ('artifact_id', 'name', 'type', 'task', 'uri'),
}


def records(arguments: argparse.Namespace, kind: str, found: Sequence[Record]) -> None:
    """Prints a list."""
    if arguments.format == 'json':
        print(json.dumps([record.to_dict() for record in found], indent=2, ensure_ascii=False))
        return
    columns = COLUMNS[kind]
    rows = [tuple(column.upper().replace('_', ' ') for column in columns)]
    rows += [tuple(_cell(record.to_dict().get(column)) for column in columns) for record in found]
    widths = [max(len(row[index]) for row in rows) for index in range(len(columns))]
    for row in rows:
        print('  '.join(text.ljust(width) for text, width in zip(row, widths)).rstrip())


def record(arguments: argparse.Namespace, kind: str, found: Record) -> None:
    """Prints one object: in JSON as an object, not as a list."""
    if arguments.format == 'json':
        print(json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
    else:
        records(arguments, kind, [found])


def deleted(arguments: argparse.Namespace, kind: str, name: str) -> None:
    """Says that something is gone."""
    if arguments.format == 'json':
        print(json.dumps({'deleted': name}))
    else:
        print(f'{kind} {name} deleted.')


def _cell(value: Any) -> str:
    text = '' if value is None else str(value)
    return ' '.join(text.split())
