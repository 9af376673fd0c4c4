"""What is wrong is refused with a clear error where the person looks, and nothing else is disturbed."""
import contextlib
import ctypes
import json
import os
import pathlib
import socket
import tempfile
import urllib.parse
import urllib.request
import uuid

import pytest
import yaml

from conftest import outputs, shell

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


# --- refused, and nothing stored ---

def no_component(spec):
    spec['root']['dag']['tasks']['step-0']['componentRef']['name'] = 'comp-gone'


def no_executor(spec):
    spec['components']['comp-step-0']['executorLabel'] = 'exec-gone'


def missing_input(spec):
    spec['components']['comp-step-0']['inputDefinitions'] = {'parameters': {'needed': {'parameterType': 'STRING'}}}


def unknown_input(spec):
    spec['root']['dag']['tasks']['step-0']['inputs'] = {'parameters': {'x': {'componentInputParameter': 'nowhere'}}}


def cycle(spec):
    spec['root']['dag']['tasks']['step-0']['dependentTasks'] = ['step-1']


def unknown_dependency(spec):
    spec['root']['dag']['tasks']['step-0']['dependentTasks'] = ['step-9']


def unknown_output(spec):
    spec['components']['comp-step-1']['inputDefinitions'] = {'parameters': {'x': {'parameterType': 'STRING'}}}
    spec['root']['dag']['tasks']['step-1']['inputs'] = {'parameters': {'x': {'taskOutputParameter': {
        'producerTask': 'step-0', 'outputParameterKey': 'nothing'}}}}


def component_in_itself(spec):
    spec['components']['comp-step-0'] = {'dag': {'tasks': {'again': {
        'taskInfo': {'name': 'again'}, 'componentRef': {'name': 'comp-step-0'}}}}}


def wrong_kind(spec):
    spec['root']['dag']['tasks'] = ['step-0']


BROKEN = [(no_component, ['step-0', 'comp-gone']), (no_executor, ['comp-step-0', 'exec-gone']),
          (missing_input, ['step-0', 'needed']), (unknown_input, ['step-0', 'nowhere']),
          (cycle, ['root.dag.tasks', 'step-0', 'step-1', 'wait for each other']), (unknown_dependency, ['step-0', 'step-9']),
          (unknown_output, ['step-1', 'nothing']), (component_in_itself, ['comp-step-0']),
          (wrong_kind, ['root.dag.tasks'])]


@pytest.mark.parametrize('spoil,words', BROKEN, ids=[spoil.__name__ for spoil, _ in BROKEN])
def test_a_broken_pipeline_is_refused(server, spoil, words):
    spec = shell('true', 'true')
    spoil(spec)
    before = count(server, 'runs'), count(server, 'pipelines')
    for answer in (server.post(RUNS, {'display_name': 'x', 'pipeline_spec': spec}),
                   upload(server, yaml.safe_dump(spec), 'broken-' + spoil.__name__)):
        assert answer.status == 400, answer.text
        for word in words:
            assert word in error(answer)
    assert (count(server, 'runs'), count(server, 'pipelines')) == before


@pytest.mark.parametrize('content', ['a: [1, 2', 'a: b: c', '\t- x\n- {', '{"pipelineInfo": ', '%', '', '- 1\n- 2',
                                     'just text', b'\xff\xfe\x00\x01', b'PK\x03\x04broken', b'\x1f\x8bbroken',
                                     'a: &x [*x]', 'x: ' + '[' * 5000,
                                     'a: &a [x,x]\n' + ''.join(f'{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)},*{chr(97 + i)}]\n'
                                                              for i in range(24))],
                         ids=['list', 'colons', 'tab', 'json', 'percent', 'empty', 'sequence', 'text', 'binary', 'zip', 'gzip',
                              'itself', 'deep', 'aliases'])
def test_malformed_uploads_are_refused(server, content):
    before = count(server, 'pipelines')
    answer = upload(server, content, 'malformed')
    assert answer.status in (400, 413), answer.text
    assert len(error(answer)) > 10
    assert count(server, 'pipelines') == before


