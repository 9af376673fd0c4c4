"""A loop over the lists in a loop's items."""
from typing import Dict, List

from kfp import dsl


@dsl.component
def double(x: int) -> int:
    return 2 * x


@dsl.pipeline(name='typed-fields')
def pipeline(tables: List[Dict[str, List[int]]] = [{'a': [1]}]):
    with dsl.ParallelFor(tables) as table:
        with dsl.ParallelFor(table.a) as cell:
            double(x=cell)
