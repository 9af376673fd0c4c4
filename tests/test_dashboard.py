"""The dashboard in a real browser: each page's main path, what goes wrong, and how fast it is."""
import re

import pytest
from playwright.sync_api import expect

from browser import browser, dashboard, open_dashboard  # noqa: F401 fixtures
from conftest import ROOT, compile_pipeline, shell


@pytest.fixture(scope='module')
def runs(server):
    """A run of each kind, by name."""
    made = {}
    for name in ('train', 'loops', 'branches', 'cleanup', 'nested'):
        made[name] = server.submit(compile_pipeline(ROOT / f'examples/{name}.py')[0], name=name)
    for run in made.values():
        server.wait(run)
    return made


def test_runs_are_listed_filtered_and_linked(dashboard, runs):
    page = dashboard.go('/runs')
    expect(page.get_by_role('link', name='cleanup', exact=True).first).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('runs')
    page.get_by_label('State').select_option('FAILED')
    expect(page).to_have_url(re.compile('state=FAILED'))
    expect(page.get_by_role('link', name='train', exact=True)).to_have_count(0)
    page.get_by_label('Search runs by name').fill('clean')
    expect(page).to_have_url(re.compile('q=clean'))
    page.reload()
    expect(page.get_by_label('Search runs by name')).to_have_value('clean')
    expect(page.get_by_text('task work failed: exit code 3').first).to_be_visible()
    page.get_by_role('link', name='cleanup', exact=True).first.click()
    expect(page).to_have_url(re.compile(f'/runs/{runs["cleanup"]}'))


def test_a_failure_is_found_and_explained(dashboard, runs):
    page = dashboard.go(f'/runs/{runs["cleanup"]}')
    page.get_by_role('button', name='Go to the failure').click()
    panel = page.get_by_role('complementary', name='Task work')
    expect(panel.get_by_text('exit code 3')).to_be_visible()
    panel.get_by_role('tab', name='Log').click()
    expect(panel.get_by_text('something is wrong').last).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('run-failed')
    # What comes after a failure is drawn as what it is.
    expect(page.get_by_role('button', name=re.compile('never.*Skipped'))).to_be_visible()
    expect(page.get_by_role('button', name=re.compile('clean-up Runs in any case.*Succeeded'))).to_be_visible()


def test_a_loop_opens_and_shows_its_iterations(dashboard, runs):
    page = dashboard.go(f'/runs/{runs["loops"]}')
    page.get_by_role('button', name='Open for-loop-1').click()
    expect(page.get_by_label('Iteration')).to_have_value('0')
    page.get_by_label('Iteration').select_option('3')
    page.get_by_role('button', name=re.compile('^square')).click()
    panel = page.get_by_role('complementary', name='Task square')
    expect(panel.get_by_text('9', exact=True)).to_be_visible()
    dashboard.shot('run-loop')


def test_timeline_tasks_and_details(dashboard, runs):
    page = dashboard.go(f'/runs/{runs["train"]}?tab=timeline')
    expect(page.get_by_role('button', name=re.compile('^fit'))).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('run-timeline')
    page.get_by_role('tab', name='Tasks').click()
    page.get_by_role('button', name='evaluate').click()
    expect(page.get_by_role('complementary', name='Task evaluate')).to_be_visible()
    dashboard.check_accessible()
    page.get_by_role('tab', name='Specification').click()
    expect(page.get_by_text('pipelineInfo:')).to_be_visible()


