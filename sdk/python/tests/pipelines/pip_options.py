from kfp import dsl


def helper(x: int) -> int:
    return x + 1


@dsl.component(packages_to_install=['yapf', "a[b]>=1; python_version<'3.9'"], pip_index_urls=['https://one/simple', 'https://two/simple'],
               pip_trusted_hosts=['one'])
def indexed(x: int) -> int:
    return x


@dsl.component(install_kfp_package=False, packages_to_install=['q'])
def bare():
    pass


@dsl.component(install_kfp_package=False)
def nothing():
    pass


@dsl.component(use_venv=True, packages_to_install=['yapf'])
def venv():
    pass


@dsl.component(kfp_package_path='git+https://example.org/kfp.git')
def own_kfp():
    pass


@dsl.component(packages_to_install=['kfp==2.5.0'])
def pinned():
    pass


@dsl.component(pip_index_urls=['https://only/simple'])
def one_index():
    pass


@dsl.component(additional_funcs=[helper])
def with_helper(x: int) -> int:
    return helper(x)


@dsl.pipeline(name='pip-options')
def pipeline():
    indexed(x=1)
    bare()
    nothing()
    venv()
    own_kfp()
    pinned()
    one_index()
    with_helper(x=2)