@pytest.mark.parametrize('parameters,word', [
    ({'text': 'x'}, 'count'), ({'count': 1}, 'text'), ({'text': None, 'count': 1}, 'text'),
    ({'text': 'x', 'count': 'many'}, 'count'), ({'text': 'x', 'count': 1.5}, 'count'),
    ({'text': 'x', 'count': 1, 'items': {'a': 1}}, 'items'), ({'text': 'x', 'count': 1, 'other': 1}, 'other')])
def test_wrong_parameters_are_refused(server, parameters, word):
    before = count(server, 'runs')
    answer = server.post(RUNS, {'display_name': 'x', 'pipeline_spec': spec_with_inputs(),
                                'runtime_config': {'parameters': parameters}})
    assert answer.status == 400, answer.text
    assert word in answer.json['message']
    assert count(server, 'runs') == before


@pytest.mark.parametrize('path,body,word', [
    (RUNS, {'display_name': 'x', 'pipeline_spec': shell('true'), 'colour': 'red'}, 'colour'),
    (RUNS, {'display_name': 'x', 'pipeline_spec': shell('true'), 'runtime_config': {'speed': 9}}, 'speed'),
    ('/apis/v2beta1/experiments', {'display_name': 'unknown-field', 'colour': 'red'}, 'colour'),
    ('/apis/v2beta1/pipelines', {'display_name': 'unknown-field', 'name': 'unknown-field', 'colour': 'red'}, 'colour'),
    (RUNS, b'{"display_name": "x', 'JSON'), (RUNS, [1], ''), (RUNS, b'', ''), (RUNS, b'\xff', '')])
def test_wrong_requests_are_refused(server, path, body, word):
    before = count(server, 'runs'), count(server, 'experiments'), count(server, 'pipelines')
    answer = server.post(path, body)
    assert answer.status == 400, answer.text
    assert word in answer.json['message']
    assert (count(server, 'runs'), count(server, 'experiments'), count(server, 'pipelines')) == before


def talk(server, data):
    """What the server answers to bytes on a connection that is then closed."""
    host, port = server.url[len('http://'):].rstrip('/').rsplit(':', 1)
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b''
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                answer += piece
        return answer


def test_requests_that_are_cut_or_no_http(server):
    before = count(server, 'runs'), count(server, 'pipelines')
    body = json.dumps({'display_name': 'cut', 'pipeline_spec': shell('true')}).encode()
    head = f'POST {RUNS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n'.encode()
    answer = talk(server, head + body[:-5])
    assert b' 200 ' not in answer
    for data in (head + b'\0' * len(body), b'\0\1\2\3\r\n\r\n', b'GET / HTTP/1.1\r\nHost: x\r\n' + b'A: b\r\n' * 20000 + b'\r\n',
                 b'GET /' + b'x' * 100000 + b' HTTP/1.1\r\n\r\n',
                 head.replace(b'Content-Length: ', b'Content-Length: -') + body,
                 head.replace(b'Content-Length: ', b'Transfer-Encoding: chunked\r\nX: ') + b'zz\r\n' + body):
        answer = talk(server, data)
        assert answer == b'' or answer.split(b' ', 2)[1][:1] == b'4', answer[:200]
    assert (count(server, 'runs'), count(server, 'pipelines')) == before


def doubling():
    """Each of forty dags holds the next one twice."""
    spec = shell('true')
    tasks = {name: {'taskInfo': {'name': name}, 'componentRef': {'name': 'd0'}} for name in 'ab'}
    spec['root']['dag']['tasks'] = tasks
    for i in range(40):
        spec['components'][f'd{i}'] = {'dag': {'tasks': {
            name: {'taskInfo': {'name': name}, 'componentRef': {'name': f'd{i + 1}'}} for name in 'ab'}}}
    spec['components']['d40'] = {'dag': {'tasks': {}}}
    return {'display_name': 'x', 'pipeline_spec': spec}


