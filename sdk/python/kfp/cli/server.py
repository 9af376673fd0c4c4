"""`kfp pipeline`, `kfp run`, `kfp recurring-run` and `kfp experiment`: what is on a server."""

from __future__ import annotations

import argparse
import sys

from kfp.cli import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from kfp.client import Client
    Areas = argparse._SubParsersAction[argparse.ArgumentParser]
    Command = Callable[[argparse.Namespace], int | None]


def client_of(arguments: argparse.Namespace) -> Client:
    """The server that the command line names."""
    from kfp.client import Client
    return Client(host=arguments.endpoint, namespace=arguments.namespace, existing_token=arguments.existing_token)


def add_commands(areas: Areas) -> None:
    """The commands about what is on a server."""
    _add_pipelines(_verbs(areas, 'pipeline', 'pipelines and their versions'))
    _add_runs(_verbs(areas, 'run', 'runs'))
    _add_recurring_runs(_verbs(areas, 'recurring-run', 'schedules of runs'))
    _add_experiments(_verbs(areas, 'experiment', 'experiments'))


def _verbs(areas: Areas, name: str, what: str) -> Areas:
    return areas.add_parser(name, help=what).add_subparsers(dest='verb', required=True, metavar='COMMAND')


def _verb(verbs: Areas, name: str, run: Command, what: str, *ids: str, aliases: tuple[str, ...] = ()) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=what, aliases=aliases)
    for id_ in ids:
        parser.add_argument(id_)
    parser.set_defaults(run=run)
    return parser


def _listing(verbs: Areas, name: str, run: Command, what: str, *ids: str) -> argparse.ArgumentParser:
    parser = _verb(verbs, name, run, what, *ids)
    parser.add_argument('--page-token', default='', help='where the page begins')
    parser.add_argument('--max-size', '-m', type=int, default=100, help='how many at most (100)')
    parser.add_argument('--sort-by', default='created_at desc', help="a field and asc or desc ('created_at desc')")
    parser.add_argument('--filter', help='predicates as JSON')
    return parser


def _deletion(verbs: Areas, name: str, run: Command, what: str, *ids: str) -> argparse.ArgumentParser:
    parser = _verb(verbs, name, run, what, *ids)
    parser.add_argument('--yes', '-y', action='store_true', help='do not ask')
    return parser


def _page(arguments: argparse.Namespace) -> dict[str, Any]:
    return {'page_token': arguments.page_token, 'page_size': arguments.max_size, 'sort_by': arguments.sort_by,
            'filter': arguments.filter}


def _show_page(arguments: argparse.Namespace, kind: str, page: Any, members: str) -> None:
    show.records(arguments, kind, getattr(page, members))
    if page.next_page_token and arguments.format == 'table':
        sys.stderr.write(f'There are more: --page-token {page.next_page_token}\n')


def _sure(arguments: argparse.Namespace, what: str) -> bool:
    """Asks before something is deleted."""
    if arguments.yes:
        return True
    sys.stderr.write(f'Are you sure you want to delete {what}? [y/N] ')
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ('y', 'yes'):
        return True
    sys.stderr.write('Nothing is deleted.\n')
    return False


def _values(texts: list[str]) -> dict[str, str]:
    for text in texts:
        if '=' not in text:
            raise ValueError(f'{text!r} is not of the form name=value')
    return dict(text.split('=', 1) for text in texts)


# Pipelines


def _add_pipelines(verbs: Areas) -> None:
    create = _verb(verbs, 'create', _create_pipeline, 'store a package as a pipeline', 'package', aliases=('upload',))
    create.add_argument('--pipeline-name', '-p')
    create.add_argument('--description', '-d')
    version = _verb(verbs, 'create-version', _create_version, 'store a package as a version', 'package', aliases=('upload-version',))
    version.add_argument('--pipeline-version', '-v', required=True, help='its name')
    version.add_argument('--pipeline-id', '-p')
    version.add_argument('--pipeline-name', '-n')
    version.add_argument('--description', '-d')
    _listing(verbs, 'list', lambda a: _show_page(a, 'pipeline', client_of(a).list_pipelines(**_page(a)), 'pipelines'), 'list them')
    _listing(verbs, 'list-versions', lambda a: _show_page(
        a, 'version', client_of(a).list_pipeline_versions(a.pipeline_id, **_page(a)), 'pipeline_versions'), 'list versions', 'pipeline_id')
    _verb(verbs, 'get', lambda a: show.record(a, 'pipeline', client_of(a).get_pipeline(a.pipeline_id)), 'show one', 'pipeline_id')
    _verb(verbs, 'get-version', lambda a: show.record(a, 'version', client_of(a).get_pipeline_version(a.pipeline_id, a.version_id)),
          'show a version', 'pipeline_id', 'version_id')
    _deletion(verbs, 'delete', _delete_pipeline, 'delete one with its versions', 'pipeline_id')
    _deletion(verbs, 'delete-version', _delete_version, 'delete a version', 'pipeline_id', 'version_id')


