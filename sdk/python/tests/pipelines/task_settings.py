"""Every set_… method of tasks, with constants, inputs and outputs."""

from kfp import dsl


@dsl.component
def text() -> str:
    return '1'


@dsl.container_component
def shell(word: str):
    return dsl.ContainerSpec(image='debian', command=['echo'], args=[word])


@dsl.pipeline(name='task-settings', description='All of them.', display_name='Task settings', pipeline_root='gs://bucket/root')
def pipeline(cpu: str = '500m', memory: str = '1Gi', accelerator: str = 'nvidia.com/gpu', count: str = '2', image: str = 'alpine',
             word: str = 'w'):
    made = text()
    one = shell(word='a').set_display_name('The first one').set_cpu_limit('2').set_cpu_request('100m').set_memory_limit('2G')
    one.set_memory_request('512Mi').set_accelerator_type('nvidia.com/gpu').set_accelerator_limit(1)
    one.set_env_variable('PLAIN', 'value').set_env_variable('MORE', 'with space')
    one.set_retry(num_retries=3, backoff_duration='30s', backoff_factor=1.5, backoff_max_duration='10m')
    two = shell(word=word).set_cpu_limit(cpu).set_memory_limit(memory).set_accelerator_type(accelerator).set_accelerator_limit(count)
    two.set_caching_options(False).set_container_image(image)
    three = shell(word=made.output).set_cpu_request(made.output).set_caching_options(True, cache_key='my-key').set_retry(1)
    three.after(one, two)
    shell(word='p').set_debug_pause(before=True).after(three)
    shell(word='p').set_debug_pause(on_error=True).set_env_variable('A', '1')
    shell(word='p').set_debug_pause(before=True, after=False)
    shell(word='i').add_node_selector_constraint('nvidia-tesla-k80').set_gpu_limit('4')
    shell(word='ignored').after(three).ignore_upstream_failure()
