"""Mistakes of authors: the right error, at the author's file and line, with the way out."""

import inspect
from typing import List

import pytest

from conftest import compiled
from kfp import dsl
from kfp.dsl import errors


@dsl.component
def number() -> int:
    return 1


@dsl.component
def text(s: str) -> str:
    return s


@dsl.component
def model(m: dsl.Output[dsl.Model]):
    pass


@dsl.component
def use_dataset(d: dsl.Input[dsl.Dataset]):
    pass


def fails_at_marker(build, error, *parts):
    """Builds a pipeline that must fail at its line with `# here`."""
    lines, first = inspect.getsourcelines(build)
    marked = [first + index for index, line in enumerate(lines) if '# here' in line]
    with pytest.raises(error) as caught:
        build()
    message = str(caught.value)
    for part in parts:
        assert part in message, message
    assert message.startswith(f'{__file__}:{marked[0]}: '), message


def test_wrong_type_of_an_output():
    def build():
        @dsl.pipeline
        def p():
            n = number()
            text(s=n.output)  # here
    fails_at_marker(build, errors.InconsistentTypeException, "'number-Output' of type int", "input 's' of type str", 'f-string')


def test_wrong_type_of_a_constant():
    def build():
        @dsl.pipeline
        def p():
            text(s=3)  # here
    fails_at_marker(build, errors.InconsistentTypeException, '3 of type int')


def test_wrong_artifact():
    def build():
        @dsl.pipeline
        def p():
            m = model()
            use_dataset(d=m.output)  # here
    fails_at_marker(build, errors.InconsistentTypeException, 'system.Model', 'system.Dataset')


def test_constant_for_an_artifact():
    def build():
        @dsl.pipeline
        def p():
            use_dataset(d='gs://x')  # here
    fails_at_marker(build, errors.InconsistentTypeException, 'dsl.importer')


def test_missing_and_unknown_arguments():
    def missing():
        @dsl.pipeline
        def p():
            text()  # here

    def unknown():
        @dsl.pipeline
        def p():
            text(s='a', t='b')  # here
    fails_at_marker(missing, TypeError, "misses the input 's' (str)")
    fails_at_marker(unknown, TypeError, "no input 't'", 'its inputs are: s')


def test_unknown_output():
    def build():
        @dsl.pipeline
        def p():
            n = number()
            text(s=n.outputs['nope'])  # here
    fails_at_marker(build, KeyError, "no output 'nope'", "'Output'")


def test_cycle():
    def build():
        @dsl.pipeline
        def p():
            a = text(s='a')  # here
            b = text(s=a.output)
            a.after(b)
        from kfp.compiler import Compiler
        Compiler().compile(p, '/tmp/never.yaml')
    fails_at_marker(build, errors.InvalidTopologyException, 'circle: text -> text-2 -> text')


def test_output_from_inside_a_loop():
    def build():
        @dsl.pipeline
        def p():
            with dsl.ParallelFor([1, 2]):
                n = text(s='a')
            text(s=n.output)  # here
        p.pipeline_spec
    fails_at_marker(build, errors.InvalidTopologyException, 'dsl.Collected')


def test_output_from_inside_a_branch():
    def build():
        @dsl.pipeline
        def p(s: str):
            with dsl.If(s == 'x'):
                n = text(s='a')
            text(s=n.output)  # here
        p.pipeline_spec
    fails_at_marker(build, errors.InvalidTopologyException, 'dsl.OneOf')


def test_collected_to_a_single_input():
    def build():
        @dsl.pipeline
        def p():
            with dsl.ParallelFor([1, 2]):
                n = text(s='a')
            text(s=dsl.Collected(n.output))  # here
    fails_at_marker(build, errors.InconsistentTypeException, 'of type list')