@pytest.mark.parametrize('path,body,word', [
    (RUNS, b'{"a":' * 100_000, 'too deep'),
    (RUNS, doubling(), 'more than 1000000 tasks'),
    (RUNS, {'display_name': 'x', 'pipeline_spec': loop_spec([0] * 1_000_001)}, 'more than 1000000 tasks'),
    ('/apis/v2beta1/experiments', {'display_name': 'x' * 1_000_000}, 'display_name'),
    ('/apis/v2beta1/pipelines', {'display_name': 'x', 'name': 'x', 'tags': {f'k{i}': 'v' for i in range(10_000)}}, 'tags')],
    ids=['nesting', 'dags', 'loop', 'name', 'tags'])
def test_bombs_are_refused_at_once(server, path, body, word):
    before = count(server, 'runs'), count(server, 'experiments'), count(server, 'pipelines')
    answer = server.post(path, body)
    assert answer.status == 400, answer.text[:500]
    assert word in answer.json['message']
    assert (count(server, 'runs'), count(server, 'experiments'), count(server, 'pipelines')) == before


def test_bombs_in_uploads_are_refused(server):
    before = count(server, 'pipelines')
    aliases = 'a0: &a0 [x, x, x, x, x, x, x, x, x]\n' + ''.join(
        f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]\n' for i in range(1, 30))
    for text in (aliases, ''.join(' ' * i + 'a:\n' for i in range(1000)), '[' * 100_000,
                 b'a: &x.  \xff\xff,\n%  - "two"\n ,\n  - - , 0o7\n---\n- x\n  - , 0o7\n---\n-\xff'):
        answer = upload(server, text, 'bomb')
        assert answer.status == 400, answer.text[:500]
        assert 'YAML' in error(answer)
    assert count(server, 'pipelines') == before


@pytest.mark.parametrize('query,status', [
    ('page_size=99999999999999999999', 400), ('page_size=-1', 400), ('page_size=2000000000', 200),
    ('filter=' + '[' * 20_000, 400), ('filter=' + '[' * 200_000, 431), ('sort_by=' + 'a' * 20_000, 400),
    ('page_token=' + 'a' * 20_000, 400), ('filter=' + urllib.parse.quote(json.dumps({'predicates': [
        {'operation': 'EQUALS', 'key': 'name', 'string_value': 'x'}] * 200})), 400)])
def test_lists_with_too_much_asked(server, query, status):
    assert server.get(f'{RUNS}?{query}').status == status


# --- big ---

def test_big_uploads(server):
    spec = shell('echo ran')
    spec['pipelineInfo']['description'] = 'x' * (50 << 20)
    answer = upload(server, json.dumps(spec), 'fifty megabytes', 'p.json')
    assert answer.status == 200, answer.text[:500]
    pipeline = answer.json['pipeline_id']
    answer = server.post(RUNS, {'display_name': 'big', 'pipeline_version_reference': {'pipeline_id': pipeline}})
    assert answer.status == 200, answer.text[:500]
    assert server.wait(answer.json['run_id'])['state'] == 'SUCCEEDED'
    text = yaml.safe_dump(shell('true')).replace('name: shell-steps', 'name: shell-steps\n  description: ' + 'x' * (10 << 20))
    assert upload(server, text, 'ten megabytes of YAML').status == 200
    before = count(server, 'pipelines'), count(server, 'runs')
    body = b'{"display_name": "' + b'x' * (129 << 20) + b'"}'
    assert upload(server, body, 'too big', 'p.json').status == 413
    answer = server.post(RUNS, body)
    assert answer.status == 413 and 'body' in answer.text
    assert (count(server, 'pipelines'), count(server, 'runs')) == before
    assert server.get('/healthz').status == 200


