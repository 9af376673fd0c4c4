"""What a user of the upstream `model-registry` package does; run by test_model_registry.py with the server's address
and port and the id of a run's model. Prints what it saw as JSON."""
import json
import sys

from model_registry import ModelRegistry
from model_registry.exceptions import StoreError
from model_registry.types import ArtifactState, ModelVersionState, RegisteredModelState

address, port, tag = sys.argv[1], int(sys.argv[2]), sys.argv[3]
registry = ModelRegistry(address, port, author='ada', is_secure=False)
saw = {}

# register_model: model, version and artifact in one.
name = f'iris-{tag}'
model = registry.register_model(
    name, 's3://models/iris/1', model_format_name='onnx', model_format_version='1.14', version='1.0',
    description='first', storage_key='key', storage_path='iris/1', service_account_name='sa', owner='ada',
    metadata={'accuracy': 0.97, 'epochs': 12, 'framework': 'pytorch', 'final': True},
    model_source_kind='kfp', model_source_class='pipelinerun', model_source_group='team', model_source_id='run-1',
    model_source_name='train')
saw['model'] = [model.name, model.owner, model.state.value, model.id.isdigit()]
version = registry.get_model_version(name, '1.0')
saw['version'] = [version.name, version.author, version.description, version.state.value,
                  dict(version.custom_properties)]
artifact = registry.get_model_artifact(name, '1.0')
saw['artifact'] = [artifact.uri, artifact.model_format_name, artifact.model_format_version, artifact.storage_key,
                   artifact.storage_path, artifact.service_account_name, artifact.model_source_kind,
                   artifact.model_source_class, artifact.model_source_group, artifact.model_source_id,
                   artifact.model_source_name]
try:
    registry.register_model(name, 's3://models/iris/1', model_format_name='onnx', model_format_version='1.14', version='1.0')
    saw['again'] = 'taken'
except StoreError as error:
    saw['again'] = str(error)
for i in range(5):
    registry.register_model(name, f's3://models/iris/{i + 2}', model_format_name='onnx', model_format_version='1.14',
                            version=f'{i + 2}.0')
saw['same'] = registry.get_registered_model(name).id == model.id

# Updates.
model.description, model.custom_properties = 'flowers', {'team': 'botany'}
model = registry.update(model)
saw['updated'] = [model.description, model.custom_properties]
version.custom_properties['accuracy'], version.description = 0.98, None
version = registry.update(version)
saw['updated_version'] = [version.custom_properties['accuracy'], version.description]
artifact.uri, artifact.state = 's3://models/iris/1b', ArtifactState.LIVE
artifact = registry.update(artifact)
saw['updated_artifact'] = [artifact.uri, artifact.state.value, registry.get_model_artifact(name, '1.0').uri]

# Lists: pages, orders, filters.
versions = lambda: registry.get_model_versions(name)
saw['all'] = [one.name for one in versions()]
saw['pages'] = [one.name for one in versions().page_size(2)]
saw['descending'] = [one.name for one in versions().order_by_creation_time().descending().page_size(4)]
saw['by_update'] = [one.name for one in versions().order_by_update_time().ascending()][-1]
saw['by_id'] = [one.name for one in versions().order_by_id().descending()]
saw['models'] = name in [one.name for one in registry.get_registered_models().page_size(1)]

# Archived.
version.state = ModelVersionState.ARCHIVED
registry.update(version)
saw['archived'] = registry.get_model_version(name, '1.0').state.value
model.state = RegisteredModelState.ARCHIVED
registry.update(model)
saw['archived_model'] = registry.get_registered_model(name).state.value

# What is not there.
saw['missing'] = [registry.get_registered_model('no such'), registry.get_model_version(name, '9.9')]
print(json.dumps(saw))
