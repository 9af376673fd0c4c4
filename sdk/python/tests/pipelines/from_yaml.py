from kfp import components, dsl

old = components.load_component_from_text('''
name: Old Style
description: Does old things
inputs:
- {name: Input Text, type: String}
- {name: count, type: Integer, default: '3'}
- {name: rate, type: Float, default: '0.5'}
- {name: flag, type: Bool, default: 'True'}
- {name: data, type: Dataset, optional: true}
- {name: conf, type: JsonObject, default: '{"a": 1}'}
- {name: xs, type: JsonArray, default: '[1, 2]'}
- {name: untyped}
outputs:
- {name: Model Out, type: Model}
- {name: score, type: Float}
- {name: whatever}
implementation:
  container:
    image: alpine
    command: [sh, -c, 'echo "$@"']
    args:
    - {inputValue: Input Text}
    - --count
    - {inputValue: count}
    - {concat: ['--r=', {inputValue: rate}]}
    - if:
        cond: {isPresent: data}
        then: [--data, {inputPath: data}]
        else: [--none]
    - {inputUri: untyped}
    - {outputPath: Model Out}
    - {outputPath: score}
    - {outputUri: whatever}
    env: {A: b}
''')


@dsl.component
def make_thing(out: dsl.Output[dsl.Artifact]):
    pass


@dsl.component
def show(x: float):
    print(x)


@dsl.pipeline(name='from-yaml')
def pipeline(text: str):
    m = make_thing()
    o = old(input_text=text, untyped=m.output)
    show(x=o.outputs['score'])
    old(input_text='b', untyped=o.outputs['whatever'], count=5)
