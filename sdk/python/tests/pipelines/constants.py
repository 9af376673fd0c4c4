from kfp import dsl


@dsl.component
def show(a: str = '', b: float = 0.0, c: dict = {}, d: list = [], e: bool = True, i: int = 0):
    print(a)


@dsl.pipeline(name='constants')
def pipeline():
    show(a='', b=1.0, c={}, d=[], e=False, i=-3)
    show(a='{{$.x}} {curly} %s', b=1e10, c={'f': 1.25, 'nest': {'x': [True, 2]}}, d=[[1], {}])
    show(a='line\nline2\ttab "q" \\ back', b=0.1)
