"""The commands `kfp` and `dsl-compile`."""

import argparse
import json
import sys


def dsl_compile(argv=None):
    """`dsl-compile --py FILE --output FILE`."""
    parser = argparse.ArgumentParser('dsl-compile', description='Compile a pipeline to a package.')
    _compile_options(parser)
    return _run(_compile, parser.parse_args(argv))


def main(argv=None):
    """The `kfp` command. Returns the exit status."""
    parser = argparse.ArgumentParser('kfp', description='Compile pipelines, and run them on a server.')
    parser.add_argument('--endpoint', help='the server (KF_PIPELINES_ENDPOINT, or http://127.0.0.1:8080)')
    parser.add_argument('--namespace', '-n')
    parser.add_argument('--existing-token')
    parser.add_argument('--output', choices=('table', 'json'), default='table', dest='format')
    parser.add_argument('--version', action='version', version=_version())
    areas = parser.add_subparsers(dest='area', required=True)
    dsl = areas.add_parser('dsl', help='compile').add_subparsers(dest='verb', required=True)
    compile_parser = dsl.add_parser('compile', help='compile a pipeline to a package')
    _compile_options(compile_parser)
    compile_parser.set_defaults(run=_compile)
    for area in _AREAS:
        _add_area(areas, area)
    arguments = parser.parse_args(argv)
    return _run(arguments.run, arguments)


def _version():
    import kfp
    return f'kfp {kfp.__version__}'


def _compile_options(parser):
    parser.add_argument('--py', required=True, help='the Python file')
    parser.add_argument('--output', required=True, dest='package', help='the package to write')
    parser.add_argument('--function', help='the pipeline in the file; needed when it has several, unless one is made of the others')
    parser.add_argument('--pipeline-parameters', help='new defaults of inputs, as a JSON object')
    parser.add_argument('--disable-type-check', action='store_true', help='accepted for v1 and ignored')
    parser.add_argument('--disable-execution-caching-by-default', action='store_true')
    parser.add_argument('--kubernetes-manifest-format', action='store_true')


def _run(action, arguments):
    from kfp.client import ApiError
    from kfp.dsl import errors
    try:
        action(arguments)
    except (errors.PipelineError, ApiError, ValueError, OSError) as error:
        sys.stderr.write(f'Error: {error}\n')
        return 1
    return 0


def _compile(arguments):
    import os
    import runpy
    from kfp.compiler import Compiler
    from kfp.dsl import component_classes
    if arguments.disable_execution_caching_by_default:
        os.environ['KFP_DISABLE_EXECUTION_CACHING_BY_DEFAULT'] = 'true'
    sys.path.insert(0, os.path.dirname(os.path.abspath(arguments.py)))
    found = runpy.run_path(arguments.py)
    if arguments.function:
        if arguments.function not in found:
            raise ValueError(f'{arguments.py} defines no {arguments.function!r}')
        pipeline = found[arguments.function]
    else:
        candidates = {name: value for name, value in found.items() if isinstance(value, component_classes.GraphComponent)}
        outermost = _not_used_as_steps(candidates)
        if len(outermost) == 1:
            candidates = outermost
        candidates = candidates or {name: value for name, value in found.items()
                                    if isinstance(value, component_classes.BaseComponent)}
        if len(candidates) != 1:
            raise ValueError(f'{arguments.py} defines {len(candidates)} pipelines ({", ".join(candidates)}); choose one with --function')
        pipeline, = candidates.values()
    Compiler().compile(pipeline, arguments.package,
                       pipeline_parameters=json.loads(arguments.pipeline_parameters or '{}'),
                       kubernetes_manifest_format=arguments.kubernetes_manifest_format)
    print(arguments.package)


def _not_used_as_steps(pipelines):
    """Those of the pipelines (by name) that are no step of another one."""
    used = {id(task.spec) for pipeline in pipelines.values() for task in pipeline.component_spec.graph.tasks.values()}
    return {name: value for name, value in pipelines.items() if id(value.component_spec) not in used}


