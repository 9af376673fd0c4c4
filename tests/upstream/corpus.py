"""The reference's compiled pipelines through the upstream client: corpus.py HOST FOLDER. Prints what each came to, by file."""
import json
import pathlib
import sys

import kfp
import kfp_server_api
import yaml

# What required inputs are given, by type.
VALUES = {'STRING': 'x', 'NUMBER_INTEGER': 5, 'NUMBER_DOUBLE': 5.0, 'BOOLEAN': True, 'LIST': [], 'STRUCT': {'a': 1}}


def start(client, experiment_id, path):
    """Uploads a pipeline and starts a run of it, which the cache does not answer."""
    spec = next(yaml.safe_load_all(path.read_text()))
    inputs = spec['root'].get('inputDefinitions', {}).get('parameters', {})
    values = {name: VALUES[given['parameterType']] for name, given in inputs.items()
              if 'defaultValue' not in given and not given.get('isOptional')}
    pipeline = client.upload_pipeline(str(path), f'upstream {path.stem}')
    version = client.list_pipeline_versions(pipeline.pipeline_id).pipeline_versions[0]
    return client.run_pipeline(experiment_id, path.stem, params=values, pipeline_id=pipeline.pipeline_id,
                               version_id=version.pipeline_version_id, enable_caching=False).run_id


def refusal(client, path):
    """The status that the file is refused with, and whether anything stayed of it."""
    name = f'upstream {path.name}'
    try:
        client.upload_pipeline(str(path), name)
    except kfp_server_api.ApiException as error:
        return [error.status, client.get_pipeline_id(name) is not None]
    except ValueError as error:  # the client itself knows that it is no package
        return [str(error), client.get_pipeline_id(name) is not None]
    return [200, True]


def main(host, folder):
    client = kfp.Client(host=host)
    experiment_id = client.create_experiment('Corpus').experiment_id
    corpus = pathlib.Path(folder)
    runs = {path: start(client, experiment_id, path) for kind in ('failing', 'parallel_and_nested', 'essential')
            for path in sorted((corpus / kind).iterdir())}
    found = {}
    for path, run_id in runs.items():
        run = client.wait_for_run_completion(run_id, timeout=300, sleep_duration=0.2)
        tasks = {}
        for task in run.run_details.task_details:
            tasks.setdefault(task.display_name, []).append(task.state)
        found[f'{path.parent.name}/{path.name}'] = {
            'state': run.state, 'error': run.error.message if run.error else '', 'tasks': tasks}
    for path in sorted((corpus / 'invalid').iterdir()):
        found[f'invalid/{path.name}'] = refusal(client, path)
    print(json.dumps(found))


if __name__ == '__main__':
    main(*sys.argv[1:])
