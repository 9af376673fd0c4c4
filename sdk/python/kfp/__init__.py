"""kfp: write machine-learning pipelines in Python, compile them, run them.

Importing this package loads nothing but this file. `kfp.dsl`, `kfp.compiler`,
`kfp.components`, `kfp.Client` and the rest are loaded when first used (PEP 562).
"""

__version__ = '2.17.0+penstock'

TYPE_CHECKING = False
if TYPE_CHECKING:  # the same for type checkers, which know no __getattr__
    from typing import Any

    from kfp import (auth, aws, azure, cli, client, compiler, components, dsl, gcp, kubeflow_client, kubernetes, local, onprem,
                     registry, v2)
    from kfp.client import Client, run_pipeline_func_on_cluster
    from kfp.local.v1 import LocalClient, run_pipeline_func_locally

_SUBMODULES = frozenset((
    'auth', 'aws', 'azure', 'cli', 'client', 'compiler', 'components', 'dsl', 'gcp',
    'kubeflow_client', 'kubernetes', 'local', 'onprem', 'registry', 'v2',
))
_ATTRIBUTES = {
    'Client': ('kfp.client', 'Client'),
    'run_pipeline_func_on_cluster': ('kfp.client', 'run_pipeline_func_on_cluster'),
    'LocalClient': ('kfp.local.v1', 'LocalClient'),
    'run_pipeline_func_locally': ('kfp.local.v1', 'run_pipeline_func_locally'),
}

# Read by code written for the upstream package; type checks are always on.
TYPE_CHECK = True
COMPILING_FOR_V2 = True

__all__ = ['Client', 'LocalClient', 'auth', 'aws', 'azure', 'cli', 'client', 'compiler', 'components', 'dsl', 'gcp', 'kubeflow_client',
           'kubernetes', 'local', 'onprem', 'registry', 'run_pipeline_func_locally', 'run_pipeline_func_on_cluster', 'v2']


if not TYPE_CHECKING:
    def __getattr__(name: str) -> 'Any':
        if name in _SUBMODULES:
            __import__('kfp.' + name)
            import sys
            return sys.modules['kfp.' + name]
        if name in _ATTRIBUTES:
            module, attribute = _ATTRIBUTES[name]
            value = getattr(__import__(module, fromlist=[attribute]), attribute)
            globals()[name] = value
            return value
        raise AttributeError(f"module 'kfp' has no attribute {name!r}")


def __dir__() -> 'list[str]':
    return sorted(set(globals()) | _SUBMODULES | set(_ATTRIBUTES))
