"""The program of a v1 Python step: the function, and the code that calls it.

It imports nothing but what it needs, knows nothing of kfp, and runs in any image
with Python 3.7 or newer. Its command line is

    --<argument> <value>        for an input given as a value or as the path of a file
    ----text-<argument> <value> for an InputPath whose value must first become a file
    ----out-<argument> <path>   for an OutputPath
    ----output-paths <path>…    for the values that the function returns, in order
"""

from __future__ import annotations

import ast

from kfp.dsl import annotations as marks
from kfp.dsl import kinds, python_source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from kfp.dsl.structures import InputSpec, OutputSpec

# Program text that turns the command line's text into a value of each type.
_READERS = {
    kinds.INTEGER: 'def _step_int(text):\n    return int(text) if text.lstrip("+-").isdigit() else int(float(text))\n',
    kinds.BOOLEAN: ('def _step_bool(text):\n    lowered = text.strip().lower()\n'
                    '    if lowered in ("true", "1", "yes", "y", "t", "1.0"):\n        return True\n'
                    '    if lowered in ("false", "0", "no", "n", "f", "0.0", ""):\n        return False\n'
                    '    raise ValueError("%r is no boolean" % text)\n'),
    kinds.LIST: 'def _step_json(text):\n    import json\n    return json.loads(text)\n',
}
_READERS[kinds.STRUCT] = _READERS[kinds.LIST]
_READER_NAMES = {kinds.INTEGER: '_step_int', kinds.DOUBLE: 'float', kinds.BOOLEAN: '_step_bool',
                 kinds.LIST: '_step_json', kinds.STRUCT: '_step_json'}

_WRITER = '''def _step_text(value, kind, name):
    wrong = TypeError("the output %r is a %s and the function returned %r" % (name, kind, value))
    if kind == "str":
        if not isinstance(value, str):
            raise wrong
        return value
    if hasattr(value, "item") and kind in ("int", "float", "bool"):
        value = value.item()
    if kind == "bool":
        if not isinstance(value, bool):
            raise wrong
        return "true" if value else "false"
    if kind in ("int", "float"):
        if isinstance(value, bool) or not isinstance(value, int if kind == "int" else (int, float)):
            raise wrong
        return repr(value)
    import json
    return json.dumps(value)
'''

_FOLDERS = '''def _step_make_folder(path):
    import os
    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    return path
'''

_TO_FILE = '''def _step_to_file(text):
    import os, tempfile
    path = os.path.join(tempfile.mkdtemp(), "data")
    with open(path, "w") as file:
        file.write(text)
    return path
'''

_MAIN = '''
def _step_main(function):
    import sys
    words, arguments, paths = sys.argv[1:], {}, []
    while words:
        flag = words.pop(0)
        if flag == "----output-paths":
            paths, words = words, []
            break
        if flag not in _step_readers:
            sys.exit("unknown option %r" % flag)
        name, read = _step_readers[flag]
        arguments[name] = read(words.pop(0))
    returned = function(**arguments)
RESULTS

_step_main(FUNCTION)
'''

_SINGLE = '''    with open(_step_make_folder(paths[0]), "w") as file:
        file.write(_step_text(returned, KIND, "Output"))'''

_SEVERAL = '''    outputs = OUTPUTS
    if isinstance(returned, dict):
        returned = [returned[name] for name, _ in outputs]
    if not isinstance(returned, (tuple, list)) or len(returned) != len(outputs):
        raise TypeError("the function must return the outputs %s, and returned %r" % ([name for name, _ in outputs], returned))
    for path, value, (name, kind) in zip(paths, returned, outputs):
        with open(_step_make_folder(path), "w") as file:
            file.write(_step_text(value, kind, name))'''

_FILE_MODES = {'InputTextFile': 'r', 'InputBinaryFile': 'rb', 'OutputTextFile': 'w', 'OutputBinaryFile': 'wb'}


def build(func: Callable[..., Any], inputs: dict[str, InputSpec], outputs: dict[str, OutputSpec],
          returned: dict[str, OutputSpec], extra_code: str = '') -> str:
    """The program's text.

    Args:
        inputs, outputs: {argument of the function: InputSpec or OutputSpec of a path}.
        returned: {name: OutputSpec} of what the function returns.
    """
    helpers: list[str] = []
    readers: list[str] = []
    kinds_used = {spec.kind.parameter for name, spec in inputs.items()
                  if not isinstance(spec.annotation, marks._PathAnnotation)}
    for text in dict.fromkeys(_READERS[kind] for kind in _READERS if kind in kinds_used):
        helpers.append(text)
    has_path = False
    for name, spec in inputs.items():
        if isinstance(spec.annotation, marks.InputPath):
            has_path = True
            readers.append(f'    "--{name}": ({name!r}, {_opened(spec.annotation, "str")}),')
            readers.append(f'    "----text-{name}": ({name!r}, {_opened(spec.annotation, "_step_to_file")}),')
        else:
            readers.append(f'    "--{name}": ({name!r}, {_READER_NAMES.get(spec.kind.parameter or "", "str")}),')
    for name, output in outputs.items():
        readers.append(f'    "----out-{name}": ({name!r}, {_opened(output.annotation, "_step_make_folder")}),')
    if has_path:
        helpers.append(_TO_FILE)
    if outputs or returned:
        helpers.append(_FOLDERS)
    if returned:
        helpers.append(_WRITER)
    if list(returned) == ['Output']:
        results = _SINGLE.replace('KIND', repr(_type_name(returned['Output'])))
    elif returned:
        results = _SEVERAL.replace('OUTPUTS', repr([(name, _type_name(spec)) for name, spec in returned.items()]))
    else:
        results = ''
    main = _MAIN.replace('FUNCTION', func.__name__).replace('RESULTS\n', results + '\n' if results else '')
    readers_text = '_step_readers = {\n' + ''.join(line + '\n' for line in readers) + '}\n'
    return ('from __future__ import annotations\n'
            + extra_code + ('\n' if extra_code else '')
            + _needed_imports(func) + '\n' + python_source.function_source(func) + '\n\n'
            + '\n\n'.join(helpers + [readers_text]) + _MAIN_GAP + main.lstrip('\n'))


_MAIN_GAP = '\n'


def _opened(annotation: Any, reader: str) -> str:
    mode = _FILE_MODES.get(type(annotation).__name__)
    return f'lambda text: open({reader}(text), {mode!r})' if mode else reader


def _type_name(spec: Any) -> str:
    return str(kinds.Kind(spec.kind.parameter)) if spec.kind.parameter else 'str'


def _needed_imports(func: Callable[..., Any]) -> str:
    """Names of `typing` that the function's body uses, which v1 programs had at hand."""
    tree = ast.parse(python_source.function_source(func))
    function = tree.body[0]
    assert isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
    used = {node.id for statement in function.body for node in ast.walk(statement) if isinstance(node, ast.Name)}
    names = sorted(used & {'NamedTuple', 'List', 'Dict', 'Optional', 'Tuple', 'Any', 'Union'})
    return f'from typing import {", ".join(names)}\n' if names else ''