def test_a_pipeline_is_uploaded_run_and_changed(dashboard, tmp_path):
    import yaml
    page = dashboard.go('/pipelines')
    spec = compile_pipeline(ROOT / 'examples/parameters.py')[0]
    package = tmp_path / 'given.yaml'
    package.write_text(yaml.safe_dump(spec))
    page.get_by_role('button', name='Upload a pipeline').click()
    page.locator('input[type=file]').set_input_files(package)
    page.get_by_role('textbox', name='Name').fill('Given in the browser 한글')
    dashboard.check_accessible()
    page.get_by_role('button', name='Upload', exact=True).click()
    expect(page.get_by_role('heading', name='Given in the browser 한글')).to_be_visible()
    dashboard.shot('pipeline')
    page.get_by_role('link', name='New run').click()
    numbers = page.get_by_label(re.compile('^numbers'))
    numbers.fill('{')
    page.get_by_role('button', name='Start').click()
    expect(page.get_by_text('That is no valid JSON.')).to_be_visible()
    dashboard.shot('new-run-refused')
    numbers.fill('[1, 2, 3.5]')
    page.get_by_role('button', name='Start').click()
    expect(page.get_by_text('Succeeded').first).to_be_visible()
    # The run names the pipeline's version; its graph is that one's.
    expect(page.get_by_role('button', name=re.compile('^describe'))).to_be_visible()
    page.get_by_role('tab', name='Details').click()
    expect(page.get_by_text('[1,2,3.5]')).to_be_visible()
    # A second version, the difference of the two.
    spec['pipelineInfo']['description'] = 'changed'
    package.write_text(yaml.safe_dump(spec))
    page.goto(dashboard.server.url + '/pipelines')
    page.get_by_role('link', name='Given in the browser').first.click()
    page.get_by_role('button', name='Upload a version').click()
    page.locator('input[type=file]').set_input_files(package)
    page.get_by_role('textbox', name='Name').fill('second')
    page.get_by_role('button', name='Upload', exact=True).click()
    page.get_by_role('tab', name='Changes').click()
    expect(page.get_by_text('+ description: changed').or_(page.get_by_text('+   description: changed'))).to_be_visible()


def test_a_workflow_of_the_first_sdk_has_its_graph_and_parameters(dashboard):
    workflow = {'apiVersion': 'argoproj.io/v1alpha1', 'kind': 'Workflow', 'metadata': {'generateName': 'old-'}, 'spec': {
        'entrypoint': 'main', 'arguments': {'parameters': [{'name': 'who', 'value': 'you'}]}, 'templates': [
            {'name': 'say', 'inputs': {'parameters': [{'name': 'text'}]},
             'container': {'image': 'busybox', 'command': ['sh', '-c', 'echo said "{{inputs.parameters.text}}"']}},
            {'name': 'main', 'dag': {'tasks': [
                {'name': 'first', 'template': 'say', 'arguments': {'parameters': [
                    {'name': 'text', 'value': '{{workflow.parameters.who}}'}]}},
                {'name': 'each', 'template': 'say', 'dependencies': ['first'], 'withItems': ['a', 'b'],
                 'arguments': {'parameters': [{'name': 'text', 'value': '{{item}}'}]}}]}}]}}
    made = dashboard.server.post('/apis/v2beta1/pipelines', {'name': f'old {dashboard.server.url}'}).json['pipeline_id']
    version = dashboard.server.post(f'/apis/v2beta1/pipelines/{made}/versions', {
        'pipeline_id': made, 'name': 'v', 'pipeline_spec': workflow})
    assert version.status == 200, version.text
    page = dashboard.go(f'/pipelines/{made}')
    expect(page.get_by_role('button', name=re.compile('^each Loop'))).to_be_visible()
    page.get_by_role('link', name='New run').click()
    page.get_by_label(re.compile('^who')).fill('somebody')
    page.get_by_role('button', name='Start').click()
    expect(page.get_by_text('Succeeded').first).to_be_visible()
    page.get_by_role('button', name=re.compile('^first')).click()
    panel = page.get_by_role('complementary')
    panel.get_by_role('tab', name='Log').click()
    expect(panel.get_by_text('said somebody')).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('run-workflow')
    dashboard.go(f'/editor?pipeline={made}')
    expect(page.get_by_text('Workflows of the first SDK')).to_be_visible()


def test_what_is_refused_is_explained(dashboard, tmp_path):
    page = dashboard.go('/pipelines')
    package = tmp_path / 'bad.yaml'
    package.write_text('root: [')
    page.get_by_role('button', name='Upload a pipeline').click()
    page.locator('input[type=file]').set_input_files(package)
    page.get_by_role('button', name='Upload', exact=True).click()
    expect(page.get_by_role('alert')).to_contain_text(re.compile('YAML|line', re.I))
    dashboard.go('/runs/01234567-0000-7000-8000-000000000000')
    expect(page.get_by_role('alert')).to_contain_text('Not found')
    dashboard.go('/nowhere')
    expect(page.get_by_text('There is no such page.')).to_be_visible()
    dashboard.complaints = [text for text in dashboard.complaints if not re.search('status of (400|404)', text)]


