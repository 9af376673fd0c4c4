"""Packages on their way to the server: compiling, reading, values of inputs."""

from __future__ import annotations

import contextlib
import datetime
import os
import tempfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator


@contextlib.contextmanager
def compiled(pipeline_func: Any, name: str | None = None, pipeline_conf: Any = None) -> Iterator[str]:
    """The path of a package made of a pipeline, while the context lasts."""
    from kfp.compiler import Compiler
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'pipeline.yaml')
        Compiler().compile(pipeline_func, path, pipeline_conf=pipeline_conf)
        yield path


def name_of(pipeline_func: Any) -> str:
    """The name of a pipeline, component or plain function."""
    spec = getattr(pipeline_func, 'component_spec', None)
    name: str = spec.name if spec is not None else pipeline_func.__name__
    return name


def run_name(pipeline_name: str) -> str:
    """A new run's name."""
    return f'{pipeline_name} {datetime.datetime.now().strftime("%Y-%m-%d %H-%M-%S")}'


def read(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """(PipelineSpec, PlatformSpec) in a .yaml, .json, .zip or .tar.gz file."""
    import yaml
    path = os.fspath(path)
    with open(path, 'rb') as file:
        content = _unpacked(file.read(), path)
    loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
    try:
        documents = [document for document in yaml.load_all(content, loader) if document]
    except yaml.YAMLError as error:
        raise ValueError(f'{path} is no YAML: {error}') from error
    if not documents or not isinstance(documents[0], dict):
        raise ValueError(f'{path} has no pipeline in it')
    if 'pipeline_spec' in documents[0]:
        return [documents[0]['pipeline_spec'], documents[0].get('platform_spec') or {}]
    for document in documents:
        if document.get('kind') == 'PipelineVersion':
            return [document['spec']['pipelineSpec'], document['spec'].get('platformSpec') or {}]
    return [documents[0], documents[1] if len(documents) > 1 else {}]


def _unpacked(content: bytes, path: str) -> bytes:
    import io
    if content[:2] == b'PK':
        import zipfile
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            if not names:
                raise ValueError(f'{path} is an empty archive')
            return archive.read('pipeline.yaml' if 'pipeline.yaml' in names else names[0])
    if content[:2] == b'\x1f\x8b':
        import tarfile
        with tarfile.open(fileobj=io.BytesIO(content), mode='r:gz') as archive:
            members = [member for member in archive.getmembers() if member.isfile()]
            if not members:
                raise ValueError(f'{path} is an empty archive')
            chosen = next((member for member in members if member.name == 'pipeline.yaml'), members[0])
            return archive.extractfile(chosen).read()  # type: ignore[union-attr]
    return content


def set_caching(package: list[dict[str, Any]], enable: bool | None, cache_key: str | None) -> None:
    """Switches caching for every task of a package, in inner pipelines too."""
    if enable is None and cache_key is None:
        return
    roots = [package[0].get('root', {})] + list(package[0].get('components', {}).values())
    for component in roots:
        for task in component.get('dag', {}).get('tasks', {}).values():
            if 'cachingOptions' not in task:
                continue
            if enable is not None:
                task['cachingOptions'] = {'enableCache': True} if enable else {}
            if cache_key is not None:
                task['cachingOptions']['cacheKey'] = cache_key


def convert_parameters(document: Any, given: dict[str, Any]) -> dict[str, Any]:
    """`given` in the types of the pipeline's inputs; v1 callers give text for all.

    Raises ValueError for unknown and for missing inputs, and for text that is no such value.
    """
    from kfp.dsl import errors, kinds
    if not isinstance(document, dict) or 'root' not in document:
        return {name: str(value) for name, value in given.items()}
    definitions = document['root'].get('inputDefinitions', {}).get('parameters', {})
    converted = {}
    for name, value in given.items():
        entry = definitions.get(name)
        if entry is None:
            known = ', '.join(sorted(definitions)) or 'none'
            raise ValueError(f'the pipeline has no input {name!r}; its inputs are: {known}')
        kind = kinds.from_ir(entry)
        if hasattr(value, 'item'):
            value = value.item()
        try:
            if isinstance(value, str):
                value = kinds.convert_text(value, kind)
            elif kind.parameter == kinds.STRING and value is not None:
                import json
                value = json.dumps(value) if isinstance(value, (dict, list, bool)) else str(value)
        except ValueError as error:
            raise ValueError(f'the input {name!r} is a {kind} and got {value!r}: {error}') from error
        if value is not None and not kinds.accepts(kind, kinds.kind_of_value(value) or kinds.UNTYPED):
            raise errors.InconsistentTypeException(f'the input {name!r} is a {kind} and got {value!r}')
        converted[name] = value
    missing = [name for name, entry in definitions.items()
               if name not in given and not entry.get('isOptional') and 'defaultValue' not in entry]
    if missing:
        raise ValueError(f'the pipeline needs a value for: {", ".join(sorted(missing))}')
    return converted
