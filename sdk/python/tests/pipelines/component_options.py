"""Every argument of dsl.component."""

from typing import NamedTuple, Optional

from kfp import dsl


def helper(n: int) -> int:
    return n + 1


@dsl.component(base_image='python:3.12', packages_to_install=['six==1.16.0', 'attrs>=20'], pip_index_urls=['https://one/simple', 'https://two/simple'],
               pip_trusted_hosts=['one', 'two'])
def installs() -> str:
    return 'x'


@dsl.component(install_kfp_package=False)
def bare():
    pass


@dsl.component(kfp_package_path='git+https://example.com/kfp.git', packages_to_install=['six'])
def own_kfp():
    pass


@dsl.component(use_venv=True, packages_to_install=['six'])
def in_venv():
    pass


@dsl.component(additional_funcs=[helper])
def helped(n: int) -> int:
    return helper(n)


@dsl.component(target_image='registry/image:1')
def in_image(a: int, b: str = 'b') -> float:
    return 1.0


@dsl.component
def optional(a: Optional[int] = None, b: Optional[str] = 'b', data: Optional[dsl.Input[dsl.Dataset]] = None):
    pass


@dsl.component
def documented(first: int, second: str = 'x') -> NamedTuple('Outputs', [('a', int), ('b', str)]):
    """Does something.

    And says more about it.

    Args:
        first: The first one.
        second: The second one,
            on two lines.

    Returns:
        a: A number.
        b: A text.
    """
    return (first, second)


@dsl.pipeline(name='component-options')
def pipeline(size: int = 1, level: str = 'low'):
    """A pipeline.

    Args:
        size: How large.
        level: How high.
    """
    installs()
    bare()
    own_kfp()
    in_venv()
    helped(n=size)
    in_image(a=size)
    optional(a=size)
    optional()
    documented(first=1)
