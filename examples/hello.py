"""The smallest pipeline: one Python step that returns a text."""
import kfp
from kfp import dsl


@dsl.component
def say_hello(name: str) -> str:
    text = f'Hello, {name}!'
    print(text)
    return text


@dsl.pipeline(name='hello', description='Greets somebody.')
def hello(recipient: str = 'world') -> str:
    return say_hello(name=recipient).output


if __name__ == '__main__':
    kfp.Client().create_run_from_pipeline_func(hello, arguments={'recipient': 'you'})
