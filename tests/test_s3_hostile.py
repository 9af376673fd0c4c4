"""Clients that are careless, slow or worse: the right error, nothing half-made, and nobody else disturbed."""
import concurrent.futures
import datetime
import hashlib
import os
import re
import socket
import time
import unicodedata

import pytest

from test_s3_objects import body, bucket, fails, s3  # noqa: F401
from test_s3_raw import Raw, raw  # noqa: F401

UNSIGNED = {'x-amz-content-sha256': 'UNSIGNED-PAYLOAD'}


def send_signed(raw, method, path, headers, data=b''):
    return raw.send(method, path, headers, data, signed=False)[:2]


def test_a_signed_request_is_good_for_itself_alone(raw, s3, bucket):
    headers = raw.sign('PUT', f'/{bucket}/k', {}, b'right')
    assert send_signed(raw, 'PUT', f'/{bucket}/k', headers, b'right') == (200, None)
    wrong = (403, 'SignatureDoesNotMatch')
    assert send_signed(raw, 'PUT', f'/{bucket}/other', headers, b'right') == wrong
    assert send_signed(raw, 'DELETE', f'/{bucket}/k', headers) == wrong
    assert send_signed(raw, 'PUT', f'/{bucket}/k?acl', headers, b'right') == wrong
    assert send_signed(raw, 'PUT', f'/{bucket}/k', {**headers, 'X-Amz-Content-SHA256': hashlib.sha256(b'x').hexdigest()}, b'x') == wrong
    assert send_signed(raw, 'PUT', f'/{bucket}/k', {**headers, 'Host': 'elsewhere.example.org'}, b'right') == wrong
    assert send_signed(raw, 'PUT', f'/{bucket}/k', headers, b'wrong') == (400, 'XAmzContentSHA256Mismatch')
    assert body(s3.get_object(Bucket=bucket, Key='k')) == b'right'
    assert [o['Key'] for o in s3.list_objects_v2(Bucket=bucket)['Contents']] == ['k']


@pytest.mark.parametrize('minutes', [-16, 16])
def test_clocks_that_are_wrong(raw, bucket, monkeypatch, minutes):
    import botocore.auth
    then = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) + datetime.timedelta(minutes=minutes)
    monkeypatch.setattr(botocore.auth, 'get_current_datetime', lambda *_, **__: then)
    headers = raw.sign('PUT', f'/{bucket}/k', {}, b'x')
    assert send_signed(raw, 'PUT', f'/{bucket}/k', headers, b'x') == (403, 'RequestTimeTooSkewed')


def test_forms_of_one_letter_are_different_keys(s3, bucket):
    keys = [unicodedata.normalize(form, 'ä/é') for form in ('NFC', 'NFD')]
    assert keys[0] != keys[1]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for key in keys:
        assert body(s3.get_object(Bucket=bucket, Key=key)) == key.encode()
    assert [o['Key'] for o in s3.list_objects_v2(Bucket=bucket)['Contents']] == sorted(keys, key=str.encode)


@pytest.mark.parametrize('key', ['../../escaped', 'a/../../escaped', '/../escaped', '..', '.tmp-x', 'x' * 1024, 'é' * 512, 'a/' * 512],
                         ids=lambda key: key[:16])
def test_keys_that_no_file_should_be_called(server, s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b'x' * 200_000)
    assert body(s3.get_object(Bucket=bucket, Key=key)) == b'x' * 200_000
    # Neither in the data folder nor beside it.
    assert not list(server.data.rglob('*escaped*')) and not list(server.data.parent.glob('escaped*'))


@pytest.mark.parametrize('path', ['%00', 'a%00b', '%FF', 'a%C3', '%ED%A0%80'])
def test_paths_that_are_no_keys(raw, s3, bucket, path):
    for method in ['PUT', 'GET', 'DELETE']:
        assert raw.send(method, f'/{bucket}/{path}', data=b'x' if method == 'PUT' else b'')[:2] == (400, 'InvalidURI')
    assert 'Contents' not in s3.list_objects_v2(Bucket=bucket)


LAUGHS = b'<!DOCTYPE l [<!ENTITY a "ha">' + b''.join(
    b'<!ENTITY %c "%s">' % (98 + i, b'&%c;' % (97 + i) * 10) for i in range(9)) + b']><Delete><Object><Key>&j;</Key></Object></Delete>'


