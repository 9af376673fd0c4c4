"""What the server shows of artifacts' bytes, and how safely."""
import base64
import gzip
import io
import json
import pickle
import tarfile
import urllib.error
import urllib.parse
import urllib.request
import uuid
import zipfile

import pytest

from conftest import ROOT, compile_pipeline, shell

OWN = '/apis/penstock/v1'
POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
PNG = base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==')
NOTEBOOK = {
    'nbformat': 4, 'nbformat_minor': 5, 'metadata': {'language_info': {'name': 'python'}},
    'cells': [{'cell_type': 'markdown', 'metadata': {}, 'source': ['# Title\n', 'text']},
              {'cell_type': 'code', 'metadata': {}, 'execution_count': 2, 'source': '1 + 1', 'outputs': [
                  {'output_type': 'stream', 'name': 'stdout', 'text': ['hi\n']},
                  {'output_type': 'execute_result', 'metadata': {}, 'execution_count': 2, 'data': {
                      'text/plain': '2', 'text/html': '<script>alert(1)</script>',
                      'image/png': base64.b64encode(PNG).decode()}},
                  {'output_type': 'error', 'ename': 'E', 'evalue': 'why', 'traceback': []}]}]}


def archive(files, kind):
    buffer = io.BytesIO()
    if kind == 'zip':
        with zipfile.ZipFile(buffer, 'w') as out:
            for name, content in files.items():
                out.writestr(name, content)
    else:
        with tarfile.open(fileobj=buffer, mode='w:gz') as out:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                out.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def npy(shape):
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b'\n'
    return b'\x93NUMPY\x01\x00' + len(header).to_bytes(2, 'little') + header + bytes(8)


FILES = {
    'table': b'id,name,note\n1,a,"x ""q"", y"\n2,b,"two\nlines"\n',
    'german.csv': 'name;größe\nä;1,5\n'.encode('cp1252'),
    'wide.tsv': '\ufeffa\tb\n1\t2\n'.encode('utf-16-le'),
    'bom.csv': '\ufeffa,b\n1,2\n'.encode(),
    'pixel': PNG,
    'drawing': b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    'page.html': b'<!DOCTYPE html><html><body><script>alert(1)</script></body></html>',
    'readme.md': b'# Title\n<b>x</b>\n',
    'notes': 'plain ünïcode\nsecond line, with a comma\n'.encode(),
    'config': b'{"b": [1, 2, {"c": "\xc3\xa4"}], "a": null}',
    'broken.json': b'{"a": ',
    'lines': b'{"a": 1}\n{"a": 2}\n\n{"a": 3}\n',
    'book': json.dumps(NOTEBOOK).encode(),
    'array': npy('(3, 4)'),
    'model': pickle.dumps({'weights': list(range(10))}),
    'noise': bytes(range(256)) * 8,
    'nothing': b'',
    'pack.tgz': archive({'a/x.txt': b'x' * 10, 'b.txt': b'y'}, 'tar.gz'),
    'pack.zip': archive({'a/x.txt': b'x' * 10, 'b.txt': b'y'}, 'zip'),
    'bad.parquet': b'PAR1' + b'\xff' * 40 + b'\x10\x00\x00\x00PAR1',
    'torn.tgz': gzip.compress(gzip.decompress(archive({'a': bytes(2000), 'b': b'x'}, 'tar.gz'))[:1500]),
    'not-a.zip': b'PK\x03\x04' + b'\x01' * 100,
    'deep/er/ä ö.txt': b'inside',
}


@pytest.fixture(scope='module')
def artifact(server):
    """The id of an artifact that is a folder with all these files."""
    prefix = f'previews-{uuid.uuid4().hex}'
    s3 = server.s3()
    files = dict(FILES, **{'people.parquet': (ROOT / 'tests/data/people.parquet').read_bytes()})
    for name, content in files.items():
        s3.put_object(Bucket='mlpipeline', Key=f'{prefix}/{name}', Body=content)
    return imported(server, f'minio://mlpipeline/{prefix}')