def _create_pipeline(arguments: argparse.Namespace) -> None:
    with _quiet():
        made = client_of(arguments).upload_pipeline(arguments.package, arguments.pipeline_name, arguments.description)
    show.record(arguments, 'pipeline', made)


def _create_version(arguments: argparse.Namespace) -> None:
    with _quiet():
        made = client_of(arguments).upload_pipeline_version(arguments.package, arguments.pipeline_version, arguments.pipeline_id,
                                                            arguments.pipeline_name, arguments.description)
    show.record(arguments, 'version', made)


def _delete_pipeline(arguments: argparse.Namespace) -> None:
    if _sure(arguments, f'the pipeline {arguments.pipeline_id}'):
        client_of(arguments).delete_pipeline(arguments.pipeline_id, cascade=True)
        show.deleted(arguments, 'Pipeline', arguments.pipeline_id)


def _delete_version(arguments: argparse.Namespace) -> None:
    if _sure(arguments, f'the version {arguments.version_id}'):
        client_of(arguments).delete_pipeline_version(arguments.pipeline_id, arguments.version_id)
        show.deleted(arguments, 'Version', arguments.version_id)


def _quiet() -> Any:
    """The client's own lines go to the error output, so that the output is the record alone."""
    import contextlib
    return contextlib.redirect_stdout(sys.stderr)


# Runs


def _add_runs(verbs: Areas) -> None:
    create = _verb(verbs, 'create', _create_run, 'start one', aliases=('submit',))
    create.add_argument('--experiment-name', '-e', default='Default', help='made when there is none')
    create.add_argument('--run-name', '-r')
    create.add_argument('--package-file', '-f')
    create.add_argument('--pipeline-id', '-p')
    create.add_argument('--pipeline-name', '-n')
    create.add_argument('--version', '-v', help='the id of a version')
    create.add_argument('--watch', '-w', action='store_true', help='show its logs, and wait for its end')
    create.add_argument('--timeout', '-t', type=float, default=0, help='seconds to wait; 0 for no limit')
    create.add_argument('parameters', nargs='*', metavar='name=value')
    listing = _listing(verbs, 'list', lambda a: _show_page(
        a, 'run', client_of(a).list_runs(experiment_id=a.experiment_id, **_page(a)), 'runs'), 'list them')
    listing.add_argument('--experiment-id', '-e')
    get = _verb(verbs, 'get', _get_run, 'show one', 'run_id', aliases=('status',))
    get.add_argument('--watch', '-w', action='store_true', help='show its logs, and wait for its end')
    get.add_argument('--detail', '-d', action='store_true', help='all of it, as JSON')
    for name, what in (('archive', 'put one into the archive'), ('unarchive', 'take one out of the archive')):
        _verb(verbs, name, _change_run, what, 'run_id')
    _verb(verbs, 'terminate', _change_run, 'end one', 'run_id')
    _verb(verbs, 'retry', _change_run, 'run the failed tasks of one again', 'run_id')
    wait = _verb(verbs, 'wait', _wait, 'wait for the end of one; the exit status says how it ended', 'run_id')
    wait.add_argument('--timeout', '-t', type=float, default=0, help='seconds; 0 for no limit')
    logs = _verb(verbs, 'logs', _logs, 'show what its tasks printed', 'run_id')
    logs.add_argument('task', nargs='?', help="a task's name or id")
    logs.add_argument('--follow', '-f', action='store_true', help='go on until the run has ended')
    _verb(verbs, 'tasks', _tasks, 'list its tasks', 'run_id')
    _verb(verbs, 'artifacts', _artifacts, 'list what it made', 'run_id')
    download = _verb(verbs, 'download', _download, 'copy what it made', 'run_id')
    download.add_argument('folder', help='where to: <folder>/<task>/<output>')
    delete = _deletion(verbs, 'delete', _delete_run, 'delete one', 'run_id')
    delete.add_argument('--artifacts', action='store_true', help='with what it made')


