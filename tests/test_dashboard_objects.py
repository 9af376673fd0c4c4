"""Objects and models in the dashboard, in a real browser."""
import re
import uuid

import pytest
from playwright.sync_api import expect

from browser import browser, dashboard, open_dashboard  # noqa: F401 fixtures
from test_model_registry import producer
from test_previews import PNG

OWN = '/apis/penstock/v1/buckets'


@pytest.fixture
def bucket(server):
    """A bucket with a few things in it."""
    name = f'data-{uuid.uuid4().hex[:8]}'
    s3 = server.s3()
    s3.create_bucket(Bucket=name)
    files = {'readme.md': b'# Title\n\nSome *words*.\n', 'iris/train.csv': b'length,width\n5.1,3.5\n4.9,3.0\n',
             'iris/plots/pixel.png': PNG, '한국어/모델.txt': '안녕'.encode(), 'a/../b/odd.txt': b'odd',
             'page.html': b'<!DOCTYPE html><script>document.title="ran"</script><p>hello</p>'}
    for key, body in files.items():
        s3.put_object(Bucket=name, Key=key, Body=body)
    return name


def test_folders_are_walked_and_files_seen(dashboard, bucket):
    page = dashboard.go('/objects')
    dashboard.check_accessible()
    dashboard.shot('buckets')
    page.get_by_label('Search buckets by name').fill(bucket)
    page.get_by_role('link', name=bucket).click()
    expect(page.get_by_text('6 object(s)')).to_be_visible()
    page.get_by_role('link', name='iris/').click()
    expect(page).to_have_url(re.compile(r'prefix=iris%2F'))
    page.get_by_role('button', name='train.csv').click()
    panel = page.get_by_role('complementary')
    expect(panel.get_by_role('cell', name='5.1')).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('objects')
    # The address shows the same again.
    page.reload()
    expect(panel.get_by_role('cell', name='5.1')).to_be_visible()
    panel.get_by_role('button', name='Close').click()
    page.get_by_role('link', name='plots/').click()
    page.get_by_role('button', name='pixel.png').click()
    expect(panel.get_by_role('img')).to_be_visible()
    assert panel.get_by_role('img').evaluate('image => image.decode().then(() => image.naturalWidth)') == 1
    breadcrumb = page.get_by_role('navigation', name='breadcrumb')
    breadcrumb.get_by_role('link', name='iris').click()
    expect(page.get_by_role('button', name='train.csv')).to_be_visible()
    breadcrumb.get_by_role('link', name=bucket).click()
    for name in ('a/', '../', 'b/'):
        page.get_by_role('link', name=name, exact=True).click()
    page.get_by_role('button', name='odd.txt').click()
    expect(panel.get_by_text('odd', exact=True)).to_be_visible()


def test_a_page_in_a_bucket_runs_nothing(dashboard, bucket):
    page = dashboard.go(f'/objects/{bucket}?object=page.html')
    frame = page.frame_locator('iframe')
    expect(frame.get_by_text('hello')).to_be_visible()
    assert page.title() != 'ran' and page.locator('iframe').get_attribute('sandbox') == ''
    # The browser says that it blocked the script.
    assert all('sandboxed' in text for text in dashboard.complaints)
    dashboard.complaints.clear()


def test_files_are_uploaded_with_their_progress(dashboard, bucket, tmp_path):
    page = dashboard.go(f'/objects/{bucket}?prefix=iris/')
    for name, size in (('one.bin', 3 << 20), ('두.txt', 10), ('train.csv', 5)):
        (tmp_path / name).write_bytes(b'z' * size)
    page.get_by_label('Files to upload').set_input_files([tmp_path / name for name in ('one.bin', '두.txt', 'train.csv')])
    uploads = page.get_by_role('region', name='Uploads')
    expect(uploads.get_by_text('2 of 3 uploaded')).to_be_visible()
    expect(uploads.get_by_text('There is such an object already')).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('objects-upload')
    uploads.get_by_role('button', name='Replace it').click()
    expect(uploads.get_by_text('3 of 3 uploaded')).to_be_visible()
    expect(page.get_by_role('button', name='두.txt')).to_be_visible()
    s3 = dashboard.server.s3()
    assert s3.get_object(Bucket=bucket, Key='iris/train.csv')['Body'].read() == b'zzzzz'
    assert s3.head_object(Bucket=bucket, Key='iris/one.bin')['ContentLength'] == 3 << 20
    dashboard.complaints.clear()  # of the upload that was refused at first