def imported(server, uri, schema='system.Artifact'):
    spec = {'pipelineInfo': {'name': 'importing'}, 'schemaVersion': '2.1.0', 'sdkVersion': 'kfp-2.17.0',
            'deploymentSpec': {'executors': {'e': {'importer': {
                'artifactUri': {'constant': uri}, 'typeSchema': {'schemaTitle': schema, 'schemaVersion': '0.0.1'}}}}},
            'components': {'c': {'executorLabel': 'e', 'outputDefinitions': {'artifacts': {
                'artifact': {'artifactType': {'schemaTitle': schema, 'schemaVersion': '0.0.1'}}}}}},
            'root': {'dag': {'tasks': {'t': {'taskInfo': {'name': 't'}, 'componentRef': {'name': 'c'}}}}}}
    run, tasks = server.run(spec)
    assert run['state'] == 'SUCCEEDED', run
    return tasks['t'][0]['outputs']['artifacts'][0]['artifacts'][0]['artifact_id']


def path_of(name):
    return urllib.parse.urlencode({'path': name})


def preview(server, artifact, name, query=''):
    answer = server.get(f'{OWN}/artifacts/{artifact}/preview?{path_of(name)}&{query}')
    assert answer.status == 200, answer.text
    shown = answer.json
    assert shown['artifact_id'] == artifact and shown['path'] == name
    return shown


