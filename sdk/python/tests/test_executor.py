"""The executor: what it gives to functions, what it writes, what it says when they fail."""

import json
import os
import subprocess
import sys

import pytest

from kfp import dsl

_HEADER = '\nimport kfp\nfrom kfp import dsl\nfrom kfp.dsl import *\nfrom typing import *\n\n'


class Step:
    """One call of a function in a process of its own."""

    def __init__(self, tmp_path, environment):
        self.folder = tmp_path
        self.environment = environment

    def artifact(self, name, title='Artifact', **more):
        return {'artifacts': [dict({'name': name, 'uri': str(self.folder / 'store' / name), 'metadata': {},
                                    'type': {'schemaTitle': 'system.' + title}}, **more)]}

    def run(self, source, inputs=None, outputs=None, module='kfp.dsl.executor_main', function='f', words=None, flags=(), **environment):
        path = self.folder / 'ephemeral_component.py'
        path.write_text(_HEADER + source)
        self.file = self.folder / 'a' / 'b' / 'out.json'
        executor_input = {'inputs': inputs or {}, 'outputs': dict(outputs or {}, outputFile=str(self.file))}
        words = words or ['--executor_input', json.dumps(executor_input), '--component_module_path', str(path),
                          '--function_to_execute', function]
        done = subprocess.run([sys.executable, *flags, '-m', module] + words, env=dict(self.environment, **environment),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=str(self.folder))
        self.out, self.err, self.status = done.stdout.decode(), done.stderr.decode(), done.returncode
        return json.loads(self.file.read_text()) if self.file.exists() else None


@pytest.fixture
def step(tmp_path, task_environment):
    return Step(tmp_path, task_environment)


def test_parameters_of_every_type(step):
    written = step.run('''
def f(i: int, f: float, b: bool, s: str, l: list, d: dict, ls: List[str], di: Dict[str, int], o: Optional[int],
      missing: Optional[str] = None, defaulted: int = 5, given: int = 5) -> str:
    return repr((i, f, b, s, l, d, ls, di, o, missing, defaulted, given))
''', {'parameterValues': {'i': 3.0, 'f': 2, 'b': True, 's': 'é', 'l': [1, None], 'd': {'a': {}}, 'ls': '["x"]', 'di': {'y': 1},
                          'o': 4, 'given': 6}})
    assert step.status == 0, step.err
    assert written == {'parameterValues': {'Output': repr(
        (3, 2.0, True, 'é', [1, None], {'a': {}}, ['x'], {'y': 1}, 4, None, 5, 6))}}


def test_named_outputs_and_artifacts(step):
    written = step.run('''
def f(data: Input[Dataset], several: Input[List[Model]], m: Output[Model], k: Output[Metrics], p: OutputPath(str),
      q: OutputPath('Dataset'), i: InputPath('Dataset')) -> NamedTuple('O', [('n', int), ('xs', List[int])]):
    m.metadata['from'] = open(data.path).read() + type(data).__name__
    m.framework = 'none'
    k.log_metric('accuracy', 0.5)
    open(m.path, 'w').write('model'); open(p, 'w').write('text'); open(q, 'w').write(open(i).read())
    return (len(several), [1, 2])
''', _inputs(step), {'artifacts': {'m': step.artifact('m', 'Model'), 'k': step.artifact('k', 'Metrics'), 'q': step.artifact('q')},
                     'parameters': {'p': {'outputFile': str(step.folder / 'deep' / 'p')}}})
    assert step.status == 0, step.err
    assert written['parameterValues'] == {'n': 2, 'xs': [1, 2]}
    assert written['artifacts']['m']['artifacts'] == [
        {'name': 'm', 'uri': str(step.folder / 'store' / 'm'), 'metadata': {'from': 'helloDataset', 'framework': 'none'}}]
    assert written['artifacts']['k']['artifacts'][0]['metadata'] == {'accuracy': 0.5}
    assert (step.folder / 'deep' / 'p').read_text() == 'text'
    assert (step.folder / 'store' / 'q').read_text() == 'hello'