def test_a_loop_over_100000_items_can_be_ended(server):
    run_id = server.submit(loop_spec(list(range(100000))))
    done = set()

    def some_ran(event):
        if event.get('task', {}).get('name') == 'work' and event['task']['state'] == 'SUCCEEDED':
            done.add(event['task']['path'])
            # Lists and other runs are answered meanwhile.
            if len(done) % 5 == 0:
                assert server.get(RUNS + '?page_size=5&sort_by=created_at%20desc').status == 200
        return len(done) >= 20
    server.wait_for(run_id, some_ran)
    other, _ = server.run(shell('echo other'))
    assert other['state'] == 'SUCCEEDED'
    assert server.post(f'{RUNS}/{run_id}:terminate').status == 200
    run = server.wait(run_id)
    assert run['state'] == 'CANCELED'
    page = server.get(f'{RUNS}/{run_id}/tasks?page_size=100').json
    assert page['total_size'] >= 40 and len(page['tasks']) == 100
    assert server.request('DELETE', f'{RUNS}/{run_id}').status == 200
    assert server.get(f'{RUNS}/{run_id}').status == 404


# --- names ---

NAMES = ['two words', 'quotes " and \' and `', 'unicode 한글 🎉 ñ', 'lines\nand\ttabs', '-rf $HOME; $(exit 9) %s \\',
         "' OR 1=1 --", '../../etc/passwd', '{{$.inputs}}']


@pytest.mark.parametrize('name', NAMES)
def test_strange_names(server, name):
    spec = echo_spec()
    spec['root']['dag']['tasks']['step-0']['taskInfo']['name'] = name
    experiment = server.post('/apis/v2beta1/experiments', {'display_name': name})
    assert experiment.status == 200, experiment.text
    answer = server.post(RUNS, {'display_name': name, 'pipeline_spec': spec, 'description': name,
                                'experiment_id': experiment.json['experiment_id'],
                                'runtime_config': {'parameters': {'text': name}}})
    assert answer.status == 200, answer.text
    run = server.wait(answer.json['run_id'])
    assert run['state'] == 'SUCCEEDED', run.get('error')
    assert run['display_name'] == run['description'] == name
    [task] = [t for tasks in server.tasks(run['run_id']).values() for t in tasks if t['type'] == 'RUNTIME']
    assert outputs(task) == {'copy': name}
    assert task['display_name'] == name
    where = json.dumps({'predicates': [{'key': 'display_name', 'operation': 'EQUALS', 'string_value': name}]})
    for what, key in (('runs', 'run_id'), ('experiments', 'experiment_id')):
        found = server.get(f'/apis/v2beta1/{what}?filter={urllib.parse.quote(where)}').json
        assert [item['display_name'] for item in found[what]] == [name]
        assert found[what][0][key] == answer.json[key]


def test_strange_task_keys(server):
    spec = shell('echo fine')
    tasks = spec['root']['dag']['tasks']
    name = 'a task\n"한글"/../x'
    tasks[name] = tasks.pop('step-0')
    answer = server.post(RUNS, {'display_name': 'keys', 'pipeline_spec': spec})
    if answer.status == 200:
        assert server.wait(answer.json['run_id'])['state'] == 'SUCCEEDED'
    else:
        assert answer.status == 400 and 'root.dag.tasks' in answer.json['message']


# --- tasks that misbehave ---

def test_a_task_that_prints_a_lot(server):
    run, tasks = server.run(shell('echo first; yes "$(printf %01000d 7)" | head -c 300M; echo; echo last'))
    assert run['state'] == 'SUCCEEDED', run.get('error')
    log = log_of(server, tasks['step-0'][0])
    assert log.status == 200
    assert len(log.text) < 270 << 20
    assert log.text.startswith('first\n') and log.text.endswith('\nlast\n')
    kept = sum(f.stat().st_blocks * 512 for f in (server.data / 'logs').rglob('*') if f.is_file())
    assert len(log.text) // 2 < kept < 280 << 20, list((server.data / 'logs').rglob('*'))


