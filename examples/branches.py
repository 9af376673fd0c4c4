"""If, Elif, Else, and the value of whichever branch ran."""
import kfp
from kfp import dsl


@dsl.component
def grade(points: int) -> str:
    return 'high' if points > 80 else 'middle' if points > 40 else 'low'


@dsl.component
def answer(text: str) -> str:
    print(text)
    return text


@dsl.pipeline(name='branches')
def branches(points: int = 55) -> str:
    g = grade(points=points)
    with dsl.If(g.output == 'high'):
        high = answer(text='well done')
    with dsl.Elif(g.output == 'middle'):
        middle = answer(text='not bad')
    with dsl.Else():
        low = answer(text='try again')
    return answer(text=dsl.OneOf(high.output, middle.output, low.output)).output


if __name__ == '__main__':
    kfp.Client().create_run_from_pipeline_func(branches, arguments={'points': 90})
