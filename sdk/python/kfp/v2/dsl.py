"""kfp.dsl under its v1 address."""

from __future__ import annotations

from kfp import dsl as _dsl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = _dsl.__all__


def __getattr__(name: str) -> Any:
    return getattr(_dsl, name)