def test_a_failing_task_that_prints_no_text(server):
    run, tasks = server.run(shell("head -c 20000 /dev/urandom; yes 한 | tr -d '\\n' | head -c 100001; exit 1"))
    assert run['state'] == 'FAILED'
    assert 'exit code 1' in message(tasks['step-0'][0])
    for path in (f'{RUNS}/{run["run_id"]}', f'{RUNS}/{run["run_id"]}/tasks'):
        assert json.loads(raw(server, path).decode('utf-8'))


FORKS = ("trap '' TERM; i=0; while [ $i -lt 100 ]; do (trap '' TERM HUP INT; exec 3>&1; setsid sh -c "
         "'trap \"\" TERM HUP INT; while :; do sleep 1000; done' {marker} >/dev/null 2>&1 &) ; i=$((i+1)); done; "
         "echo forked; {then}")


def test_children_end_with_their_task(server):
    marker = 'penstock-' + uuid.uuid4().hex
    run, tasks = server.run(shell(FORKS.format(marker=marker, then='exit 0')))
    assert run['state'] == 'SUCCEEDED', run.get('error')
    assert log_of(server, tasks['step-0'][0]).text == 'forked\n'
    assert marked(marker) == []


def delete_pod(server, task, grace):
    [pod] = server.get('/api/v1/pods?labelSelector=pipeline/runid%3D' + task['run_id']).json['items']
    meta = pod['metadata']
    return server.request('DELETE', f'/api/v1/namespaces/{meta["namespace"]}/pods/{meta["name"]}?gracePeriodSeconds={grace}')


def test_a_task_that_ignores_sigterm_is_killed(server):
    marker = 'penstock-' + uuid.uuid4().hex
    run_id = server.submit(shell(FORKS.format(marker=marker, then='while :; do sleep 1000; done')))
    task_id = server.wait_for(run_id, running('step-0'))['task']['task_id']
    await_log(server, run_id, task_id, 'forked')
    assert len(marked(marker)) >= 100
    assert server.post(f'{RUNS}/{run_id}:terminate').status == 200
    assert server.get(f'{RUNS}/{run_id}').json['state'] == 'CANCELING'
    # The pod has 30 seconds to end; they are cut short as kubectl does it.
    task = server.get(f'{RUNS}/{run_id}/tasks/{task_id}').json
    answer = delete_pod(server, task, 1)
    assert answer.status in (200, 202), answer.text
    run = server.wait(run_id)
    assert run['state'] == 'CANCELED'
    assert server.tasks(run_id)['step-0'][0]['state'] == 'CANCELED'
    assert marked(marker) == []


def test_sigterm_ends_a_task_at_once(server):
    marker = 'penstock-' + uuid.uuid4().hex
    run_id = server.submit(shell(f'(sh -c "sleep 1000; :" {marker} &) ; echo up; sleep 1000; : {marker}'))
    task_id = server.wait_for(run_id, running('step-0'))['task']['task_id']
    await_log(server, run_id, task_id, 'up')
    server.post(f'{RUNS}/{run_id}:terminate')
    assert server.wait(run_id)['state'] == 'CANCELED'
    assert marked(marker) == []


def with_output(command):
    spec = shell(command, 'true')
    spec['components']['comp-step-0']['outputDefinitions'] = {'parameters': {'result': {'parameterType': 'NUMBER_INTEGER'}}}
    container = spec['deploymentSpec']['executors']['exec-step-0']['container']
    container['args'] = ["{{$.outputs.parameters['result'].output_file}}"]
    return spec


@pytest.mark.parametrize('command', ['true', 'echo text > "$0"', 'mkdir "$0"', 'head -c 1000000 /dev/urandom > "$0"',
                                     'ln -s /etc/shadow "$0"', 'mkfifo "$0"'],
                         ids=['none', 'type', 'folder', 'bytes', 'link', 'pipe'])