@pytest.mark.parametrize('document', [
    LAUGHS,
    b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><Delete/>',
    b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&e;</Key></Object></Delete>',
    b'<Delete>' * 100_000,
    b'<Delete ' + b'a="b" ' * 100_000 + b'/>',
    b'<Delete><Object><Key>&unknown;</Key></Object></Delete>',
    b'<Delete><Object><Key>\xff</Key></Object></Delete>',
    b'<Delete><Object><Key>k</Object></Key></Delete>',
], ids=['laughs', 'external', 'external entity', 'deep', 'attributes', 'unknown entity', 'no utf-8', 'crossed'])
def test_documents_that_grow(raw, s3, bucket, document):
    s3.put_object(Bucket=bucket, Key='k', Body=b'x')
    begun = time.monotonic()
    assert raw.send('POST', f'/{bucket}?delete', data=document)[:2] == (400, 'MalformedXML')
    assert time.monotonic() - begun < 10
    assert body(s3.get_object(Bucket=bucket, Key='k')) == b'x'


def begin_put(raw, bucket, key, length):
    """A connection on which a PUT has said how long its body will be."""
    headers = raw.sign('PUT', f'/{bucket}/{key}', UNSIGNED)
    host, port = raw.host.split(':')
    connection = socket.create_connection((host, int(port)), timeout=30)
    lines = [f'PUT /{bucket}/{key} HTTP/1.1', f'Host: {raw.host}', f'Content-Length: {length}'] + [f'{k}: {v}' for k, v in headers.items()]
    connection.sendall(('\r\n'.join(lines) + '\r\n\r\n').encode())
    return connection


def test_slow_senders_hold_up_nobody(raw, s3, bucket):
    slow = [begin_put(raw, bucket, f'slow-{i}', 300_000) for i in range(64)]
    for connection in slow:
        connection.sendall(b's' * 1000)
    # The others go on, on every thread and at the same keys.
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: s3.put_object(Bucket=bucket, Key=f'slow-{i % 64}', Body=b'fast'), range(128)))
    assert {body(s3.get_object(Bucket=bucket, Key=f'slow-{i}')) for i in range(64)} == {b'fast'}
    # One comes to its end all the same; the others give up.
    slow[0].sendall(b's' * 299_000)
    assert slow[0].recv(100).startswith(b'HTTP/1.1 200')
    assert body(s3.get_object(Bucket=bucket, Key='slow-0')) == b's' * 300_000
    for connection in slow:
        connection.close()
    assert {body(s3.get_object(Bucket=bucket, Key=f'slow-{i}')) for i in range(1, 64)} == {b'fast'}


@pytest.mark.parametrize('sent', [0, 1000, 200_000, 299_999])
def test_bodies_that_end_early(raw, server, s3, bucket, sent):
    s3.put_object(Bucket=bucket, Key='k', Body=b'before')
    with begin_put(raw, bucket, 'k', 300_000) as connection:
        connection.sendall(os.urandom(sent))
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(4096)  # that the body is incomplete, or nothing
    assert not answer or re.match(rb'HTTP/1.1 4\d\d', answer), answer
    assert body(s3.get_object(Bucket=bucket, Key='k')) == b'before'
    assert not list((server.data / 's3/tmp').iterdir())


def test_chunks_that_are_none(raw, s3, bucket):
    frame = {'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', 'X-Amz-Trailer': 'x-amz-checksum-crc32',
             'X-Amz-Decoded-Content-Length': '3'}
    for data in [b'3\r\nbar', b'3\r\nbar\r\n', b'zz\r\nbar\r\n0\r\n\r\n', b'-3\r\nbar\r\n0\r\n\r\n', b'3;' + b'x' * 100_000, b'3\r\nbarbar\r\n0\r\n\r\n',
                 b'ffffffffffffffffff\r\nbar\r\n0\r\n\r\n', b'', b'0\r\n\r\n']:
        status, code, _ = raw.send('PUT', f'/{bucket}/k', frame, data)
        assert status == 400, (data[:20], status, code)
    assert 'Contents' not in s3.list_objects_v2(Bucket=bucket)
