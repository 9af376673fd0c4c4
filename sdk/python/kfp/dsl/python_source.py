"""The command lines and the program texts of Python steps."""

from __future__ import annotations

import ast
import inspect
import os
import textwrap

from kfp.dsl import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

# The upstream release that a backend without Penstock's own package installs.
UPSTREAM_VERSION = '2.17.0'
DEFAULT_IMAGE = 'python:3.11'

_HEADER = '\nimport kfp\nfrom kfp import dsl\nfrom kfp.dsl import *\nfrom typing import *\n\n'

# The text that upstream's steps carry, byte for byte where a node recognises it.
_NEEDS_PIP = ('\nif ! [ -x "$(command -v pip)" ]; then\n'
              '    python3 -m ensurepip || python3 -m ensurepip --user || apt-get install python3-pip\n'
              'fi\n\n')
_VENV = ('\nexport PIP_DISABLE_PIP_VERSION_CHECK=1\ntmp=$(mktemp -d)\n'
         'python3 -m venv "$tmp/venv" --system-site-packages\n. "$tmp/venv/bin/activate"\n ')
_GAP = ' ' * 25
_RUN_PROGRAM = ('program_path=$(mktemp -d)\n\n'
                'printf "%s" "$0" > "$program_path/ephemeral_component.py"\n'
                f'_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main{_GAP}--component_module_path{_GAP}'
                '"$program_path/ephemeral_component.py"' + _GAP + '"$@"\n')
EMBED_WARNING_BYTES = 1 << 20


def function_source(func: Callable[..., Any]) -> str:
    """The text of a function's definition, without decorators and at column 0.

    Raises SignatureError when Python does not know the text.
    """
    try:
        text = inspect.getsource(func)
    except (OSError, TypeError) as error:
        raise errors.SignatureError(
            f'the source of {func.__name__}() is not known ({error}); write it in a file or a notebook cell',
            errors.function_location(func)) from error
    text = textwrap.dedent(text)
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise errors.SignatureError(
            f'{func.__name__} must be defined by a def statement of its own', errors.function_location(func)) from error
    definition = tree.body[0]
    if not isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef)):
        raise errors.SignatureError(
            f'{func.__name__} must be defined by a def statement', errors.function_location(func))
    return '\n'.join(text.splitlines()[definition.lineno - 1:]) + '\n'


def component_program(func: Callable[..., Any], additional_funcs: list[Callable[..., Any]] | None = None,
                      embedded_path: str | None = None, helper: str = '') -> str:
    """The program that the executor loads: imports, embedded files, helpers and the function."""
    helpers = ''.join(function_source(helper) + '\n\n' for helper in additional_funcs or ())
    embedded = _embed(embedded_path, func) if embedded_path else ''
    return _HEADER + embedded + helper + model_sources(func) + helpers + function_source(func) + '\n'


def model_sources(func: Callable[..., Any]) -> str:
    """Program text of the pydantic models in a function's signature, and of the author's classes that these are made of.

    A model from an installed package is imported from there.
    """
    imports: dict[str, None] = {}
    classes: dict[str, str] = {}

    def add(cls: Any) -> None:
        if cls.__name__ in classes:
            return
        if cls.__module__ != func.__module__:
            imports[f'from {cls.__module__} import {cls.__qualname__}'] = None
            return
        text = textwrap.dedent(inspect.getsource(cls))
        names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        for name in sorted(names):
            used = func.__globals__.get(name)
            home = getattr(used, '__module__', None) or ''
            if isinstance(used, type) and home == func.__module__ and used is not cls:
                add(used)
            elif home.startswith('pydantic'):
                imports[f'from pydantic import {name}'] = None
            elif home in ('enum', 'datetime', 'uuid', 'decimal'):
                imports[f'from {home} import {name}'] = None
        classes[cls.__name__] = text
    for annotation in getattr(func, '__annotations__', {}).values():
        for part in [annotation, *(getattr(annotation, '__args__', None) or ()), *_field_types(annotation)]:
            if isinstance(part, str):
                part = func.__globals__.get(part)
            if isinstance(part, type) and hasattr(part, 'model_validate'):
                add(part)
    return ''.join(f'{line}\n' for line in imports) + '\n'.join(['', *classes.values(), ''] if classes else [])


def _field_types(annotation: Any) -> list[Any]:
    """The types of a NamedTuple's fields."""
    return list(getattr(annotation, '__annotations__', {}).values()) if hasattr(annotation, '_fields') else []


