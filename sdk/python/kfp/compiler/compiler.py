"""Compiler().compile: the files that a backend takes."""

from __future__ import annotations

import io
import json
import os
import tarfile
import zipfile

from kfp.compiler import ir
from kfp.dsl import component_classes as components
from kfp.dsl import errors, kinds, structures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kfp.dsl.component_classes import BaseComponent
    from kfp.dsl.v1_conf import PipelineConf

_FORMATS = '.yaml, .yml, .json, .zip, .tar.gz or .tgz'


class KubernetesManifestOptions:
    """Names and labels of the Kubernetes manifests that `compile` writes.

    pipeline_name, pipeline_display_name, pipeline_version_name,

    Args:
        pipeline_version_display_name, namespace: texts, None for what follows from the pipeline.
        include_pipeline_manifest: also write the Pipeline object (False).
    """

    def __init__(self, pipeline_name: str | None = None, pipeline_display_name: str | None = None,
                 pipeline_version_name: str | None = None, pipeline_version_display_name: str | None = None,
                 namespace: str | None = None, include_pipeline_manifest: bool = False):
        self.pipeline_name = pipeline_name
        self.pipeline_display_name = pipeline_display_name
        self.pipeline_version_name = pipeline_version_name
        self.pipeline_version_display_name = pipeline_version_display_name
        self.namespace = namespace
        self.include_pipeline_manifest = include_pipeline_manifest


class Compiler:
    """Writes pipelines and components to files.

    Args:
        mode, launcher_image: accepted for v1 and ignored: the result is always IR.
    """

    def __init__(self, mode: Any = None, launcher_image: str | None = None):
        """`mode` and `launcher_image` are accepted for v1 and ignored: the result is always IR."""

    def compile(self, pipeline_func: Any, package_path: str | os.PathLike[str], pipeline_name: str | None = None,
                pipeline_display_name: str | None = None, pipeline_parameters: dict[str, Any] | None = None,
                type_check: bool = True, kubernetes_manifest_options: KubernetesManifestOptions | None = None,
                kubernetes_manifest_format: bool = False, pipeline_conf: PipelineConf | None = None) -> None:
        """Compiles a pipeline or component to `package_path`.

        Args:
            kubernetes_manifest_options: names in that object.
            pipeline_func: what @dsl.pipeline or @dsl.component made, or a plain pipeline function.
            package_path: a file that ends in .yaml, .yml, .json, .zip, .tar.gz or .tgz.
            pipeline_name, pipeline_display_name: instead of the pipeline's own.
            pipeline_parameters: a dict of new defaults for the pipeline's inputs.
            kubernetes_manifest_format: write a PipelineVersion object of Kubernetes (False).
            pipeline_conf: a v1 PipelineConf, put into the tasks and settings.
            type_check: accepted for v1 and ignored: types are always checked.

        Raises:
            PipelineError: there is a mistake in the pipeline.
            ValueError: the path's ending is none of these.
        """
        package_path = os.fspath(package_path)
        document, platform = compile_to_ir(pipeline_func, pipeline_name, pipeline_display_name, pipeline_parameters,
                                           pipeline_conf)
        if kubernetes_manifest_format or kubernetes_manifest_options:
            options = kubernetes_manifest_options or KubernetesManifestOptions()
            write_package(_manifests(document, platform, options), package_path)
            return
        write_package([document] + ([platform] if platform else []), package_path)


