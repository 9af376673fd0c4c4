"""kfp.Client: pipelines, runs, experiments and schedules on a server."""

import json
import os
import time

from kfp.client import packages
from kfp.client.rest import ApiError, Record, Rest

_API = '/apis/v2beta1'
_DEFAULT_HOST = 'http://127.0.0.1:8080'
_CONTEXT_FILE = os.path.join('~', '.config', 'kfp', 'context.json')
_ENDED = ('SUCCEEDED', 'FAILED', 'SKIPPED', 'CANCELED', 'ERROR')


class RunPipelineResult:
    """A run that was started. run_id: its id; run_info: it as a Record."""

    def __init__(self, client, run_info):
        self._client = client
        self.run_info = run_info
        self.run_id = run_info.run_id

    def wait_for_run_completion(self, timeout=None):
        """Waits until the run has ended and returns it. Raises TimeoutError after `timeout` seconds."""
        return self._client.wait_for_run_completion(self.run_id, timeout)

    def __repr__(self):
        return f'RunPipelineResult(run_id={self.run_id})'


class Client:
    """A connection to a Penstock or Kubeflow Pipelines server.

    host: its address, also with /pipeline at the end. Else KF_PIPELINES_ENDPOINT, else
        the host in ~/.config/kfp/context.json, else http://127.0.0.1:8080.
    namespace: whose objects to use on servers with several users.
    existing_token: a bearer token. cookies: a Cookie header. proxy: an HTTP proxy's URL.
    ssl_ca_cert: a file of authorities to trust; verify_ssl=False trusts anyone.
    ui_host: the address in printed links (host).
    credentials: an object whose get_token() gives the bearer token.
    The other arguments of the upstream client are accepted and ignored.
    """

    def __init__(self, host=None, client_id=None, namespace=None, other_client_id=None, other_client_secret=None,
                 existing_token=None, cookies=None, proxy=None, ssl_ca_cert=None, kube_context=None, credentials=None,
                 ui_host=None, verify_ssl=None):
        self._context = _read_context()
        host = host or os.environ.get('KF_PIPELINES_ENDPOINT') or self._context.get('host') or _DEFAULT_HOST
        if '://' not in host:
            host = 'http://' + host
        host = host.rstrip('/')
        token = existing_token
        if credentials is not None:
            token = getattr(credentials, 'get_token', None)
        elif token is None and os.environ.get('KF_PIPELINES_SA_TOKEN_PATH'):
            token = _token_file(os.environ['KF_PIPELINES_SA_TOKEN_PATH'])
        self._rest = Rest(host, token, cookies, proxy, ssl_ca_cert, verify_ssl)
        self._host = host
        base = ui_host or os.environ.get('KF_PIPELINES_UI_ENDPOINT') or host
        self._ui = base.rstrip('/')
        self._namespace = namespace or self._context.get('namespace') or ''

    def _call(self, method, path, query=None, body=None):
        return Record(self._rest.call(method, _API + path, query, body))

    def _list(self, path, page_token, page_size, sort_by, filter, **more):
        query = dict(page_token=page_token, page_size=page_size, sort_by=sort_by, filter=filter, **more)
        return _Page(self._rest.call('GET', _API + path, query))

    # The server

    def get_kfp_healthz(self, sleep_duration=5):
        """The server's version and mode. Waits for a server that is starting."""
        for attempt in range(5):
            try:
                return self._call('GET', '/healthz')
            except ApiError as error:
                if attempt == 4 or error.status not in (502, 503, 504):
                    raise
                time.sleep(sleep_duration)

    def set_user_namespace(self, namespace):
        """Keeps the namespace in the context file for later clients."""
        self._namespace = namespace
        self._context['namespace'] = namespace
        path = os.path.expanduser(_CONTEXT_FILE)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as file:
            json.dump(self._context, file)

    def get_user_namespace(self):
        return self._namespace

    # Experiments

    def create_experiment(self, name, description=None, namespace=None):
        """The experiment of that name; makes it when there is none."""
        try:
            experiment = self.get_experiment(experiment_name=name, namespace=namespace)
        except ValueError:
            body = {'display_name': name, 'description': description or '', 'namespace': namespace or self._namespace}
            experiment = self._call('POST', '/experiments', body={key: value for key, value in body.items() if value})
        print(f'Experiment details: {self._ui}/#/experiments/details/{experiment.experiment_id}')
        return experiment

    def get_experiment(self, experiment_id=None, experiment_name=None, namespace=None):
        """An experiment by id or name. Raises ValueError when there is none of the name."""
        if experiment_id:
            return self._call('GET', f'/experiments/{_id(experiment_id)}')
        if not experiment_name:
            raise ValueError('get_experiment() needs experiment_id or experiment_name')
        page = self.list_experiments(namespace=namespace, page_size=100, filter=_equals('name', experiment_name))
        if not page.experiments:
            raise ValueError(f'No experiment is found with name {experiment_name}.')
        return page.experiments[0]

    def list_experiments(self, page_token='', page_size=10, sort_by='', namespace=None, filter=None):
        """A page of experiments: .experiments, .next_page_token, .total_size."""
        return self._list('/experiments', page_token, page_size, sort_by, filter, namespace=namespace or self._namespace)

    def archive_experiment(self, experiment_id):
        return self._call('POST', f'/experiments/{_id(experiment_id)}:archive')

    def unarchive_experiment(self, experiment_id):
        return self._call('POST', f'/experiments/{_id(experiment_id)}:unarchive')

    def delete_experiment(self, experiment_id):
        return self._call('DELETE', f'/experiments/{_id(experiment_id)}')

    # Pipelines

    def upload_pipeline(self, pipeline_package_path, pipeline_name=None, description=None, namespace=None, display_name=None,
                        tags=None):
        """Stores a compiled package as a new pipeline with its first version."""
        name = pipeline_name or os.path.basename(os.fspath(pipeline_package_path)).split('.')[0]
        query = {'name': name, 'display_name': display_name, 'description': description,
                 'namespace': namespace or self._namespace, 'tags': json.dumps(tags) if tags else None}
        reply = Record(self._rest.upload(_API + '/pipelines/upload', query, os.path.basename(os.fspath(pipeline_package_path)),
                                         _file(pipeline_package_path)))
        print(f'Pipeline details: {self._ui}/#/pipelines/details/{reply.pipeline_id}')
        return reply

    def upload_pipeline_from_pipeline_func(self, pipeline_func, pipeline_name=None, description=None, namespace=None):
        """Compiles a pipeline and stores it."""
        with packages.compiled(pipeline_func, pipeline_name) as path:
            return self.upload_pipeline(path, pipeline_name or packages.name_of(pipeline_func), description, namespace)

    def upload_pipeline_version(self, pipeline_package_path, pipeline_version_name=None, pipeline_id=None, pipeline_name=None,
                                description=None, display_name=None, tags=None):
        """Stores a compiled package as a version of a pipeline, given by id or name."""
        if bool(pipeline_id) == bool(pipeline_name):
            raise ValueError('upload_pipeline_version() needs either pipeline_id or pipeline_name')
        if pipeline_name:
            pipeline_id = self.get_pipeline_id(pipeline_name)
            if pipeline_id is None:
                raise ValueError(f'Cannot find the pipeline {pipeline_name!r}.')
        version = pipeline_version_name or os.path.basename(os.fspath(pipeline_package_path)).split('.')[0]
        query = {'name': version, 'display_name': display_name, 'pipelineid': pipeline_id, 'description': description,
                 'tags': json.dumps(tags) if tags else None}
        reply = Record(self._rest.upload(_API + '/pipelines/upload_version', query,
                                         os.path.basename(os.fspath(pipeline_package_path)), _file(pipeline_package_path)))
        print(f'Pipeline version details: {self._ui}/#/pipelines/details/{pipeline_id}/version/{reply.pipeline_version_id}')
        return reply

    def upload_pipeline_version_from_pipeline_func(self, pipeline_func, pipeline_version_name=None, pipeline_id=None,
                                                   pipeline_name=None, description=None):
        """Compiles a pipeline and stores it as a version."""
        with packages.compiled(pipeline_func) as path:
            return self.upload_pipeline_version(path, pipeline_version_name or packages.name_of(pipeline_func), pipeline_id,
                                                pipeline_name, description)

    def get_pipeline_id(self, name):
        """The id of the pipeline of that name; None when there is none."""
        page = self.list_pipelines(page_size=100, filter=_equals('display_name', name))
        if not page.pipelines:
            return None
        if len(page.pipelines) > 1:
            raise ValueError(f'Several pipelines are named {name!r}; use their ids.')
        return page.pipelines[0].pipeline_id

    def get_pipeline(self, pipeline_id):
        return self._call('GET', f'/pipelines/{_id(pipeline_id)}')

    def list_pipelines(self, page_token='', page_size=10, sort_by='', filter=None, namespace=None):
        """A page of pipelines: .pipelines, .next_page_token, .total_size."""
        return self._list('/pipelines', page_token, page_size, sort_by, filter, namespace=namespace or self._namespace)

    def delete_pipeline(self, pipeline_id, cascade=False):
        """Deletes a pipeline. cascade: with its versions; else it must have none."""
        return self._call('DELETE', f'/pipelines/{_id(pipeline_id)}', {'cascade': 'true' if cascade else None})

    def get_pipeline_version(self, pipeline_id, pipeline_version_id):
        return self._call('GET', f'/pipelines/{_id(pipeline_id)}/versions/{_id(pipeline_version_id)}')

    def list_pipeline_versions(self, pipeline_id, page_token='', page_size=10, sort_by='', filter=None):
        """A page of versions: .pipeline_versions, .next_page_token, .total_size."""
        return self._list(f'/pipelines/{_id(pipeline_id)}/versions', page_token, page_size, sort_by, filter)

    def delete_pipeline_version(self, pipeline_id, pipeline_version_id):
        return self._call('DELETE', f'/pipelines/{_id(pipeline_id)}/versions/{_id(pipeline_version_id)}')

    # Runs

    def run_pipeline(self, experiment_id=None, job_name=None, pipeline_package_path=None, params=None, pipeline_id=None,
                     version_id=None, pipeline_root=None, enable_caching=None, cache_key=None, service_account=None):
        """Starts a run of a package, or of a stored pipeline.

        job_name: the run's name. params: {input: value}; text is taken for values of other
        types. enable_caching: for all tasks; None leaves it to the pipeline. Returns the run.
        """
        body = self._source(pipeline_package_path, pipeline_id, version_id, params, pipeline_root, enable_caching, cache_key)
        body.update({'display_name': job_name or 'run', 'service_account': service_account})
        if experiment_id:
            body['experiment_id'] = experiment_id
        run = self._call('POST', '/runs', body={key: value for key, value in body.items() if value is not None})
        print(f'Run details: {self._ui}/#/runs/details/{run.run_id}')
        return run

    def _source(self, package_path, pipeline_id, version_id, params, pipeline_root, enable_caching, cache_key):
        """The fields of a run that say which pipeline with which values."""
        params = dict(params or {})
        body = {}
        if package_path is not None:
            package = packages.read(package_path)
            packages.set_caching(package, enable_caching, cache_key)
            params = packages.convert_parameters(package[0], params)
            body['pipeline_spec'] = package[0] if not package[1] else {'pipeline_spec': package[0], 'platform_spec': package[1]}
        elif pipeline_id:
            body['pipeline_version_reference'] = {'pipeline_id': pipeline_id}
            if version_id:
                body['pipeline_version_reference']['pipeline_version_id'] = version_id
            if any(isinstance(value, str) for value in params.values()):
                params = self._stored_parameters(pipeline_id, version_id, params)
        else:
            raise ValueError('a run needs pipeline_package_path or pipeline_id')
        runtime = {}
        if params:
            runtime['parameters'] = params
        if pipeline_root:
            runtime['pipeline_root'] = pipeline_root
        if runtime:
            body['runtime_config'] = runtime
        return body

    def _stored_parameters(self, pipeline_id, version_id, params):
        """`params` in the types that a stored pipeline declares."""
        if version_id:
            version = self.get_pipeline_version(pipeline_id, version_id)
        else:
            versions = self.list_pipeline_versions(pipeline_id, page_size=1, sort_by='created_at desc').pipeline_versions
            version = versions[0] if versions else None
        spec = version.pipeline_spec if version is not None else None
        if not spec:
            return params
        return packages.convert_parameters(spec.get('pipeline_spec', spec), params)

    def create_run_from_pipeline_func(self, pipeline_func, arguments=None, run_name=None, experiment_name=None, namespace=None,
                                      pipeline_root=None, enable_caching=None, cache_key=None, service_account=None,
                                      experiment_id=None, **v1):
        """Compiles a pipeline and runs it. Returns a RunPipelineResult.

        arguments: {input: value}. experiment_name: made when there is none ('Default').
        v1 arguments (mode, launcher_image, pipeline_conf) are accepted and ignored.
        """
        _check_v1(v1)
        with packages.compiled(pipeline_func) as path:
            return self.create_run_from_pipeline_package(
                path, arguments, run_name or packages.run_name(packages.name_of(pipeline_func)), experiment_name, namespace,
                pipeline_root, enable_caching, cache_key, service_account, experiment_id)

    def create_run_from_pipeline_package(self, pipeline_file, arguments=None, run_name=None, experiment_name=None,
                                         namespace=None, pipeline_root=None, enable_caching=None, cache_key=None,
                                         service_account=None, experiment_id=None, **v1):
        """Runs a compiled package. Returns a RunPipelineResult."""
        _check_v1(v1)
        if not experiment_id:
            name = experiment_name or os.environ.get('KF_PIPELINES_OVERRIDE_EXPERIMENT_NAME') or 'Default'
            experiment_id = self.create_experiment(name, namespace=namespace).experiment_id
        run_name = run_name or packages.run_name(packages.read(pipeline_file)[0]['pipelineInfo']['name'])
        run = self.run_pipeline(experiment_id, run_name, pipeline_file, arguments, None, None, pipeline_root, enable_caching,
                                cache_key, service_account)
        return RunPipelineResult(self, run)

    def get_run(self, run_id):
        return self._call('GET', f'/runs/{_id(run_id)}')

    def list_runs(self, page_token='', page_size=10, sort_by='', experiment_id=None, namespace=None, filter=None):
        """A page of runs: .runs, .next_page_token, .total_size."""
        return self._list('/runs', page_token, page_size, sort_by, filter, experiment_id=experiment_id,
                          namespace=namespace or self._namespace)

    def archive_run(self, run_id):
        return self._call('POST', f'/runs/{_id(run_id)}:archive')

    def unarchive_run(self, run_id):
        return self._call('POST', f'/runs/{_id(run_id)}:unarchive')

    def terminate_run(self, run_id):
        return self._call('POST', f'/runs/{_id(run_id)}:terminate')

    def retry_run(self, run_id):
        """Runs the failed tasks of an ended run again."""
        return self._call('POST', f'/runs/{_id(run_id)}:retry')

    def delete_run(self, run_id):
        return self._call('DELETE', f'/runs/{_id(run_id)}')

    def wait_for_run_completion(self, run_id, timeout=None, sleep_duration=5):
        """Waits until the run has ended (also canceled), and returns it.

        timeout: seconds, None for no limit; then TimeoutError. sleep_duration: the
        longest pause between two questions; the first ones come sooner.
        """
        start, pause = time.monotonic(), 0.05
        while True:
            run = self.get_run(run_id)
            if (run.state or '').upper() in _ENDED:
                return run
            spent = time.monotonic() - start
            if timeout is not None and spent > timeout:
                raise TimeoutError(f'the run {run_id} is {run.state} after {timeout} s')
            pause = min(pause * 1.5, sleep_duration)
            time.sleep(pause if timeout is None else max(0.01, min(pause, timeout - spent + 0.01)))

    def get_run_logs(self, run_id, task=None):
        """The logs of a run's tasks, {task name: text}; the text alone when `task` is given."""
        details = self.get_run(run_id).run_details
        logs = {}
        for entry in (details.task_details if details else None) or []:
            names = (entry.display_name, entry.task_id, entry.pod_name)
            if task is not None and task not in names:
                continue
            node = entry.pod_name or next((child.pod_name for child in entry.child_tasks or [] if child.pod_name), None)
            if not node:
                continue
            try:
                text = self._rest.send('GET', f'/apis/v1alpha1/runs/{_id(run_id)}/nodes/{_id(node)}/log').decode('utf-8', 'replace')
            except ApiError as error:
                if error.status != 404:
                    raise
                continue
            name = entry.display_name or node
            logs[name] = logs.get(name, '') + text
        if task is None:
            return logs
        if not logs:
            raise ValueError(f'the run {run_id} has no task {task!r} with a log')
        return ''.join(logs.values())

    # Schedules

    def create_recurring_run(self, experiment_id, job_name, description=None, start_time=None, end_time=None,
                             interval_second=None, cron_expression=None, max_concurrency=1, no_catchup=None, params=None,
                             pipeline_package_path=None, pipeline_id=None, version_id=None, enabled=True, pipeline_root=None,
                             enable_caching=None, cache_key=None, service_account=None):
        """Runs a pipeline again and again.

        Either interval_second or cron_expression (six fields, seconds first).
        start_time, end_time: RFC 3339 texts or datetimes. max_concurrency: 1 to 10.
        no_catchup: leave out times that were missed.
        """
        if bool(interval_second) == bool(cron_expression):
            raise ValueError('create_recurring_run() needs either interval_second or cron_expression')
        body = self._source(pipeline_package_path, pipeline_id, version_id, params, pipeline_root, enable_caching, cache_key)
        window = {'start_time': _time_text(start_time), 'end_time': _time_text(end_time)}
        window = {key: value for key, value in window.items() if value}
        if cron_expression:
            trigger = {'cron_schedule': dict(window, cron=cron_expression)}
        else:
            trigger = {'periodic_schedule': dict(window, interval_second=str(interval_second))}
        body.update({'experiment_id': experiment_id, 'display_name': job_name, 'description': description,
                     'max_concurrency': str(max_concurrency), 'no_catchup': no_catchup, 'trigger': trigger,
                     'mode': 'ENABLE' if enabled else 'DISABLE', 'service_account': service_account})
        reply = self._call('POST', '/recurringruns', body={key: value for key, value in body.items() if value is not None})
        print(f'Recurring run details: {self._ui}/#/recurringrun/details/{reply.recurring_run_id}')
        return reply

    def get_recurring_run(self, recurring_run_id, job_id=None):
        return self._call('GET', f'/recurringruns/{_id(recurring_run_id or job_id)}')

    def list_recurring_runs(self, page_token='', page_size=10, sort_by='', experiment_id=None, namespace=None, filter=None):
        """A page of schedules: .recurring_runs, .next_page_token, .total_size."""
        return self._list('/recurringruns', page_token, page_size, sort_by, filter, experiment_id=experiment_id,
                          namespace=namespace or self._namespace)

    def enable_recurring_run(self, recurring_run_id):
        return self._call('POST', f'/recurringruns/{_id(recurring_run_id)}:enable')

    def disable_recurring_run(self, recurring_run_id):
        return self._call('POST', f'/recurringruns/{_id(recurring_run_id)}:disable')

    def delete_recurring_run(self, recurring_run_id):
        return self._call('DELETE', f'/recurringruns/{_id(recurring_run_id)}')

    # The v1 names
    enable_job = enable_recurring_run
    disable_job = disable_recurring_run
    delete_job = delete_recurring_run