def test_files_are_dropped(dashboard, bucket):
    page = dashboard.go(f'/objects/{bucket}?prefix=new/')
    expect(page.get_by_text('There is nothing here')).to_be_visible()
    dashboard.check_accessible()
    data = page.evaluate_handle('''() => {
      const data = new DataTransfer();
      data.items.add(new File(["first"], "1.txt", {type: "text/plain"}));
      data.items.add(new File(["second"], "2.txt"));
      return data;
    }''')
    page.get_by_role('region', name='Folder, to drop').dispatch_event('drop', {'dataTransfer': data})
    expect(page.get_by_role('button', name='2.txt')).to_be_visible()
    shown = dashboard.server.s3().get_object(Bucket=bucket, Key='new/1.txt')
    assert shown['Body'].read() == b'first' and shown['ContentType'] == 'text/plain'


def test_an_upload_that_fails_is_tried_again(dashboard, bucket, tmp_path):
    page = dashboard.go(f'/objects/{bucket}')
    page.route('**/object?*', lambda route: route.abort())
    (tmp_path / 'x.txt').write_text('x')
    page.get_by_label('Files to upload').set_input_files(tmp_path / 'x.txt')
    uploads = page.get_by_role('region', name='Uploads')
    expect(uploads.get_by_text('The server did not answer')).to_be_visible()
    page.unroute('**/object?*')
    uploads.get_by_role('button', name='Try again').click()
    expect(uploads.get_by_text('1 of 1 uploaded')).to_be_visible()
    dashboard.complaints.clear()  # the one that was cut off


def test_a_download_is_the_file(dashboard, bucket):
    page = dashboard.go(f'/objects/{bucket}?prefix=한국어/&object=한국어/모델.txt')
    with page.expect_download() as download:
        page.get_by_role('complementary').get_by_role('link', name='Download').first.click()
    assert download.value.suggested_filename == '모델.txt'
    assert open(download.value.path(), 'rb').read() == '안녕'.encode()


def test_things_are_deleted_renamed_and_made(dashboard, bucket):
    page = dashboard.go(f'/objects/{bucket}')
    page.get_by_role('button', name='New folder').click()
    page.get_by_role('dialog').get_by_label('Name').fill('results')
    dashboard.check_accessible()
    page.get_by_role('button', name='Create').click()
    expect(page.get_by_role('heading', name='results', level=1)).to_be_visible()
    expect(page.get_by_text('There is nothing here')).to_be_visible()
    page.get_by_role('link', name=bucket).click()
    page.get_by_role('button', name='readme.md').click()
    page.get_by_role('complementary').get_by_role('button', name='Rename').click()
    page.get_by_role('dialog').get_by_label('Key').fill('results/README.md')
    page.get_by_role('dialog').get_by_role('button', name='Rename').click()
    expect(page.get_by_role('complementary', name='The object results/README.md')).to_be_visible()
    expect(page.get_by_role('button', name='readme.md')).to_have_count(0)
    # A folder and an object at once.
    for name in ('iris/', 'page.html'):
        page.get_by_role('row', name=name).get_by_role('checkbox').check()
    page.get_by_role('region', name='Folder, to drop').get_by_role('button', name='Delete').click()
    expect(page.get_by_role('dialog').get_by_text('Folders go with all')).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('objects-delete')
    page.get_by_role('dialog').get_by_role('button', name='Delete').click()
    expect(page.get_by_text('3 object(s) deleted')).to_be_visible()
    expect(page.get_by_role('link', name='iris/')).to_have_count(0)
    keys = [one['Key'] for one in dashboard.server.s3().list_objects_v2(Bucket=bucket)['Contents']]
    assert sorted(keys) == ['a/../b/odd.txt', 'results/', 'results/README.md', '한국어/모델.txt']