def test_control_flow():
    def lonely_else():
        @dsl.pipeline
        def p():
            with dsl.Else():  # here
                number()

    def python_if():
        @dsl.pipeline
        def p():
            if number().output > 3:  # here
                number()

    def python_for():
        @dsl.pipeline
        def p(xs: List[str]):
            for x in xs:  # here
                text(s=x)

    def constant_condition():
        @dsl.pipeline
        def p():
            with dsl.If(True):  # here
                number()

    def number_and_word():
        @dsl.pipeline
        def p(n: int):
            with dsl.If(n == 'many'):  # here
                number()

    def incomplete_one_of():
        @dsl.pipeline
        def p(s: str):
            with dsl.If(s == 'a'):
                a = number()
            with dsl.Elif(s == 'b'):
                b = number()
            dsl.OneOf(a.output, b.output)  # here

    def loop_over_a_number():
        @dsl.pipeline
        def p(n: int):
            with dsl.ParallelFor(n):  # here
                number()

    def dependent_exit_task():
        @dsl.pipeline
        def p():
            end = text(s=text(s='a').output)
            with dsl.ExitHandler(end):  # here
                number()
    fails_at_marker(lonely_else, errors.InvalidControlFlowException, 'must follow a dsl.If')
    fails_at_marker(python_if, errors.InvalidControlFlowException, 'dsl.If')
    fails_at_marker(python_for, errors.InvalidControlFlowException, 'dsl.ParallelFor')
    fails_at_marker(constant_condition, errors.InvalidControlFlowException, 'Python `if`')
    fails_at_marker(number_and_word, errors.InvalidControlFlowException, "'many'", 'never holds')
    fails_at_marker(incomplete_one_of, errors.InvalidControlFlowException, 'dsl.Else')
    fails_at_marker(loop_over_a_number, errors.InconsistentTypeException, 'is a int')
    fails_at_marker(dependent_exit_task, errors.InvalidTopologyException, 'must not depend')


def test_signatures():
    def untyped():
        @dsl.component  # here
        def c(a):
            pass

    def odd_type():
        @dsl.component  # here
        def c(a: bytes):
            pass

    def variable():
        @dsl.component  # here
        def c(*a: int):
            pass

    def default():
        @dsl.component  # here
        def c(a: int = 'x'):
            pass
    fails_at_marker(untyped, TypeError, "does not say the type of its argument 'a'")
    fails_at_marker(odd_type, TypeError, "annotated <class 'bytes'>")
    fails_at_marker(variable, TypeError, '*a')
    fails_at_marker(default, errors.InconsistentTypeException, "the default of 'a'")


def test_outside_a_pipeline():
    with pytest.raises(errors.InvalidControlFlowException, match='python_func'):
        text(s='a')
    with pytest.raises(errors.InvalidControlFlowException, match='inside a function decorated'):
        dsl.ContainerOp('x', 'alpine')


def test_what_v1_had():
    def recursion():
        @dsl.graph_component  # here
        def c():
            pass

    def resource():
        @dsl.pipeline
        def p():
            dsl.ResourceOp(name='x', k8s_resource={'kind': 'Job'})  # here

    def snapshot():
        @dsl.pipeline
        def p():
            dsl.VolumeSnapshotOp(name='x')  # here

    def claim():
        @dsl.pipeline
        def p():
            dsl.VolumeOp(name='x')  # here

    def host_path():
        @dsl.pipeline
        def p():
            task = number()
            task.add_volume({'name': 'v', 'hostPath': {'path': '/'}})
            task.add_volume_mount({'name': 'v', 'mountPath': '/v'})  # here

    def unknown_volume():
        @dsl.pipeline
        def p():
            number().add_volume_mount({'name': 'v', 'mountPath': '/v'})  # here
        compiled(p)

    def port():
        @dsl.pipeline
        def p():
            number().add_port(80)  # here

    def odd_resource():
        @dsl.pipeline
        def p():
            number().container.add_resource_limit('hugepages', 1)  # here

    def pod_affinity():
        @dsl.pipeline
        def p():
            number().add_affinity({'podAffinity': {'x': 1}})  # here

    def sidecar():
        @dsl.pipeline
        def p():
            number().add_sidecar({'name': 'x'})  # here
    fails_at_marker(recursion, NotImplementedError, 'cannot call itself')
    fails_at_marker(resource, NotImplementedError, 'a Job', 'kubectl')
    fails_at_marker(snapshot, NotImplementedError, 'kubectl')
    fails_at_marker(claim, TypeError, 'resource_name')
    fails_at_marker(host_path, NotImplementedError, "'v'", 'a volume claim')
    fails_at_marker(unknown_volume, ValueError, "'v'", 'add_volume()')
    fails_at_marker(port, NotImplementedError, 'no ports')
    fails_at_marker(odd_resource, NotImplementedError, 'hugepages')
    fails_at_marker(pod_affinity, NotImplementedError, 'node_affinity only')
    fails_at_marker(sidecar, ValueError, 'a name and an image')


