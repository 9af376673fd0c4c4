"""v1 authoring: the seeds as they are, and the rest of what their documents use."""

import glob
import os
import subprocess
import sys
from functools import partial
from typing import NamedTuple

import pytest
from conftest import SEEDS, compiled, load_file
from mini_backend import Backend, _without_pip

import ir_check
from kfp import components, dsl
from kfp.components import InputPath, OutputPath, create_component_from_func, func_to_container_op

needs_seeds = pytest.mark.skipif(not os.path.isdir(SEEDS), reason='PENSTOCK_SEEDS does not name the folder of the seed scripts')


def backend_for(pipeline, tmp_path):
    """Runs programs without this package on the path: they must not need it."""
    environment = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    return Backend(compiled(pipeline)[0], tmp_path, environment)


@needs_seeds
def test_seeds_are_four():
    assert len(glob.glob(SEEDS + '/*.py')) == 4


@needs_seeds
def test_seed_add_number(tmp_path):
    from kfp.client import packages
    pipeline = load_file(SEEDS + '/add_number.py').calc_pipeline
    document = compiled(pipeline)[0]
    assert document['deploymentSpec']['executors']['exec-add-op']['container']['image'] == 'python:3.7'
    arguments = packages.convert_parameters(document, {'a': '7', 'b': '8'})
    assert arguments == {'a': 7.0, 'b': 8.0}
    backend = backend_for(pipeline, tmp_path)
    backend.run(**arguments)
    assert backend.output == {'add-op': '7.0 + 4.0 = 11.0\n', 'add-op-2': '7.0 + 8.0 = 15.0\n',
                              'add-op-3': '11.0 + 15.0 = 26.0\n'}


@needs_seeds
def test_seed_control(tmp_path):
    module = load_file(SEEDS + '/control.py')
    for number in range(4):
        backend = backend_for(module.flipcoin_pipeline, tmp_path / f'a{number}')
        backend.run()
        side = backend.output['flip-coin-op'].strip()
        said = [text for name, text in backend.output.items() if name.startswith('print-op')]
        assert len(said) == 1 and said[0].startswith(f'{side} and ')
        backend = backend_for(module.flipcoin_exit_pipeline, tmp_path / f'b{number}')
        if backend_runs(backend):
            assert 'fail-op' not in backend.ran
        else:
            assert backend.output['fail-op'].startswith('Failing the run')
        assert backend.output['print-op'] == 'Exit handler has worked!\n'


def backend_runs(backend):
    try:
        backend.run()
        return True
    except Exception:
        return False


@needs_seeds
def test_seed_hello_world(tmp_path):
    backend = backend_for(load_file(SEEDS + '/hello_world.py').hello_world_pipeline, tmp_path)
    backend.run()
    assert backend.output == {'hello-world-component': 'Hello World!\n'}


@needs_seeds
def test_seed_parallel(tmp_path):
    tools = tmp_path / 'bin'
    tools.mkdir()
    (tools / 'gsutil').write_text('#!/bin/sh\necho "text of $2"\n')
    (tools / 'gsutil').chmod(0o755)
    backend = backend_for(load_file(SEEDS + '/parallel.py').download_and_join, tmp_path / 'run')
    backend.environment['PATH'] = f'{tools}:{backend.environment["PATH"]}'
    backend.run()
    assert backend.output['echo'] == ('Text 1: text of gs://ml-pipeline-playground/shakespeare1.txt\n'
                                      'Text 2: text of gs://ml-pipeline-playground/shakespeare2.txt\n')


@needs_seeds
def test_seed_scripts_run_as_programs(tmp_path, task_environment):
    """control.py compiles when it is run; its package lies beside it, so it is run from a copy."""
    import shutil
    copy = tmp_path / 'control.py'
    shutil.copy(SEEDS + '/control.py', copy)
    task_environment.pop('_KFP_RUNTIME')
    subprocess.run([sys.executable, str(copy)], check=True, env=task_environment)
    assert (tmp_path / 'control.py.yaml').exists()