def compile_to_ir(pipeline_func: Any, name: str | None = None, display_name: str | None = None,
                  parameters: dict[str, Any] | None = None,
                  conf: PipelineConf | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """(PipelineSpec, PlatformSpec) of a pipeline, component or plain function, as dicts. conf: a v1 PipelineConf."""
    if not isinstance(pipeline_func, components.BaseComponent):
        if not callable(pipeline_func):
            raise ValueError(f'compile() takes a pipeline or a component, and got {pipeline_func!r}')
        pipeline_func = components.GraphComponent.from_function(pipeline_func)
    pipeline_func = _with_conf(pipeline_func, conf)
    spec = pipeline_func.component_spec
    if spec.loaded is not None:
        import copy
        document, platform = copy.deepcopy(spec.loaded)
    elif spec.graph is not None:
        document, platform = ir.pipeline_spec(spec, pipeline_func.display_name, pipeline_func.pipeline_root,
                                              pipeline_func.pipeline_config)
    else:
        document, platform = ir.pipeline_spec(ir.wrap_component(pipeline_func, name))
    if name:
        from kfp.dsl import context
        document['pipelineInfo']['name'] = context.pipeline_name(name)
    if display_name:
        document['pipelineInfo']['displayName'] = display_name
    if parameters:
        _override_defaults(document, parameters)
    return document, platform


def _with_conf(pipeline_func: Any, conf: PipelineConf | None) -> BaseComponent:
    """The pipeline with the settings of v1's PipelineConf in it; built anew, so that they are put in once."""
    graph = pipeline_func.component_spec.graph
    if graph is None or (conf is None and graph.conf is None):
        return pipeline_func
    built = components.GraphComponent.from_function(
        pipeline_func.pipeline_func, pipeline_func.name, pipeline_func.description, pipeline_func.pipeline_root,
        pipeline_func.display_name, pipeline_func.pipeline_config)
    graph = built.component_spec.graph
    assert graph is not None
    for settings in (graph.conf, conf):
        if settings is not None:
            settings.apply(graph)
            built.pipeline_config = settings.pipeline_config(built.pipeline_config)
    return built


def _override_defaults(document: dict[str, Any], parameters: dict[str, Any]) -> None:
    definitions = document['root'].get('inputDefinitions', {}).get('parameters', {})
    for name, value in parameters.items():
        if name not in definitions:
            raise errors.ArgumentError(f'pipeline_parameters has {name!r}, which is no input of the pipeline; '
                                       f'its inputs are: {", ".join(definitions) or "none"}')
        value = structures.check_default(name, kinds.from_ir(definitions[name]), value, None)
        definitions[name]['defaultValue'] = structures.ir_value(value)
        definitions[name]['isOptional'] = True


def to_yaml(documents: list[dict[str, Any]]) -> Any:
    """The text of a package: the documents with a comment that sums up the first."""
    import yaml
    dumper = getattr(yaml, 'CSafeDumper', yaml.SafeDumper)
    parts = [yaml.dump(document, Dumper=_plain(yaml, dumper), sort_keys=True, allow_unicode=True) for document in documents]
    return _summary(documents[0]) + '---\n'.join(parts)


def _plain(yaml: Any, dumper: Any) -> Any:
    class Plain(dumper):  # type: ignore[misc]
        """Writes equal objects twice instead of by reference."""

        def ignore_aliases(self, data: Any) -> bool:
            return True
    return Plain


def _summary(document: dict[str, Any]) -> Any:
    info = document.get('pipelineInfo')
    if not info:
        return ''
    lines = ['# PIPELINE DEFINITION', f'# Name: {info["name"]}']
    if info.get('description'):
        texts = info['description'].splitlines()
        lines.append(f'# Description: {texts[0]}')
        lines += [f'#              {text}'.rstrip() for text in texts[1:]]
    for title, section in (('Inputs', 'inputDefinitions'), ('Outputs', 'outputDefinitions')):
        definitions = document['root'].get(section, {})
        entries = dict(definitions.get('parameters', {}), **definitions.get('artifacts', {}))
        if entries:
            lines.append(f'# {title}:')
        for name in sorted(entries):
            text = f'#    {name}: {kinds.from_ir(entries[name])}'
            if 'defaultValue' in entries[name]:
                text += f' [Default: {entries[name]["defaultValue"]!r}]'
            lines.append(' '.join(text.splitlines()))
    return '\n'.join(lines) + '\n'


def write_package(documents: list[dict[str, Any]], path: str) -> None:
    """Writes the documents in the format that the ending of `path` names."""
    lowered = path.lower()
    folder = os.path.dirname(path)
    if folder and not os.path.isdir(folder):
        os.makedirs(folder)
    if lowered.endswith('.json'):
        if len(documents) > 1:
            document = {'pipeline_spec': documents[0], 'platform_spec': documents[1]}
        else:
            document = documents[0]
        _write(path, (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + '\n').encode())
        return
    content = to_yaml(documents).encode()
    if lowered.endswith(('.yaml', '.yml')):
        _write(path, content)
    elif lowered.endswith('.zip'):
        with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo('pipeline.yaml', (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    elif lowered.endswith(('.tar.gz', '.tgz')):
        import gzip
        with open(path, 'wb') as raw, gzip.GzipFile('', 'wb', fileobj=raw, mtime=0) as packed:
            with tarfile.open(fileobj=packed, mode='w') as archive:
                info = tarfile.TarInfo('pipeline.yaml')
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    else:
        raise ValueError(f'cannot tell the format of {path!r}: its name must end in {_FORMATS}')


def _write(path: str, content: bytes) -> None:
    with open(path, 'wb') as file:
        file.write(content)


def _manifests(document: dict[str, Any], platform: dict[str, Any], options: KubernetesManifestOptions) -> list[dict[str, Any]]:
    """The pipeline as the objects Pipeline and PipelineVersion."""
    name = options.pipeline_name or document['pipelineInfo']['name']
    display = options.pipeline_display_name or document['pipelineInfo'].get('displayName') or name
    version = options.pipeline_version_name or name
    found = []
    if options.include_pipeline_manifest:
        found.append({'apiVersion': 'pipelines.kubeflow.org/v2beta1', 'kind': 'Pipeline',
                      'metadata': _metadata(name, options), 'spec': {'displayName': display}})
    spec = {'displayName': options.pipeline_version_display_name or version, 'pipelineName': name,
            'pipelineSpec': document}
    if platform:
        spec['platformSpec'] = platform
    found.append({'apiVersion': 'pipelines.kubeflow.org/v2beta1', 'kind': 'PipelineVersion',
                  'metadata': _metadata(version, options), 'spec': spec})
    return found


def _metadata(name: str, options: KubernetesManifestOptions) -> dict[str, Any]:
    metadata = {'name': name}
    if options.namespace:
        metadata['namespace'] = options.namespace
    return metadata
