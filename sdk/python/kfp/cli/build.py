"""`kfp component build`: images of components that have a target_image."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
    Areas = argparse._SubParsersAction[argparse.ArgumentParser]

_CONFIG, _REQUIREMENTS, _DOCKERFILE, _IGNORE = 'kfp_config.ini', 'runtime-requirements.txt', 'Dockerfile', '.dockerignore'
_IGNORED = '.git/\n__pycache__/\ncomponent_metadata/\n'


def add_commands(areas: Areas) -> None:
    """The commands about images."""
    verbs = areas.add_parser('component', help='images of components').add_subparsers(dest='verb', required=True, metavar='COMMAND')
    build = verbs.add_parser('build', help='build the image of the components in a folder that have a target_image')
    build.add_argument('folder', metavar='COMPONENTS_DIRECTORY')
    build.add_argument('--component-filepattern', default='**/*.py', help="which files have components ('**/*.py')")
    build.add_argument('--engine', choices=('docker',), default='docker', help=argparse.SUPPRESS)
    build.add_argument('--kfp-package-path', help='what pip installs as kfp in the image')
    build.add_argument('--overwrite-dockerfile', action='store_true', help='write the Dockerfile although there is one')
    build.add_argument('--platform', default='linux/amd64', help="of the image ('linux/amd64')")
    for name in ('build', 'push'):
        build.add_argument(f'--{name}-image', dest=f'{name}_image', action='store_true', default=True, help=f'{name} it (the default)')
        build.add_argument(f'--no-{name}-image', dest=f'{name}_image', action='store_false', help=f'do not {name} it')
    build.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Writes what the image is built from, and builds and pushes it. Raises ValueError for what does not fit."""
    folder = os.path.abspath(arguments.folder)
    if not os.path.isdir(folder):
        raise ValueError(f'{folder} is no folder')
    found = _components(folder, arguments.component_filepattern)
    image, base, packages = _together(found)
    with open(os.path.join(folder, _CONFIG), 'w') as file:
        file.write('[Components]\n' + ''.join(f'{name} = {path}\n' for name, path, _ in found))
    with open(os.path.join(folder, _REQUIREMENTS), 'w') as file:
        file.write(''.join(f'{package}\n' for package in packages))
    _write_unless_there(os.path.join(folder, _IGNORE), _IGNORED, False)
    _write_unless_there(os.path.join(folder, _DOCKERFILE), _dockerfile(base, arguments.kfp_package_path), arguments.overwrite_dockerfile)
    print(f'{len(found)} components of the image {image}: {", ".join(name for name, _, _ in found)}')
    if not arguments.build_image:
        return
    if shutil.which('docker') is None:
        raise ValueError('there is no program docker to build the image with; --no-build-image only writes the files')
    _call(['docker', 'build', '--platform', arguments.platform, '--tag', image, folder])
    if arguments.push_image:
        _call(['docker', 'push', image])


def _components(folder: str, pattern: str) -> list[tuple[str, str, Any]]:
    """(function's name, file below the folder, component) of every component with a target_image."""
    import glob
    import runpy
    from kfp.dsl import component_classes
    found: list[tuple[str, str, Any]] = []
    sys.path.insert(0, folder)
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), pattern), recursive=True)):
        for value in runpy.run_path(path).values():
            if isinstance(value, component_classes.PythonComponent) and value.target_image:
                if os.path.abspath(value.python_func.__code__.co_filename) == os.path.abspath(path):
                    found.append((value.python_func.__name__, os.path.relpath(path, folder), value))
    names = [name for name, _, _ in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f'several components are called {twice[0]!r}; the image finds them by their names')
    if not found:
        raise ValueError(f'no file of {folder} that matches {pattern} has a component with a target_image')
    return found


def _together(found: list[tuple[str, str, Any]]) -> tuple[str, str, list[str]]:
    """(image, base image, packages) of all components, which must agree on the first two."""
    for what, values in (('target_image', {component.target_image for _, _, component in found}),
                         ('base_image', {component.base_image for _, _, component in found})):
        if len(values) > 1:
            raise ValueError(f'the components have different values of {what}: {", ".join(sorted(map(str, values)))}')
    packages = sorted({package for _, _, component in found for package in component.packages_to_install or ()})
    return found[0][2].target_image, found[0][2].base_image, packages


def _dockerfile(base: str, kfp_package: str | None) -> str:
    from kfp.dsl import python_source
    kfp = kfp_package or f'kfp=={python_source.UPSTREAM_VERSION}'
    return (f'FROM {base}\nWORKDIR /usr/local/src/kfp/components\nCOPY {_REQUIREMENTS} {_REQUIREMENTS}\n'
            f'RUN pip install --no-cache-dir -r {_REQUIREMENTS}\nRUN pip install --no-cache-dir {kfp}\nCOPY . .\n')


def _write_unless_there(path: str, text: str, overwrite: bool) -> None:
    if os.path.exists(path) and not overwrite:
        return
    with open(path, 'w') as file:
        file.write(text)


def _call(command: list[str]) -> None:
    status = subprocess.call(command)
    if status != 0:
        raise ValueError(f'{" ".join(command)} ended with status {status}')
