from kfp import dsl


@dsl.component
def step(p: str):
    print(p)


@dsl.pipeline(name='pipeline-config', pipeline_config=dsl.PipelineConfig(
    workspace=dsl.WorkspaceConfig(size='5Gi', kubernetes=dsl.KubernetesWorkspaceConfig(
        pvcSpecPatch={'accessModes': ['ReadWriteMany']}))))
def pipeline():
    step(p=dsl.WORKSPACE_PATH_PLACEHOLDER)
