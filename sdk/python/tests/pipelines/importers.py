"""Importers of every kind."""

from kfp import dsl


@dsl.component
def where() -> str:
    return 'gs://a/b'


@dsl.component
def use(data: dsl.Input[dsl.Dataset], model: dsl.Input[dsl.Model]):
    pass


@dsl.pipeline(name='importers')
def pipeline(uri: str = 'gs://bucket/x', version: int = 1):
    constant = dsl.importer(artifact_uri='gs://bucket/data', artifact_class=dsl.Dataset, reimport=True)
    given = dsl.importer(artifact_uri=uri, artifact_class=dsl.Model, metadata={'version': version, 'fixed': 'x', 'list': [1, 'a']})
    use(data=constant.output, model=given.output)
    made = dsl.importer(artifact_uri=where().output, artifact_class=dsl.Artifact, download_to_workspace=False)
    made.set_display_name('imported')
    with dsl.ParallelFor(['gs://a', 'gs://b']) as item:
        dsl.importer(artifact_uri=item, artifact_class=dsl.HTML)
