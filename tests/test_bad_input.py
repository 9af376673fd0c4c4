"""What is wrong is refused with a clear error where the person looks, and nothing else is disturbed."""
import contextlib
import json
import socket
import urllib.parse

import pytest
import yaml

from conftest import outputs, shell
from steps import RUNS, count, echo_spec, error, loop_spec, spec_with_inputs, upload

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
