from kfp import dsl
from kfp.dsl import (HTML, Artifact, ClassificationMetrics, Dataset, Input,
                     Markdown, Metrics, Model, Output)


@dsl.component
def make(data: Output[Dataset], rows: int = 3):
    with open(data.path, 'w') as f:
        f.write('x' * rows)


@dsl.component
def train(data: Input[Dataset], model: Output[Model], metrics: Output[Metrics],
          cm: Output[ClassificationMetrics], page: Output[HTML], note: Output[Markdown]) -> float:
    return 0.5


@dsl.component
def anything(thing: Input[Artifact], opt: Input[Model] = None):
    print(thing.uri)


@dsl.component
def gives_dataset() -> Dataset:
    return Dataset(uri=dsl.get_uri())


@dsl.pipeline(name='artifacts', pipeline_root='gs://bucket/root')
def pipeline(rows: int = 4) -> Model:
    m = make(rows=rows)
    t = train(data=m.outputs['data'])
    anything(thing=t.outputs['model'])
    anything(thing=gives_dataset().output, opt=t.outputs['model'])
    return t.outputs['model']
