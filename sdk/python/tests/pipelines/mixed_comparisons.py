"""Conditions over values of different types."""
from kfp import dsl


@dsl.component
def say(text: str):
    print(text)


@dsl.component
def half() -> float:
    return 0.5


@dsl.pipeline(name='mixed-comparisons')
def pipeline(text: str = '1', number: int = 1, fraction: float = 1.5):
    with dsl.If(text == 1):
        say(text='a text and a number').set_caching_options(False, cache_key='unused')
    with dsl.If(number >= half().output):
        say(text='an integer and a fraction')
    with dsl.If(fraction > 1):
        say(text='a fraction and an integer')
    with dsl.If(number < 2.5):
        say(text='an integer and a constant').set_accelerator_type('nvidia.com/gpu').set_accelerator_limit(0)
