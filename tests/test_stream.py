"""What the dashboard hears of changes, and the tasks' logs as it reads them."""
import contextlib
import json
import urllib.error
import urllib.request

import pytest

from conftest import shell
from steps import running


class Events:
    """A reader of server-sent events."""

    def __init__(self, response):
        self.response = response

    def __iter__(self):
        event = {}
        for line in self.response:
            text = line.decode().rstrip('\n')
            if text:
                name, _, value = text.partition(': ')
                event[name] = value
            elif 'data' in event:
                yield event.get('event', 'message'), json.loads(event['data']), event.get('id')
                event = {}
            else:
                event = {}

    def until(self, wanted):
        """All up to the first for which `wanted(data)` holds."""
        seen = []
        for event, data, place in self:
            seen.append((event, data, place))
            if event == 'change' and wanted(data):
                return seen
        raise AssertionError(f'the stream ended: {seen}')


@contextlib.contextmanager
def stream(server, query='', headers=None, path='/apis/penstock/v1/stream'):
    request = urllib.request.Request(server.url + path + query,
                                     headers={'Accept': 'text/event-stream', **(headers or {})})
    with urllib.request.urlopen(request, timeout=60) as response:
        assert response.headers['Content-Type'] == 'text/event-stream'
        yield Events(response)


def first(events):
    return next(iter(events))


def run_is(run_id, state):
    return lambda data: (data['kind'], data['id'], data.get('state')) == ('run', run_id, state)


def test_a_run_from_its_beginning_to_its_end(server):
    with stream(server, '?topics=runs,tasks,experiments') as events:
        assert first(events)[0] == 'ready'
        run_id = server.submit(shell('true', 'false'))
        seen = events.until(run_is(run_id, 'FAILED'))
    versions = [data['version'] for _, data, _ in seen]
    assert versions == sorted(versions)
    mine = [data for _, data, _ in seen if run_id in (data['id'], data.get('parent'))]
    assert [data['state'] for data in mine if data['kind'] == 'run'][0] == 'PENDING'
    tasks = server.tasks(run_id)
    last = {data['id']: data['state'] for data in mine if data['kind'] == 'task'}
    for name, state in (('step-0', 'SUCCEEDED'), ('step-1', 'FAILED')):
        assert last[tasks[name][0]['task_id']] == state
    assert any(data['kind'] == 'experiment' for _, data, _ in seen)


def test_a_topic_of_one_run_is_about_it_alone(server):
    other = server.submit(shell('true'))
    server.wait(other)
    made = server.post('/apis/v2beta1/experiments', {'display_name': 'of the stream'}).json
    run_id = server.submit(shell('true'))
    server.wait(run_id)
    with stream(server, f'?topics=run:{run_id},experiments') as events:
        first(events)
        for command in ('archive', 'unarchive'):
            for run in (other, run_id):
                assert server.post(f'/apis/v2beta1/runs/{run}:{command}').status == 200
        assert server.request('DELETE', f'/apis/v2beta1/experiments/{made["experiment_id"]}').status == 200
        seen = [data for _, data, _ in events.until(
            lambda data: (data['kind'], data['type'], data['id']) == ('experiment', 'DELETED', made['experiment_id']))]
    # The run's pods may go at this time.
    assert {data['id'] for data in seen if data['kind'] != 'pod'} == {run_id, made['experiment_id']}
    assert all(data['parent'] == run_id for data in seen if data['kind'] == 'pod')


def test_every_kind_is_told(server, tmp_path):
    with stream(server) as events:
        first(events)
        spec = tmp_path / 'p.yaml'
        spec.write_text(json.dumps(shell('true')))
        pipeline = server.upload(spec, name='told').json['pipeline_id']
        recurring = server.post('/apis/v2beta1/recurringruns', {
            'display_name': 'r', 'pipeline_spec': shell('true'), 'mode': 'DISABLE',
            'trigger': {'periodic_schedule': {'interval_second': 1000}}}).json['recurring_run_id']
        pod = {'metadata': {'name': 'told', 'namespace': 'default'},
               'spec': {'containers': [{'name': 'main', 'image': 'x', 'command': ['true']}]}}
        assert server.post('/api/v1/namespaces/default/pods', pod).status == 201
        assert server.post('/api/v1/namespaces/default/events', {
            'metadata': {'name': 'told', 'namespace': 'default'}, 'reason': 'Told',
            'involvedObject': {'kind': 'Pod', 'name': 'told', 'namespace': 'default'}}).status == 201
        wanted = {'pod', 'event', 'pipeline', 'version', 'recurringrun'}

        def all_told(data):
            if data['id'] in (pipeline, recurring, 'told') or data.get('parent') == pipeline:
                wanted.discard(data['kind'])
            return not wanted

        seen = events.until(all_told)
    told = {(data['kind'], data['id']): data for _, data, _ in seen}
    assert ('pipeline', pipeline) in told and told[('recurringrun', recurring)]['state'] == 'DISABLED'
    assert any(kind == 'version' and data['parent'] == pipeline for (kind, _), data in told.items())
    assert told[('pod', 'told')]['namespace'] == 'default'
    assert (told[('event', 'told')]['state'], told[('event', 'told')]['parent']) == ('Told', 'told')


