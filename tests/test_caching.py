"""When a task takes the outputs of an earlier one, and when it does not."""
from conftest import outputs, shell

WRITE = "date +%s.%N > {{$.outputs.parameters['at'].output_file}}"


def stamped(*commands):
    """Steps that say when they ran, one after another."""
    spec = shell(*commands, caching=True)
    for component in spec['components'].values():
        component['outputDefinitions'] = {'parameters': {'at': {'parameterType': 'STRING'}}}
    return spec


def test_a_step_right_after_one_like_it_takes_its_outputs(server):
    run, tasks = server.run(stamped(f'{WRITE}; : one', f'{WRITE}; : one', f'{WRITE}; : other'))
    assert run['state'] == 'SUCCEEDED', run.get('error')
    [first], [second], [third] = (tasks[f'step-{i}'] for i in range(3))
    assert [first['state'], second['state'], third['state']] == ['SUCCEEDED', 'CACHED', 'SUCCEEDED']
    assert outputs(second) == outputs(first)
    assert outputs(third) != outputs(first)


def test_a_second_run_takes_the_outputs_of_the_first(server):
    spec = stamped(f'{WRITE}; : again')
    _, before = server.run(spec)
    run, after = server.run(spec)
    assert run['state'] == 'SUCCEEDED'
    assert before['step-0'][0]['state'] == 'SUCCEEDED'
    assert after['step-0'][0]['state'] == 'CACHED'
    assert outputs(after['step-0'][0]) == outputs(before['step-0'][0])


def test_without_caching_every_step_runs(server):
    spec = stamped(f'{WRITE}; : never', f'{WRITE}; : never')
    for task in spec['root']['dag']['tasks'].values():
        task['cachingOptions'] = {}
    _, tasks = server.run(spec)
    assert [tasks[f'step-{i}'][0]['state'] for i in range(2)] == ['SUCCEEDED', 'SUCCEEDED']
    assert outputs(tasks['step-0'][0]) != outputs(tasks['step-1'][0])


def cache_note(task):
    return task['status_metadata']['custom_properties']['cache']


def test_every_step_says_why_the_cache_was_used_or_not(server):
    spec = stamped(f'{WRITE}; : told')
    first, tasks = server.run(spec)
    made = tasks['step-0'][0]
    assert cache_note(made) == 'missed: no earlier task of this pipeline has its fingerprint'
    _, tasks = server.run(spec)
    assert cache_note(tasks['step-0'][0]) == f'hit: the outputs of task {made["task_id"]} of run {first["run_id"]}'
    answer = server.post('/apis/v2beta1/runs', {'display_name': 'off', 'pipeline_spec': spec,
                                                'runtime_config': {'disable_caching': True}})
    run = server.wait(answer.json['run_id'])
    assert run['runtime_config'] == {'disable_caching': True}
    task = server.tasks(run['run_id'])['step-0'][0]
    assert (task['state'], cache_note(task)) == ('SUCCEEDED', 'off: not wanted in this run')
    spec['root']['dag']['tasks']['step-0']['cachingOptions'] = {}
    _, tasks = server.run(spec)
    assert cache_note(tasks['step-0'][0]) == "off: the task's options say so"


def test_a_server_without_a_cache(new_server):
    one = new_server(['--caching', 'false'])
    spec = stamped(f'{WRITE}; : here')
    states = [one.run(spec)[1]['step-0'][0]['state'] for _ in range(2)]
    assert states == ['SUCCEEDED', 'SUCCEEDED']