def test_home_says_what_failed_and_starts_an_example(dashboard, runs):
    page = dashboard.go('/')
    expect(page.get_by_text('work: ').first).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('home')
    page.get_by_role('button', name='Run hello').click()
    expect(page).to_have_url(re.compile('/runs/[0-9a-f-]+$'))
    expect(page.get_by_role('heading', name='hello', level=1)).to_be_visible()
    expect(page.get_by_text('Succeeded').first).to_be_visible()


def test_a_run_is_cloned_changed_and_compared(dashboard, runs):
    page = dashboard.go(f'/runs/{runs["train"]}')
    page.get_by_role('link', name='Clone').click()
    rows = page.get_by_label(re.compile('^rows'))
    expect(rows).to_have_value('200')
    rows.fill('40')
    page.get_by_role('textbox', name='Name').fill('fewer rows')
    page.get_by_role('button', name='Start').click()
    expect(page.get_by_role('heading', name='fewer rows')).to_be_visible()
    expect(page.get_by_text('Succeeded').first).to_be_visible()
    dashboard.go('/runs?sort=created_at+desc')
    for name in ('fewer rows', 'train'):
        page.get_by_role('row').filter(has=page.get_by_role('link', name=name, exact=True)).first.get_by_role('checkbox').check()
    page.get_by_role('button', name='Compare').click()
    row = page.get_by_role('row').filter(has=page.get_by_role('rowheader', name='rows', exact=True))
    expect(row).to_contain_text('40')
    expect(row).to_contain_text('200')
    expect(row).to_have_class(re.compile('differs'))
    expect(page.get_by_role('img', name='Parallel coordinates')).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('compare')


def test_an_artifact_is_seen_traced_and_downloaded(dashboard, runs):
    page = dashboard.go(f'/runs/{runs["train"]}?tab=tasks')
    page.get_by_role('button', name='fit').click()
    page.get_by_role('complementary').get_by_role('link', name='model', exact=True).click()
    expect(page.get_by_text('slope')).to_be_visible()
    dashboard.shot('artifact')
    with page.expect_download() as download:
        page.get_by_role('link', name='Download').first.click()
    assert 'slope' in download.value.path().read_text()
    page.get_by_role('tab', name='Lineage').click()
    expect(page.get_by_role('link', name=re.compile('^data'))).to_be_visible()
    expect(page.get_by_role('link', name=re.compile('^evaluate'))).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('lineage')
    dashboard.go('/artifacts')
    expect(page.get_by_role('link', name='metrics', exact=True).first).to_be_visible()
    dashboard.check_accessible()


ARTIFACTS = '''
from kfp import dsl
from kfp.dsl import HTML, Artifact, Markdown, Output


@dsl.component
def make(page: Output[HTML], book: Output[Artifact], folder: Output[Artifact], packed: Output[Artifact],
         text: Output[Markdown]):
    import json
    import os
    import zipfile
    with open(page.path, 'w') as f:
        f.write('<!doctype html><title>p</title><p id="said">said by the page</p>'
                '<script>document.getElementById("said").textContent = "a script ran"; '
                'fetch("/apis/v2beta1/runs"); parent.document.title = "taken"</script>'
                '<img src="/favicon.ico" onerror="document.body.textContent = 1">')
    with open(book.path, 'w') as f:
        json.dump({'nbformat': 4, 'nbformat_minor': 5, 'metadata': {}, 'cells': [
            {'cell_type': 'markdown', 'metadata': {}, 'source': ['# A notebook\\n', '한글']},
            {'cell_type': 'code', 'metadata': {}, 'execution_count': 1, 'source': 'print(1 + 1)', 'outputs': [
                {'output_type': 'stream', 'name': 'stdout', 'text': ['two of it\\n']},
                {'output_type': 'execute_result', 'data': {'text/plain': 'a plain result', 'text/html': '<b>no</b>'},
                 'metadata': {}, 'execution_count': 1}]}]}, f)
    os.makedirs(folder.path + '/inner')
    with open(folder.path + '/inner/deep 파일.txt', 'w') as f:
        f.write('deep inside')
    with zipfile.ZipFile(packed.path, 'w') as z:
        z.writestr('member.txt', 'x' * 2048)
    with open(text.path, 'w') as f:
        f.write('**bold** [link](javascript:alert(1)) <script>1</script>')


@dsl.pipeline
def artifacts():
    make()
'''


