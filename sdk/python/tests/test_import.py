"""What importing costs. Times are printed, not asserted: machines differ."""

import json
import os
import subprocess
import sys
import time

from conftest import ROOT

_ENVIRONMENT = dict(os.environ, PYTHONPATH=ROOT)


def _best(words, environment, repeats=7):
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(words, env=environment, check=True, stdout=subprocess.DEVNULL)
        found.append((time.perf_counter() - start) * 1000)
    return min(found)


def test_import_loads_one_file():
    code = ("import os, sys; before = set(sys.modules); import kfp; print(sorted(set(sys.modules) - before));"
            "before = set(sys.modules); from kfp import dsl; print(sorted(set(sys.modules) - before))")
    out = subprocess.run([sys.executable, '-c', code], env=_ENVIRONMENT, check=True, stdout=subprocess.PIPE).stdout.decode()
    assert out == "['kfp']\n['kfp.dsl']\n"


def test_no_dependency_but_yaml():
    """Only reading and writing packages needs PyYAML; tasks do not."""
    code = ("import sys; sys.modules['yaml'] = None\n"
            "import kfp, kfp.client, kfp.cli, kfp.kubernetes, kfp.components, kfp.dsl.decorators, kfp.compiler.compiler, "
            "kfp.components.functions, kfp.components.load, kfp.kubernetes.volumes, kfp.v2.dsl")
    subprocess.run([sys.executable, '-c', code], env=_ENVIRONMENT, check=True)


def test_names_resolve():
    import kfp
    from kfp import components, dsl, kubernetes
    for module, names in ((dsl, dsl.__all__), (components, components.__all__), (kubernetes, kubernetes.__all__)):
        for name in names:
            assert getattr(module, name) is not None, name
    assert callable(kfp.Client) and kfp.compiler.Compiler
    assert callable(dsl.component) and callable(dsl.importer) and callable(dsl.pipeline)


def test_print_times(tmp_path, capsys):
    python = [sys.executable, '-S']
    source = tmp_path / 'step.py'
    source.write_text('\nimport kfp\nfrom kfp import dsl\nfrom kfp.dsl import *\nfrom typing import *\n\ndef f() -> int:\n    return 1\n')
    executor_input = json.dumps({'outputs': {'outputFile': str(tmp_path / 'out.json')}})
    bare = _best(python + ['-c', 'pass'], _ENVIRONMENT)
    importing = _best(python + ['-c', 'import kfp'], _ENVIRONMENT)
    step = _best(python + ['-m', 'kfp.dsl.executor_main', '--component_module_path', str(source), '--executor_input',
                           executor_input, '--function_to_execute', 'f'], dict(_ENVIRONMENT, _KFP_RUNTIME='true'))
    with capsys.disabled():
        print(f'\npython -c pass {bare:.1f} ms; import kfp {importing:.1f} ms ({importing / bare:.2f}x); '
              f'a whole step {step:.1f} ms ({step / bare:.2f}x)')