def test_versions_are_seen_and_brought_back(dashboard, server):
    name = f'kept-{uuid.uuid4().hex[:8]}'
    page = dashboard.go('/objects')
    page.get_by_role('button', name='New bucket').click()
    page.get_by_role('dialog').get_by_label('Name').fill('Not A Name')
    page.get_by_role('dialog').get_by_role('button', name='Create').click()
    expect(page.get_by_role('dialog').get_by_role('alert')).to_be_visible()
    page.get_by_role('dialog').get_by_label('Name').fill(name)
    page.get_by_label('Keep the versions').check()
    page.get_by_role('dialog').get_by_role('button', name='Create').click()
    expect(page.get_by_role('heading', name=name, level=1)).to_be_visible()
    dashboard.complaints.clear()  # of the name that was refused
    s3 = server.s3()
    for body in (b'first words', b'second words'):
        s3.put_object(Bucket=name, Key='note.txt', Body=body)
    page = dashboard.go(f'/objects/{name}?object=note.txt')
    panel = page.get_by_role('complementary')
    expect(panel.get_by_text('second words')).to_be_visible()
    panel.get_by_role('tab', name='Versions').click()
    expect(panel.get_by_text('newest')).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('objects-versions')
    panel.get_by_role('listitem').last.get_by_role('button').first.click()
    expect(panel.get_by_text('first words')).to_be_visible()
    panel.get_by_role('button', name='Copy').click()
    page.get_by_role('dialog').get_by_role('button', name='Copy').click()
    expect(panel.get_by_text('first words')).to_be_visible()
    assert s3.get_object(Bucket=name, Key='note.txt')['Body'].read() == b'first words'


def test_tags_and_details(dashboard, bucket):
    page = dashboard.go(f'/objects/{bucket}?object=readme.md')
    panel = page.get_by_role('complementary')
    panel.get_by_role('tab', name='Details').click()
    expect(panel.get_by_text(f's3://{bucket}/readme.md')).to_be_visible()
    panel.get_by_label('Tag', exact=True).fill('stage')
    panel.get_by_label('Value').fill('prod')
    panel.get_by_role('button', name='Add').click()
    expect(panel.get_by_text('stage = prod')).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('objects-details')
    panel.get_by_role('button', name='Remove the tag stage').click()
    expect(panel.get_by_text('stage = prod')).to_have_count(0)


def test_what_is_not_there_says_so(dashboard, bucket):
    page = dashboard.go('/objects/no-such-bucket')
    expect(page.get_by_role('alert')).to_contain_text('Not found')
    page = dashboard.go(f'/objects/{bucket}?object=none')
    expect(page.get_by_role('complementary').get_by_role('alert')).to_contain_text('Not found')
    dashboard.check_accessible()
    page = dashboard.go('/objects')
    page.get_by_label('Search buckets by name').fill(bucket)
    page.get_by_role('button', name=f'Delete the bucket {bucket}').click()
    page.get_by_role('dialog').get_by_role('button', name='Delete').click()
    expect(page.get_by_role('dialog').get_by_role('alert')).to_contain_text('not empty')
    dashboard.complaints.clear()  # of the requests that were refused


def test_a_hundred_thousand_keys(dashboard, server):
    """They are files of a task, as a run may leave them."""
    name = f'many-{uuid.uuid4().hex[:8]}'
    server.s3().create_bucket(Bucket=name)
    folder = server.data / 'objects' / name / 'out'
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(100_000):
        (folder / f'part-{i:06}.txt').touch()
    page = dashboard.go(f'/objects/{name}?prefix=out/')
    expect(page.get_by_role('button', name='part-000000.txt')).to_be_visible()
    expect(page.get_by_text('100,000 object(s)')).to_be_visible(timeout=60_000)
    table = page.locator('.table-frame')
    assert table.locator('tbody tr').count() < 100, 'only what is in view is made'
    table.evaluate('frame => frame.scrollTo(0, frame.scrollHeight)')
    expect(page.get_by_text('2,000 shown')).to_be_visible()
    page.get_by_label('Names that begin with').fill('part-0999')
    expect(page.get_by_role('button', name='part-099900.txt')).to_be_visible()
    expect(page.get_by_text('100 shown')).to_be_visible()