def test_artifacts_of_many_kinds_are_shown_and_harm_nobody(dashboard, tmp_path):
    script = tmp_path / 'artifacts.py'
    script.write_text(ARTIFACTS)
    server = dashboard.server
    run, tasks = server.run(compile_pipeline(script)[0])
    assert run['state'] == 'SUCCEEDED', run
    made = {one['artifact_key']: one['artifacts'][0]['artifact_id'] for one in tasks['make'][0]['outputs']['artifacts']}
    page = dashboard.go(f'/artifacts/{made["page"]}')
    frame = page.frame_locator('iframe')
    expect(frame.get_by_text('said by the page')).to_be_visible()
    expect(frame.get_by_text('a script ran')).to_have_count(0)
    assert page.title() == 'page · Penstock'
    # The browser says that it ran no script and asked for no image: that is as it should be.
    assert dashboard.complaints
    assert all('Blocked script' in text or 'Content Security Policy' in text or 'sandbox' in text
               for text in dashboard.complaints), dashboard.complaints
    dashboard.complaints.clear()
    dashboard.go(f'/artifacts/{made["book"]}')
    expect(page.get_by_role('heading', name='A notebook')).to_be_visible()
    expect(page.get_by_text('two of it')).to_be_visible()
    expect(page.get_by_text('a plain result')).to_be_visible()
    dashboard.check_accessible()
    dashboard.go(f'/artifacts/{made["folder"]}')
    page.get_by_role('button', name='inner').click()
    page.get_by_role('button', name='deep 파일.txt').click()
    expect(page.get_by_text('deep inside')).to_be_visible()
    dashboard.check_accessible()
    dashboard.go(f'/artifacts/{made["packed"]}')
    expect(page.get_by_text('member.txt')).to_be_visible()
    expect(page.get_by_text(re.compile(r'^2(\.0)? KiB'))).to_be_visible()
    dashboard.go(f'/artifacts/{made["text"]}')
    expect(page.get_by_text('bold', exact=True)).to_be_visible()
    assert page.locator('a[href^="javascript"]').count() == 0


def test_an_experiment_and_a_schedule_are_made(dashboard):
    import yaml
    server = dashboard.server
    made = server.request('POST', '/apis/v2beta1/pipelines', {'display_name': 'scheduled in the browser'}).json
    server.post(f'/apis/v2beta1/pipelines/{made["pipeline_id"]}/versions', {
        'pipeline_id': made['pipeline_id'], 'display_name': 'one', 'pipeline_spec': shell('true')})
    page = dashboard.go('/experiments')
    page.get_by_role('button', name='New experiment').click()
    page.get_by_role('textbox', name='Name').fill('from the browser')
    page.get_by_role('dialog').get_by_role('button', name='Create').click()
    expect(page.get_by_role('heading', name='from the browser')).to_be_visible()
    dashboard.check_accessible()
    dashboard.go('/recurring-runs/new')
    page.get_by_label('Pipeline', exact=True).select_option('scheduled in the browser')
    page.get_by_label('Expression').fill('0 99 * * * *')
    expect(page.get_by_role('alert')).to_contain_text('99')
    page.get_by_label('Expression').fill('TZ=Asia/Seoul 0 30 9 * * 1-5')
    expect(page.get_by_role('listitem').filter(has_text=re.compile('30:00')).first).to_be_visible()
    dashboard.check_accessible()
    page.get_by_role('button', name='Create', exact=True).click()
    expect(page.get_by_role('table').first).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('recurring-run')
    page.get_by_role('button', name='Disable').click()
    expect(page.get_by_text('It is disabled: nothing will fire.')).to_be_visible()
    dashboard.complaints = [text for text in dashboard.complaints if 'status of 400' not in text]