def _inputs(step):
    (step.folder / 'store').mkdir()
    (step.folder / 'store' / 'data').write_text('hello')
    two = step.artifact('one', 'Model')['artifacts'] * 2
    return {'artifacts': {'data': step.artifact('data', 'Dataset'), 'i': step.artifact('data', 'Dataset'),
                          'several': {'artifacts': two}}}


def test_artifact_as_return_value(step):
    written = step.run('''
def f() -> NamedTuple('O', [('d', Dataset), ('n', int)]):
    d = Dataset(uri=dsl.get_uri('d'), metadata={'a': 1})
    return d, 3
''', outputs={'artifacts': {'d': step.artifact('d', 'Dataset')}})
    assert step.status == 0, step.err
    assert written['artifacts']['d']['artifacts'] == [{'name': 'd', 'uri': str(step.folder / 'store' / 'd'), 'metadata': {'a': 1}}]


def test_text_returned_for_an_artifact_is_its_content(step):
    step.run('def f() -> Dataset:\n    return "content"\n', outputs={'artifacts': {'Output': step.artifact('Output', 'Dataset')}})
    assert (step.folder / 'store' / 'Output').read_text() == 'content', step.err


@pytest.mark.parametrize('uri, path', [
    ('gs://b/x', '/gcs/b/x'), ('minio://b/x', '/minio/b/x'), ('s3://b/x', '/s3/b/x'), ('file:///tmp/x', '/tmp/x'),
    ('/tmp/x', '/tmp/x'), ('oci://h/a/b:c', '/oci/h_a_b:c'), ('https://h/x', 'https://h/x')])
def test_paths_of_uris(uri, path):
    assert dsl.Artifact(uri=uri).path == path


def test_path_map(step):
    step.run('''
def f(d: Input[Dataset]):
    print(d.path, dsl.Artifact(uri='s3://x/y').path)
    d.path = '/local/q/r'
    print(d.uri)
''', {'artifacts': {'d': step.artifact('d', uri='minio://mlpipeline/v2/d')}},
             PENSTOCK_PATH_MAP=json.dumps({'minio://mlpipeline/': '/local/', 'minio://': '/other/'}))
    assert step.out == '/local/v2/d /s3/x/y\nminio://mlpipeline/q/r\n'


def test_workspace_and_models():
    assert dsl.Artifact(uri='minio://a/b', metadata={'_kfp_workspace': True}).path == '/kfp-workspace/.artifacts/minio/a/b'
    assert dsl.Model(uri='oci://a/b').path == '/oci/a_b/models'
    artifact = dsl.Artifact(uri='gs://a/b')
    artifact.custom_path = '/c'
    assert artifact.path == '/c'


def test_classification_metrics():
    metrics = dsl.ClassificationMetrics(uri='u')
    metrics.log_roc_curve([0.1, 0.2], [0.3, 0.4], [0.5, 0.6])
    metrics.log_confusion_matrix(['a', 'b'], [[1, 2], [3, 4]])
    assert metrics.metadata == {
        'confidenceMetrics': [{'confidenceThreshold': 0.5, 'recall': 0.3, 'falsePositiveRate': 0.1},
                              {'confidenceThreshold': 0.6, 'recall': 0.4, 'falsePositiveRate': 0.2}],
        'confusionMatrix': {'annotationSpecs': [{'displayName': 'a'}, {'displayName': 'b'}],
                            'rows': [{'row': [1, 2]}, {'row': [3, 4]}]}}
    metrics.log_confusion_matrix_cell('a', 'b', 9)
    assert metrics.metadata['confusionMatrix']['rows'][0] == {'row': [1, 9]}
    with pytest.raises(ValueError, match='same length'):
        metrics.log_roc_curve([1], [1, 2], [1])
    with pytest.raises(ValueError, match="'c' is not a category"):
        metrics.log_confusion_matrix_row('c', [1, 2])