def test_paths_by_partial(tmp_path):
    @partial(create_component_from_func, packages_to_install=['dill==0.3.4', 'pandas==1.3.4'])
    def load(data_path: OutputPath('csv'), rows: int = 2):
        with open(data_path, 'w') as file:
            file.write('\n'.join('%d,%d' % (row, row * row) for row in range(rows)))

    @partial(create_component_from_func, packages_to_install=["scikit-learn; python_version>'3'"])
    def train(train_data_path: InputPath('csv'), model_path: OutputPath('dill'), kernel: str):
        with open(train_data_path) as source, open(model_path, 'w') as model:
            model.write(kernel + ':' + source.read())

    @create_component_from_func
    def show(model_path: InputPath('dill')) -> int:
        text = open(model_path).read()
        print(text)
        return len(text)

    @dsl.pipeline(name='paths')
    def pipeline(kernel: str = 'rbf'):
        data = load(rows=3)
        model = train(train_data=data.outputs['data'], kernel=kernel)
        show(model=model.outputs['model'])
        train(train_data_path=data.output, kernel='linear').set_display_name('again').set_memory_limit('1G')
    document = compiled(pipeline)[0]
    command = document['deploymentSpec']['executors']['exec-load']['container']['command']
    install = ("PIP_DISABLE_PIP_VERSION_CHECK=1 python3 -m pip install --quiet --no-warn-script-location "
               "'dill==0.3.4' 'pandas==1.3.4'")
    assert command[:3] == ['sh', '-c', f'({install} || {install} --user) && "$0" "$@"']
    backend = backend_for(pipeline, tmp_path)
    backend.run()
    assert backend.output['show'] == 'rbf:0,0\n1,1\n2,4\n'


def test_values_given_to_paths(tmp_path):
    @func_to_container_op
    def say() -> str:
        return 'from a task'

    @func_to_container_op
    def read(text_path: InputPath('Text'), data_path: InputPath('csv'), count_path: InputPath(int)):
        print(open(text_path).read(), open(data_path).read(), open(count_path).read())

    @dsl.pipeline
    def pipeline(p='a parameter'):
        read(text='constant', data=say().output, count=3)
        read(text=p, data=p, count='4')
    backend = backend_for(pipeline, tmp_path)
    backend.run()
    assert backend.output['read'] == 'constant from a task 3\n'
    assert backend.output['read-2'] == 'a parameter a parameter 4\n'


def test_every_type(tmp_path):
    @func_to_container_op
    def make(i: int, f: float, b: bool, s: str, l: list, d: dict, u, o: str = None, p: int = 7) -> NamedTuple(
            'Outputs', [('i', int), ('f', float), ('b', bool), ('s', str), ('l', list), ('d', dict)]):
        from collections import namedtuple
        print(type(i), type(f), type(b), type(u), o, p)
        return namedtuple('Outputs', 'i f b s l d')(i + 1, f, not b, s + '!', l + [1], dict(d, k=2))

    @func_to_container_op
    def check(i: int, f: float, b: bool, s: str, l: list, d: dict, u, u2, u3):
        print(i, f, b, s, l, d, u, u2, u3)

    @dsl.pipeline
    def pipeline(n=5):
        one = make('4', '2', 'false', 'x y "z"', [1], {'a': None}, n, p='8')
        out = one.outputs
        check(out['i'], out['f'], out['b'], out['s'], out['l'], out['d'], out['i'], out['l'], out['b'])
    backend = backend_for(pipeline, tmp_path)
    backend.run()
    assert backend.output['make'] == "<class 'int'> <class 'float'> <class 'bool'> <class 'str'> None 8\n"
    assert backend.output['check'] == '5 2.0 True x y "z"! [1, 1] {\'a\': None, \'k\': 2} 5 [1, 1] true\n'


def test_untyped_pipeline_inputs_take_the_type_of_their_use():
    @func_to_container_op
    def use(n: int, f: float):
        print(n)

    @dsl.pipeline
    def pipeline(a='3', b=2, c=1, d=True, e=None):
        use(a, b)
        with dsl.Condition(c > 0):
            use(1, 2)
    entries = compiled(pipeline)[0]['root']['inputDefinitions']['parameters']
    assert {name: entry['parameterType'] for name, entry in entries.items()} == {
        'a': 'NUMBER_INTEGER', 'b': 'NUMBER_DOUBLE', 'c': 'NUMBER_INTEGER', 'd': 'BOOLEAN', 'e': 'STRING'}
    assert entries['a']['defaultValue'] == 3.0


def test_wrong_return_value_names_the_output(tmp_path):
    @func_to_container_op
    def wrong() -> int:
        return 'text'

    @dsl.pipeline
    def pipeline():
        wrong()
    backend = backend_for(pipeline, tmp_path)
    with pytest.raises(Exception):
        backend.run()
    assert "the output 'Output' is a int and the function returned 'text'" in backend.output['wrong']


def test_program_is_light(tmp_path):
    """A v1 step that uses no lists imports nothing but sys and os."""
    @func_to_container_op
    def plain(a: int) -> int:
        import sys
        print('json' in sys.modules, 'argparse' in sys.modules)
        return a

    @dsl.pipeline
    def pipeline():
        plain(1)
    backend = backend_for(pipeline, tmp_path)
    backend.run()
    assert backend.output['plain'] == 'False False\n'


