"""Checks that every reference in an IR document leads somewhere, as a backend would."""

import re


def problems(document):
    """A list of texts; empty when the document is sound."""
    found = []
    components = document.get('components', {})
    executors = document.get('deploymentSpec', {}).get('executors', {})

    def names(component, end):
        definitions = component.get(end, {})
        return set(definitions.get('parameters', {})), set(definitions.get('artifacts', {}))

    def check(component, where):
        label = component.get('executorLabel')
        if label is not None:
            if label not in executors:
                found.append(f'{where}: no executor {label}')
            return
        tasks = component['dag']['tasks']
        inputs = names(component, 'inputDefinitions')
        for name, task in tasks.items():
            place = f'{where}.{name}'
            target = components.get(task['componentRef']['name'])
            if target is None:
                found.append(f'{place}: no component {task["componentRef"]["name"]}')
                continue
            check_task(task, name, target, tasks, inputs, place)
        for key, section in (('parameters', 0), ('artifacts', 1)):
            declared = names(component, 'outputDefinitions')[section]
            given = component['dag'].get('outputs', {}).get(key, {})
            if declared != set(given):
                found.append(f'{where}: outputs {sorted(declared)} declared and {sorted(given)} given')
            for value in given.values():
                for selector in _selectors(value):
                    check_output(selector['producerSubtask'],
                                 selector.get('outputParameterKey') or selector.get('outputArtifactKey'), section, tasks, where)

    def check_output(task, key, section, tasks, where):
        if task not in tasks:
            found.append(f'{where}: takes from {task}, which is not in the dag')
        elif key not in names(components[tasks[task]['componentRef']['name']], 'outputDefinitions')[section]:
            found.append(f'{where}: takes {key} from {task}, which has no such output')

    def check_task(task, name, target, tasks, inputs, place):
        declared = names(target, 'inputDefinitions')
        given = task.get('inputs', {})
        iterated = {task.get(kind, {}).get('itemInput') for kind in ('parameterIterator', 'artifactIterator')}
        for section, key in enumerate(('parameters', 'artifacts')):
            for entry_name, reference in given.get(key, {}).items():
                check_reference(reference, task, tasks, inputs, f'{place}.{entry_name}')
            definitions = target.get('inputDefinitions', {}).get(key, {})
            for wanted, definition in definitions.items():
                if wanted not in given.get(key, {}) and not definition.get('isOptional') and wanted not in iterated:
                    found.append(f'{place}: the input {wanted} is not given')
            extra = set(given.get(key, {})) - declared[section]
            if 'dag' in target and extra:
                found.append(f'{place}: gives {sorted(extra)} to a group that does not declare it')
        condition = task.get('triggerPolicy', {}).get('condition', '')
        for used in re.findall(r"parameter_values\['([^']*)'\]", condition):
            if used not in given.get('parameters', {}):
                found.append(f'{place}: the condition uses {used}, which is not given')
        for other in task.get('dependentTasks', []):
            if other not in tasks or other == name:
                found.append(f'{place}: waits for {other}')
        items = task.get('parameterIterator', {}).get('items', {})
        if 'inputParameter' in items and items['inputParameter'] not in given.get('parameters', {}):
            found.append(f'{place}: loops over {items}, which is not given')
        check(target, place)

    def check_reference(reference, task, tasks, inputs, place):
        if 'componentInputParameter' in reference and reference['componentInputParameter'] not in inputs[0]:
            found.append(f'{place}: no input {reference["componentInputParameter"]} around it')
        if 'componentInputArtifact' in reference and reference['componentInputArtifact'] not in inputs[1]:
            found.append(f'{place}: no input artifact {reference["componentInputArtifact"]} around it')
        for kind, section, key in (('taskOutputParameter', 0, 'outputParameterKey'), ('taskOutputArtifact', 1, 'outputArtifactKey')):
            if kind in reference:
                producer = reference[kind]['producerTask']
                check_output(producer, reference[kind][key], section, tasks, place)
                if producer not in task.get('dependentTasks', []):
                    found.append(f'{place}: does not wait for {producer}')
        constant = str(reference.get('runtimeValue', {}).get('constant', ''))
        for used in re.findall(r"\{\{\$\.inputs\.parameters\['([^']*)'\]\}\}", constant):
            if used not in task['inputs']['parameters']:
                found.append(f'{place}: the text uses {used}, which is not given')
        if 'pipelineparam' in constant:
            found.append(f'{place}: an unresolved value in {constant!r}')

    check(document['root'], 'root')
    return found


def _selectors(value):
    if 'valueFromParameter' in value:
        return [value['valueFromParameter']]
    if 'valueFromOneof' in value:
        return value['valueFromOneof']['parameterSelectors']
    return value['artifactSelectors']
