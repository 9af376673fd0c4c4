"""Buckets and objects as the dashboard sees them: without keys, with the rules of S3."""
import hashlib
import http.client
import os
import pathlib
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
import uuid

import pytest

from test_previews import PNG, POLICY

OWN = '/apis/penstock/v1/buckets'
KEYS = ['plain.txt', '../../etc/passwd', 'a//b', './x', 'ünï/코드/文件 +&?#%2e.txt', 'a/../b', ' space ', '"quotes"\\.csv',
        'line\nbreak', 'k' * 1024, '/first', 'x' * 300 + '/y']


class Store:
    """One bucket of its own."""

    def __init__(self, server, bucket):
        self.server = server
        self.bucket = bucket

    def path(self, rest='', **query):
        text = urllib.parse.urlencode({key: value for key, value in query.items() if value is not None})
        return f'{OWN}/{self.bucket}{rest}' + (f'?{text}' if text else '')

    def call(self, method, rest='', body=None, headers=None, **query):
        return self.server.request(method, self.path(rest, **query), body, headers)

    def put(self, key, body=b'x', headers=None):
        answer = self.call('PUT', '/object', body, {'Content-Type': 'application/octet-stream', **(headers or {})}, key=key)
        assert answer.status == 200, answer.text
        return answer.json

    def fetch(self, rest, headers=None, **query):
        request = urllib.request.Request(self.server.url + self.path(rest, **query), headers=headers or {})
        try:
            with urllib.request.urlopen(request) as response:
                return response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def keys(self, **query):
        """All pages of a list."""
        objects, prefixes, token = [], [], None
        while True:
            page = self.call('GET', '/objects', page_token=token, **query).json
            objects += [one['key'] for one in page['objects']]
            prefixes += page['prefixes']
            token = page.get('next_page_token')
            if not token:
                return objects, prefixes


@pytest.fixture
def store(server):
    name = f'browse-{uuid.uuid4().hex[:12]}'
    assert server.post(OWN, {'name': name}).status == 200
    return Store(server, name)


@pytest.fixture
def versioned(server):
    name = f'kept-{uuid.uuid4().hex[:12]}'
    assert server.post(OWN, {'name': name, 'versioning': 'ENABLED'}).json['versioning'] == 'ENABLED'
    return Store(server, name)


def reason(answer):
    return [detail.get('reason') for detail in answer.json['details']][-1]


def test_buckets_come_and_go(server):
    name = f'new-{uuid.uuid4().hex[:12]}'
    made = server.post(OWN, {'name': name})
    assert made.status == 200 and made.json['name'] == name and made.json['versioning'] == 'OFF'
    assert name in {one['name'] for one in server.get(OWN).json['buckets']}
    assert name in {one['Name'] for one in server.s3().list_buckets()['Buckets']}, 'S3 has it too'
    again = server.post(OWN, {'name': name})
    assert again.status == 409
    changed = server.request('PATCH', f'{OWN}/{name}', {'versioning': 'ENABLED'})
    assert changed.json['versioning'] == 'ENABLED'
    assert server.s3().get_bucket_versioning(Bucket=name)['Status'] == 'Enabled'
    assert server.request('DELETE', f'{OWN}/{name}').status == 200
    assert server.get(f'{OWN}/{name}').status == 404
    assert server.request('DELETE', f'{OWN}/{name}').status == 404


@pytest.mark.parametrize('body', [{}, {'name': ''}, {'name': 'Ä'}, {'name': '..'}, {'name': 'a/b'}, {'name': 'UPPER'},
                                  {'name': 'x'}, {'name': 'ok-name', 'versioning': 'SOMETIMES'}, {'name': 'ok', 'other': 1}, []])
def test_bad_buckets_are_refused(server, body):
    before = server.get(OWN).json
    answer = server.request('POST', OWN, body)
    assert answer.status == 400 and answer.json['message'], answer.text
    assert server.get(OWN).json == before


def test_a_bucket_that_holds_something_stays(store):
    store.put('a')
    answer = store.call('DELETE')
    assert answer.status == 409 and reason(answer) == 'BucketNotEmpty'
    assert store.keys() == (['a'], [])


