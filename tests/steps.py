"""What several tests make of steps, and ask about them."""
import contextlib
import json
import os
import pathlib
import urllib.parse
import urllib.request
import uuid

from conftest import shell

RUNS = '/apis/v2beta1/runs'
ROOT_USER = os.geteuid() == 0


def spec_with_inputs(command='echo ok'):
    """One step that takes a text, a number and a list from the run, and gives the text back."""
    spec = shell(command)
    inputs = {'parameters': {'text': {'parameterType': 'STRING'}, 'count': {'parameterType': 'NUMBER_INTEGER'},
                             'items': {'parameterType': 'LIST', 'isOptional': True, 'defaultValue': []}}}
    spec['root']['inputDefinitions'] = inputs
    return spec


def echo_spec():
    """A step whose output is the run's text."""
    spec = shell('printf %s "$0" > "$1"')
    spec['deploymentSpec']['executors']['exec-step-0']['container']['args'] = [
        "{{$.inputs.parameters['text']}}", "{{$.outputs.parameters['copy'].output_file}}"]
    spec['components']['comp-step-0'].update(
        inputDefinitions={'parameters': {'text': {'parameterType': 'STRING'}}},
        outputDefinitions={'parameters': {'copy': {'parameterType': 'STRING'}}})
    spec['root']['dag']['tasks']['step-0']['inputs'] = {'parameters': {'text': {'componentInputParameter': 'text'}}}
    spec['root']['inputDefinitions'] = {'parameters': {'text': {'parameterType': 'STRING'}}}
    return spec


def loop_spec(items, command='true', parallelism=0):
    body = {'tasks': {'work': {'taskInfo': {'name': 'work'}, 'componentRef': {'name': 'comp-work'}}}}
    loop = {'taskInfo': {'name': 'loop'}, 'componentRef': {'name': 'comp-loop'},
            'parameterIterator': {'itemInput': 'item', 'items': {'raw': json.dumps(items)}}}
    if parallelism:
        loop['iteratorPolicy'] = {'parallelismLimit': parallelism}
    return {'pipelineInfo': {'name': 'loops'}, 'schemaVersion': '2.1.0', 'sdkVersion': 'kfp-2.17.0',
            'root': {'dag': {'tasks': {'loop': loop}}},
            'components': {'comp-loop': {'dag': body, 'inputDefinitions': {'parameters': {
                'item': {'parameterType': 'NUMBER_INTEGER'}}}}, 'comp-work': {'executorLabel': 'exec-work'}},
            'deploymentSpec': {'executors': {'exec-work': {'container': {
                'image': 'debian:12', 'command': ['sh', '-c', command]}}}}}


def upload(server, content, name, file_name='p.yaml'):
    """As the KFP client does; returns the answer."""
    edge = uuid.uuid4().hex
    if isinstance(content, str):
        content = content.encode()
    body = (f'--{edge}\r\nContent-Disposition: form-data; name="uploadfile"; filename="{file_name}"\r\n'
            'Content-Type: application/octet-stream\r\n\r\n').encode() + content + f'\r\n--{edge}--\r\n'.encode()
    return server.request('POST', '/apis/v2beta1/pipelines/upload?name=' + urllib.parse.quote(name), body,
                          {'Content-Type': f'multipart/form-data; boundary={edge}'})


def error(answer):
    body = answer.json
    return body.get('message') or body['error_message']  # uploads answer as KFP's do


def raw(server, path):
    with urllib.request.urlopen(server.url + path) as response:
        return response.read()


def count(server, what):
    return server.get(f'/apis/v2beta1/{what}?page_size=1').json.get('total_size', 0)


def log_of(server, task):
    return server.get(f'/apis/v1alpha1/runs/{task["run_id"]}/nodes/{task["task_id"]}/log')


def message(task):
    return task['status_metadata']['message']


def running(name):
    return lambda event: event.get('task', {}).get('name') == name and event['task']['state'] == 'RUNNING'


def marked(marker):
    """The processes whose command line has the marker."""
    found = []
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                if marker.encode() in pathlib.Path('/proc', entry, 'cmdline').read_bytes():
                    found.append(int(entry))
    return found


def await_log(server, run_id, task_id, text, timeout=60):
    """Follows a running task's log until it holds the text."""
    url = f'{server.url}/apis/v1alpha1/runs/{run_id}/nodes/{task_id}/log?follow=true'
    seen = b''
    with urllib.request.urlopen(url, timeout=timeout) as stream:
        while text.encode() not in seen:
            piece = stream.read1(65536)
            assert piece, f'the log ended without {text!r}: {seen[-2000:]!r}'
            seen += piece
    return seen.decode('utf-8', 'replace')
