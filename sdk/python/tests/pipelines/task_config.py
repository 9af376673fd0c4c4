from kfp import dsl


@dsl.component
def step(x: int = 1) -> int:
    return x


@dsl.pipeline(name='task-config', display_name='Task config')
def pipeline(cpu: str = '2', mem: str = '1Gi', img: str = 'python:3.12'):
    a = step()
    a.set_cpu_limit('2').set_cpu_request('500m').set_memory_limit('4G').set_memory_request('1Gi')
    b = step(x=2)
    b.set_accelerator_type('nvidia.com/gpu').set_accelerator_limit(2)
    b.after(a)
    c = step().set_gpu_limit(1)
    c.set_env_variable('A', 'b').set_env_variable('C', 'd e')
    c.set_caching_options(False)
    c.set_display_name('Third Step')
    d = step().after(b, c)
    d.set_retry(3, backoff_duration='20s', backoff_factor=1.5, backoff_max_duration='2h')
    e = step().set_retry(num_retries=2)
    e.set_container_image('python:3.10')
    f = step()
    f.set_cpu_limit(cpu).set_memory_limit(mem)
    f.set_container_image(img)
    g = step().set_caching_options(True, cache_key='my-key')
    g.add_node_selector_constraint('NVIDIA_TESLA_K80') if False else None
    h = step(x=d.output).ignore_upstream_failure()
    h.after(e)