@pytest.mark.parametrize('key', KEYS)
def test_every_key_of_s3_works(store, key):
    body = key.encode()
    assert store.put(key, body)['key'] == key
    assert store.keys() == ([key], [])
    shown = store.call('GET', '/object', key=key)
    assert shown.status == 200 and shown.json['key'] == key and shown.json['size'] == str(len(body)), shown.text
    assert shown.json['etag'] == hashlib.md5(body).hexdigest()
    assert store.fetch('/object/download', key=key)[2] == body
    assert store.server.s3().get_object(Bucket=store.bucket, Key=key)['Body'].read() == body
    preview = store.call('GET', '/object/preview', key=key).json
    assert store.server.request('GET', preview['download']).text == key
    assert store.call('POST', '/objects:copy', {'source_key': key, 'key': 'copy'}).status == 200
    assert store.fetch('/object/download', key='copy')[2] == body
    gone = store.call('POST', '/objects:delete', {'objects': [{'key': key}]})
    assert gone.json == {'deleted': '1', 'errors': []}
    assert store.keys() == (['copy'], [])


@pytest.mark.parametrize('key,code', [('', None), ('k' * 1025, 'KeyTooLongError'), ('a\0b', 'InvalidURI')])
def test_what_is_no_key_is_refused(store, key, code):
    for method, rest in (('PUT', '/object'), ('GET', '/object'), ('GET', '/object/download'), ('DELETE', '/object')):
        answer = store.call(method, rest, b'' if method == 'PUT' else None, key=key)
        assert answer.status == 400, (method, rest, answer.text)
        if code:
            assert reason(answer) == code
    query = store.path('/object') + '?key=%ff%fe'
    assert store.server.request('PUT', query, b'x').status == 400, 'no UTF-8'
    assert store.keys() == ([], [])


def test_lists_have_folders_and_pages(store):
    names = [f'd{i}/f{j}' for i in range(3) for j in range(4)] + ['top', 'z/deep/er']
    for name in names:
        store.put(name)
    assert store.keys(page_size=3) == (sorted(names), [])
    assert store.keys(delimiter='/', page_size=1) == (['top'], ['d0/', 'd1/', 'd2/', 'z/'])
    assert store.keys(delimiter='/', prefix='d1/', page_size=3) == ([f'd1/f{j}' for j in range(4)], [])
    assert store.keys(delimiter='/', prefix='z/') == ([], ['z/deep/'])
    assert store.call('GET', '/usage', prefix='d').json == {'objects': '12', 'bytes': '12', 'truncated': False}
    for query in ({'page_size': 0}, {'page_size': 'x'}, {'page_size': 1001}, {'page_token': '%'}):
        assert store.call('GET', '/objects', **query).status == 400, query
    assert store.server.get(f'{OWN}/no-such-bucket/objects').status == 404


