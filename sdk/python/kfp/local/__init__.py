"""kfp.local: run components and pipelines on this machine by calling them.

After `kfp.local.init(...)` a component or pipeline that is called outside a pipeline runs at once, by the program
`penstock` (the variable PENSTOCK_BINARY, else PATH), and the call returns a task with `.output` and `.outputs`:

    from kfp import dsl, local

    local.init(runner=local.SubprocessRunner())
    assert add(a=1, b=2).output == 3
"""

from __future__ import annotations

from kfp.local.config import DockerRunner, SubprocessRunner, init

__all__ = ['init', 'SubprocessRunner', 'DockerRunner']
