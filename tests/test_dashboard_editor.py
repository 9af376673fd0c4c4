"""A pipeline is drawn in the dashboard's editor, run, exported, saved and opened again."""
import re

import yaml
from playwright.sync_api import expect

from browser import browser, dashboard  # noqa: F401 fixtures
from conftest import compile_pipeline, outputs

COUNT = '''from kfp import dsl

@dsl.component
def count(text: str) -> list:  # letters, counted
    return list(range(len(text)))
'''
TOTAL = 'def total(numbers: list, more: float = 0.5) -> float:\n    return sum(numbers) + more\n'


def paste(page, function):
    page.get_by_role('button', name='Paste a Python function').click()
    page.get_by_label('The function').fill(function)
    page.get_by_role('button', name='Add the component').click()
    expect(page.get_by_role('dialog')).to_have_count(0)


def choose(page, field, option):
    page.get_by_role('complementary', name='What is chosen').get_by_label(field).select_option(label=option)


def port(page, node, side, name):
    return page.locator(f'[data-node="{node}"][data-{side}="{name}"]')


def drag(page, start, end):
    a, b = start.bounding_box(), end.bounding_box()
    page.mouse.move(a['x'] + a['width'] / 2, a['y'] + a['height'] / 2)
    page.mouse.down()
    page.mouse.move((a['x'] + b['x']) / 2, (a['y'] + b['y']) / 2, steps=4)
    page.mouse.move(b['x'] + b['width'] / 2, b['y'] + b['height'] / 2, steps=4)
    page.mouse.up()


def node(page, name):
    return page.get_by_role('group', name='Drawing of the pipeline').get_by_role('button', name=re.compile(f'^{name}'))


def draw(page):
    panel = page.get_by_role('complementary', name='What is chosen')
    panel.get_by_label('Name', exact=True).fill('drawn-by-hand')
    panel.get_by_label('New parameter').fill('text')
    panel.get_by_label('Default').fill('abcd')
    page.get_by_role('button', name='Add the parameter').click()
    paste(page, COUNT)
    choose(page, re.compile('^text'), 'text')
    # A loop over what it made, with a component of the library in it.
    page.get_by_role('button', name='Loop', exact=True).click()
    choose(page, re.compile('^Items'), 'count.Output')
    choose(page, 'Type of an item', 'integer')
    page.get_by_role('button', name='Add square', exact=True).click()
    choose(page, re.compile('^x'), 'for-loop-1: item')
    # A condition beside it.
    node(page, 'count').click()
    page.get_by_role('button', name='Condition', exact=True).click()
    choose(page, 'Compare', 'text')
    panel.get_by_label('With the value').fill('abcd')
    panel.get_by_role('button', name='Set').click()
    expect(panel.get_by_text("inputs.parameter_values['pipelinechannel--text'] == 'abcd'")).to_be_visible()
    page.get_by_role('button', name='Add say-hello', exact=True).click()
    choose(page, re.compile('^name'), 'A value')
    panel.get_by_label('Value of name').fill('한글 "quoted"')
    node(page, 'count').click()
    paste(page, TOTAL)


def test_a_pipeline_is_drawn_run_exported_and_opened(dashboard, tmp_path):
    page = dashboard.go('/editor')
    draw(page)
    expect(page.get_by_text('Still without a value: total.numbers')).to_be_visible()
    page.get_by_role('button', name='Fit into view').click()
    # What doesn't fit doesn't connect; what does, does, and is undone and done again.
    edges = page.locator('.editor-edges path:not(.dragged)')
    before = edges.count()
    drag(page, port(page, 'count', 'output', 'Output'), port(page, 'total', 'input', 'more'))
    expect(edges).to_have_count(before)
    expect(page.get_by_text('Still without a value: total.numbers')).to_be_visible()
    drag(page, port(page, 'count', 'output', 'Output'), port(page, 'total', 'input', 'numbers'))
    expect(edges).to_have_count(before + 1)
    expect(page.get_by_text('Still without a value')).to_have_count(0)
    page.get_by_role('button', name='Undo').click()
    expect(edges).to_have_count(before)
    page.get_by_role('button', name='Redo').click()
    expect(edges).to_have_count(before + 1)
    page.keyboard.press('Control+z')
    expect(edges).to_have_count(before)
    page.keyboard.press('Control+Shift+Z')
    expect(edges).to_have_count(before + 1)
    dashboard.check_accessible()
    dashboard.shot('editor')
    # It is there after a reload.
    page.reload()
    expect(edges).to_have_count(before + 1)

    files = {}
    for what in ('YAML', 'Python (kfp)'):
        page.get_by_role('button', name='Export').click()
        with page.expect_download() as download:
            page.get_by_role('menuitem', name=what).click()
        files[what] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[what])
    assert files['YAML'].name == 'drawn-by-hand.yaml' and files['Python (kfp)'].name == 'drawn_by_hand.py'
    spec = yaml.safe_load(files['YAML'].read_text())
    again = compile_pipeline(files['Python (kfp)'])[0]

    page.get_by_role('button', name='Run', exact=True).click()
    page.get_by_role('dialog').get_by_role('button', name='Start').click()
    expect(page).to_have_url(re.compile('/runs/[0-9a-f-]+$'))
    run = page.url.rsplit('/', 1)[1]
    assert dashboard.server.wait(run)['state'] == 'SUCCEEDED'
    for tasks in (dashboard.server.tasks(run), dashboard.server.run(spec)[1], dashboard.server.run(again)[1]):
        assert outputs(tasks['total'][0]) == {'Output': 6.5}
        assert sorted(outputs(one)['Output'] for one in tasks['square']) == [0, 1, 4, 9]
        assert outputs(tasks['say-hello'][0]) == {'Output': 'Hello, 한글 "quoted"!'}

    dashboard.go('/editor')
    page.get_by_role('button', name='Save').click()
    expect(page.get_by_role('heading', name='drawn-by-hand', level=1)).to_be_visible()
    pipeline = page.url.rsplit('/', 1)[1].split('?')[0]
    dashboard.go(f'/editor?pipeline={pipeline}')
    expect(node(page, 'total')).to_be_visible()
    node(page, 'total').click()
    page.get_by_role('button', name='Remove total').click()
    page.get_by_role('button', name='Save').click()
    expect(page.get_by_role('heading', name='drawn-by-hand', level=1)).to_be_visible()
    versions = dashboard.server.get(f'/apis/v2beta1/pipelines/{pipeline}/versions').json
    assert versions['total_size'] == 2


def test_what_is_no_component_is_explained(dashboard):
    page = dashboard.go('/editor')
    page.get_by_role('button', name='Paste a Python function').click()
    page.get_by_label('The function').fill('def f(frame: DataFrame):\n    pass\n')
    page.get_by_role('button', name='Add the component').click()
    expect(page.get_by_role('alert')).to_contain_text('no type DataFrame')
    dashboard.check_accessible()