def _create_run(arguments: argparse.Namespace) -> int:
    client = client_of(arguments)
    values = _values(arguments.parameters)
    pipeline_id = arguments.pipeline_id
    if not arguments.package_file and not pipeline_id and arguments.pipeline_name:
        pipeline_id = client.get_pipeline_id(arguments.pipeline_name)
        if pipeline_id is None:
            raise ValueError(f'No pipeline is named {arguments.pipeline_name!r}.')
    if not arguments.package_file and not pipeline_id:
        raise ValueError('kfp run create needs --package-file, --pipeline-id or --pipeline-name')
    with _quiet():
        experiment = client.create_experiment(arguments.experiment_name)
        run = client.run_pipeline(experiment.experiment_id, arguments.run_name or arguments.pipeline_name or 'run',
                                  arguments.package_file, values, None if arguments.package_file else pipeline_id,
                                  None if arguments.package_file else arguments.version)
    if not arguments.watch:
        show.record(arguments, 'run', run)
        return 0
    return _watch(arguments, client, run.run_id, arguments.timeout or None)


def _watch(arguments: argparse.Namespace, client: Client, run_id: str, timeout: float | None) -> int:
    """Shows the logs and then the run; the status says how it ended."""
    import threading

    def follow() -> None:
        from kfp.client import ApiError
        try:
            for task, line in client.follow_run_logs(run_id):
                sys.stderr.write(f'[{task}] {line}\n')
        except ApiError:
            pass  # a server that tells of no changes; the wait goes on without the logs
    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    run = client.wait_for_run_completion(run_id, timeout)
    follower.join(10)
    show.record(arguments, 'run', run)
    return 0 if run.state == 'SUCCEEDED' else 1


def _get_run(arguments: argparse.Namespace) -> int:
    client = client_of(arguments)
    if arguments.watch:
        return _watch(arguments, client, arguments.run_id, None)
    if arguments.detail:
        arguments.format = 'json'
    show.record(arguments, 'run', client.get_run(arguments.run_id))
    return 0


def _change_run(arguments: argparse.Namespace) -> None:
    client = client_of(arguments)
    getattr(client, f'{arguments.verb}_run')(arguments.run_id)
    show.record(arguments, 'run', client.get_run(arguments.run_id))


def _wait(arguments: argparse.Namespace) -> int:
    run = client_of(arguments).wait_for_run_completion(arguments.run_id, arguments.timeout or None)
    show.record(arguments, 'run', run)
    return 0 if run.state == 'SUCCEEDED' else 1


def _logs(arguments: argparse.Namespace) -> None:
    client = client_of(arguments)
    if arguments.follow:
        for task, line in client.follow_run_logs(arguments.run_id, arguments.task):
            print(line if arguments.task else f'[{task}] {line}', flush=True)
        return
    found = client.get_run_logs(arguments.run_id, arguments.task)
    if isinstance(found, str):
        sys.stdout.write(found)
        return
    for name, text in found.items():
        print(f'==> {name}')
        sys.stdout.write(text if text.endswith('\n') or not text else text + '\n')


def _tasks(arguments: argparse.Namespace) -> None:
    client, token, found = client_of(arguments), '', []
    while True:
        page = client.list_run_tasks(arguments.run_id, token, 200)
        found += page.tasks
        token = page.next_page_token or ''
        if not token:
            break
    show.records(arguments, 'task', found)


def _artifacts(arguments: argparse.Namespace) -> None:
    show.records(arguments, 'artifact', client_of(arguments).list_artifacts(arguments.run_id).artifacts)


def _download(arguments: argparse.Namespace) -> None:
    for path in client_of(arguments).download_run_artifacts(arguments.run_id, arguments.folder):
        print(path)


def _delete_run(arguments: argparse.Namespace) -> None:
    if _sure(arguments, f'the run {arguments.run_id}'):
        client_of(arguments).delete_run(arguments.run_id, arguments.artifacts)
        show.deleted(arguments, 'Run', arguments.run_id)


# Recurring runs


