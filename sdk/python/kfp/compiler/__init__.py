"""kfp.compiler: from pipelines to PipelineSpec, the intermediate representation."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # the same for type checkers, which know no __getattr__
    from typing import Any

    from kfp.compiler import compiler as compiler
    from kfp.compiler.compiler import Compiler as Compiler, KubernetesManifestOptions as KubernetesManifestOptions


if not TYPE_CHECKING:
    def __getattr__(name: str) -> Any:
        if name in ('Compiler', 'KubernetesManifestOptions'):
            from kfp.compiler import compiler
            return getattr(compiler, name)
        if name == 'compiler':
            return __import__('kfp.compiler.compiler', fromlist=['*'])
        raise AttributeError(f"module 'kfp.compiler' has no attribute {name!r}")


__all__ = ['Compiler', 'KubernetesManifestOptions']
