from typing import Any, Dict, List, Optional

from kfp import dsl


@dsl.component(base_image='python:3.9', packages_to_install=['numpy==1.0', 'pandas'])
def every(s: str, i: int, f: float, b: bool, l: list, d: dict,
          ls: List[str], di: Dict[str, int],
          os: Optional[str] = None, oi: Optional[int] = 5,
          ds: str = 'x', df: float = 1.0, db: bool = False,
          dl: List[int] = [1, 2], dd: Dict[str, str] = {'a': 'b'}):
    print(s, i, f, b, l, d)


@dsl.pipeline
def param_types(s: str, i: int, f: float, b: bool, l: list, d: dict,
                os: Optional[str] = None, i2: int = 3, f2: float = 2.0,
                l2: list = [1, 'a'], d2: dict = {'k': [1, 2]}, b2: bool = True):
    """A pipeline with one parameter of every type.

    Longer text that follows.

    Args:
        s: A string.
        i: An integer
            on two lines.
    """
    every(s=s, i=i, f=f, b=b, l=l, d=d, ls=l, di=d, os=os)
    every(s='a', i=1, f=2.0, b=True, l=[1, 's'], d={'q': 1}, ls=['x'], di={'y': 2},
          oi=i2, df=f2, dl=l2, dd=d2, db=b2)


pipeline = param_types