def _add_recurring_runs(verbs: Areas) -> None:
    create = _verb(verbs, 'create', _create_recurring_run, 'make one')
    create.add_argument('--job-name', required=True)
    create.add_argument('--experiment-id')
    create.add_argument('--experiment-name')
    create.add_argument('--catchup', action=_BooleanOption, negative='--no-catchup', help='also times that were missed')
    create.add_argument('--cron-expression', help='six fields, seconds first')
    create.add_argument('--interval-second', type=int)
    create.add_argument('--description')
    create.add_argument('--enable-caching', action=_BooleanOption, negative='--disable-caching')
    create.add_argument('--enabled', action=_BooleanOption, negative='--disabled', default=True)
    create.add_argument('--start-time', help='RFC 3339')
    create.add_argument('--end-time', help='RFC 3339')
    create.add_argument('--max-concurrency', type=int, default=1)
    create.add_argument('--pipeline-id')
    create.add_argument('--pipeline-package-path')
    create.add_argument('--version-id')
    create.add_argument('parameters', nargs='*', metavar='name=value')
    listing = _listing(verbs, 'list', lambda a: _show_page(
        a, 'recurring-run', client_of(a).list_recurring_runs(experiment_id=a.experiment_id, **_page(a)), 'recurring_runs'), 'list them')
    listing.add_argument('--experiment-id', '-e')
    _verb(verbs, 'get', lambda a: show.record(a, 'recurring-run', client_of(a).get_recurring_run(a.recurring_run_id)), 'show one',
          'recurring_run_id')
    for name in ('enable', 'disable'):
        _verb(verbs, name, _switch_recurring_run, f'{name} one', 'recurring_run_id')
    _deletion(verbs, 'delete', _delete_recurring_run, 'delete one', 'recurring_run_id')


class _BooleanOption(argparse.Action):
    """A switch with a name for each side."""

    def __init__(self, option_strings: list[str], dest: str, negative: str, **more: Any):
        self._negative = negative
        super().__init__([*option_strings, negative], dest, nargs=0, **more)

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
                 option_string: str | None = None) -> None:
        setattr(namespace, self.dest, option_string != self._negative)


def _create_recurring_run(arguments: argparse.Namespace) -> None:
    client = client_of(arguments)
    if bool(arguments.experiment_id) == bool(arguments.experiment_name):
        raise ValueError('kfp recurring-run create needs either --experiment-id or --experiment-name')
    with _quiet():
        experiment_id = arguments.experiment_id or client.create_experiment(arguments.experiment_name).experiment_id
        made = client.create_recurring_run(
            experiment_id, arguments.job_name, arguments.description, arguments.start_time, arguments.end_time, arguments.interval_second,
            arguments.cron_expression, arguments.max_concurrency, None if arguments.catchup is None else not arguments.catchup,
            _values(arguments.parameters), arguments.pipeline_package_path, arguments.pipeline_id, arguments.version_id,
            arguments.enabled, enable_caching=arguments.enable_caching)
    show.record(arguments, 'recurring-run', made)


def _switch_recurring_run(arguments: argparse.Namespace) -> None:
    client = client_of(arguments)
    getattr(client, f'{arguments.verb}_recurring_run')(arguments.recurring_run_id)
    show.record(arguments, 'recurring-run', client.get_recurring_run(arguments.recurring_run_id))


def _delete_recurring_run(arguments: argparse.Namespace) -> None:
    if _sure(arguments, f'the recurring run {arguments.recurring_run_id}'):
        client_of(arguments).delete_recurring_run(arguments.recurring_run_id)
        show.deleted(arguments, 'Recurring run', arguments.recurring_run_id)


# Experiments


def _add_experiments(verbs: Areas) -> None:
    create = _verb(verbs, 'create', _create_experiment, 'make one', 'name')
    create.add_argument('--description', '-d')
    _listing(verbs, 'list', lambda a: _show_page(a, 'experiment', client_of(a).list_experiments(**_page(a)), 'experiments'), 'list them')
    _verb(verbs, 'get', lambda a: show.record(a, 'experiment', client_of(a).get_experiment(a.experiment_id)), 'show one', 'experiment_id')
    for name in ('archive', 'unarchive'):
        parser = _verb(verbs, name, _change_experiment, f'{name} one')
        parser.add_argument('--experiment-id')
        parser.add_argument('--experiment-name')
    _deletion(verbs, 'delete', _delete_experiment, 'delete one; its runs stay', 'experiment_id')


def _create_experiment(arguments: argparse.Namespace) -> None:
    with _quiet():
        made = client_of(arguments).create_experiment(arguments.name, arguments.description)
    show.record(arguments, 'experiment', made)


def _change_experiment(arguments: argparse.Namespace) -> None:
    client = client_of(arguments)
    if bool(arguments.experiment_id) == bool(arguments.experiment_name):
        raise ValueError(f'kfp experiment {arguments.verb} needs either --experiment-id or --experiment-name')
    found = client.get_experiment(arguments.experiment_id, arguments.experiment_name)
    getattr(client, f'{arguments.verb}_experiment')(found.experiment_id)
    show.record(arguments, 'experiment', client.get_experiment(found.experiment_id))


def _delete_experiment(arguments: argparse.Namespace) -> None:
    if _sure(arguments, f'the experiment {arguments.experiment_id}'):
        client_of(arguments).delete_experiment(arguments.experiment_id)
        show.deleted(arguments, 'Experiment', arguments.experiment_id)
