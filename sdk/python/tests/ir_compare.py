"""Compares two compiled pipelines, whatever their components are called.

Every task's component and every component's executor is put in the place of its name, and
what depends on the SDK (its version, the exact program text) is levelled.
"""

import json
import re

import yaml


def load(path):
    """The pipeline at `path` as one nested value."""
    with open(path) as file:
        documents = list(yaml.safe_load_all(file))
    document = documents[0]
    platform = documents[1]['platforms']['kubernetes'] if len(documents) > 1 else {}
    executors = document.get('deploymentSpec', {}).get('executors', {})
    settings = platform.get('deploymentSpec', {}).get('executors', {})

    def component(entry):
        entry = dict(entry)
        label = entry.pop('executorLabel', None)
        if label is not None:
            entry['executor'] = executors[label]
            if executors[label].get('container', {}).get('image', '').startswith('argostub/'):
                entry = without_descriptions(entry)  # upstream's sentences are its own
            entry['platform'] = settings.get(label)
        if 'dag' in entry:
            entry['dag'] = dict(entry['dag'], tasks={
                name: dict(task, componentRef=component(document['components'][task['componentRef']['name']]))
                for name, task in entry['dag']['tasks'].items()})
        return entry
    return level({'root': component(document['root']), 'info': document['pipelineInfo'],
                  'rootUri': document.get('defaultPipelineRoot'), 'schema': document['schemaVersion'],
                  'config': platform.get('pipelineConfig')})


def without_descriptions(value):
    if isinstance(value, dict):
        return {name: without_descriptions(item) for name, item in value.items() if name != 'description'}
    return value


def level(value):
    if isinstance(value, dict):
        return {name: level(item) for name, item in value.items()}
    if isinstance(value, list):
        return [level(item) for item in value]
    if isinstance(value, str):
        value = re.sub(r'kfp==2\.\d+\.\d+', 'kfp==V', value)
        if value.startswith('{"'):
            value = json.dumps(json.loads(value), sort_keys=True)
        if 'executor_main' in value:
            value = re.sub(r'\s+', ' ', value)
    return value


def differences(ours, theirs, path=''):
    """['path: ours X, theirs Y', …]"""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found = []
        for name in sorted(set(ours) | set(theirs)):
            if name not in ours:
                found.append(f'{path}.{name}: missing; upstream has {str(theirs[name])[:300]}')
            elif name not in theirs:
                found.append(f'{path}.{name}: upstream has none; ours {str(ours[name])[:300]}')
            else:
                found += differences(ours[name], theirs[name], f'{path}.{name}')
        return found
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [text for number, (one, two) in enumerate(zip(ours, theirs))
                for text in differences(one, two, f'{path}[{number}]')]
    if ours != theirs:
        return [f'{path}: ours {ours!r}, upstream {theirs!r}']
    return []


if __name__ == '__main__':
    import glob
    import os
    import sys
    for theirs in sorted(glob.glob(sys.argv[2] + '/*.yaml')):
        ours = os.path.join(sys.argv[1], os.path.basename(theirs))
        if not os.path.exists(ours):
            print('NONE', ours)
            continue
        found = differences(load(ours), load(theirs))
        print('same' if not found else 'DIFF', os.path.basename(theirs))
        for text in found[:12]:
            print('    ', text[:700])
