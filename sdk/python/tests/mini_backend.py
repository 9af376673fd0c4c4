"""A backend in two hundred lines: runs IR with local processes, one task at a time.

For tests only. It knows parameters, artifacts as local files, conditions, loops, exit
handlers and the placeholders that this package emits.
"""

import json
import os
import re
import subprocess

import ir_check


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


class Backend:
    def __init__(self, document, folder, environment):
        problems = ir_check.problems(document)
        assert not problems, problems
        self.document = document
        self.folder = str(folder)
        self.environment = environment
        self.ran = []
        self.output = {}
        self.states = {}
        self._count = 0

    def run(self, **arguments):
        """The pipeline's outputs; raises Failed."""
        definitions = self.document['root'].get('inputDefinitions', {}).get('parameters', {})
        values = {name: entry.get('defaultValue') for name, entry in definitions.items()}
        values.update(arguments)
        return self._dag(self.document['root'], values)

    def _dag(self, component, values):
        tasks = component['dag']['tasks']
        results, states, waiting = {}, {}, dict(tasks)
        while waiting:
            name = next(name for name in sorted(waiting) if not set(waiting[name].get('dependentTasks', [])) & set(waiting))
            task = waiting.pop(name)
            states[name] = self._task(name, task, values, results, states)
            self.states[name] = states[name]
        outputs = {}
        for section in component['dag'].get('outputs', {}).values():
            for key, value in section.items():
                for selector in ir_check._selectors(value):
                    found = results.get(selector['producerSubtask'])
                    key_inside = selector.get('outputParameterKey') or selector.get('outputArtifactKey')
                    if found is not None and key_inside in found:
                        outputs[key] = found[key_inside]
        if 'FAILED' in states.values():
            raise Failed({name: self.output.get(name) for name, state in states.items() if state == 'FAILED'})
        return outputs

    def _task(self, name, task, values, results, states):
        upstream = [states[other] for other in task.get('dependentTasks', [])]
        always = task.get('triggerPolicy', {}).get('strategy') == 'ALL_UPSTREAM_TASKS_COMPLETED'
        if not always and any(state != 'SUCCEEDED' for state in upstream):
            return 'SKIPPED'
        component = self.document['components'][task['componentRef']['name']]
        inputs = self._inputs(task, component, values, results, states)
        condition = task.get('triggerPolicy', {}).get('condition')
        if condition and not _holds(condition, inputs):
            return 'SKIPPED'
        try:
            results[name] = self._iterate(name, task, component, inputs)
        except Failed:
            return 'FAILED'
        return 'SUCCEEDED'

    def _inputs(self, task, component, values, results, states):
        found = {}
        for section in ('parameters', 'artifacts'):
            for key, entry in component.get('inputDefinitions', {}).get(section, {}).items():
                if 'defaultValue' in entry:
                    found[key] = entry['defaultValue']
            for key, reference in task.get('inputs', {}).get(section, {}).items():
                found[key] = self._value(reference, values, results, states)
        def fill(value):
            if isinstance(value, str):
                return re.sub(r"\{\{\$\.inputs\.parameters\['([^']*)'\]\}\}", lambda match: _text(found[match.group(1)]), value)
            if isinstance(value, list):
                return [fill(item) for item in value]
            if isinstance(value, dict):
                return {fill(key): fill(item) for key, item in value.items()}
            return value
        return {key: fill(value) for key, value in found.items()}

    def _value(self, reference, values, results, states):
        if 'runtimeValue' in reference:
            return reference['runtimeValue']['constant']
        if 'taskFinalStatus' in reference:
            producer = reference['taskFinalStatus']['producerTask']
            return {'state': states[producer], 'pipelineTaskName': producer, 'pipelineJobResourceName': 'job', 'error': {}}
        for kind in ('taskOutputParameter', 'taskOutputArtifact'):
            if kind in reference:
                entry = reference[kind]
                value = (results.get(entry['producerTask']) or {}).get(entry.get('outputParameterKey') or entry.get('outputArtifactKey'))
                break
        else:
            value = values.get(reference.get('componentInputParameter') or reference.get('componentInputArtifact'))
        selector = reference.get('parameterExpressionSelector')
        if selector:
            value = (json.loads(value) if isinstance(value, str) else value)[re.match(r'.*\["(.*)"\]', selector).group(1)]
        return value

    def _iterate(self, name, task, component, inputs):
        loop = task.get('parameterIterator') or task.get('artifactIterator')
        if loop is None:
            return self._run(name, component, inputs)
        items = json.loads(loop['items']['raw']) if 'raw' in loop['items'] else inputs[
            loop['items'].get('inputParameter') or loop['items'].get('inputArtifact')]
        collected = {}
        for item in items:
            for key, value in self._run(name, component, dict(inputs, **{loop['itemInput']: item})).items():
                collected.setdefault(key, []).extend(value if self._is_inner_list(component, key) else [value])
        return collected

    def _is_inner_list(self, component, key):
        """Whether the value is already a list that an inner loop collected."""
        for section in component['dag'].get('outputs', {}).values():
            for selector in ir_check._selectors(section[key]) if key in section else []:
                inner = component['dag']['tasks'][selector['producerSubtask']]
                return 'parameterIterator' in inner or 'artifactIterator' in inner
        return False

    def _run(self, name, component, inputs):
        if 'dag' in component:
            return self._dag(component, inputs)
        executor = self.document['deploymentSpec']['executors'][component['executorLabel']]
        self._count += 1
        folder = os.path.join(self.folder, f'{self._count}-{name}')
        os.makedirs(folder)
        if 'importer' in executor:
            uri = executor['importer']['artifactUri']
            return {'artifact': {'name': 'artifact', 'uri': uri.get('constant') or inputs['uri'], 'metadata': {}}}
        self.ran.append(name)
        return self._container(name, component, executor['container'], inputs, folder)

    def _container(self, name, component, container, inputs, folder):
        definitions = component.get('outputDefinitions', {})
        parameters = {key: os.path.join(folder, key) for key in definitions.get('parameters', {})}
        artifacts = {key: {'name': key, 'uri': os.path.join(folder, key), 'metadata': {},
                           'type': entry['artifactType']} for key, entry in definitions.get('artifacts', {}).items()}
        declared = component.get('inputDefinitions', {})
        given = {'parameterValues': {key: inputs[key] for key in declared.get('parameters', {}) if inputs.get(key) is not None},
                 'artifacts': {key: {'artifacts': inputs[key] if isinstance(inputs[key], list) else [inputs[key]]}
                               for key in declared.get('artifacts', {}) if inputs.get(key) is not None}}
        executor_input = {'inputs': given, 'outputs': {
            'parameters': {key: {'outputFile': path} for key, path in parameters.items()},
            'artifacts': {key: {'artifacts': [value]} for key, value in artifacts.items()},
            'outputFile': os.path.join(folder, 'output.json')}}
        words = []
        for word in container.get('command', []) + container.get('args', []):
            words += self._word(word, inputs, parameters, artifacts, executor_input)
        words = _without_pip(words)
        done = subprocess.run(words, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder)
        self.output[name] = self.output.get(name, '') + done.stdout.decode()
        if done.returncode:
            raise Failed(f'{name}: {done.stdout.decode()}')
        results = dict(artifacts)
        for key, path in parameters.items():
            if os.path.exists(path):
                with open(path) as file:
                    results[key] = _parse(file.read(), definitions['parameters'][key]['parameterType'])
        if os.path.exists(executor_input['outputs']['outputFile']):
            with open(executor_input['outputs']['outputFile']) as file:
                written = json.load(file)
            results.update(written.get('parameterValues', {}))
            results.update({key: value['artifacts'][0] for key, value in written.get('artifacts', {}).items()})
        return results

    def _word(self, word, inputs, parameters, artifacts, executor_input):
        if word.startswith('{"IfPresent"'):
            entry = json.loads(word)['IfPresent']
            chosen = entry['Then'] if inputs.get(entry['InputName']) is not None else entry.get('Else', [])
            chosen = chosen if isinstance(chosen, list) else [chosen]
            return [text for part in chosen for text in self._word(part, inputs, parameters, artifacts, executor_input)]
        if word == '{{$}}':
            return [json.dumps(executor_input)]

        def fill(match):
            end, kind, key, field = match.groups()
            if kind == 'parameters':
                return parameters[key] if end == 'outputs' else _text(inputs[key])
            return (artifacts if end == 'outputs' else inputs)[key]['uri']
        return [re.sub(r"\{\{\$\.(inputs|outputs)\.(parameters|artifacts)\['([^']*)'\](?:\.(\w+))?\}\}", fill, word)]


def _without_pip(words):
    """The command without the part that installs packages."""
    if words[:2] == ['sh', '-c'] and 'pip install' in words[2]:
        return words[3:]
    return words


def _text(value):
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(_whole(value))


def _whole(value):
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return value


def _parse(text, kind):
    if kind == 'STRING':
        return text
    if kind == 'NUMBER_INTEGER':
        return int(text)
    if kind == 'NUMBER_DOUBLE':
        return float(text)
    return json.loads(text.lower() if kind == 'BOOLEAN' else text)


def _holds(condition, inputs):
    """The value of a condition in the CEL that this package writes."""
    text = condition.replace('&&', ' and ').replace('!(', ' not (').replace('inputs.parameter_values', 'values')
    text = re.sub(r'\btrue\b', 'True', re.sub(r'\bfalse\b', 'False', text))
    return bool(eval(text, {'values': inputs, 'double': float, 'int': int}))