def fetch(server, path, method='GET', **headers):
    """Status, headers, bytes."""
    request = urllib.request.Request(server.url + path, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_tables(server, artifact):
    table = preview(server, artifact, 'table')
    assert table['kind'] == 'csv' and table['delimiter'] == ',' and table['header'] and table['columns'] == 3
    assert table['rows'] == [['id', 'name', 'note'], ['1', 'a', 'x "q", y'], ['2', 'b', 'two\nlines']]
    assert not table['truncated'] and table['size'] == str(len(FILES['table']))
    german = preview(server, artifact, 'german.csv')
    assert german['encoding'] == 'windows-1252' and german['rows'] == [['name', 'größe'], ['ä', '1,5']]
    wide = preview(server, artifact, 'wide.tsv')
    assert wide['encoding'] == 'utf-16le' and wide['rows'] == [['a', 'b'], ['1', '2']]
    assert preview(server, artifact, 'bom.csv')['rows'][0] == ['a', 'b']
    short = preview(server, artifact, 'table', 'rows=2')
    assert len(short['rows']) == 2 and short['truncated']
    # Half a row is not shown.
    cut = preview(server, artifact, 'table', 'max_bytes=20')
    assert cut['rows'] == [['id', 'name', 'note']] and cut['truncated']


def test_images_and_pages_are_shown_by_their_raw_bytes(server, artifact):
    for name, kind, media in (('pixel', 'image', 'image/png'), ('drawing', 'image', 'image/svg+xml'),
                              ('page.html', 'html', 'text/html')):
        shown = preview(server, artifact, name)
        assert shown['kind'] == kind and shown['media_type'] == media
        assert b'script' not in json.dumps(shown).encode()
        status, headers, body = fetch(server, shown['raw'])
        assert status == 200 and body == FILES[name]
        assert headers['Content-Type'].split(';')[0] == media
        assert headers['Content-Security-Policy'] == POLICY
        assert headers['X-Content-Type-Options'] == 'nosniff'


def test_no_raw_answer_runs_a_script(server, artifact):
    for name in FILES:
        status, headers, body = fetch(server, f'{OWN}/artifacts/{artifact}/raw?{path_of(name)}')
        assert status == 200 and body == FILES[name], name
        assert headers['Content-Security-Policy'] == POLICY and headers['X-Content-Type-Options'] == 'nosniff'
        kind = headers['Content-Type'].split(';')[0]
        assert kind in ('text/html', 'text/plain', 'image/png', 'image/svg+xml', 'application/octet-stream'), kind
        assert (kind == 'application/octet-stream') == (headers['Content-Disposition'] is not None)


def test_texts(server, artifact):
    assert preview(server, artifact, 'readme.md')['kind'] == 'markdown'
    assert preview(server, artifact, 'readme.md')['text'] == '# Title\n<b>x</b>\n'
    notes = preview(server, artifact, 'notes')
    assert notes['kind'] == 'text' and notes['text'] == FILES['notes'].decode()
    cut = preview(server, artifact, 'notes', 'max_bytes=7')  # in the middle of a letter
    assert cut['text'] == 'plain ' and cut['truncated']
    config = preview(server, artifact, 'config')
    assert config['kind'] == 'json'
    assert config['text'] == json.dumps({'b': [1, 2, {'c': 'ä'}], 'a': None}, indent=2, ensure_ascii=False)
    assert preview(server, artifact, 'config', 'max_bytes=10')['truncated']
    broken = preview(server, artifact, 'broken.json')
    assert broken['kind'] == 'json' and broken['problem'] and broken['text'] == '{"a": '
    lines = preview(server, artifact, 'lines')
    assert lines['kind'] == 'jsonl' and lines['records'] == [{'a': 1}, {'a': 2}, {'a': 3}]
    assert preview(server, artifact, 'lines', 'rows=1')['truncated']
    assert preview(server, artifact, 'nothing')['kind'] == 'empty'


def test_a_notebook(server, artifact):
    book = preview(server, artifact, 'book')
    assert book['kind'] == 'notebook' and book['language'] == 'python'
    first, second = book['cells']
    assert first == {'type': 'markdown', 'source': '# Title\ntext'}
    assert second['execution_count'] == 2 and second['source'] == '1 + 1'
    stream, result, error = second['outputs']
    assert stream == {'type': 'stream', 'name': 'stdout', 'text': 'hi\n'}
    assert result['data'] == {'text/plain': '2', 'image/png': base64.b64encode(PNG).decode()}
    assert result['omitted'] == ['text/html']
    assert error['text'] == 'E: why'


def test_data_files(server, artifact):
    people = preview(server, artifact, 'people.parquet')
    assert people['kind'] == 'parquet' and people['rows_total'] == '3' and people['row_groups'] == 2
    fields = {field['name']: field for field in people['schema'] if field['depth'] == 1}
    assert list(fields) == ['id', 'name', 'score', 'at', 'price', 'small', 'tags', 'place', 'day']
    assert fields['id']['type'] == 'INT64' and fields['score']['type'] == 'FLOAT'
    assert fields['name']['logical_type'] == 'STRING' and fields['at']['logical_type'] == 'TIMESTAMP(MICROS)'
    assert fields['price']['logical_type'] == 'DECIMAL(9,2)' and fields['small']['logical_type'] == 'UINT(8)'
    assert fields['tags']['logical_type'] == 'LIST' and fields['day']['logical_type'] == 'DATE'
    assert [field['name'] for field in people['schema'] if field['depth'] == 2] == ['list', 'lat', 'lon']
    assert 'parquet' in people['created_by']
    assert 'problem' in preview(server, artifact, 'bad.parquet')
    array = preview(server, artifact, 'array')
    assert (array['kind'], array['dtype'], array['shape'], array['fortran_order']) == ('npy', '<f8', [3, 4], False)
    model = preview(server, artifact, 'model')
    assert model['kind'] == 'model' and model['format'] == 'pickle' and model['size'] == str(len(FILES['model']))
    assert preview(server, artifact, 'noise')['kind'] == 'binary'


def test_archives(server, artifact):
    for name in ('pack.tgz', 'pack.zip'):
        pack = preview(server, artifact, name)
        assert pack['kind'] == 'archive' and not pack['truncated']
        assert [(e['name'], e['size'], e['kind']) for e in pack['entries']] == [('a/x.txt', '10', 'file'), ('b.txt', '1', 'file')]
        assert preview(server, artifact, name, 'rows=1')['truncated']
    assert preview(server, artifact, 'not-a.zip').get('problem')
    torn = preview(server, artifact, 'torn.tgz')
    assert torn['problem'] and torn['entries'][0]['name'] == 'a'


def test_folders(server, artifact):
    shown = server.get(f'{OWN}/artifacts/{artifact}/preview').json
    assert shown['kind'] == 'folder'
    names = {entry['name']: entry for entry in shown['entries']}
    assert set(names) == {name.split('/')[0] for name in FILES} | {'people.parquet'}
    assert names['deep']['folder'] and names['table']['size'] == str(len(FILES['table']))
    walked, token = [], ''
    while True:
        page = server.get(f'{OWN}/artifacts/{artifact}/preview?page_size=4&page_token={urllib.parse.quote(token)}').json
        walked += [entry['name'] for entry in page['entries']]
        token = page.get('next_page_token', '')
        if not token:
            break
    assert sorted(walked) == sorted(names) and len(walked) == len(names)
    inner = preview(server, artifact, 'deep/er')
    assert inner['entries'] == [{'name': 'ä ö.txt', 'folder': False, 'size': '6'}]
    assert preview(server, artifact, 'deep/er/ä ö.txt')['text'] == 'inside'


def test_paths_stay_inside(server, artifact):
    for path in ('..', '../x', 'a/../../x', '/etc/passwd', 'a//b', './x', 'x\0y', 'x' * 4000):
        for view in ('preview', 'raw', 'download'):
            answer = server.get(f'{OWN}/artifacts/{artifact}/{view}?{path_of(path)}')
            assert answer.status == 400 and 'path' in answer.text, (path, view, answer.status, answer.text)
    for view in ('preview', 'raw', 'download'):
        assert server.get(f'{OWN}/artifacts/{artifact}/{view}?path=none').status == 404
        assert server.get(f'{OWN}/artifacts/999999999/{view}').status == 404
        assert server.get(f'{OWN}/artifacts/none/{view}').status == 400
    for query in ('max_bytes=0', 'max_bytes=x', 'max_bytes=99999999', 'rows=0', 'rows=100000', 'page_size=-1'):
        answer = server.get(f'{OWN}/artifacts/{artifact}/preview?{query}')
        assert answer.status == 400 and query.split('=')[0] in answer.text, query
    assert server.get(f'{OWN}/artifacts/{artifact}/download?format=rar').status == 400


def test_a_link_that_a_step_left_leads_nowhere(server, artifact):
    spec = {'pipelineInfo': {'name': 'link'}, 'schemaVersion': '2.1.0', 'sdkVersion': 'kfp-2.17.0',
            'deploymentSpec': {'executors': {'e': {'container': {'image': 'debian:12', 'command': ['sh', '-c', (
                "p={{$.outputs.artifacts['out'].path}}; mkdir -p $p && ln -s /etc/passwd $p/link && ln -s /etc $p/folder "
                '&& echo x > $p/file')]}}}},
            'components': {'c': {'executorLabel': 'e', 'outputDefinitions': {'artifacts': {
                'out': {'artifactType': {'schemaTitle': 'system.Artifact', 'schemaVersion': '0.0.1'}}}}}},
            'root': {'dag': {'tasks': {'t': {'taskInfo': {'name': 't'}, 'componentRef': {'name': 'c'}}}}}}
    run, tasks = server.run(spec)
    assert run['state'] == 'SUCCEEDED', run
    made = tasks['t'][0]['outputs']['artifacts'][0]['artifacts'][0]['artifact_id']
    shown = server.get(f'{OWN}/artifacts/{made}/preview').json
    assert [entry['name'] for entry in shown['entries']] == ['file']
    for path in ('link', 'folder', 'folder/passwd'):
        for view in ('preview', 'raw', 'download'):
            assert server.get(f'{OWN}/artifacts/{made}/{view}?path={path}').status == 404, (path, view)
    _, _, body = fetch(server, f'{OWN}/artifacts/{made}/download')
    with tarfile.open(fileobj=io.BytesIO(body)) as packed:
        assert packed.getnames() == ['file']


def test_downloads(server, artifact):
    url = f'{OWN}/artifacts/{artifact}/download'
    status, headers, body = fetch(server, f'{url}?path=table')
    assert status == 200 and body == FILES['table']
    assert headers['Content-Disposition'] == 'attachment; filename="table"'
    assert headers['Content-Length'] == str(len(body)) and headers['Accept-Ranges'] == 'bytes'
    _, headers, _ = fetch(server, f"{url}?{path_of('deep/er/ä ö.txt')}")
    assert headers['Content-Disposition'] == "attachment; filename=\"__ __.txt\"; filename*=UTF-8''%C3%A4%20%C3%B6.txt"
    for asked, expected in (('bytes=2-5', FILES['table'][2:6]), ('bytes=10-', FILES['table'][10:]),
                            ('bytes=-4', FILES['table'][-4:]), ('bytes=0-9999', FILES['table'])):
        status, headers, body = fetch(server, f'{url}?path=table', Range=asked)
        assert status == 206 and body == expected, asked
        assert headers['Content-Range'].endswith(f"/{len(FILES['table'])}")
    status, headers, _ = fetch(server, f'{url}?path=table', Range='bytes=1000-')
    assert status == 416 and headers['Content-Range'] == f"bytes */{len(FILES['table'])}"
    status, headers, body = fetch(server, f'{url}?path=table', method='HEAD')
    assert status == 200 and body == b'' and headers['Content-Length'] == str(len(FILES['table']))
    assert fetch(server, f'{url}?path=nothing')[2] == b''


def test_a_folder_is_downloaded_as_an_archive(server, artifact):
    url = f'{OWN}/artifacts/{artifact}/download'
    status, headers, body = fetch(server, url)
    assert status == 200 and headers['Content-Disposition'].endswith('.tar.gz"')
    with tarfile.open(fileobj=io.BytesIO(body)) as packed:
        found = {member.name: packed.extractfile(member).read() for member in packed.getmembers()}
    found.pop('people.parquet')
    assert found == FILES
    _, headers, body = fetch(server, f'{url}?format=zip')
    assert headers['Content-Type'] == 'application/zip'
    with zipfile.ZipFile(io.BytesIO(body)) as packed:
        assert packed.testzip() is None
        found = {name: packed.read(name) for name in packed.namelist()}
    found.pop('people.parquet')
    assert found == FILES
    _, _, body = fetch(server, f'{url}?path=deep')
    with tarfile.open(fileobj=io.BytesIO(body)) as packed:
        assert packed.getnames() == ['er/ä ö.txt']


def test_types_of_artifacts_say_what_they_hold(server, tmp_path):
    """Outputs of steps have no extensions: a page or a text in Markdown is known by its type."""
    script = tmp_path / 'p.py'
    script.write_text('''
from kfp import dsl
from kfp.dsl import Dataset, HTML, Markdown, Output

@dsl.component
def write(page: Output[HTML], text: Output[Markdown], data: Output[Dataset]):
    open(page.path, 'w').write('<p>no head</p><script>alert(1)</script>')
    open(text.path, 'w').write('*hello*')
    open(data.path, 'w').write(''.join(f'{i},{i * i}\\n' for i in range(100_000)))

@dsl.pipeline(name='write')
def pipeline():
    write().set_caching_options(False)
''')
    run, tasks = server.run(compile_pipeline(script)[0])
    assert run['state'] == 'SUCCEEDED', run
    made = {one['artifact_key']: one['artifacts'][0]['artifact_id'] for one in tasks['write'][0]['outputs']['artifacts']}
    page = server.get(f"{OWN}/artifacts/{made['page']}/preview").json
    assert page['kind'] == 'html' and 'script' not in json.dumps(page)
    _, headers, body = fetch(server, page['raw'])
    assert headers['Content-Security-Policy'] == POLICY and b'no head' in body
    assert server.get(f"{OWN}/artifacts/{made['text']}/preview").json['text'] == '*hello*'
    data = server.get(f"{OWN}/artifacts/{made['data']}/preview?rows=3").json
    assert data['kind'] == 'csv' and data['rows'] == [['0', '0'], ['1', '1'], ['2', '4']] and not data['header']
    assert data['truncated']


def test_an_upload_in_parts_is_read_where_it_lies(server):
    """Nothing is laid out for a preview: a large object would be copied."""
    key = f'parts-{uuid.uuid4().hex}'
    s3 = server.s3()
    s3.put_object(Bucket='mlpipeline', Key=key, Body=b'x')
    made = imported(server, f'minio://mlpipeline/{key}')
    upload = s3.create_multipart_upload(Bucket='mlpipeline', Key=key)['UploadId']
    pieces = [b'a,b\n' + b'1,2\n' * (5 << 18), b'3,4\n' * 10]
    parts = []
    for number, piece in enumerate(pieces, 1):
        tag = s3.upload_part(Bucket='mlpipeline', Key=key, UploadId=upload, PartNumber=number, Body=piece)['ETag']
        parts.append({'PartNumber': number, 'ETag': tag})
    s3.complete_multipart_upload(Bucket='mlpipeline', Key=key, UploadId=upload, MultipartUpload={'Parts': parts})
    whole = b''.join(pieces)
    shown = server.get(f'{OWN}/artifacts/{made}/preview?rows=2').json
    assert shown['rows'] == [['a', 'b'], ['1', '2']] and shown['size'] == str(len(whole))
    status, _, body = fetch(server, f'{OWN}/artifacts/{made}/download', Range=f'bytes={len(pieces[0]) - 4}-')
    assert status == 206 and body == whole[len(pieces[0]) - 4:]
    assert fetch(server, f'{OWN}/artifacts/{made}/download')[2] == whole
    assert not (server.data / 'objects/mlpipeline' / key).exists()


def test_an_archive_that_unpacks_to_a_lot_is_let_go(server):
    """Reading on and on through a bomb ends in time."""
    key = f'bomb-{uuid.uuid4().hex}.tgz'
    header = tarfile.TarInfo('big')
    header.size = 64 << 30
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode='wb', compresslevel=1) as out:
        out.write(header.tobuf())
        block = bytes(1 << 20)
        for _ in range(200):
            out.write(block)
    # More of the same, as other members of the file: more than is read of any.
    member = gzip.compress(bytes(64 << 20), 1)
    whole = buffer.getvalue() + member * 200
    assert len(whole) > 40 << 20
    server.s3().put_object(Bucket='mlpipeline', Key=key, Body=whole)
    made = imported(server, f'minio://mlpipeline/{key}')
    shown = server.get(f'{OWN}/artifacts/{made}/preview').json
    assert shown['kind'] == 'archive' and 'problem' not in shown, shown.get('problem')
    assert [entry['name'] for entry in shown['entries']] == ['big']
    assert shown['truncated']


