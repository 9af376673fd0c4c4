"""Requests as no careful client sends them: signed by botocore's own signer and changed on the way."""
import base64
import hashlib
import http.client
import os
import re
import socket
import urllib.parse
import zlib

import pytest
from botocore.auth import HmacV1Auth, S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from test_s3_objects import body, bucket, fails, s3, send_form  # noqa: F401


class Signer(S3SigV4Auth):
    """Signs the payload's hash that the request names, where botocore would compute one."""

    def payload(self, request):
        return request.context.get('hash') or super().payload(request)


class Raw:
    def __init__(self, server):
        self.url = server.s3_url
        self.host = server.s3_url.removeprefix('http://')
        self.credentials = Credentials(*server.s3_key())

    def sign(self, method, path, headers, data=b'', version=4):
        request = AWSRequest(method=method, url=self.url + path, data=data, headers=dict(headers))
        request.context['hash'] = headers.get('x-amz-content-sha256')
        signer = Signer(self.credentials, 's3', 'us-east-1') if version == 4 else HmacV1Auth(self.credentials)
        signer.add_auth(request)
        return dict(request.headers.items())

    def send(self, method, path, headers=None, data=b'', version=4, drop=(), change=None, signed=True):
        headers = dict(headers or {})
        if signed:
            headers = self.sign(method, path, headers, data, version)
        for name in drop:
            headers.pop(name, None)
        headers.update(change or {})
        connection = http.client.HTTPConnection(self.host, timeout=30)
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if 'Content-Length' not in headers and 'Transfer-Encoding' not in headers and 'Content-Length' not in drop:
            connection.putheader('Content-Length', str(len(data)))
        connection.endheaders(data or None)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        code = re.search(rb'<Code>(\w+)</Code>', text)
        return answer.status, code.group(1).decode() if code else None, answer


@pytest.fixture
def raw(server):
    return Raw(server)


def put(raw, bucket, **kwargs):
    return raw.send('PUT', f'/{bucket}/k', data=b'bar', **kwargs)[:2]


def test_md5(raw, bucket):
    right = base64.b64encode(hashlib.md5(b'bar').digest()).decode()
    assert put(raw, bucket, headers={'Content-MD5': right}) == (200, None)
    assert put(raw, bucket, headers={'Content-MD5': base64.b64encode(bytes(16)).decode()}) == (400, 'BadDigest')
    for bad in ['', 'YWJyYWNhZGFicmE=', 'not base64!']:
        assert put(raw, bucket, headers={'Content-MD5': bad}) == (400, 'InvalidDigest')


def test_lengths(raw, bucket):
    assert put(raw, bucket, drop=['Content-Length']) == (411, 'MissingContentLength')
    assert put(raw, bucket, change={'Content-Length': '-1'})[0] == 400
    assert raw.send('PUT', f'/{bucket}', drop=['Content-Length'])[0] == 200
    status = raw.send('PUT', f'/{bucket}/chunked', {'x-amz-content-sha256': 'UNSIGNED-PAYLOAD'},
                      change={'Transfer-Encoding': 'chunked'}, data=b'3\r\nbar\r\n0\r\n\r\n', drop=['Content-Length'])[0]
    assert status == 200


def test_truncated_bodies_leave_nothing(raw, server, s3, bucket):
    headers = raw.sign('PUT', f'/{bucket}/torn', {'x-amz-content-sha256': 'UNSIGNED-PAYLOAD'})
    with socket.create_connection(raw.host.split(':')) as connection:
        lines = [f'PUT /{bucket}/torn HTTP/1.1', f'Host: {raw.host}', 'Content-Length: 1000000']
        lines += [f'{k}: {v}' for k, v in headers.items()]
        connection.sendall(('\r\n'.join(lines) + '\r\n\r\n').encode() + b'x' * 500_000)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1000)
    fails(404, 'NoSuchKey', s3.get_object, Bucket=bucket, Key='torn')
    assert not list((server.data / 's3/tmp').iterdir())


@pytest.mark.parametrize('change, want', [
    ({'Authorization': ''}, (403, 'AccessDenied')),
    ({'Authorization': 'AWS HAHAHA'}, (400, 'InvalidArgument')),
    ({'Authorization': 'Basic abc'}, (400, 'InvalidArgument')),
    ({'Authorization': 'AWS4-HMAC-SHA256 Credential=HAHAHA'}, (400, 'AuthorizationHeaderMalformed')),
    ({'Authorization': 'AWS NOBODY:FWeDfwojDSdS2Ztmpfeubhd9isU='}, (403, 'InvalidAccessKeyId')),
    ({'X-Amz-Date': '20200101T000000Z'}, (400, 'AuthorizationHeaderMalformed')),
    ({'X-Amz-Date': 'Bad Date'}, (400, 'AuthorizationHeaderMalformed')),
    ({'X-Amz-Content-SHA256': '0' * 64}, (403, 'SignatureDoesNotMatch')),
    ({'X-Amz-Content-SHA256': 'nonsense'}, (403, 'SignatureDoesNotMatch')),
])
def test_bad_signatures(raw, bucket, change, want):
    assert put(raw, bucket, drop=change.keys(), change=change) == want