def _embed(path: str, func: Callable[..., Any]) -> str:
    """Program text that unpacks the files at `path` when it is loaded."""
    import base64
    import io
    import tarfile
    import warnings
    if not os.path.exists(path):
        raise errors.SignatureError(f'embedded_artifact_path={path!r} does not exist', errors.function_location(func))
    buffer = io.BytesIO()
    import gzip
    with gzip.GzipFile(fileobj=buffer, mode='wb', mtime=0) as packed, tarfile.open(fileobj=packed, mode='w') as archive:
        def plain(info: Any) -> Any:
            info.mtime, info.uid, info.gid, info.uname, info.gname = 0, 0, 0, '', ''
            return info
        if os.path.isdir(path):
            for name in sorted(os.listdir(path)):
                archive.add(os.path.join(path, name), arcname=name, filter=plain)
        else:
            archive.add(path, arcname=os.path.basename(path), filter=plain)
    if len(buffer.getvalue()) > EMBED_WARNING_BYTES:
        warnings.warn(f'{path} takes {len(buffer.getvalue())} bytes in the pipeline file; '
                      'put large files into an artifact instead')
    text = base64.b64encode(buffer.getvalue()).decode('ascii')
    single = '' if os.path.isdir(path) else (
        f'__KFP_EMBEDDED_ASSET_FILE = __kfp_os.path.join(__KFP_EMBEDDED_ASSET_DIR, {os.path.basename(path)!r})\n')
    return (f'__KFP_EMBEDDED_ARCHIVE_B64 = {text!r}\n\n'
            'import base64 as __kfp_b64, io as __kfp_io, os as __kfp_os, sys as __kfp_sys\n'
            'import tarfile as __kfp_tarfile, tempfile as __kfp_tempfile\n'
            '__kfp_folder = __kfp_tempfile.TemporaryDirectory()\n'
            '__KFP_EMBEDDED_ASSET_DIR = __kfp_folder.name\n'
            'with __kfp_tarfile.open(fileobj=__kfp_io.BytesIO(__kfp_b64.b64decode(__KFP_EMBEDDED_ARCHIVE_B64)), '
            "mode='r:gz') as __kfp_archive:\n"
            '    __kfp_archive.extractall(path=__KFP_EMBEDDED_ASSET_DIR)\n'
            '__kfp_sys.path.insert(0, __KFP_EMBEDDED_ASSET_DIR)\n'
            f'{single}\n')


def pip_install(packages: list[str], index_urls: list[str] | None = None, trusted_hosts: list[str] | None = None) -> str:
    """One `pip install` command."""
    options = ''
    for number, url in enumerate(index_urls or ()):
        options += f'--{"extra-" if number else ""}index-url {url} '
    if trusted_hosts is not None:
        for host in trusted_hosts:
            options += f'--trusted-host {host} '
    elif index_urls:
        for url in index_urls:
            options += f'--trusted-host {url} '
    quoted = ' '.join(_quote(package) for package in packages)
    return f'python3 -m pip install --quiet --no-warn-script-location {options}{quoted}'


def _quote(word: str) -> str:
    return f"'{word}'" if "'" not in word else f'"{word}"'


def component_command(program: str, packages: list[str] | None = None, index_urls: list[str] | None = None,
                      trusted_hosts: list[str] | None = None, install_kfp: bool = True, kfp_package: str | None = None,
                      use_venv: bool = False) -> list[str]:
    """The whole command of a Python step: what it installs, then the program."""
    packages = list(packages or [])
    # An author who lists kfp pins it; pip must then not be asked for another.
    own_kfp = any(package == 'kfp' or package.startswith(('kfp=', 'kfp>', 'kfp<', 'kfp[', 'kfp!', 'kfp~', 'kfp '))
                  for package in packages)
    steps = []
    if packages:
        steps.append(pip_install(packages, index_urls, trusted_hosts))
    if install_kfp and not own_kfp:
        if kfp_package:
            needed = [kfp_package]
        else:
            needed = [f'kfp=={UPSTREAM_VERSION}', '--no-deps', 'typing-extensions>=3.7.4,<5; python_version<"3.9"']
        steps.append(pip_install(needed, index_urls, trusted_hosts))
    command = []
    if steps:
        gap = _VENV if use_venv else ''
        script = f'  &&  {gap}'.join(steps) if packages else gap + steps[0]
        command = ['sh', '-c', f'{_NEEDS_PIP}PIP_DISABLE_PIP_VERSION_CHECK=1 {script} && "$0" "$@"\n']
    return command + ['sh', '-ec', _RUN_PROGRAM, program]


def component_arguments(function_name: str) -> list[str]:
    return ['--executor_input', '{{$}}', '--function_to_execute', function_name]