def test_container_op_keeps_words_and_status(tmp_path):
    where = tmp_path / 'it\'s "here" $x'
    where.mkdir()

    @dsl.pipeline
    def pipeline(word='two words $HOME "q"'):
        made = dsl.ContainerOp('Make it', 'alpine', ['sh', '-c'],
                               ['printf "%s|%s|%s" "$0" "$1" "$2" > "$3"; echo; printf second > "$4"', word, "a 'b'", '',
                                str(where / 'one'), str(where / 'two')],
                               file_outputs={'first': str(where / 'one'), 'second-out': str(where / 'two')})
        dsl.ContainerOp(name='show', image='alpine', command='echo',
                        arguments=[made.outputs['first'], 'and %s' % made.outputs['second-out']])
        with dsl.Condition(made.outputs['second-out'] == 'second'):
            dsl.ContainerOp(name='fails', image='alpine', command=['sh', '-c', 'exit 7'], file_outputs={'x': '/nowhere'})
    document = compiled(pipeline)[0]
    assert ir_check.problems(document) == []
    container = document['deploymentSpec']['executors']['exec-fails']['container']
    assert subprocess.run(container['command'] + container.get('args', [])).returncode == 7
    backend = backend_for(pipeline, tmp_path / 'run')
    assert not backend_runs(backend)
    assert backend.output['show'] == 'two words $HOME "q"|a \'b\'| and second\n'
    assert backend.states['fails'] == 'FAILED'


def test_missing_file_output_fails():
    from kfp.dsl import container_op
    command, args = container_op.collecting_command(['true'], [], {'/no/such/file': '/tmp/x/y'})
    assert subprocess.run(command + args, stderr=subprocess.DEVNULL).returncode == 1


def test_v1_spellings():
    @func_to_container_op
    def step(x: int) -> str:
        return 'x'

    @dsl.pipeline(name='spellings')
    def pipeline(a: int = 1):
        task = step(a).set_gpu_limit(1, 'nvidia').set_retry(3, 'Always').add_pod_label('k', 'v')
        task.container.set_memory_limit('1G').set_image_pull_policy('Always')
        task.execution_options.caching_strategy.max_cache_staleness = 'P0D'
        task.apply(lambda one: one.set_env_variable('E', 'f')).add_node_selector_constraint('disk', 'ssd').set_timeout(60)
        with dsl.ParallelFor(['a', 'b'], 2) as item:
            step(1).after(task)
            dsl.ContainerOp('c', 'alpine', ['echo'], [item])
    document, platform = compiled(pipeline)
    container = document['deploymentSpec']['executors']['exec-step']['container']
    assert container['resources']['accelerator'] == {'count': '1', 'resourceCount': '1', 'type': 'nvidia.com/gpu',
                                                     'resourceType': 'nvidia.com/gpu'}
    assert document['root']['dag']['tasks']['step']['cachingOptions'] == {}
    assert platform['platforms']['kubernetes']['deploymentSpec']['executors']['exec-step'] == {
        'activeDeadlineSeconds': '60', 'imagePullPolicy': 'Always', 'podMetadata': {'labels': {'k': 'v'}},
        'nodeSelector': {'labels': {'disk': 'ssd'}}}
    assert document['root']['dag']['tasks']['for-loop-2']['iteratorPolicy'] == {'parallelismLimit': 2}


def test_component_text_is_loadable(tmp_path):
    def both(a: int, data_path: InputPath('csv'), out_path: OutputPath('csv'), b: str = 'x') -> int:
        with open(data_path) as source, open(out_path, 'w') as out:
            out.write(source.read() + b)
        return a

    text = components.func_to_component_text(both)
    loaded = components.load_component_from_text(text)

    @func_to_container_op
    def make(out_path: OutputPath('csv')):
        open(out_path, 'w').write('data ')

    @dsl.pipeline
    def pipeline():
        loaded(a=3, data=make().output)
    backend = backend_for(pipeline, tmp_path)
    backend.run()
    assert (tmp_path / '2-both' / 'out').read_text() == 'data x'
    assert (tmp_path / '2-both' / 'Output').read_text() == '3'


def test_text_file_arguments(tmp_path):
    @create_component_from_func
    def upper(source_path: components.InputTextFile('Text'), out_path: components.OutputTextFile('csv')):
        out_path.write(source_path.read().upper())

    @dsl.pipeline
    def pipeline():
        upper('abc')
    backend = backend_for(pipeline, tmp_path)
    backend.run()
    assert (tmp_path / '1-upper' / 'out').read_text() == 'ABC'


def test_pip_prefix_is_recognised():
    assert _without_pip(['sh', '-c', '(pip install x)', 'sh', '-ec']) == ['sh', '-ec']