def test_a_namespace_is_about_itself(server):
    for name in ('one', 'two'):
        server.post('/api/v1/namespaces', {'metadata': {'name': f'stream-{name}'}})
    with stream(server, '?namespace=stream-two&topics=events') as events:
        first(events)
        for name in ('one', 'two'):
            assert server.post(f'/api/v1/namespaces/stream-{name}/events', {
                'metadata': {'name': f'e-{name}'}, 'reason': 'R',
                'involvedObject': {'kind': 'Pod', 'name': 'p', 'namespace': f'stream-{name}'}}).status == 201
        seen = events.until(lambda data: True)
    assert [data['id'] for _, data, _ in seen] == ['e-two']


def test_who_connects_again_gets_what_it_missed(server):
    with stream(server, '?topics=runs') as events:
        first(events)
        run_id = server.submit(shell('true'))
        place = events.until(run_is(run_id, 'PENDING'))[-1][2]
    server.wait(run_id)
    for headers, query in (({'Last-Event-ID': place}, ''), ({}, f'&last_event_id={place}')):
        with stream(server, '?topics=runs' + query, headers) as events:
            assert first(events)[0] == 'ready'
            assert run_is(run_id, 'SUCCEEDED')(events.until(run_is(run_id, 'SUCCEEDED'))[-1][1])


def test_who_missed_too_much_is_told_to_look_again(new_server):
    one = new_server()
    with stream(one, '?topics=runs') as events:
        place = first(events)[2]
    one.stop()
    one.start()
    for old in (place, 'rubbish', place + '9'):
        with stream(one, '', {'Last-Event-ID': old}) as events:
            event, _, new = first(events)
            assert event == 'reset' and new != old


def test_bad_topics(server):
    for topics in ('nothing', 'runs,,tasks', 'run:'):
        with pytest.raises(urllib.error.HTTPError) as error:
            with stream(server, f'?topics={topics}'):
                pass
        assert error.value.code == 400 and 'topics' in error.value.read().decode()


def test_many_listen_and_the_server_stops_at_once(new_server):
    one = new_server()
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(stream(one, '?topics=runs')) for _ in range(200)]
        for events in streams:
            assert first(events)[0] == 'ready'
        run_id = one.submit(shell('true'))
        for events in streams:
            events.until(run_is(run_id, 'SUCCEEDED'))
        one.stop()
        assert one.process.returncode == 0
        for events in streams:
            assert list(events) == []


# --- logs ---

def log_path(task):
    return f'/apis/penstock/v1/runs/{task["run_id"]}/tasks/{task["task_id"]}/log'


def test_parts_of_a_log(server):
    _, tasks = server.run(shell('for i in 1 2 3 4 5; do echo line $i; done'))
    path = log_path(tasks['step-0'][0])
    text = ''.join(f'line {i}\n' for i in range(1, 6))
    assert server.get(path).text == text
    assert server.get(path + '?offset=7').text == text[7:]
    assert server.get(path + '?offset=7&limit_bytes=7').text == text[7:14]
    assert server.get(path + '?tail_lines=2').text == text[-14:]
    assert server.get(path + '?offset=1000').text == ''
    for query in ('offset=-1', 'offset=x', 'tail_lines=-2', 'limit_bytes=1.5', 'follow=perhaps', 'attempt=x'):
        answer = server.get(f'{path}?{query}')
        assert answer.status == 400 and query.split('=')[0] in answer.text, query
    assert server.get(path.replace(tasks['step-0'][0]['task_id'], 'nothing')).status == 404


def test_a_log_is_heard_as_it_is_written(server, gate):
    run_id = server.submit(shell('printf "früh \\033[31mrot\\n"; ' + gate.command('printf "spät"', say='')))
    gate.arrive()
    server.wait_for(run_id, running('step-0'))
    task = server.tasks(run_id)['step-0'][0]
    with stream(server, '?follow=true', path=log_path(task)) as events:
        reader = iter(events)
        text, place = '', None
        while not text.endswith('\n'):
            _, data, place = next(reader)
            assert data['offset'] == len(text.encode())
            text += data['text']
            assert place == str(len(text.encode()))
        assert text == 'früh \x1b[31mrot\n'
        gate.open()
        rest = list(reader)
    assert rest[-1][0] == 'end' and ''.join(data.get('text', '') for _, data, _ in rest) == 'spät'
    # Who lost the connection goes on where it was.
    with stream(server, '?follow=true', {'Last-Event-ID': place}, path=log_path(task)) as events:
        assert ''.join(data.get('text', '') for _, data, _ in events) == 'spät'


def test_a_big_log_with_bytes_that_are_no_text(server):
    _, tasks = server.run(shell(
        'python3 -c "import sys; sys.stdout.buffer.write((\'ünïcödé \' * 20000).encode() + bytes([255, 10]))"'))
    with stream(server, path=log_path(tasks['step-0'][0])) as events:
        pieces = list(events)
    assert pieces[-1][0] == 'end'
    assert ''.join(data.get('text', '') for _, data, _ in pieces) == 'ünïcödé ' * 20000 + '\ufffd\n'
