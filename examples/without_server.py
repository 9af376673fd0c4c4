"""Calling components and pipelines runs them here, with no server up: `python examples/without_server.py`.

It needs the program penstock in PATH, or its path in PENSTOCK_BINARY.
"""
from typing import List

from kfp import dsl, local


@dsl.component
def squares(count: int, table: dsl.Output[dsl.Dataset]) -> List[int]:
    values = [n * n for n in range(count)]
    with open(table.path, 'w') as f:
        f.writelines(f'{n}\n' for n in values)
    return values


@dsl.component
def rows(table: dsl.Input[dsl.Dataset]) -> int:
    with open(table.path) as f:
        return len(f.readlines())


@dsl.component
def add_up(numbers: List[int]) -> int:
    return sum(numbers)


@dsl.pipeline
def sum_of_squares(count: int = 3) -> int:
    return add_up(numbers=squares(count=count).outputs['Output']).output


if __name__ == '__main__':
    local.init(runner=local.SubprocessRunner(), pipeline_root='./local_outputs')
    made = squares(count=4)
    print('values:', made.outputs['Output'])
    print('file:', made.outputs['table'].path)
    print('rows:', rows(table=made.outputs['table']).output)
    print('pipeline:', sum_of_squares(count=5).output)
