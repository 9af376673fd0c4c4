from kfp import dsl


@dsl.component(task_config_passthroughs=[
    dsl.TaskConfigField.RESOURCES,
    dsl.TaskConfigPassthrough(field=dsl.TaskConfigField.ENV, apply_to_task=True)])
def starts_pods(x: int, config: dsl.TaskConfig):
    print(config)


@dsl.component
def plain(x: int) -> int:
    return x


@dsl.pipeline(name='passthroughs')
def pipeline():
    starts_pods(x=plain(x=3).output)
