"""Server-side encryption: what is sealed lies sealed on the disk, and opens for who may."""
import base64
import hashlib
import json
import os

import pytest

from test_s3_objects import body, bucket, fails, importing, s3, send_form  # noqa: F401

PART = 5 << 20


def customer(key=None, source=False):
    key = key or os.urandom(32)
    prefix = 'CopySourceSSECustomer' if source else 'SSECustomer'
    return {f'{prefix}Algorithm': 'AES256', f'{prefix}Key': key}


KEY, OTHER = b'k' * 32, b'o' * 32
WAYS = {'AES256': {'ServerSideEncryption': 'AES256'},
        'kms': {'ServerSideEncryption': 'aws:kms', 'SSEKMSKeyId': 'team-key'},
        'customer': customer(KEY)}


@pytest.fixture(params=WAYS)
def way(request):
    """How to put, and how to get."""
    return WAYS[request.param], WAYS['customer'] if request.param == 'customer' else {}


def on_disk(server, text):
    """Whether anything of the store holds this text as it is."""
    return any(text in path.read_bytes() for path in (server.data / 's3').rglob('*') if path.is_file())


@pytest.mark.parametrize('size', [1, 13, 4096, 131_073, 9 << 20])
def test_what_is_put_comes_back(s3, bucket, way, size):
    put, get = way
    data = os.urandom(size)
    answer = s3.put_object(Bucket=bucket, Key='k', Body=data, **put)
    assert answer.get('ServerSideEncryption') == put.get('ServerSideEncryption')
    assert answer.get('SSEKMSKeyId') == put.get('SSEKMSKeyId')
    assert answer['ETag'] == f'"{hashlib.md5(data).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key='k', ChecksumMode='ENABLED', **get)
    assert body(got) == data and got['ContentLength'] == size and got['ChecksumCRC32'] == answer['ChecksumCRC32']
    assert got.get('ServerSideEncryption') == put.get('ServerSideEncryption')
    assert got.get('SSECustomerAlgorithm') == put.get('SSECustomerAlgorithm')
    for first, last in [(0, 0), (size // 2, size - 1), (size // 3, size // 2 + 1)]:
        part = s3.get_object(Bucket=bucket, Key='k', Range=f'bytes={first}-{last}', **get)
        assert body(part) == data[first:last + 1]


@pytest.mark.parametrize('size', [4096, 300_000])
def test_it_lies_sealed_on_the_disk(new_server, size):
    server = new_server()
    s3 = server.s3()
    s3.create_bucket(Bucket='sealed')
    words = b'nobody should find these words' + os.urandom(8).hex().encode()
    data = words * (size // len(words))
    for put in WAYS.values():
        s3.put_object(Bucket='sealed', Key='k', Body=data, **put)
        assert not on_disk(server, words)
    assert not on_disk(server, KEY) and not on_disk(server, base64.b64encode(KEY))
    s3.put_object(Bucket='sealed', Key='plain', Body=data)
    assert on_disk(server, words)
    master = server.data / 's3/master-key'
    assert master.stat().st_mode & 0o777 == 0o600
    # After a restart the same key opens it; another one does not.
    s3.put_object(Bucket='sealed', Key='k', Body=data, ServerSideEncryption='AES256')
    server.stop()
    server.start()
    assert body(server.s3().get_object(Bucket='sealed', Key='k')) == data
    server.stop()
    master.write_text(os.urandom(32).hex() + '\n')
    server.start()
    fails(500, 'InternalError', server.s3().get_object, Bucket='sealed', Key='k')


def test_a_customers_key_is_needed(s3, bucket):
    s3.put_object(Bucket=bucket, Key='k', Body=b'secret', **customer(KEY))
    s3.put_object(Bucket=bucket, Key='plain', Body=b'plain')
    fails(400, 'InvalidRequest', s3.get_object, Bucket=bucket, Key='k')
    fails(400, '400', s3.head_object, Bucket=bucket, Key='k')
    fails(400, 'InvalidRequest', s3.get_object_attributes, Bucket=bucket, Key='k', ObjectAttributes=['ETag'])
    fails(400, 'InvalidRequest', s3.get_object, Bucket=bucket, Key='k', **customer(OTHER))
    fails(400, 'InvalidRequest', s3.get_object, Bucket=bucket, Key='plain', **customer(KEY))
    md5 = base64.b64encode(hashlib.md5(KEY).digest()).decode()
    assert s3.head_object(Bucket=bucket, Key='k', **customer(KEY))['SSECustomerKeyMD5'] == md5
    # For this call boto3 leaves the encoding to its user.
    encoded = {'SSECustomerAlgorithm': 'AES256', 'SSECustomerKey': base64.b64encode(KEY).decode(), 'SSECustomerKeyMD5': md5}
    assert s3.get_object_attributes(Bucket=bucket, Key='k', ObjectAttributes=['ObjectSize'], **encoded)['ObjectSize'] == 6


def test_wishes_that_do_not_fit(s3, bucket):
    def put(status, code, headers):
        def add(params, **_):
            params['headers'].update(headers)
        s3.meta.events.register('before-call.s3.PutObject', add)
        try:
            fails(status, code, s3.put_object, Bucket=bucket, Key='k', Body=b'x')
        finally:
            s3.meta.events.unregister('before-call.s3.PutObject', add)
    sse, key = 'x-amz-server-side-encryption', base64.b64encode(KEY).decode()
    md5 = base64.b64encode(hashlib.md5(KEY).digest()).decode()
    whole = {f'{sse}-customer-algorithm': 'AES256', f'{sse}-customer-key': key, f'{sse}-customer-key-md5': md5}
    for missing in whole:
        put(400, 'InvalidArgument', {k: v for k, v in whole.items() if k != missing})
    put(400, 'InvalidArgument', {**whole, f'{sse}-customer-key-md5': 'AAAAAAAAAAAAAAAAAAAAAA=='})
    put(400, 'InvalidArgument', {**whole, f'{sse}-customer-key': 'c2hvcnQ='})
    put(400, 'InvalidEncryptionAlgorithmError', {**whole, f'{sse}-customer-algorithm': 'AES192'})
    put(400, 'InvalidArgument', {**whole, sse: 'AES256'})
    put(400, 'InvalidArgument', {sse: 'aes:kms'})
    put(400, 'InvalidArgument', {sse: 'AES256', f'{sse}-aws-kms-key-id': 'a'})
    put(400, 'InvalidArgument', {f'{sse}-aws-kms-key-id': 'a'})
    assert 'Contents' not in s3.list_objects_v2(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key='k', Body=b'x', ServerSideEncryption='AES256')

    def wish(params, **_):
        params['headers'][sse] = 'AES256'
    s3.meta.events.register('before-call.s3.GetObject', wish)
    fails(400, 'InvalidArgument', s3.get_object, Bucket=bucket, Key='k')


def test_parts(s3, bucket, way):
    put, get = way
    secret = {k: v for k, v in put.items() if k.startswith('SSECustomer')}
    id_ = s3.create_multipart_upload(Bucket=bucket, Key='k', **put)['UploadId']
    same = os.urandom(PART)
    datas = [same, same, os.urandom(1 << 20)]
    parts = []
    for number, data in enumerate(datas, 1):
        for _ in range(2):  # sent again, as after a lost answer
            answer = s3.upload_part(Bucket=bucket, Key='k', UploadId=id_, PartNumber=number, Body=data, **secret)
        assert answer['ETag'] == f'"{hashlib.md5(data).hexdigest()}"'
        parts.append({'PartNumber': number, 'ETag': answer['ETag']})
    s3.put_object(Bucket=bucket, Key='source', Body=datas[2])
    copied = s3.upload_part_copy(Bucket=bucket, Key='k', UploadId=id_, PartNumber=4, CopySource=f'{bucket}/source',
                                 CopySourceRange='bytes=5-99', **secret)['CopyPartResult']
    parts.append({'PartNumber': 4, 'ETag': copied['ETag']})
    if secret:
        fails(400, 'InvalidRequest', s3.upload_part, Bucket=bucket, Key='k', UploadId=id_, PartNumber=5, Body=b'x')
        fails(400, 'InvalidRequest', s3.upload_part, Bucket=bucket, Key='k', UploadId=id_, PartNumber=5, Body=b'x', **customer(OTHER))
    assert {p['Size'] for p in s3.list_parts(Bucket=bucket, Key='k', UploadId=id_)['Parts']} == {PART, 1 << 20, 95}
    # Not least, this part is too small to stand in the middle.
    fails(400, 'EntityTooSmall', s3.complete_multipart_upload, Bucket=bucket, Key='k', UploadId=id_, MultipartUpload={'Parts': parts})
    s3.complete_multipart_upload(Bucket=bucket, Key='k', UploadId=id_, MultipartUpload={'Parts': parts[:2] + parts[3:]})
    whole = same + same + datas[2][5:100]
    assert body(s3.get_object(Bucket=bucket, Key='k', **get)) == whole
    around = s3.get_object(Bucket=bucket, Key='k', Range=f'bytes={PART - 3}-{PART * 2 + 7}', **get)
    assert body(around) == whole[PART - 3:PART * 2 + 8]
    assert body(s3.get_object(Bucket=bucket, Key='k', PartNumber=3, **get)) == datas[2][5:100]


@pytest.mark.parametrize('size', [100, 300_000])
def test_copies(s3, bucket, size):
    data = os.urandom(size)
    s3.put_object(Bucket=bucket, Key='plain', Body=data)
    s3.put_object(Bucket=bucket, Key='sealed', Body=data, ServerSideEncryption='AES256')
    s3.put_object(Bucket=bucket, Key='mine', Body=data, **customer(KEY))
    got = {}
    for source in ['plain', 'sealed', 'mine']:
        for name, put in {'none': {}, **WAYS}.items():
            extra = customer(KEY, source=True) if source == 'mine' else {}
            key = f'{source}-{name}'
            answer = s3.copy_object(Bucket=bucket, Key=key, CopySource=f'{bucket}/{source}', **put, **extra)
            assert answer.get('ServerSideEncryption') == put.get('ServerSideEncryption')
            got[key] = s3.get_object(Bucket=bucket, Key=key, **(customer(KEY) if name == 'customer' else {}))
            assert body(got[key]) == data and got[key]['ETag'] == f'"{hashlib.md5(data).hexdigest()}"'
    fails(400, 'InvalidRequest', s3.copy_object, Bucket=bucket, Key='x', CopySource=f'{bucket}/mine')
    # To itself, to be sealed otherwise.
    s3.copy_object(Bucket=bucket, Key='plain', CopySource=f'{bucket}/plain', ServerSideEncryption='AES256')
    assert s3.head_object(Bucket=bucket, Key='plain')['ServerSideEncryption'] == 'AES256'
    assert body(s3.get_object(Bucket=bucket, Key='plain')) == data
    fails(400, 'InvalidRequest', s3.copy_object, Bucket=bucket, Key='plain', CopySource=f'{bucket}/plain')


def test_the_default_of_a_bucket(server, s3, bucket):
    fails(404, 'ServerSideEncryptionConfigurationNotFoundError', s3.get_bucket_encryption, Bucket=bucket)
    for default, shown in [({'SSEAlgorithm': 'AES256'}, ('AES256', None)),
                           ({'SSEAlgorithm': 'aws:kms', 'KMSMasterKeyID': 'team-key'}, ('aws:kms', 'team-key')),
                           ({'SSEAlgorithm': 'aws:kms'}, ('aws:kms', 'aws/s3'))]:
        rule = {'ApplyServerSideEncryptionByDefault': default, 'BucketKeyEnabled': False}
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={'Rules': [rule]})
        assert s3.get_bucket_encryption(Bucket=bucket)['ServerSideEncryptionConfiguration']['Rules'] == [rule]
        answer = s3.put_object(Bucket=bucket, Key='k', Body=b'text')
        assert (answer['ServerSideEncryption'], answer.get('SSEKMSKeyId')) == shown
        post = s3.generate_presigned_post(bucket, 'form')
        assert send_form(post['url'], post['fields'], b'of a form')[0] == 204
        head = s3.head_object(Bucket=bucket, Key='form')
        assert (head['ServerSideEncryption'], head.get('SSEKMSKeyId')) == shown
        assert body(s3.get_object(Bucket=bucket, Key='form')) == b'of a form'
        assert s3.put_object(Bucket=bucket, Key='own', Body=b'x', **customer(KEY))['SSECustomerAlgorithm'] == 'AES256'
    fails(400, 'MalformedXML', s3.put_bucket_encryption, Bucket=bucket, ServerSideEncryptionConfiguration={
        'Rules': [{'ApplyServerSideEncryptionByDefault': {'SSEAlgorithm': 'DES'}}]})
    s3.delete_bucket_encryption(Bucket=bucket)
    fails(404, 'ServerSideEncryptionConfigurationNotFoundError', s3.get_bucket_encryption, Bucket=bucket)
    assert 'ServerSideEncryption' not in s3.put_object(Bucket=bucket, Key='k', Body=b'text')


def test_forms_with_a_customers_key(s3, bucket):
    sse = 'x-amz-server-side-encryption-customer-'
    fields = {sse + 'algorithm': 'AES256', sse + 'key': base64.b64encode(KEY).decode(),
              sse + 'key-md5': base64.b64encode(hashlib.md5(KEY).digest()).decode()}
    post = s3.generate_presigned_post(bucket, 'k', Fields=fields, Conditions=[{k: v} for k, v in fields.items()])
    assert send_form(post['url'], post['fields'], b'of a form')[0] == 204
    fails(400, 'InvalidRequest', s3.get_object, Bucket=bucket, Key='k')
    assert body(s3.get_object(Bucket=bucket, Key='k', **customer(KEY))) == b'of a form'


def test_policies_can_demand_it(s3, bucket):
    statement = {'Effect': 'Deny', 'Principal': '*', 'Action': 's3:PutObject', 'Resource': f'arn:aws:s3:::{bucket}/*'}
    header = 's3:x-amz-server-side-encryption'
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({'Version': '2012-10-17', 'Statement': [
        {**statement, 'Condition': {'Null': {header: 'true'}}},
        {**statement, 'Condition': {'StringNotEquals': {header: 'AES256'}}}]}))
    fails(403, 'AccessDenied', s3.put_object, Bucket=bucket, Key='k', Body=b'x')
    fails(403, 'AccessDenied', s3.put_object, Bucket=bucket, Key='k', Body=b'x', ServerSideEncryption='aws:kms')
    s3.put_object(Bucket=bucket, Key='k', Body=b'x', ServerSideEncryption='AES256')


def test_versions_have_keys_of_their_own(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={'Status': 'Enabled'})
    old = s3.put_object(Bucket=bucket, Key='k', Body=b'old', **customer(KEY))['VersionId']
    new = s3.put_object(Bucket=bucket, Key='k', Body=b'new', **customer(OTHER))['VersionId']
    assert body(s3.get_object(Bucket=bucket, Key='k', VersionId=old, **customer(KEY))) == b'old'
    assert body(s3.get_object(Bucket=bucket, Key='k', VersionId=new, **customer(OTHER))) == b'new'
    fails(400, 'InvalidRequest', s3.get_object, Bucket=bucket, Key='k', VersionId=old, **customer(OTHER))


def test_steps_take_what_the_server_has_sealed(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key='folder/small', Body=b'small', ServerSideEncryption='AES256')
    s3.put_object(Bucket=bucket, Key='folder/large', Body=b'L' * 300_000, **WAYS['kms'])
    id_ = s3.create_multipart_upload(Bucket=bucket, Key='folder/parts', ServerSideEncryption='AES256')['UploadId']
    etags = [s3.upload_part(Bucket=bucket, Key='folder/parts', UploadId=id_, PartNumber=n, Body=b'P' * PART)['ETag'] for n in (1, 2)]
    s3.complete_multipart_upload(Bucket=bucket, Key='folder/parts', UploadId=id_,
                                 MultipartUpload={'Parts': [{'PartNumber': n, 'ETag': e} for n, e in enumerate(etags, 1)]})
    run, _ = server.run(importing(f'minio://{bucket}/folder', (
        "cd {{$.inputs.artifacts['a'].path}} && grep -qx small small && [ $(tr -d L < large | wc -c) = 0 ] && "
        f"[ $(wc -c < large) = 300000 ] && [ $(tr -d P < parts | wc -c) = 0 ] && [ $(wc -c < parts) = {2 * PART} ] && "
        "echo right > {{$.outputs.artifacts['out'].path}}")))
    assert run['state'] == 'SUCCEEDED', run
    assert body(s3.get_object(Bucket=bucket, Key='folder/small')) == b'small'
    s3.put_object(Bucket=bucket, Key='mine/k', Body=b'x', **customer(KEY))
    run, _ = server.run(importing(f'minio://{bucket}/mine', 'true'))
    assert run['state'] == 'FAILED', run
