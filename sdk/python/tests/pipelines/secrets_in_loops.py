from kfp import dsl, kubernetes


@dsl.component
def step(x: str = 'a') -> str:
    return x


@dsl.pipeline(name='inner-with-settings')
def inner(secret: str):
    t = step()
    kubernetes.use_secret_as_env(t, secret_name=secret, secret_key_to_env={'a': 'B'})
    t.set_memory_limit('1Gi')


@dsl.pipeline(name='secrets-in-loops')
def pipeline(flag: bool = True):
    name = step(x='sec')
    with dsl.ParallelFor(['s1', 's2']) as secret:
        t = step(x='y')
        kubernetes.use_secret_as_env(t, secret_name=secret, secret_key_to_env={'a': 'B'})
        with dsl.If(flag == True):
            u = step(x='z')
            kubernetes.use_secret_as_volume(u, secret_name=name.output, mount_path='/m')
    inner(secret='fixed')
    inner(secret=name.output)
    v = step(x='v')
    kubernetes.add_node_selector_json(v, {'a': 'b'})
    w = step(x='w')
    kubernetes.add_toleration_json(w, [{'key': 'k'}])
    kubernetes.add_node_affinity_json(w, {'requiredDuringSchedulingIgnoredDuringExecution': {}})
