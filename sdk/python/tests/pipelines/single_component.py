from kfp import dsl
from kfp.dsl import Dataset, Output


@dsl.component
def alone(n: int, data: Output[Dataset], s: str = 'd') -> str:
    return s


pipeline = alone
