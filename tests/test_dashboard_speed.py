"""How fast the dashboard is in a browser at sizes that hurt. Numbers are printed (pytest -s); a limit is broken only by
what is many times too slow, because the machine may have other things to do."""
import contextlib
import gzip
import json
import re
import sqlite3
import time
import urllib.parse

import pytest
from playwright.sync_api import expect

from browser import browser, open_dashboard  # noqa: F401 fixtures
from conftest import ROOT, shell

TASKS = 5_000
RUNS = 100_000
LOG_LINES = 200_000  # of 100 bytes
GENEROUS = 3_000  # milliseconds of the longest frame: ten times what is asked for, and as much again

# Notes how long each frame takes; a frame that takes long is time in which nothing answers.
WATCH = """() => {
  const watch = window.watch = { last: performance.now(), longest: 0, frames: 0, on: true };
  const tick = () => {
    const now = performance.now();
    watch.longest = Math.max(watch.longest, now - watch.last);
    watch.last = now;
    watch.frames++;
    if (watch.on) requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}"""
STOP = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
  window.watch.on = false;
  done([window.watch.longest, window.watch.frames]);
})))"""


def say(text):
    print(f'\n  {text}', end='', flush=True)


@contextlib.contextmanager
def watched(page, what):
    """Says how long the longest frame was while it was done."""
    page.evaluate(WATCH)
    began = time.monotonic()
    yield
    longest, frames = page.evaluate(STOP)
    say(f'{what:<44} longest frame {longest:6.0f} ms ({frames} frames in {time.monotonic() - began:.1f} s)')
    assert longest < GENEROUS, what


@pytest.fixture
def opened(browser, new_server):
    made = []

    def make(server=None):
        made.append(open_dashboard(browser, server or new_server()))
        return made[-1]

    yield make
    for one in made:
        one.page.context.close()
        assert one.complaints == [], one.complaints


def no_ops(count, edges):
    """Tasks in layers, each waiting for some of the layer before."""
    spec = shell('true')
    tasks = {}
    for i in range(count):
        tasks[f't{i}'] = {'taskInfo': {'name': f't{i}'}, 'componentRef': {'name': 'comp-step-0'}, 'cachingOptions': {}}
        if edges and i >= 100:
            tasks[f't{i}']['dependentTasks'] = [f't{i - 100}', f't{i - 100 + (i * 7) % 5 - (i % 100 > 94) * 5}']
    spec['root']['dag']['tasks'] = tasks
    return spec


def in_loops(outer, inner):
    """A loop of loops."""
    spec = shell('true')
    spec['components']['comp-for-loop-2'] = {'dag': spec['root']['dag'], 'inputDefinitions': {
        'parameters': {'item-2': {'parameterType': 'NUMBER_INTEGER'}}}}

    def loop(name, item, count):
        return {name: {'taskInfo': {'name': name}, 'componentRef': {'name': f'comp-{name}'}, 'parameterIterator': {
            'itemInput': item, 'items': {'raw': json.dumps(list(range(count)))}}}}

    spec['components']['comp-for-loop-1'] = {'dag': {'tasks': loop('for-loop-2', 'item-2', inner)}, 'inputDefinitions': {
        'parameters': {'item-1': {'parameterType': 'NUMBER_INTEGER'}}}}
    spec['root'] = {'dag': {'tasks': loop('for-loop-1', 'item-1', outer)}}
    return spec


def use_graph(page):
    graph = page.get_by_role('group', name=re.compile('Graph'))
    box = graph.bounding_box()
    x, y = box['x'] + box['width'] / 2, box['y'] + box['height'] / 2
    page.mouse.move(x, y)
    with watched(page, 'pan of the whole'):
        page.mouse.down()
        for step in range(20):
            page.mouse.move(x + step * 8, y + step * 3)
        page.mouse.up()
    with watched(page, 'zoom from the whole to where text is read'):
        for _ in range(20):
            page.mouse.wheel(0, -300)
    with watched(page, 'pan close by'):
        page.mouse.down()
        for step in range(20):
            page.mouse.move(x - step * 12, y - step * 9)
        page.mouse.up()


def test_a_run_of_thousands_of_tasks(opened):
    one = opened()
    run = one.server.submit(no_ops(TASKS, edges=True), name='wide')
    one.server.wait(run, timeout=300)
    began = time.monotonic()
    page = one.go(f'/runs/{run}')
    page.get_by_role('button', name='Fit into view').wait_for()
    page.wait_for_function("document.querySelector('canvas')?.width > 0")
    page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))')
    say(f'a run of {TASKS:,} tasks is on screen after {time.monotonic() - began:.2f} s')
    use_graph(page)
    with watched(page, 'search of a task'):
        page.get_by_label('Find a task').fill('t4321')
        expect(page.get_by_role('button', name=re.compile('^t4321')).first).to_be_visible()
    with watched(page, 'selection of a task'):
        page.get_by_role('button', name=re.compile('^t4321')).first.click()
        expect(page.get_by_role('complementary', name='Task t4321')).to_be_visible()
    with watched(page, 'the critical path'):
        page.get_by_role('button', name='Show the critical path').click()
    with watched(page, 'the timeline'):
        page.get_by_role('tab', name='Timeline').click()
        expect(page.get_by_role('button', name=re.compile('^t')).first).to_be_visible()
    with watched(page, 'the list of tasks'):
        page.get_by_role('tab', name='Tasks').click()
        expect(page.get_by_role('row').nth(3)).to_be_visible()
    one.shot('speed-tasks')


def test_a_run_of_loops_in_loops(opened):
    one = opened()
    run = one.server.submit(in_loops(50, TASKS // 50), name='deep')
    one.server.wait(run, timeout=300)
    began = time.monotonic()
    page = one.go(f'/runs/{run}')
    page.get_by_role('button', name='Open for-loop-1').wait_for()
    say(f'a run of loops with {TASKS:,} tasks is on screen after {time.monotonic() - began:.2f} s')
    with watched(page, 'a loop is opened'):
        page.get_by_role('button', name='Open for-loop-1').click()
        page.get_by_role('button', name='Open for-loop-2').wait_for()
    with watched(page, 'a loop in it is opened'):
        page.get_by_role('button', name='Open for-loop-2').click()
        expect(page.get_by_label('Iteration')).to_have_count(2)
    with watched(page, 'another iteration'):
        page.get_by_label('Iteration').first.select_option('33')
        page.evaluate('new Promise((done) => requestAnimationFrame(done))')
    use_graph(page)


def copy_run(data, run, times):
    """Copies of a run's rows, under names and times of their own."""
    with contextlib.closing(sqlite3.connect(data / 'penstock.db')) as database, database:
        (seq,) = database.execute('SELECT seq FROM runs WHERE run_id = ?', (run,)).fetchone()
        own = {'seq': f'{seq} + n', 'run_id': "printf('%08x-0000-7000-8000-000000000000', n)",
               'display_name': "'copy ' || n || ' 한글'", 'created_at': 'created_at - n * 1000'}
        for table in ('runs', 'run_bodies'):
            columns = [row[1] for row in database.execute(f'PRAGMA table_info({table})')]
            chosen = ', '.join(own.get(column, f'"{column}"') for column in columns)
            names = ', '.join(f'"{column}"' for column in columns)
            database.execute(
                f'WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < {times}) '
                f'INSERT INTO {table} ({names}) SELECT {chosen} FROM {table}, count WHERE seq = {seq}')


