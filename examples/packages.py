"""A step that needs packages: its environment is built once and used again by every step that asks for the same."""
import kfp
from kfp import dsl


@dsl.component(packages_to_install=['six==1.16.0'])
def use_six() -> str:
    import six
    print(six.__file__)
    return six.__version__


@dsl.pipeline(name='packages')
def packages() -> str:
    return use_six().output


if __name__ == '__main__':
    kfp.Client().create_run_from_pipeline_func(packages)