def test_a_folder_is_deleted_with_all_that_is_in_it(store):
    s3 = store.server.s3()
    def fill(of):
        for i in range(of, 1050, 4):
            s3.put_object(Bucket=store.bucket, Key=f'many/{i:05}', Body=b'')
    threads = [threading.Thread(target=fill, args=(of,)) for of in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    store.put('many')
    store.put('many2')
    assert store.call('POST', '/objects:delete', {'prefix': 'many/'}).json == {'deleted': '1050', 'errors': []}
    assert store.keys() == (['many', 'many2'], [])
    for body in ({}, {'objects': []}, {'objects': [{'key': ''}]}, {'objects': [{'key': 'x'}], 'prefix': 'y'},
                 {'objects': [{'key': str(i)} for i in range(1001)]}, {'objects': 'many'}):
        assert store.call('POST', '/objects:delete', body).status == 400, body


def test_metadata_and_tags(store):
    store.put('a.csv', b'x,y\n1,2\n', {'Content-Type': 'text/csv', 'x-amz-meta-owner': 'ada', 'Cache-Control': 'no-store'})
    shown = store.call('GET', '/object', key='a.csv').json
    assert shown['content_type'] == 'text/csv' and shown['metadata'] == {'owner': 'ada'}
    assert shown['headers'] == {'Cache-Control': 'no-store'} and shown['tags'] == {} and not shown['written_by_task']
    tags = {'stage': 'prod', 'größe': 'a & <b>'}
    assert store.call('PUT', '/object/tags', {'tags': tags}, key='a.csv').status == 200
    assert store.call('GET', '/object', key='a.csv').json['tags'] == tags
    assert {one['Key']: one['Value'] for one in store.server.s3().get_object_tagging(
        Bucket=store.bucket, Key='a.csv')['TagSet']} == tags
    for bad in ({'tags': {str(i): '' for i in range(11)}}, {'tags': {'k' * 129: ''}}, {'tags': {'k': 1}}, {'tag': {}}):
        answer = store.call('PUT', '/object/tags', bad, key='a.csv')
        assert answer.status == 400, (bad, answer.text)
    assert store.call('GET', '/object', key='a.csv').json['tags'] == tags
    assert store.call('PUT', '/object/tags', {'tags': {}}, key='none').status == 404


def test_uploads_do_not_replace_unless_they_may(store):
    first = store.put('a', b'one', {'If-None-Match': '*'})
    assert first['etag'] == hashlib.md5(b'one').hexdigest()
    refused = store.call('PUT', '/object', b'two', {'If-None-Match': '*'}, key='a')
    assert refused.status == 412 and reason(refused) == 'PreconditionFailed'
    assert store.fetch('/object/download', key='a')[2] == b'one'
    store.put('a', b'two')
    assert store.fetch('/object/download', key='a')[2] == b'two'
    # Headers that would make another request of it are not passed on.
    store.put('b', b'three', {'x-amz-copy-source': f'/{store.bucket}/a'})
    assert store.fetch('/object/download', key='b')[2] == b'three'


def test_a_large_upload_takes_no_memory(store):
    size, piece = 300 << 20, os.urandom(1 << 20)
    pid = store.server.process.pid

    def memory():
        status = pathlib.Path(f'/proc/{pid}/status').read_text()
        return int(re.search(r'VmHWM:\s+(\d+)', status)[1]) * 1024

    pathlib.Path(f'/proc/{pid}/clear_refs').write_text('5')
    before = memory()
    host = store.server.url.split('/')[2]
    connection = http.client.HTTPConnection(host, timeout=120)
    connection.putrequest('PUT', store.path('/object', key='large'))
    connection.putheader('Content-Length', str(size))
    connection.endheaders()
    digest = hashlib.md5()
    for _ in range(size >> 20):
        connection.send(piece)
        digest.update(piece)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    assert digest.hexdigest().encode() in answer.read()
    connection.close()
    assert memory() - before < 100 << 20
    status, headers, body = store.fetch('/object/download', {'Range': f'bytes={size - 5}-'}, key='large')
    assert status == 206 and body == piece[-5:] and headers['Content-Range'] == f'bytes {size - 5}-{size - 1}/{size}'


def test_an_upload_that_breaks_off_leaves_nothing(store):
    host = store.server.url.split('/')[2]
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.putrequest('PUT', store.path('/object', key='half'))
    connection.putheader('Content-Length', '1000')
    connection.endheaders()
    connection.send(b'x' * 500)
    connection.close()
    assert store.call('GET', '/object', key='half').status == 404
    assert store.keys() == ([], [])


def test_downloads_run_nothing_and_have_their_names(store):
    html = b'<!DOCTYPE html><script>alert(1)</script>'
    store.put('site/ünï "코드".html', html, {'Content-Type': 'text/html', 'Content-Disposition': 'inline'})
    store.put('pixel.png', PNG, {'Content-Type': 'text/html'})
    status, headers, body = store.fetch('/object/download', key='site/ünï "코드".html')
    assert (status, body, headers['Content-Type']) == (200, html, 'application/octet-stream')
    assert headers['Content-Security-Policy'] == POLICY and headers['X-Content-Type-Options'] == 'nosniff'
    given = headers['Content-Disposition']
    assert given.startswith('attachment; filename="') and '\n' not in given
    assert urllib.parse.unquote(re.search(r"filename\*=UTF-8''(\S+)", given)[1]) == 'ünï "코드".html'
    status, headers, body = store.fetch('/object/raw', key='site/ünï "코드".html')
    assert headers['Content-Security-Policy'] == POLICY and body == html
    assert headers['Content-Type'] == 'text/html; charset=utf-8' and headers['Content-Disposition'] is None
    status, headers, body = store.fetch('/object/raw', key='pixel.png')
    assert headers['Content-Type'] == 'image/png' and headers['Content-Security-Policy'] == POLICY and body == PNG
    status, headers, body = store.fetch('/object/download', {'Range': 'bytes=1-3'}, key='pixel.png')
    assert (status, body) == (206, PNG[1:4])
    assert store.fetch('/object/download', {'Range': 'bytes=9999-'}, key='pixel.png')[0] == 416
    etag = store.fetch('/object/download', key='pixel.png')[1]['ETag']
    assert store.fetch('/object/download', {'If-None-Match': etag}, key='pixel.png')[0] == 304


def test_previews_are_those_of_artifacts(store):
    store.put('t.csv', b'a,b\n1,2\n')
    store.put('p.png', PNG)
    store.put('empty', b'')
    large = os.urandom(200_000)
    store.put('large.bin', large)
    table = store.call('GET', '/object/preview', key='t.csv').json
    assert table['kind'] == 'csv' and table['rows'] == [['a', 'b'], ['1', '2']] and table['uri'] == f's3://{store.bucket}/t.csv'
    image = store.call('GET', '/object/preview', key='p.png').json
    assert image['kind'] == 'image' and store.server.get(image['raw']).status == 200
    assert store.call('GET', '/object/preview', key='empty').json['kind'] == 'empty'
    assert store.call('GET', '/object/preview', key='large.bin').json['size'] == '200000'
    assert store.call('GET', '/object/preview', key='none').status == 404
    assert store.call('GET', '/object/preview', key='t.csv', rows=0).status == 400


def test_encrypted_objects_are_shown_and_kept_so(store):
    s3 = store.server.s3()
    s3.put_bucket_encryption(Bucket=store.bucket, ServerSideEncryptionConfiguration={
        'Rules': [{'ApplyServerSideEncryptionByDefault': {'SSEAlgorithm': 'AES256'}}]})
    text = b'secret words\n' * 20_000
    for key, body in (('small.txt', b'secret'), ('large.txt', text)):
        store.put(key, body)
        assert s3.head_object(Bucket=store.bucket, Key=key)['ServerSideEncryption'] == 'AES256'
        assert store.fetch('/object/download', key=key)[2] == body
        assert store.call('GET', '/object/preview', key=key).json['text'].startswith('secret')
    key = os.urandom(32)
    s3.put_object(Bucket=store.bucket, Key='own', Body=b'x', SSECustomerAlgorithm='AES256', SSECustomerKey=key)
    for rest in ('/object', '/object/preview', '/object/raw', '/object/download'):
        answer = store.call('GET', rest, key='own')
        assert answer.status == 400, (rest, answer.text)


def test_versions(versioned):
    first = versioned.put('a', b'one')['version_id']
    second = versioned.put('a', b'two')['version_id']
    versioned.put('ab', b'other')
    listed = versioned.call('GET', '/object/versions', key='a').json
    assert [one['version_id'] for one in listed['versions']] == [second, first]
    assert [one['latest'] for one in listed['versions']] == [True, False]
    assert versioned.fetch('/object/download', key='a', version_id=first)[2] == b'one'
    assert versioned.call('GET', '/object/preview', key='a', version_id=first).json['text'] == 'one'
    assert versioned.call('DELETE', '/object', key='a').status == 200
    assert versioned.call('GET', '/object', key='a').status == 404
    page, found = None, []
    while True:
        answer = versioned.call('GET', '/object/versions', key='a', page_size=1, page_token=page).json
        found += answer['versions']
        page = answer.get('next_page_token')
        if not page:
            break
    assert [one.get('delete_marker', False) for one in found] == [True, False, False]
    # What is deleted comes back when the marker goes.
    assert versioned.call('DELETE', '/object', key='a', version_id=found[0]['version_id']).status == 200
    assert versioned.fetch('/object/download', key='a')[2] == b'two'
    restored = versioned.call('POST', '/objects:copy', {'source_key': 'a', 'source_version_id': first, 'key': 'a',
                                                        'replace': True})
    assert restored.status == 200, restored.text
    assert versioned.fetch('/object/download', key='a')[2] == b'one'
    assert versioned.call('GET', '/object', key='a', version_id='nonsense').status in (400, 404)


def test_copies_and_moves(store, versioned):
    store.put('a', b'content', {'Content-Type': 'text/plain', 'x-amz-meta-k': 'v'})
    assert store.call('POST', '/objects:copy', {'source_key': 'a', 'key': 'dir/b'}).status == 200
    assert store.call('GET', '/object', key='dir/b').json['metadata'] == {'k': 'v'}
    taken = store.call('POST', '/objects:copy', {'source_key': 'a', 'key': 'dir/b', 'move': True})
    assert taken.status == 412
    assert store.keys() == (['a', 'dir/b'], []), 'nothing was moved'
    assert store.call('POST', '/objects:copy', {'source_key': 'a', 'key': 'c', 'move': True}).status == 200
    assert store.keys() == (['c', 'dir/b'], [])
    answer = versioned.call('POST', '/objects:copy', {'source_bucket': store.bucket, 'source_key': 'c', 'key': 'd'})
    assert answer.status == 200 and answer.json['version_id']
    for body, status in (({'source_key': 'none', 'key': 'x'}, 404), ({'source_key': 'c'}, 400), ({'key': 'c'}, 400),
                         ({'source_key': 'c', 'key': 'c', 'move': True, 'replace': True}, 400),
                         ({'source_bucket': 'no-such-bucket', 'source_key': 'c', 'key': 'x'}, 404),
                         ({'source_key': 'c', 'source_version_id': 'null', 'key': 'x', 'move': True}, 400)):
        assert store.call('POST', '/objects:copy', body).status == status, body
    assert store.keys() == (['c', 'dir/b'], [])


def test_locks_and_policies_hold_here_too(server):
    name = f'locked-{uuid.uuid4().hex[:12]}'
    s3 = server.s3()
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    version = s3.put_object(Bucket=name, Key='kept', Body=b'x', ObjectLockLegalHoldStatus='ON')['VersionId']
    locked = Store(server, name)
    assert server.get(f'{OWN}/{name}').json['object_lock']
    assert locked.call('GET', '/object', key='kept').json['legal_hold'] is True
    assert locked.call('DELETE', '/object', key='kept', version_id=version).status == 403
    many = locked.call('POST', '/objects:delete', {'objects': [{'key': 'kept', 'version_id': version}]}).json
    assert many['deleted'] == '0' and many['errors'][0]['key'] == 'kept' and many['errors'][0]['code'] == 'AccessDenied'
    assert locked.fetch('/object/download', key='kept')[2] == b'x'
    s3.put_bucket_policy(Bucket=name, Policy='{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*",'
                                             f'"Action": "s3:GetObject", "Resource": "arn:aws:s3:::{name}/*"}}]}}')
    for rest in ('/object', '/object/preview', '/object/raw', '/object/download'):
        assert locked.call('GET', rest, key='kept').status == 403, rest


def test_files_of_tasks_are_objects(server, store):
    folder = server.data / 'objects' / store.bucket / 'out'
    folder.mkdir(parents=True)
    (folder / 'table.csv').write_text('a,b\n1,2\n')
    (folder / 'link').symlink_to('/etc/passwd')
    assert store.keys(prefix='out/') == (['out/table.csv'], [])
    assert store.call('GET', '/object', key='out/table.csv').json['written_by_task'] is True
    assert store.call('GET', '/object/preview', key='out/table.csv').json['kind'] == 'csv'
    assert store.call('GET', '/object/download', key='out/link').status == 404
    assert store.call('GET', '/object/preview', key='out/link').status == 404
    assert store.call('DELETE', '/object', key='out/table.csv').status == 200
    assert not (folder / 'table.csv').exists()


def test_pages_of_others_change_nothing(store):
    for headers in ({'Sec-Fetch-Site': 'cross-site'}, {'Origin': 'http://evil.example'}):
        assert store.call('PUT', '/object', b'x', headers, key='a').status == 403
        assert store.call('POST', '/objects:delete', {'prefix': 'a'}, headers).status == 403
    assert store.keys() == ([], [])


def test_no_key_of_s3_is_in_any_answer(server, store):
    store.put('a')
    access, secret = server.s3_key()
    for path in (OWN, store.path(), store.path('/objects'), store.path('/object', key='a'),
                 store.path('/object/preview', key='a')):
        text = server.get(path).text
        assert access not in text and secret not in text
