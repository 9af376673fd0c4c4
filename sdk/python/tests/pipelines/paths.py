from kfp import dsl
from kfp.dsl import InputPath, OutputPath


@dsl.component
def write(text: str, data_path: OutputPath('Dataset'), count: OutputPath(int), plain_path: OutputPath()):
    pass


@dsl.component
def read(data_path: InputPath('Dataset'), plain: InputPath()):
    pass


@dsl.pipeline(name='paths')
def pipeline(text: str):
    w = write(text=text)
    read(data_path=w.outputs['data_path'], plain=w.outputs['plain_path'])
    write(text=f"count {w.outputs['count']}")
