from kfp import dsl


@dsl.component
def show(msg: str, n: int = 0):
    print(msg)


@dsl.component
def show_int(n: int):
    print(n)


@dsl.pipeline(name='loops-static')
def pipeline():
    with dsl.ParallelFor(['a', 'b']) as item:
        show(msg=item)
    with dsl.ParallelFor([1, 2, 3], parallelism=2) as i:
        show_int(n=i)
        show(msg=f'item {i}')
    with dsl.ParallelFor([{'nm': 'x', 'n': 1}, {'nm': 'y', 'n': 2}], name='dicts') as d:
        show(msg=d.nm)
    with dsl.ParallelFor(['a', 'b']) as outer:
        with dsl.ParallelFor([1, 2]) as inner:
            show(msg=outer, n=inner)
            show_int(n=inner)
    with dsl.ParallelFor([1.5, 2.5]) as fl:
        show(msg=f'{fl}')