def test_an_output_that_is_not_there_or_wrong(server, command):
    run, tasks = server.run(with_output(command))
    assert run['state'] == 'FAILED'
    task = tasks['step-0'][0]
    assert task['state'] == 'FAILED'
    assert 'result' in message(task)
    assert 'step-0' in run['error']['message'] and 'result' in run['error']['message']
    assert tasks['step-1'][0]['state'] == 'SKIPPED'


@pytest.mark.parametrize('code', [1, 42, 255])
def test_exit_codes(server, code):
    run, tasks = server.run(shell(f'echo some words; exit {code}'))
    assert run['state'] == 'FAILED'
    assert f'exit code {code}' in message(tasks['step-0'][0])
    assert 'some words' in message(tasks['step-0'][0])
    assert run['error']['code'] == code


def test_commands_are_what_they_were_written(server):
    run, tasks = server.run(shell("echo '$$ $$$ $(HOME) $$(HOME) $HOME $'; echo $$$(echo x) | tr -d '0-9'"))
    assert run['state'] == 'SUCCEEDED'
    assert log_of(server, tasks['step-0'][0]).text == '$$ $$$ $(HOME) $$(HOME) $HOME $\nx\n'


def test_a_signal_ends_a_task(server):
    run, tasks = server.run(shell('kill -SEGV $$'))
    assert run['state'] == 'FAILED'
    assert '139' in message(tasks['step-0'][0])


def test_a_program_that_is_not_there(server):
    spec = shell('true')
    spec['deploymentSpec']['executors']['exec-step-0']['container']['command'] = ['no-such-program', 'x']
    run, tasks = server.run(spec)
    assert run['state'] == 'FAILED'
    assert 'no-such-program' in message(tasks['step-0'][0])
    assert 'no-such-program' in run['error']['message']


def test_memory_beyond_the_limit(server):
    run, tasks = server.run(shell("python3 -c 'x = bytearray(1 << 30); print(len(x))'",
                                  resources={'memoryLimit': 0.064, 'resourceMemoryLimit': '64M'}))
    assert run['state'] == 'FAILED'
    assert 'OOMKilled' in message(tasks['step-0'][0])


@pytest.mark.parametrize('resources,word', [
    ({'cpuLimit': 1000.0, 'resourceCpuLimit': '1000'}, 'cpu'), ({'cpuRequest': 1000.0, 'resourceCpuRequest': '1000'}, 'cpu'),
    ({'resourceMemoryRequest': '500Ti'}, 'memory'),
    ({'accelerator': {'resourceType': 'nvidia.com/gpu', 'resourceCount': '64'}}, 'nvidia.com/gpu')])
def test_a_request_that_never_fits(server, resources, word):
    run, tasks = server.run(shell('true', resources=resources))
    assert run['state'] == 'FAILED'
    assert word in message(tasks['step-0'][0]) and 'never' in message(tasks['step-0'][0])


def test_a_resource_that_is_none(server):
    spec = shell('true', resources={'resourceCpuLimit': 'lots'})
    answer = server.post(RUNS, {'display_name': 'x', 'pipeline_spec': spec})
    if answer.status == 200:
        run = server.wait(answer.json['run_id'])
        assert run['state'] == 'FAILED' and 'lots' in run['error']['message']
    else:
        assert answer.status == 400 and 'lots' in answer.json['message']


def test_more_than_fits_waits(new_server):
    one = new_server(['--cpus', '2'])
    run, tasks = one.run(shell(*['true'] * 6, after=False, resources={'cpuLimit': 2.0, 'resourceCpuLimit': '2'}))
    assert run['state'] == 'SUCCEEDED'
    spans = sorted((t['start_time'], t['end_time']) for name in tasks for t in tasks[name] if t['type'] == 'RUNTIME')
    assert len(spans) == 6


# --- a full disk ---