def test_dates_of_version_2(raw, bucket):
    assert put(raw, bucket, version=2) == (200, None)
    for date, want in [('Bad Date', 'AccessDenied'), ('', 'AccessDenied'), ('Tue, 07 Jul 2010 21:53:04 GMT', 'RequestTimeTooSkewed'),
                       ('Tue, 07 Jul 2030 21:53:04 GMT', 'RequestTimeTooSkewed'), ('Tue, 07 Jul 1950 21:53:04 GMT', 'AccessDenied'),
                       ('Tue, 07 Jul 9999 21:53:04 GMT', 'RequestTimeTooSkewed')]:
        assert put(raw, bucket, version=2, drop=['Date'], change={'x-amz-date': date}) == (403, want), date


def test_wrong_payload_hash(raw, bucket):
    headers = raw.sign('PUT', f'/{bucket}/k', {}, b'foo')
    assert raw.send('PUT', f'/{bucket}/k', headers, b'bar', signed=False)[:2] == (400, 'XAmzContentSHA256Mismatch')


def test_aws_chunked_without_signatures(raw, s3, bucket):
    data = os.urandom(200_000)
    crc = base64.b64encode(zlib.crc32(data).to_bytes(4, 'big')).decode()

    def send(crc, length=len(data)):
        encoded = b''.join(b'%x\r\n%s\r\n' % (len(p), p) for p in (data[:65536], data[65536:]))
        encoded += f'0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n'.encode()
        return raw.send('PUT', f'/{bucket}/chunks', {
            'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', 'Content-Encoding': 'aws-chunked,gzip',
            'X-Amz-Trailer': 'x-amz-checksum-crc32', 'X-Amz-Decoded-Content-Length': str(length)}, encoded)[:2]
    assert send('AAAAAA==') == (400, 'BadDigest')
    assert send(crc, len(data) + 1) == (400, 'IncompleteBody')
    assert send(crc, len(data) - 1) == (400, 'IncompleteBody')
    assert send(crc) == (200, None)
    got = s3.get_object(Bucket=bucket, Key='chunks')
    assert body(got) == data and got['ContentEncoding'] == 'gzip'


def test_continue_is_said_only_to_who_may(raw, s3, bucket):
    def ask():
        with socket.create_connection(raw.host.split(':'), timeout=10) as connection:
            connection.sendall(f'PUT /{bucket}/k HTTP/1.1\r\nHost: {raw.host}\r\nContent-Length: 4096\r\n'
                               'Expect: 100-continue\r\n\r\n'.encode())
            return connection.recv(100).split(b' ')[1]
    assert ask() == b'403'
    s3.put_bucket_acl(Bucket=bucket, ACL='public-read-write')
    assert ask() == b'100'


def test_metadata_that_is_no_utf8(raw, s3, bucket):
    assert put(raw, bucket, headers={'x-amz-content-sha256': 'UNSIGNED-PAYLOAD'},
               change={'x-amz-meta-name': 'Hello World\xe9'})[0] == 200
    status, _, answer = raw.send('HEAD', f'/{bucket}/k')
    assert status == 200 and answer.getheader('x-amz-meta-name') == 'Hello World\xe9'
    assert [o['Key'] for o in s3.list_objects_v2(Bucket=bucket)['Contents']] == ['k']


def test_documents_that_are_none(raw, bucket):
    bomb = b'<!DOCTYPE a [<!ENTITY x "y">]><Delete><Object><Key>&x;</Key></Object></Delete>'
    for query, data in [('delete', bomb), ('delete', b'<Delete>'), ('tagging', b'<Tagging/>'), ('cors', b'x'),
                        ('lifecycle', b'<A/>'), ('versioning', b'<A/>')]:
        method = 'POST' if query == 'delete' else 'PUT'
        status, code, _ = raw.send(method, f'/{bucket}?{query}', data=data)
        assert (status, code) == (400, 'MalformedXML'), query


def test_paths_that_are_none(raw, bucket):
    for key in ['%00', '%FF']:
        assert raw.send('PUT', f'/{bucket}/{key}', data=b'x')[:2] == (400, 'InvalidURI')
    assert raw.send('DELETE', '/')[:2] == (405, 'MethodNotAllowed')
    assert raw.send('PUT', f'/{bucket}/k?torrent-like', data=b'x')[0] == 200
    assert raw.send('GET', f'/{bucket}/k?torrent')[:2] == (404, 'NoSuchKey')


def test_anonymous_forms(server, s3, bucket):
    url = f'{server.s3_url}/{bucket}'
    assert send_form(url, {'key': 'k'}, b'x')[0] == 403
    s3.put_bucket_acl(Bucket=bucket, ACL='public-read-write')
    assert send_form(url, {'key': 'a/${filename}', 'Content-Type': 'text/plain', 'success_action_status': '404'}, b'x' * 300_000)[0] == 204
    assert body(s3.get_object(Bucket=bucket, Key='a/file.txt')) == b'x' * 300_000
    tags = '<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>'
    assert send_form(url, {'key': 'k', 'tagging': tags, 'x-amz-meta-m': 'n'}, b'x')[0] == 204
    assert s3.get_object_tagging(Bucket=bucket, Key='k')['TagSet'] == [{'Key': 'a', 'Value': 'b'}]
    assert s3.head_object(Bucket=bucket, Key='k')['Metadata'] == {'m': 'n'}


def test_requests_have_ids(raw, bucket):
    status, _, answer = raw.send('GET', f'/{bucket}/missing')
    assert status == 404 and len(answer.getheader('x-amz-request-id')) == 16
    assert urllib.parse.urlsplit(raw.url).scheme == 'http'