def test_resources_are_listed_made_changed_and_hidden(dashboard):
    server = dashboard.server
    server.post('/api/v1/namespaces/default/secrets', {'metadata': {'name': 'hush'}, 'stringData': {'key': 'very-secret-value'}})
    page = dashboard.go('/resources/configmaps')
    bodies = []
    page.on('response', lambda response: bodies.append(response))
    page.get_by_role('button', name='Create').click()
    text = page.get_by_label('The object as YAML')
    text.fill('apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: from-the-browser\n  namespace: default\ndata:\n  a: "1"\n')
    page.get_by_role('dialog').get_by_role('button', name='Create').click()
    page.get_by_role('link', name='from-the-browser').click()
    page.get_by_role('button', name='Edit').click()
    edited = page.get_by_label('The object as YAML')
    edited.fill(edited.input_value().replace('"1"', '"2"'))
    page.get_by_role('button', name='Save').click()
    expect(page.get_by_role('button', name='Edit')).to_be_visible()
    expect(page.get_by_text('a: "2"')).to_be_visible()
    assert server.get('/api/v1/namespaces/default/configmaps/from-the-browser').json['data'] == {'a': '2'}
    dashboard.go('/resources/secrets')
    page.get_by_role('link', name='hush').click()
    expect(page.get_by_text("A secret's values are not shown")).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('secret')
    for response in bodies:
        if '/secrets' in response.url and 'watch' not in response.url:
            assert 'very-secret-value' not in response.text() and 'dmVyeS1zZWNyZXQtdmFsdWU' not in response.text()


def test_a_run_is_watched_live(dashboard, gate):
    run = dashboard.server.submit(shell(gate.command('echo done'), 'echo next'), name='live')
    page = dashboard.go(f'/runs/{run}')
    gate.arrive()
    expect(page.get_by_text('Running').first).to_be_visible()
    page.get_by_role('button', name=re.compile('^step-0')).click()
    page.get_by_role('tab', name='Log').click()
    expect(page.get_by_text('arrived')).to_be_visible()
    gate.open()
    # Nobody reloads: the server tells.
    expect(page.get_by_text('done', exact=True)).to_be_visible()
    expect(page.get_by_text('Succeeded').first).to_be_visible()


def test_a_server_that_goes_and_comes_back(browser, new_server):
    server = new_server()
    opened = open_dashboard(browser, server)
    page = opened.go('/runs')
    address = server.url.split('//')[1]
    server.stop()
    expect(page.get_by_text("The server can't be reached.")).to_be_visible()
    opened.shot('server-gone')
    server.options += ['--listen', address]
    server.start()
    server.submit(shell('true'), name='after the break')
    expect(page.get_by_text("The server can't be reached.")).to_have_count(0, timeout=20000)
    expect(page.get_by_role('link', name='after the break')).to_be_visible()
    page.context.close()


@pytest.mark.parametrize('scheme,language,width', [('dark', 'ko-KR', 1280), ('light', 'ko-KR', 420), ('dark', 'en-US', 420)])
def test_themes_languages_and_narrow_windows(browser, server, runs, scheme, language, width):
    opened = open_dashboard(browser, server, color_scheme=scheme, locale=language,
                            viewport={'width': width, 'height': 800})
    for name, path in (('runs', '/runs'), ('run', f'/runs/{runs["nested"]}'), ('pipelines', '/pipelines'), ('home', '/')):
        page = opened.go(path)
        expect(page.locator('h1')).to_have_count(1)
        opened.check_accessible()
        opened.shot(f'{name}-{scheme}-{language[:2]}-{width}')
        # Nothing hangs out of the window.
        assert page.evaluate('document.documentElement.scrollWidth') <= width
    assert opened.complaints == []
    opened.page.context.close()