def test_artifacts_that_lie_elsewhere_and_those_that_are_gone(server):
    run, tasks = server.run(shell('true'))
    reported = server.post(f"/apis/v2beta1/runs/{run['run_id']}/tasks", {'name': 'outside', 'type': 'RUNTIME'})
    assert reported.status == 200, reported.text
    answer = server.post('/apis/v2beta1/artifacts', {
        'artifact': {'name': 'far', 'type': 'Dataset', 'uri': f'https://example.com/{uuid.uuid4().hex}'},
        'run_id': run['run_id'], 'task_id': reported.json['task_id'], 'producer_key': 'far', 'type': 'OUTPUT'})
    assert answer.status == 200, answer.text
    made = answer.json['artifact_id']
    answer = server.get(f'{OWN}/artifacts/{made}/preview')
    assert answer.status == 400 and 'not kept by this server' in answer.text
    assert server.get(f'{OWN}/artifacts/{made}').json['content'] == 'elsewhere'
    key = f'gone-{uuid.uuid4().hex}'
    server.s3().put_object(Bucket='mlpipeline', Key=key, Body=b'x')
    made = imported(server, f'minio://mlpipeline/{key}')
    assert server.get(f'{OWN}/artifacts/{made}').json['content'] == 'object'
    server.s3().delete_object(Bucket='mlpipeline', Key=key)
    assert server.get(f'{OWN}/artifacts/{made}/preview').status == 404
    assert server.get(f'{OWN}/artifacts/{made}').json['content'] == 'none'
