from typing import NamedTuple

from kfp import dsl
from kfp.dsl import Dataset, Input, Output


@dsl.component
def documented(text: str, count: int, data: Input[Dataset], out: Output[Dataset]) -> str:
    """Does a thing.

    It does so well.

    Args:
        text: The text,
            on two lines.
        count (int): How often.
        data: What to read.
        out: What to write.

    Returns:
        The result.
    """
    return text


@dsl.component
def maker(out: Output[Dataset]):
    """Makes."""


@dsl.pipeline(name='docstrings')
def pipeline(text: str = 'a', count: int = 2) -> str:
    """A pipeline
    with a summary of two lines.

    Args:
        text: First.
        count: Second.

    Returns:
        What it gives.
    """
    m = maker()
    return documented(text=text, count=count, data=m.output).outputs['Output']
