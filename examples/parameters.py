"""Parameters of every type, several outputs at once, and text made of outputs."""
from typing import Dict, List, NamedTuple

import kfp
from kfp import dsl


@dsl.component
def describe(numbers: List[int], scale: float, verbose: bool, labels: Dict[str, str]) -> NamedTuple(
        'Outputs', [('total', float), ('count', int), ('names', list), ('settings', dict)]):
    total = sum(numbers) * scale
    if verbose:
        print('total', total)
    return (total, len(numbers), sorted(labels), {'scale': scale, 'verbose': verbose})


@dsl.component
def report(text: str) -> str:
    print(text)
    return text


@dsl.pipeline(name='parameters')
def parameters(numbers: List[int] = [1, 2, 3],
               scale: float = 0.5,
               verbose: bool = True,
               labels: Dict[str, str] = {'team': 'a', 'owner': 'b'}) -> str:
    d = describe(numbers=numbers, scale=scale, verbose=verbose, labels=labels)
    r = report(text=f'{d.outputs["count"]} numbers, total {d.outputs["total"]}')
    return r.output


if __name__ == '__main__':
    kfp.Client().create_run_from_pipeline_func(parameters)