@pytest.fixture
def small_disk():
    if not ROOT_USER:
        pytest.skip('mounting a small tmpfs needs root')
    libc = ctypes.CDLL(None, use_errno=True)
    folder = tempfile.mkdtemp(prefix='penstock-small-')
    if libc.mount(b'tmpfs', folder.encode(), b'tmpfs', 0, b'size=60m') != 0:
        os.rmdir(folder)
        pytest.skip('mounting a tmpfs is not permitted here: ' + os.strerror(ctypes.get_errno()))
    yield pathlib.Path(folder)
    assert libc.umount2(folder.encode(), 2) == 0
    os.rmdir(folder)


def test_a_full_disk(small_disk, new_server):
    data = small_disk / 'data'
    one = new_server(data=str(data))
    try:
        run, _ = one.run(shell('echo before'))
        assert run['state'] == 'SUCCEEDED'
        # The task fills the disk in its own folder, sees so, and fails; its files go with it.
        run_id = one.submit(shell('words=$(head -c 200M /dev/zero 2>&1 > /tmp/fill) || { rm /tmp/fill; echo "$words"; exit 7; }'))
        run = one.wait(run_id)
        assert run['state'] == 'FAILED'
        assert 'exit code 7' in run['error']['message'] and 'No space left' in run['error']['message']
        # A disk that stays full for a while: what cannot be written is refused or waits, and nothing dies.
        waiting = one.submit(shell('read line < /tmp/none || true; echo through', 'echo second'))
        fill = small_disk / 'fill'
        with open(fill, 'wb', buffering=0) as f:
            with contextlib.suppress(OSError):
                while True:
                    f.write(b'x' * 65536)
            with contextlib.suppress(OSError):
                while True:
                    f.write(b'x')
        runs = count(one, 'runs')
        big = shell('true')
        big['pipelineInfo']['description'] = 'x' * (4 << 20)
        answer = one.post(RUNS, {'display_name': 'full', 'pipeline_spec': big})
        assert answer.status in (429, 503, 507), answer.text
        assert 'full' in answer.json['message'] or 'space' in answer.json['message']
        assert one.get('/healthz').status == 200
        assert count(one, 'runs') == runs
        fill.unlink()
        assert one.wait(waiting)['state'] in ('SUCCEEDED', 'FAILED')
        run, tasks = one.run(shell('echo after'))
        assert run['state'] == 'SUCCEEDED'
        assert log_of(one, tasks['step-0'][0]).text == 'after\n'
        assert one.process.poll() is None
    finally:
        one.destroy()
        open(one.log.name, 'w').close()  # destroy() is called once more by the fixture


def custom_path_spec(uri, before=''):
    """One step that says where it wrote its artifact, and under which URI it wants it."""
    output = ('{"artifacts": {"data": {"artifacts": [{"name": "data", "uri": "' + uri
              + '", "custom_path": "/tmp/mine"}]}}}')
    spec = shell(f"{before}echo mine > /tmp/mine; mkdir -p /tmp/kfp_outputs; printf '%s' '{output}' "
                 "> /tmp/kfp_outputs/output_metadata.json")
    spec['components']['comp-step-0']['outputDefinitions'] = {
        'artifacts': {'data': {'artifactType': {'schemaTitle': 'system.Dataset'}}}}
    return spec


def test_a_custom_path_reaches_the_tasks_own_place_only(server):
    victim = server.data / 'objects/mlpipeline/of-others'
    victim.write_text('theirs')
    root = "{{$.outputs.artifacts['data'].uri}}"
    run, tasks = server.run(custom_path_spec(root))
    assert run['state'] == 'SUCCEEDED', run['error']
    for uri, before in (('minio://mlpipeline/of-others', ''), (root + '/../../../../../of-others', ''),
                        (root + '-link/of-others', "p={{$.outputs.artifacts['data'].path}}; "
                                                   'ln -s ../../../../../.. "$p-link" && ')):
        run, tasks = server.run(custom_path_spec(uri, before))
        assert victim.read_text() == 'theirs'
        if '..' not in uri:
            assert run['state'] == 'FAILED'
            assert "a URI that is not its task's" in message(tasks['step-0'][0])
