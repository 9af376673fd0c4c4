from kfp import dsl
from kfp.dsl import Dataset, Input, Model


@dsl.component
def use(d: Input[Dataset]) -> str:
    return d.uri


@dsl.component
def use_model(m: Input[Model]):
    pass


@dsl.pipeline(name='importer')
def pipeline(uri: str = 'gs://b/x', key: str = 'k'):
    i1 = dsl.importer(artifact_uri='gs://b/data.csv', artifact_class=Dataset)
    u = use(d=i1.output)
    i2 = dsl.importer(artifact_uri=uri, artifact_class=Dataset, reimport=True,
                      metadata={'a': 1, 'key': key, 'list': [key, 'x'], f'{key}-dyn': 'v'})
    use(d=i2.outputs['artifact'])
    i3 = dsl.importer(artifact_uri=u.output, artifact_class=Model)
    use_model(m=i3.output)
    i4 = dsl.importer(artifact_uri='gs://b/m', artifact_class=Model, metadata={'f': 'sklearn'})
    use_model(m=i4.output)
