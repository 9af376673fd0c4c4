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
