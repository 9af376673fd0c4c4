from kfp import dsl


@dsl.component
def pick(color: str = 'red', n: int = 1):
    print(color)


@dsl.pipeline(name='Literal & Root!', description='multi\nline', pipeline_root='minio://x/y')
def pipeline(color: str):
    pick(color=color)
    pick()
