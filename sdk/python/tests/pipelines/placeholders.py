from kfp import dsl


@dsl.component
def show(a: str, b: str = ''):
    print(a)


@dsl.pipeline(name='placeholders')
def pipeline(who: str = 'w'):
    show(a=dsl.PIPELINE_JOB_NAME_PLACEHOLDER, b=dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER)
    show(a=dsl.PIPELINE_TASK_NAME_PLACEHOLDER, b=dsl.PIPELINE_TASK_ID_PLACEHOLDER)
    show(a=dsl.PIPELINE_ROOT_PLACEHOLDER, b=f'{dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER} {who}')
    show(a=dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER)
    show(a='x').set_env_variable('JOB', dsl.PIPELINE_JOB_ID_PLACEHOLDER)