def test_a_hundred_thousand_runs(opened, new_server):
    server = new_server()
    run = server.submit(shell('true'), name='first')
    server.wait(run)
    server.stop()
    copy_run(server.data, run, RUNS)
    server.start()
    one = opened(server)
    began = time.monotonic()
    page = one.go('/runs')
    expect(page.get_by_text(re.compile(r'of 100,001'))).to_be_visible(timeout=30_000)
    say(f'a list of {RUNS:,} runs is on screen after {time.monotonic() - began:.2f} s')
    frame = page.get_by_role('region', name='Runs')
    page.mouse.move(640, 500)
    with watched(page, 'the list is scrolled'):
        for _ in range(60):
            page.mouse.wheel(0, 800)
            page.wait_for_timeout(16)
    one.shot('speed-runs')
    began = time.monotonic()
    with watched(page, 'the list is filtered by name'):
        page.get_by_label('Search runs by name').fill('copy 98765')
        expect(page.get_by_role('link', name='copy 98765 한글')).to_be_visible(timeout=30_000)
        expect(frame.get_by_role('link', name=re.compile('copy'))).to_have_count(1, timeout=30_000)
    say(f'one of them is found after {time.monotonic() - began:.2f} s')


def test_a_log_of_twenty_megabytes(opened):
    one = opened()
    command = f"seq -f 'line %09.0f of a long log, {'x' * 71}' {LOG_LINES}; echo the last word"
    run = one.server.submit(shell(command), name='talkative')
    one.server.wait(run)
    page = one.go(f'/runs/{run}')
    page.get_by_role('button', name=re.compile('^step-0')).click()
    began = time.monotonic()
    with watched(page, 'a log of 20 MB is read'):
        page.get_by_role('tab', name='Log').click()
        expect(page.get_by_text(re.compile(r'200,001 lines'))).to_be_visible(timeout=60_000)
    say(f'it is there after {time.monotonic() - began:.2f} s')
    with watched(page, 'its end'):
        page.get_by_role('button', name='To the end').click()
        expect(page.get_by_text('the last word', exact=True)).to_be_visible()
    with watched(page, 'a search in it'):
        page.get_by_label('Search the log').fill('line 000123456')
        expect(page.get_by_text('1 / 1', exact=True)).to_be_visible()
    with watched(page, 'the next match'):
        page.get_by_role('button', name='Next match').click()
        expect(page.get_by_text(re.compile('line 000123456')).first).to_be_visible()
    one.shot('speed-log')


def test_the_first_load(browser, server):
    """Bytes over the wire as they are sent, and when there is something to see."""
    one = open_dashboard(browser, server)
    session = one.page.context.new_cdp_session(one.page)
    session.send('Network.enable')
    paths, sizes = {}, {}
    session.on('Network.responseReceived', lambda event: paths.update({
        event['requestId']: urllib.parse.urlsplit(event['response']['url']).path}))
    session.on('Network.loadingFinished', lambda event: sizes.update({event['requestId']: event['encodedDataLength']}))
    one.go('/runs')
    one.page.wait_for_load_state('load')
    paint = one.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
    # The program of the page; what it lists is as much as there are runs.
    own = [size for request, size in sizes.items() if not paths[request].startswith('/apis/')]
    say(f'first load: {len(own)} files, {sum(own) / 1024:.0f} KiB, with {sum(sizes.values()) / 1024:.0f} KiB of '
        f'everything; first content after {paint:.0f} ms')
    assert len(own) >= 4 and sum(own) < 300 * 1024
    assert paint < GENEROUS
    scripts = (ROOT / 'web/dist').glob('assets/*.js')
    say('of all its scripts gzipped: ' + ', '.join(
        f'{path.name.split("-")[0]} {len(gzip.compress(path.read_bytes())) // 1024} KiB'
        for path in sorted(scripts, key=lambda path: -path.stat().st_size)[:4]))
    one.page.context.close()