def test_values_of_settings():
    def cpu():
        @dsl.pipeline
        def p():
            number().set_cpu_limit('two')  # here

    def memory():
        @dsl.pipeline
        def p():
            number().set_memory_limit('1 potato')  # here

    def big():
        @dsl.pipeline
        def p(n: int = 2**60 + 1):
            number()
        p.pipeline_spec
    fails_at_marker(cpu, ValueError, '"500m"')
    fails_at_marker(memory, ValueError, '"512Mi"')
    with pytest.raises(ValueError, match='lose digits'):
        big()


def test_empty_pipeline():
    def build():
        @dsl.pipeline
        def p():
            pass
        p.pipeline_spec
    with pytest.raises(errors.InvalidTopologyException, match='has no tasks'):
        build()


def test_mistakes_of_many_kinds():
    """Each is found when the pipeline is written or compiled, at its own line."""
    from typing import List

    from kfp import kubernetes

    @dsl.component
    def numbers() -> List[int]:
        return [1]

    @dsl.component
    def word(s: str) -> str:
        return s

    def with_pipeline(body):
        def build():
            compiled(dsl.pipeline(body))
        build.__wrapped__ = body
        return build

    def twice_named():
        @dsl.component  # here
        def f(x: dsl.Output[dsl.Dataset]) -> __import__('typing').NamedTuple('O', [('x', int)]):
            pass

    def missing_input():
        word()  # here

    def unknown_input():
        word(s='a', t='b')  # here

    def too_many():
        word('a', 'b')  # here

    def none_for_required():
        word(s=None)  # here

    def list_for_text():
        word(s=numbers().output)  # here

    def object_for_text():
        word(s=object())  # here

    def no_output():
        word(s='a').outputs['other']  # here

    def python_if():
        made = word(s='a')
        if made.output > 'b':  # here
            pass

    def python_for():
        for _ in numbers().output:  # here
            pass

    def constant_condition():
        with dsl.If(1 == 1):  # here
            word(s='a')

    def condition_on_list():
        with dsl.If(numbers().output == 'x'):  # here
            word(s='a')

    def condition_on_a_text_with_outputs():
        made = word(s='a')
        with dsl.If(made.output == f'{made.output}!'):  # here
            word(s='a')

    def condition_on_nothing():
        with dsl.If(word(s='a').output == None):  # noqa: E711  # here
            word(s='a')

    def else_alone():
        with dsl.Else():  # here
            word(s='a')

    def elif_after_else():
        made = word(s='a')
        with dsl.If(made.output == 'a'):
            word(s='b')
        with dsl.Else():
            word(s='c')
        with dsl.Elif(made.output == 'd'):  # here
            word(s='e')

    def loop_over_text():
        with dsl.ParallelFor(word(s='a').output):  # here
            word(s='a')

    def loop_over_nothing():
        with dsl.ParallelFor([]):  # here
            word(s='a')

    def loop_of_mixed():
        with dsl.ParallelFor([1, 'a']):  # here
            word(s='a')

    def odd_parallelism():
        with dsl.ParallelFor(['a'], parallelism=-1):  # here
            word(s='a')

    def outside_the_branch():
        made = word(s='a')
        with dsl.If(made.output == 'a'):
            inner = word(s='b')
        word(s=inner.output)  # here

    def outside_the_loop():
        with dsl.ParallelFor(['a']) as item:
            pass
        word(s=item)  # here

    def exit_task_waits():
        made = word(s='a')
        last = word(s=made.output)
        with dsl.ExitHandler(last):  # here
            word(s='b')

    def exit_of_nothing():
        with dsl.ExitHandler('task'):  # here
            word(s='b')

    def one_of_without_else():
        made = word(s='a')
        with dsl.If(made.output == 'a'):
            inner = word(s='b')
        dsl.OneOf(inner.output)  # here

    def collected_outside():
        dsl.Collected('x')  # here

    def after_a_text():
        word(s='a').after('b')  # here

    def odd_retry():
        word(s='a').set_retry(-1)  # here

    def odd_duration():
        word(s='a').set_retry(1, backoff_duration='soon')  # here

    def odd_accelerators():
        word(s='a').set_accelerator_limit('many')  # here

    def no_pause():
        word(s='a').set_debug_pause(after=False)  # here

    def pause_on_error_only():
        word(s='a').set_debug_pause(after=False, on_error=True)  # here

    def odd_policy():
        kubernetes.set_image_pull_policy(word(s='a'), 'Sometimes')  # here

    def odd_timeout():
        kubernetes.set_timeout(word(s='a'), -1)  # here

    def claim_of_no_name():
        kubernetes.CreatePVC(access_modes=['ReadWriteOnce'], size='1Gi')  # here

    def no_artifact_class():
        dsl.importer(artifact_uri='gs://a', artifact_class=str)  # here

    def importer_of_a_number():
        dsl.importer(artifact_uri=5, artifact_class=dsl.Dataset)  # here

    def needs_default():
        word(s=word(s='a').output).ignore_upstream_failure()  # here

    for body, error, part in (
            (missing_input, TypeError, "misses the input 's'"), (unknown_input, TypeError, "no input 't'"), (too_many, TypeError, 'takes 1'),
            (none_for_required, ValueError, 'None'), (list_for_text, errors.InconsistentTypeException, 'list'),
            (object_for_text, ValueError, 'object'), (no_output, KeyError, "no output 'other'"),
            (python_if, errors.InvalidControlFlowException, 'dsl.If'), (python_for, errors.InvalidControlFlowException, 'ParallelFor'),
            (constant_condition, errors.InvalidControlFlowException, 'True'),
            (condition_on_list, errors.InvalidControlFlowException, 'is a list'),
            (condition_on_a_text_with_outputs, errors.InvalidControlFlowException, 'make the text in a task'),
            (condition_on_nothing, errors.InvalidControlFlowException, 'None'), (else_alone, errors.InvalidControlFlowException, 'must follow'),
            (elif_after_else, errors.InvalidControlFlowException, 'must follow'), (loop_over_text, errors.InconsistentTypeException, 'List'),
            (loop_over_nothing, ValueError, 'at least one'), (loop_of_mixed, errors.InconsistentTypeException, 'one type'),
            (odd_parallelism, ValueError, '-1'), (outside_the_branch, errors.InvalidTopologyException, 'OneOf'),
            (outside_the_loop, errors.InvalidTopologyException, 'Collected'), (exit_task_waits, errors.InvalidTopologyException, 'exit task'),
            (exit_of_nothing, errors.InvalidControlFlowException, "'task'"), (one_of_without_else, errors.InvalidControlFlowException, 'not the output'),
            (collected_outside, errors.InvalidControlFlowException, "'x'"), (after_a_text, ValueError, "'b'"), (odd_retry, ValueError, '-1'),
            (odd_duration, ValueError, 'soon'), (odd_accelerators, ValueError, 'many'), (no_pause, ValueError, 'before or after'),
            (pause_on_error_only, ValueError, 'needs after'), (odd_policy, ValueError, 'Sometimes'), (odd_timeout, ValueError, '-1'),
            (claim_of_no_name, TypeError, 'pvc_name'), (no_artifact_class, ValueError, 'artifact class'),
            (importer_of_a_number, ValueError, '5'), (needs_default, ValueError, 'default')):
        fails_at_marker(with_pipeline(body), error, part)
    fails_at_marker(twice_named, TypeError, "two outputs named 'x'")
