"""kfp.components under its v1 address."""

from __future__ import annotations

from kfp import components as _components

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = _components.__all__


def __getattr__(name: str) -> Any:
    return getattr(_components, name)