def test_sliced_metrics():
    metrics = dsl.SlicedClassificationMetrics(uri='u')
    metrics.log_roc_reading('s', 0.5, 0.3, 0.1)
    metrics.load_confusion_matrix('s', ['a'], [[1]])
    metrics.load_roc_readings('t', [[1, 2, 3]])
    assert metrics.metadata == {'evaluationSlices': [
        {'slice': 's', 'sliceClassificationMetrics': {
            'confidenceMetrics': [{'confidenceThreshold': 0.5, 'recall': 0.3, 'falsePositiveRate': 0.1}],
            'confusionMatrix': {'annotationSpecs': [{'displayName': 'a'}], 'rows': [{'row': [1]}]}}},
        {'slice': 't', 'sliceClassificationMetrics': {
            'confidenceMetrics': [{'confidenceThreshold': 1, 'recall': 2, 'falsePositiveRate': 3}]}}]}


def test_final_status(step):
    step.run('''
def f(status: PipelineTaskFinalStatus, config: dsl.TaskConfig = None):
    print(status.state, status.pipeline_task_name, status.error_code, status.error_message, config)
''', {'parameterValues': {'status': {'state': 'FAILED', 'pipelineTaskName': 'exit-handler-1', 'pipelineJobResourceName': 'r',
                                     'error': {'code': 9, 'message': 'm'}}}})
    assert step.out == 'FAILED exit-handler-1 9 m None\n', step.err


def test_traceback_is_the_authors(step):
    step.run('''
def inner():
    raise ValueError('bad day')

def f():
    inner()
''')
    assert step.status == 1
    assert 'executor' not in step.err
    lines = step.err.strip().splitlines()
    assert lines[0].startswith('Traceback') and lines[-1] == 'ValueError: bad day'
    assert step.err.count('ephemeral_component.py') == 2


def test_exit_status_is_the_functions(step):
    step.run('def f():\n    import sys\n    sys.exit(7)\n')
    assert step.status == 7


@pytest.mark.parametrize('annotation, value, said', [
    ('int', "'3'", "returned '3' (str) for the output 'Output', which is annotated as int"),
    ('int', 'True', 'annotated as int'),
    ('List[int]', '{}', 'annotated as list'),
    ("NamedTuple('O', [('a', int), ('b', str)])", '(1,)', 'must return the outputs a, b'),
    ("NamedTuple('O', [('a', int), ('b', str)])", '(1, 2)', "for the output 'b'"),
    ('Dataset', '3', "annotated as Dataset"),
    ('dict', '{1: {2}}', 'is no JSON value')])
def test_wrong_outputs(step, annotation, value, said):
    step.run(f'def f() -> {annotation}:\n    return {value}\n')
    assert step.status == 1
    assert said in step.err


def test_none_is_no_output(step):
    assert step.run('def f() -> int:\n    pass\n') == {}
    assert step.status == 0 and "returned None for the output 'Output'" in step.err
    assert step.run('def f() -> Optional[int]:\n    pass\n') == {} and step.err == ''


def test_wrong_input(step):
    step.run('def f(n: int):\n    pass\n', {'parameterValues': {'n': 'many'}})
    assert step.status == 1 and "input 'n' of f() is a int and got 'many'" in step.err


def test_forms_of_older_sdks(step):
    written = step.run('def f(a: int) -> int:\n    return a\n', {'parameterValues': {'a': 1}}, module='kfp.components.executor_main')
    assert written == {'parameterValues': {'Output': 1}}
    step.run('@component\ndef g():\n    print("decorated")\n\n@dsl.component(base_image="x")\ndef f():\n    g()\n')
    assert step.out == 'decorated\n', step.err
    step.run('from kfp.dsl import component, pipeline, If\nfrom kfp.components import InputPath\ndef f():\n    print(If.__name__)\n')
    assert step.out == 'If\n', step.err


def test_annotations_as_texts(step):
    written = step.run('def f(a: "int", m: "Output[Model]") -> "float":\n    m.metadata["a"] = a\n    return a\n',
                       {'parameterValues': {'a': 2.0}}, {'artifacts': {'m': step.artifact('m')}})
    assert written['parameterValues'] == {'Output': 2.0}
    assert written['artifacts']['m']['artifacts'][0]['metadata'] == {'a': 2}