def test_dark_korean_and_narrow(browser, server, bucket):
    dashboard = open_dashboard(browser, server, viewport={'width': 420, 'height': 900}, locale='ko-KR', color_scheme='dark')
    page = dashboard.go(f'/objects/{bucket}?prefix=iris/&object=iris/train.csv')
    expect(page.get_by_role('cell', name='5.1')).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('objects-dark-narrow')
    assert page.evaluate('document.documentElement.scrollWidth') <= 420
    page = dashboard.go('/objects')
    expect(page.get_by_role('heading', name='객체')).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('buckets-dark-narrow')
    page.context.close()
    assert dashboard.complaints == []


@pytest.fixture(scope='module')
def trained(server):
    """A run that made a model, and that artifact's id."""
    run = server.submit(producer({'train': ('system.Model', 2048)}, name='train-iris'), name='train-iris')
    assert server.wait(run)['state'] == 'SUCCEEDED'
    artifact = server.tasks(run)['train'][0]['outputs']['artifacts'][0]['artifacts'][0]
    return run, artifact['artifact_id']


def test_a_runs_model_is_registered_and_kept_in_order(dashboard, trained):
    run, artifact = trained
    name = f'iris-{uuid.uuid4().hex[:6]}'
    page = dashboard.go(f'/artifacts/{artifact}')
    page.get_by_role('button', name='Register').click()
    dialog = page.get_by_role('dialog')
    dialog.get_by_label('Model').fill(name)
    dialog.get_by_label('Version', exact=True).fill('1.0')
    dialog.get_by_label('Format', exact=True).fill('onnx')
    dialog.get_by_label('Aliases').fill('champion, stable')
    dashboard.check_accessible()
    dashboard.shot('model-register')
    dialog.get_by_role('button', name='Register').click()
    expect(page.get_by_role('heading', name=name, level=1)).to_be_visible()
    panel = page.get_by_role('complementary', name='Version 1.0')
    expect(panel.get_by_role('link', name='Run train-iris')).to_have_attribute('href', f'/runs/{run}')
    expect(panel.get_by_role('link', name='Lineage')).to_have_attribute('href', f'/artifacts/{artifact}?tab=lineage')
    expect(panel.get_by_text('champion', exact=True)).to_be_visible()
    # Properties, aliases and the state.
    panel.get_by_label('Property').fill('accuracy')
    panel.get_by_label('Value').fill('0.97')
    panel.get_by_role('region', name='Custom properties').get_by_role('button', name='Add').click()
    expect(panel.get_by_text('0.97')).to_be_visible()
    panel.get_by_label('Alias', exact=True).fill('best')
    panel.get_by_role('region', name='Aliases').get_by_role('button', name='Add').click()
    expect(panel.get_by_role('button', name='Remove the alias best')).to_be_visible()
    panel.get_by_role('button', name='Remove the alias stable').click()
    expect(panel.get_by_role('button', name='Remove the alias stable')).to_have_count(0)
    dashboard.check_accessible()
    dashboard.shot('model')
    version = re.search(r'version=(\d+)', page.url)[1]
    kept = dashboard.server.get(f'/api/model_registry/v1alpha3/model_versions/{version}').json
    assert kept['customProperties'] == {'accuracy': {'metadataType': 'MetadataDoubleValue', 'double_value': 0.97}}
    panel.get_by_role('button', name='Archive').click()
    expect(panel.get_by_role('button', name='Restore')).to_be_visible()
    panel.get_by_role('link', name='minio:').click()
    expect(page).to_have_url(re.compile('/objects/mlpipeline'))


def test_models_are_listed_found_and_archived(dashboard, server):
    name = f"it's 100% \\odd-{uuid.uuid4().hex[:6]}"
    made = server.post('/api/model_registry/v1alpha3/registered_models', {'name': name, 'owner': 'ada', 'description': 'flowers'})
    model = made.json['id']
    page = dashboard.go('/models')
    expect(page.get_by_role('link', name=name)).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('models')
    page.get_by_label('Search models by name').fill("IT'S 100% \\ODD")
    expect(page).to_have_url(re.compile('q='))
    page.get_by_role('link', name=name).click()
    expect(page.get_by_text('The model has no versions')).to_be_visible()
    page.get_by_role('tab', name='Where it is served').click()
    expect(page.get_by_text('It is served nowhere')).to_be_visible()
    page.get_by_role('button', name='Archive').click()
    expect(page.get_by_role('button', name='Restore')).to_be_visible()
    assert server.get(f'/api/model_registry/v1alpha3/registered_models/{model}').json['state'] == 'ARCHIVED'
    page = dashboard.go('/models')
    expect(page.get_by_role('link', name=name)).to_have_count(0)
    page.get_by_label('State').select_option('ARCHIVED')
    expect(page.get_by_role('link', name=name)).to_be_visible()


