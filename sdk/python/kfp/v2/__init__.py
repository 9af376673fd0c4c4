"""kfp.v2: the names that v1 gave to today's kfp.dsl, kfp.compiler and kfp.components."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def __getattr__(name: str) -> Any:
    if name in ('dsl', 'compiler', 'components'):
        return __import__('kfp.' + name, fromlist=['*'])
    raise AttributeError(f"module 'kfp.v2' has no attribute {name!r}")
