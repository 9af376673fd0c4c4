from kfp import dsl


@dsl.component
def say(text: str):
    """Prints a text.

    Args:
        text: What to print.
    """
    print(text)


@dsl.pipeline(name='hello-pipeline', description='Says hello.')
def pipeline(who: str = 'world'):
    say(text=who)
    say(text='constant "quoted" \'too\' é\nnext')