def test_where_a_model_is_served(dashboard, server):
    base = '/api/model_registry/v1alpha3'
    name = f'served-{uuid.uuid4().hex[:6]}'
    model = server.post(f'{base}/registered_models', {'name': name}).json['id']
    version = server.post(f'{base}/registered_models/{model}/versions', {'name': 'v1', 'registeredModelId': model}).json['id']
    place = server.post(f'{base}/serving_environments', {'name': f'prod-{name}'}).json['id']
    made = server.post(f'{base}/serving_environments/{place}/inference_services', {
        'name': f'api-{name}', 'registeredModelId': model, 'modelVersionId': version, 'servingEnvironmentId': place})
    assert made.status == 201, made.text
    page = dashboard.go(f'/models/{model}?tab=deployments')
    expect(page.get_by_text(f'api-{name}')).to_be_visible()
    expect(page.get_by_text('DEPLOYED')).to_be_visible()
    dashboard.check_accessible()
    page = dashboard.go('/models/999999')
    expect(page.get_by_role('alert')).to_contain_text('Not found')
    dashboard.complaints.clear()  # of the model that is not there


def test_models_dark_korean_and_narrow(browser, server, trained):
    run, artifact = trained
    made = server.post('/apis/penstock/v1/models:register', {'run_id': run, 'artifact_id': artifact, 'model': '붓꽃', 'version': '일'}).json
    dashboard = open_dashboard(browser, server, viewport={'width': 420, 'height': 900}, locale='ko-KR', color_scheme='dark')
    page = dashboard.go(f"/models/{made['registered_model']['id']}?version={made['model_version']['id']}")
    expect(page.get_by_role('complementary', name='버전 일')).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('model-dark-narrow')
    assert page.evaluate('document.documentElement.scrollWidth') <= 420
    page.context.close()
    assert dashboard.complaints == []


def test_what_takes_space_and_what_would_go(dashboard, server, trained):
    page = dashboard.go('/storage')
    expect(page.get_by_role('cell', name='train-iris')).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('storage')
    page.get_by_label('By').select_option('run')
    expect(page.get_by_role('link', name=trained[0])).to_be_visible()
    page.get_by_role('tab', name='Rules').click()
    expect(page.get_by_text('There are no rules')).to_be_visible()
    page.get_by_role('button', name='New rule').click()
    dialog = page.get_by_role('dialog')
    dialog.get_by_label('Name', exact=True).fill('old ones')
    dialog.get_by_label('Names of pipelines').fill('no-such-pipeline')
    dialog.get_by_label('Of the others').fill('soon')
    dialog.get_by_role('button', name='Create').click()
    expect(dialog.get_by_role('alert')).to_contain_text('older_than')
    dialog.get_by_label('Keep the newest').fill('0')
    dialog.get_by_label('Names of pipelines').fill('train-iris')
    dialog.get_by_label('Of the others').fill('1s')
    dialog.get_by_role('button', name='What would go now?').click()
    expect(dialog.get_by_text('1 run(s) would be deleted')).to_be_visible()
    dashboard.check_accessible()
    dashboard.shot('storage-rule')
    dialog.get_by_label('Names of pipelines').fill('no-such-pipeline')
    dialog.get_by_role('button', name='Create').click()
    expect(page.get_by_role('cell', name='old ones', exact=True)).to_be_visible()
    page.get_by_role('button', name='What would go now?').click()
    expect(page.get_by_text('Nothing would go')).to_be_visible()
    dashboard.check_accessible()
    page.get_by_role('button', name='Delete the rule old ones').click()
    page.get_by_role('dialog').get_by_role('button', name='Delete').click()
    expect(page.get_by_text('There are no rules')).to_be_visible()
    assert server.get(f'/apis/v2beta1/runs/{trained[0]}').status == 200
    dashboard.complaints.clear()  # of the rule that was refused