def test_containerized_component(step):
    (step.folder / 'kfp_config.ini').write_text('[Components]\nf = mine.py\n')
    (step.folder / 'mine.py').write_text('from kfp import dsl\n\n@dsl.component\ndef f(a: int) -> int:\n    return a + 1\n')
    step.file = step.folder / 'out.json'
    executor_input = json.dumps({'inputs': {'parameterValues': {'a': 1}}, 'outputs': {'outputFile': str(step.file)}})
    step.environment = {key: value for key, value in step.environment.items() if key != '_KFP_RUNTIME'}
    for words in (['--executor_input', executor_input, '--function_to_execute', 'f'],
                  ['--executor_input=' + executor_input, '--function_to_execute=f']):
        done = subprocess.run([sys.executable, '-m', 'kfp.dsl.executor_main'] + words, env=step.environment, cwd=str(step.folder))
        assert done.returncode == 0
        assert json.loads(step.file.read_text()) == {'parameterValues': {'Output': 2}}


@pytest.mark.parametrize('flags', [[], ['-S']])  # -S: the quick way out, without this machine's site packages
def test_what_the_function_left_open_is_written(step, flags):
    step.run('''
class Last:
    def __del__(self):
        print('deleted')

def f(p: OutputPath(str)):
    global kept, last
    kept = open('kept.txt', 'w')
    kept.write('global')
    last = Last()
    last.itself = last
    open(p, 'w').write('local')
    print('no newline', end='')
''', outputs={'parameters': {'p': {'outputFile': str(step.folder / 'p')}}}, flags=flags)
    assert (step.folder / 'kept.txt').read_text() == 'global'
    assert (step.folder / 'p').read_text() == 'local' and step.out == 'no newlinedeleted\n'


def test_threads_and_exit_handlers_run(step):
    step.run('''
def f():
    import threading, time
    threading.Thread(target=lambda: (time.sleep(0.05), print('thread'))).start()
''')
    assert step.out == 'thread\n'
    step.run('def f():\n    import atexit\n    atexit.register(print, "bye")\n')
    assert step.out == 'bye\n'


def test_only_the_chief_writes(step):
    source = 'def f() -> int:\n    return 1\n'
    assert step.run(source, CLUSTER_SPEC=json.dumps({'task': {'type': 'worker', 'index': 1}})) is None
    assert step.run(source, CLUSTER_SPEC=json.dumps({'task': {'type': 'chief', 'index': 0}})) is not None


def test_stays_light(step):
    """What a task imports is counted, because it is paid for by every task."""
    step.run('''
def f():
    import sys
    for name in ('yaml', 'inspect', 'argparse', 'dataclasses', 'logging', 'urllib', 'subprocess', 'kfp.dsl.task', 'kfp.client'):
        assert name not in sys.modules, name
''', flags=['-S'])  # without what this machine's site packages load
    assert step.status == 0, step.err


def test_runs_the_whole_command(tmp_path, task_environment):
    """The command as compiled, with its shell, apart from pip."""
    from conftest import compiled

    @dsl.component
    def shout(text: str) -> str:
        """Doc with 'quotes' and "more" $HOME `x`."""
        return text.upper() + '\\n'

    @dsl.pipeline
    def p():
        shout(text='a')
    container = compiled(p)[0]['deploymentSpec']['executors']['exec-shout']['container']
    file = tmp_path / 'out.json'
    words = [word.replace('{{$}}', json.dumps({'inputs': {'parameterValues': {'text': 'é "q"'}}, 'outputs': {'outputFile': str(file)}}))
             for word in container['command'][3:] + container['args']]
    subprocess.run(words, check=True, env=dict(task_environment))
    assert json.loads(file.read_text()) == {'parameterValues': {'Output': 'É "Q"\\n'}}
    assert os.path.exists(file)