class _Page(Record):
    """A page of a list; the list itself is [] when the reply leaves it out."""
    _LISTS = {'experiments': 'experiments', 'pipelines': 'pipelines', 'pipeline_versions': 'pipeline_versions', 'runs': 'runs',
              'recurring_runs': 'recurringRuns', 'recurringRuns': 'recurringRuns'}

    def __getattr__(self, name):
        key = self._LISTS.get(name)
        if key is None:
            return super().__getattr__(name)
        return [Record(item) for item in self._fields.get(key) or self._fields.get(name) or []]


def run_pipeline_func_on_cluster(pipeline_func, arguments, run_name=None, experiment_name=None, kfp_client=None, **_):
    """v1: compiles a pipeline and runs it on the default server."""
    return (kfp_client or Client()).create_run_from_pipeline_func(pipeline_func, arguments, run_name, experiment_name)


def _read_context():
    try:
        with open(os.path.expanduser(_CONTEXT_FILE)) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def _token_file(path):
    def read():
        with open(path) as file:
            return file.read().strip()
    return read


def _equals(key, value):
    return json.dumps({'predicates': [{'operation': 'EQUALS', 'key': key, 'stringValue': value}]})


def _id(value):
    """An id as part of a path."""
    from urllib.parse import quote
    if not value:
        raise ValueError('the id is empty')
    return quote(str(value), safe='')


def _file(path):
    with open(path, 'rb') as file:
        return file.read()


def _time_text(value):
    if value is None or isinstance(value, str):
        return value
    if value.tzinfo is not None:
        import datetime
        value = value.astimezone(datetime.timezone.utc)
    return value.strftime('%Y-%m-%dT%H:%M:%SZ')


def _check_v1(given):
    unknown = sorted(set(given) - {'mode', 'launcher_image', 'pipeline_conf', 'type_check'})
    if unknown:
        raise TypeError(f'unexpected argument {unknown[0]!r}')
