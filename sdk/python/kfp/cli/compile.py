"""`kfp dsl compile`."""

from __future__ import annotations

import argparse
import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument('--py', required=True, help='the Python file')
    parser.add_argument('--output', required=True, dest='package', help='the package to write')
    parser.add_argument('--function', help='the pipeline in the file; needed when it has several, unless one is made of the others')
    parser.add_argument('--pipeline-parameters', help='new defaults of inputs, as a JSON object')
    parser.add_argument('--disable-type-check', action='store_true', help='accepted for v1 and ignored')
    parser.add_argument('--mode', help=argparse.SUPPRESS)  # v1's; the result is always IR
    parser.add_argument('--disable-execution-caching-by-default', action='store_true', help='caching only where a task asks for it')
    manifests = parser.add_argument_group('Kubernetes manifests')
    manifests.add_argument('--kubernetes-manifest-format', action='store_true', help='write a PipelineVersion object')
    for name in ('pipeline-name', 'pipeline-display-name', 'pipeline-version-name', 'pipeline-version-display-name'):
        manifests.add_argument('--' + name, help=f'the {name.replace("-", " ")} in them')
    manifests.add_argument('--namespace', dest='manifest_namespace', help='the namespace in them')
    manifests.add_argument('--include-pipeline-manifest', action='store_true', help='write the Pipeline object as well')


def run(arguments: argparse.Namespace) -> None:
    """Compiles the file's pipeline. Raises ValueError when it is not clear which one."""
    from kfp.compiler import Compiler, KubernetesManifestOptions
    if arguments.disable_execution_caching_by_default:
        os.environ['KFP_DISABLE_EXECUTION_CACHING_BY_DEFAULT'] = 'true'
    pipeline = _chosen(arguments.py, arguments.function)
    options = None
    if arguments.kubernetes_manifest_format:
        options = KubernetesManifestOptions(
            arguments.pipeline_name, arguments.pipeline_display_name, arguments.pipeline_version_name,
            arguments.pipeline_version_display_name, arguments.manifest_namespace, arguments.include_pipeline_manifest)
    parameters = json.loads(arguments.pipeline_parameters or '{}')
    if not isinstance(parameters, dict):
        raise ValueError(f'--pipeline-parameters is a JSON object, and got {arguments.pipeline_parameters}')
    Compiler().compile(pipeline, arguments.package, pipeline_parameters=parameters, kubernetes_manifest_options=options,
                       kubernetes_manifest_format=arguments.kubernetes_manifest_format)
    print(arguments.package)


def _chosen(path: str, function: str | None) -> Any:
    """The pipeline or component of a file that is to be compiled."""
    import runpy
    from kfp.dsl import component_classes
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    found = runpy.run_path(path)
    if function:
        if function not in found:
            raise ValueError(f'{path} defines no {function!r}')
        return found[function]
    candidates: dict[str, Any] = {name: value for name, value in found.items() if isinstance(value, component_classes.GraphComponent)}
    outermost = _not_used_as_steps(candidates)
    if len(outermost) == 1:
        candidates = outermost
    candidates = candidates or {name: value for name, value in found.items() if isinstance(value, component_classes.BaseComponent)}
    if len(candidates) != 1:
        raise ValueError(f'{path} defines {len(candidates)} pipelines ({", ".join(candidates)}); choose one with --function')
    pipeline, = candidates.values()
    return pipeline


def _not_used_as_steps(pipelines: dict[str, Any]) -> dict[str, Any]:
    """Those of the pipelines (by name) that are no step of another one."""
    used = {id(task.spec) for pipeline in pipelines.values() for task in pipeline.component_spec.graph.tasks.values()}
    return {name: value for name, value in pipelines.items() if id(value.component_spec) not in used}
