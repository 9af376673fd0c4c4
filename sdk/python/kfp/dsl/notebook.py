"""Components that are notebooks: `@dsl.notebook_component(notebook_path='train.ipynb')`."""

from __future__ import annotations

import functools
import os

from kfp.dsl import decorators, errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from kfp.dsl.component_classes import PythonComponent
    from kfp.dsl.pipeline_config import TaskConfigField, TaskConfigPassthrough

# What executes a notebook, when the author asks for nothing else.
DEFAULT_PACKAGES = ('nbclient>=0.10,<1', 'ipykernel>=6,<7', 'jupyter_client>=7,<9')

# Program text that gives the step dsl.run_notebook. NOTEBOOK is the path inside the embedded files.
_HELPER = '''
def _kfp_parameter_cell(notebook, values):
    """Puts the values into a cell after the one tagged `parameters`, else first."""
    import json
    from nbformat.v4 import new_code_cell
    lines = ['import json'] + ['%s = json.loads(%r)' % (name, json.dumps(value)) for name, value in values.items()]
    cell = new_code_cell('\\n'.join(lines), metadata={'tags': ['injected-parameters']})
    place = 0
    for number, other in enumerate(notebook.cells):
        if other.cell_type == 'code' and 'parameters' in other.metadata.get('tags', []):
            place = number + 1
            break
    notebook.cells.insert(place, cell)


def _kfp_show(output):
    """Prints what a cell gives, at the moment in which it does."""
    import sys
    if output.output_type == 'stream':
        (sys.stderr if output.name == 'stderr' else sys.stdout).write(output.text)
    elif output.output_type != 'error' and 'text/plain' in output.data:
        print(output.data['text/plain'])
    sys.stdout.flush()


def __kfp_run_notebook(**values):
    """Executes the embedded notebook in its folder, with `values` as its parameters.

    Raises RuntimeError with the cell's own error when a cell fails.
    """
    import os
    import sys
    import nbformat
    from jupyter_client.kernelspec import KernelSpecManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    class Client(NotebookClient):
        def process_message(self, message, cell, cell_index):
            output = super().process_message(message, cell, cell_index)
            if output is not None:
                _kfp_show(output)
            return output
    if 'python3' not in KernelSpecManager().find_kernel_specs():
        from ipykernel.kernelspec import install
        install(user=True)
    notebook = nbformat.read(os.path.join(__KFP_EMBEDDED_ASSET_DIR, NOTEBOOK), as_version=4)
    if values:
        _kfp_parameter_cell(notebook, values)
    sys.stdout.flush()
    try:
        Client(notebook, timeout=None, kernel_name='python3').execute(cwd=__KFP_EMBEDDED_ASSET_DIR)
    except CellExecutionError as error:
        raise RuntimeError('the notebook %s failed: %s' % (NOTEBOOK, error)) from None


dsl.run_notebook = run_notebook = __kfp_run_notebook
'''


def notebook_component(func: Callable[..., Any] | None = None, *, notebook_path: str, base_image: str | None = None,
                       packages_to_install: list[str] | None = None, output_component_file: str | None = None,
                       pip_index_urls: list[str] | None = None, pip_trusted_hosts: list[str] | None = None,
                       use_venv: bool = False, kfp_package_path: str | None = None, install_kfp_package: bool = True,
                       task_config_passthroughs: list[TaskConfigPassthrough | TaskConfigField] | None = None) -> Any:
    """Makes a component that executes a notebook.

    The function is called in the step; it calls `dsl.run_notebook(name=value, …)`, which executes the notebook with these
    values put in after the cell that is tagged `parameters` (else at the top), and then hands on what the notebook left
    in files. The notebook, with its folder when `notebook_path` is one, goes along in the pipeline.

    Args:
        func: the function, when used without arguments.
        notebook_path: an .ipynb file, or a folder with exactly one.
        base_image: the image that it runs in ('python:3.11').
        packages_to_install: what pip installs first; when None, nbclient, ipykernel and jupyter_client.
        output_component_file: also compile the component to this file.
        pip_index_urls, pip_trusted_hosts, use_venv, kfp_package_path, install_kfp_package, task_config_passthroughs: as for
            dsl.component.

    Returns:
        A PythonComponent, or a decorator when `func` is None.

    Raises:
        SignatureError: there is no such notebook, or the folder has none or several.
    """
    if func is None:
        return functools.partial(
            notebook_component, notebook_path=notebook_path, base_image=base_image, packages_to_install=packages_to_install,
            output_component_file=output_component_file, pip_index_urls=pip_index_urls, pip_trusted_hosts=pip_trusted_hosts,
            use_venv=use_venv, kfp_package_path=kfp_package_path, install_kfp_package=install_kfp_package,
            task_config_passthroughs=task_config_passthroughs)
    inside = _notebook_in(notebook_path, errors.function_location(func))
    packages = list(DEFAULT_PACKAGES) if packages_to_install is None else list(packages_to_install)
    made: PythonComponent = decorators.make_component(
        func, base_image=base_image, packages_to_install=packages, pip_index_urls=pip_index_urls,
        pip_trusted_hosts=pip_trusted_hosts, use_venv=use_venv, kfp_package_path=kfp_package_path,
        install_kfp_package=install_kfp_package, task_config_passthroughs=task_config_passthroughs,
        embedded_artifact_path=notebook_path, output_component_file=output_component_file,
        helper=_HELPER.replace('NOTEBOOK', repr(inside)))
    return made


def _notebook_in(path: str, location: str | None) -> str:
    """The notebook's path inside the files that are embedded for `path`."""
    path = os.fspath(path)
    if not os.path.exists(path):
        raise errors.SignatureError(f'notebook_path={path!r} does not exist', location)
    if os.path.isfile(path):
        if not path.lower().endswith('.ipynb'):
            raise errors.SignatureError(f'notebook_path={path!r} is no .ipynb file', location)
        return os.path.basename(path)
    found = []
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if name != '.ipynb_checkpoints')
        found += [os.path.relpath(os.path.join(folder, name), path) for name in sorted(files) if name.endswith('.ipynb')]
    if len(found) != 1:
        raise errors.SignatureError(f'notebook_path={path!r} must hold exactly one .ipynb file, and holds {len(found)}', location)
    return found[0].replace(os.sep, '/')


__all__ = ['notebook_component', 'DEFAULT_PACKAGES']