# area: (list method, its list, {verb: (client method, arguments)}, columns)
_AREAS = {
    'pipeline': ('list_pipelines', 'pipelines', {'get': 'get_pipeline', 'delete': 'delete_pipeline'},
                 ('pipeline_id', 'display_name', 'created_at')),
    'run': ('list_runs', 'runs', {'get': 'get_run', 'archive': 'archive_run', 'unarchive': 'unarchive_run', 'delete': 'delete_run',
                                  'terminate': 'terminate_run', 'retry': 'retry_run'},
            ('run_id', 'display_name', 'state', 'created_at')),
    'recurring-run': ('list_recurring_runs', 'recurring_runs', {'get': 'get_recurring_run', 'enable': 'enable_recurring_run',
                                                                'disable': 'disable_recurring_run',
                                                                'delete': 'delete_recurring_run'},
                      ('recurring_run_id', 'display_name', 'status')),
    'experiment': ('list_experiments', 'experiments', {'get': 'get_experiment', 'archive': 'archive_experiment',
                                                       'unarchive': 'unarchive_experiment', 'delete': 'delete_experiment'},
                   ('experiment_id', 'display_name', 'storage_state', 'created_at')),
}


def _add_area(areas, area):
    verbs = areas.add_parser(area, help=f'{area}s on the server').add_subparsers(dest='verb', required=True)
    listing = verbs.add_parser('list')
    listing.add_argument('--page-token', default='')
    listing.add_argument('--max-size', '-m', type=int, default=100)
    listing.add_argument('--sort-by', default='created_at desc')
    listing.set_defaults(run=_list)
    for verb in _AREAS[area][2]:
        one = verbs.add_parser(verb)
        one.add_argument('id')
        one.set_defaults(run=_one)
    if area == 'pipeline':
        create = verbs.add_parser('create')
        create.add_argument('package')
        create.add_argument('--pipeline-name', '-p')
        create.add_argument('--description', '-d')
        create.set_defaults(run=_create_pipeline)
    if area == 'run':
        create = verbs.add_parser('create')
        create.add_argument('--experiment-name', '-e', default='Default')
        create.add_argument('--run-name', '-r')
        create.add_argument('--package-file', '-f')
        create.add_argument('--pipeline-id', '-p')
        create.add_argument('--version')
        create.add_argument('--watch', '-w', action='store_true')
        create.add_argument('--timeout', '-t', type=float)
        create.add_argument('parameters', nargs='*', metavar='name=value')
        create.set_defaults(run=_create_run)


def _client(arguments):
    from kfp.client import Client
    return Client(host=arguments.endpoint, namespace=arguments.namespace, existing_token=arguments.existing_token)


def _show(arguments, records, columns):
    if arguments.format == 'json':
        print(json.dumps([record.to_dict() for record in records], indent=2))
        return
    rows = [columns] + [tuple(str(record.get(column) or '') for column in columns) for record in records]
    widths = [max(len(row[index]) for row in rows) for index in range(len(columns))]
    for row in rows:
        print('  '.join(text.ljust(width) for text, width in zip(row, widths)).rstrip())


def _list(arguments):
    method, members, _, columns = _AREAS[arguments.area]
    page = getattr(_client(arguments), method)(page_token=arguments.page_token, page_size=arguments.max_size,
                                               sort_by=arguments.sort_by)
    _show(arguments, getattr(page, members), columns)


def _one(arguments):
    _, _, verbs, columns = _AREAS[arguments.area]
    record = getattr(_client(arguments), verbs[arguments.verb])(arguments.id)
    if arguments.verb == 'get':
        _show(arguments, [record], columns)


def _create_pipeline(arguments):
    _client(arguments).upload_pipeline(arguments.package, arguments.pipeline_name, arguments.description)


def _create_run(arguments):
    client = _client(arguments)
    wrong = [text for text in arguments.parameters if '=' not in text]
    if wrong:
        raise ValueError(f'{wrong[0]!r} is not of the form name=value')
    values = dict(text.split('=', 1) for text in arguments.parameters)
    experiment = client.create_experiment(arguments.experiment_name)
    run = client.run_pipeline(experiment.experiment_id, arguments.run_name or 'run', arguments.package_file, values,
                              arguments.pipeline_id, arguments.version)
    if arguments.watch:
        run = client.wait_for_run_completion(run.run_id, arguments.timeout)
        print(run.state)


if __name__ == '__main__':
    sys.exit(main())
