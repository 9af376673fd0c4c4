"""A pipeline in the way of the first SDK: functions as container operations, files by path, ContainerOp, Condition."""
from functools import partial

import kfp
from kfp import dsl
from kfp.components import InputPath, OutputPath, create_component_from_func, func_to_container_op


@func_to_container_op
def flip() -> str:
    import random
    return random.choice(['heads', 'tails'])


@partial(create_component_from_func, base_image='python:3.11')
def write_csv(rows: int, table_path: OutputPath('csv')):
    with open(table_path, 'w') as f:
        for i in range(rows):
            f.write(f'{i},{i * i}\n')


@create_component_from_func
def count_rows(table_path: InputPath('csv')) -> int:
    with open(table_path) as f:
        return len(f.readlines())


@func_to_container_op
def say(message):
    print(message)


def word_count(text):
    return dsl.ContainerOp(name='count words', image='debian:12', command=['sh', '-c'],
                           arguments=['echo "$0" | wc -w | tee /tmp/words.txt', text],
                           file_outputs={'words': '/tmp/words.txt'})


@dsl.pipeline(name='classic', description='First-generation components.')
def classic(rows: int = 4):
    table = write_csv(rows)
    counted = count_rows(table.output)
    say('%s rows' % counted.output)
    word_count('one two three').set_display_name('words').set_memory_limit('256Mi')
    side = flip()
    with dsl.Condition(side.output == 'heads'):
        say('heads')
    with dsl.Condition(side.output == 'tails'):
        say('tails')


if __name__ == '__main__':
    kfp.Client().create_run_from_pipeline_func(classic, arguments={})
