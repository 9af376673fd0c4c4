"""Uploads in parts, through boto3."""
import base64
import concurrent.futures
import hashlib
import os
import zlib

import pytest

from test_s3_objects import body, bucket, fails, s3  # noqa: F401

PART = 5 << 20


def upload(s3, bucket, key, datas, **kwargs):
    id_ = s3.create_multipart_upload(Bucket=bucket, Key=key, **kwargs)['UploadId']
    parts = []
    for number, data in enumerate(datas, 1):
        answer = s3.upload_part(Bucket=bucket, Key=key, UploadId=id_, PartNumber=number, Body=data)
        parts.append({'PartNumber': number, **{k: v for k, v in answer.items() if k == 'ETag' or k.startswith('Checksum')}})
    return id_, parts


def complete(s3, bucket, key, id_, parts, **kwargs):
    return s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=id_, MultipartUpload={'Parts': parts}, **kwargs)


def test_parts_become_an_object(s3, bucket):
    datas = [os.urandom(PART), os.urandom(PART + 17), b'end']
    id_, parts = upload(s3, bucket, 'k', datas, Metadata={'a': 'b'}, ContentType='x/y')
    listed = s3.list_parts(Bucket=bucket, Key='k', UploadId=id_)
    assert [p['Size'] for p in listed['Parts']] == [len(d) for d in datas] and not listed['IsTruncated']
    assert [u['Key'] for u in s3.list_multipart_uploads(Bucket=bucket)['Uploads']] == ['k']
    assert 'Contents' not in s3.list_objects_v2(Bucket=bucket)
    done = complete(s3, bucket, 'k', id_, parts)
    etag = hashlib.md5(b''.join(hashlib.md5(d).digest() for d in datas)).hexdigest() + '-3'
    assert done['ETag'] == f'"{etag}"'
    whole = b''.join(datas)
    got = s3.get_object(Bucket=bucket, Key='k')
    assert body(got) == whole and got['Metadata'] == {'a': 'b'} and got['ContentType'] == 'x/y'
    assert body(s3.get_object(Bucket=bucket, Key='k', Range=f'bytes={PART - 5}-{PART + 5}')) == whole[PART - 5:PART + 6]
    part = s3.get_object(Bucket=bucket, Key='k', PartNumber=3)
    assert body(part) == b'end' and part['PartsCount'] == 3
    assert s3.head_object(Bucket=bucket, Key='k', PartNumber=1)['ContentLength'] == PART
    fails(400, 'InvalidPart', s3.get_object, Bucket=bucket, Key='k', PartNumber=4)
    assert 'Uploads' not in s3.list_multipart_uploads(Bucket=bucket)
    # Asked again, as after a lost answer.
    assert complete(s3, bucket, 'k', id_, parts)['ETag'] == f'"{etag}"'
    fails(404, 'NoSuchUpload', s3.list_parts, Bucket=bucket, Key='k', UploadId=id_)


def test_what_does_not_fit(s3, bucket):
    id_, parts = upload(s3, bucket, 'k', [b'small', b'too'])
    fails(400, 'EntityTooSmall', complete, s3, bucket, 'k', id_, parts)
    fails(400, 'InvalidPartOrder', complete, s3, bucket, 'k', id_, parts[::-1])
    fails(400, 'InvalidPart', complete, s3, bucket, 'k', id_, [{'PartNumber': 1, 'ETag': '"0"'}])
    fails(400, 'InvalidPart', complete, s3, bucket, 'k', id_, [{'PartNumber': 9, 'ETag': parts[0]['ETag']}])
    fails(400, 'MalformedXML', s3.complete_multipart_upload, Bucket=bucket, Key='k', UploadId=id_)
    fails(404, 'NoSuchUpload', complete, s3, bucket, 'k', 'nothing', parts)
    fails(404, 'NoSuchUpload', s3.upload_part, Bucket=bucket, Key='k', UploadId='nothing', PartNumber=1, Body=b'')
    for number in [0, 10_001]:
        fails(400, 'InvalidArgument', s3.upload_part, Bucket=bucket, Key='k', UploadId=id_, PartNumber=number, Body=b'')
    complete(s3, bucket, 'k', id_, parts[:1])
    assert body(s3.get_object(Bucket=bucket, Key='k')) == b'small'


def test_abort(s3, bucket):
    id_, parts = upload(s3, bucket, 'k', [b'x'])
    s3.abort_multipart_upload(Bucket=bucket, Key='k', UploadId=id_)
    fails(404, 'NoSuchUpload', s3.abort_multipart_upload, Bucket=bucket, Key='k', UploadId=id_)
    fails(404, 'NoSuchUpload', complete, s3, bucket, 'k', id_, parts)


@pytest.mark.parametrize('kind', ['COMPOSITE', 'FULL_OBJECT'])
def test_checksums(s3, bucket, kind):
    datas = [os.urandom(PART), b'end']
    id_, parts = upload(s3, bucket, 'k', datas, ChecksumAlgorithm='CRC32', ChecksumType=kind)
    done = complete(s3, bucket, 'k', id_, parts)
    crcs = [zlib.crc32(d).to_bytes(4, 'big') for d in datas]
    if kind == 'COMPOSITE':
        value = base64.b64encode(zlib.crc32(b''.join(crcs)).to_bytes(4, 'big')).decode() + '-2'
    else:
        value = base64.b64encode(zlib.crc32(b''.join(datas)).to_bytes(4, 'big')).decode()
    assert (done['ChecksumCRC32'], done['ChecksumType']) == (value, kind)
    head = s3.head_object(Bucket=bucket, Key='k', ChecksumMode='ENABLED')
    assert (head['ChecksumCRC32'], head['ChecksumType']) == (value, kind)
    attributes = s3.get_object_attributes(Bucket=bucket, Key='k', ObjectAttributes=['ObjectParts', 'Checksum'], MaxParts=1)
    assert attributes['ObjectParts']['TotalPartsCount'] == 2 and attributes['ObjectParts']['IsTruncated']
    assert attributes['ObjectParts']['Parts'][0]['ChecksumCRC32'] == base64.b64encode(crcs[0]).decode()


def test_parts_copied_from_objects(s3, bucket):
    data = os.urandom(PART * 2)
    s3.put_object(Bucket=bucket, Key='source', Body=data)
    id_ = s3.create_multipart_upload(Bucket=bucket, Key='k')['UploadId']
    source = {'Bucket': bucket, 'Key': 'source'}
    parts = []
    for number, extra in enumerate([{}, {'CopySourceRange': 'bytes=10-19'}], 1):
        answer = s3.upload_part_copy(Bucket=bucket, Key='k', UploadId=id_, PartNumber=number, CopySource=source, **extra)
        parts.append({'PartNumber': number, 'ETag': answer['CopyPartResult']['ETag']})
    fails(400, 'InvalidArgument', s3.upload_part_copy, Bucket=bucket, Key='k', UploadId=id_, PartNumber=3,
          CopySource=source, CopySourceRange='bytes=5-')
    fails(416, 'InvalidRange', s3.upload_part_copy, Bucket=bucket, Key='k', UploadId=id_, PartNumber=3,
          CopySource=source, CopySourceRange=f'bytes=0-{len(data)}')
    complete(s3, bucket, 'k', id_, parts)
    s3.delete_object(Bucket=bucket, Key='source')
    assert body(s3.get_object(Bucket=bucket, Key='k')) == data + data[10:20]
    s3.copy_object(Bucket=bucket, Key='again', CopySource={'Bucket': bucket, 'Key': 'k'})
    s3.delete_object(Bucket=bucket, Key='k')
    assert body(s3.get_object(Bucket=bucket, Key='again')) == data + data[10:20]


def test_many_parts(s3, bucket):
    id_ = s3.create_multipart_upload(Bucket=bucket, Key='k')['UploadId']
    data = os.urandom(PART)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        etags = list(pool.map(lambda n: s3.upload_part(Bucket=bucket, Key='k', UploadId=id_, PartNumber=n, Body=data)['ETag'],
                              range(1, 41)))
    pages = list(s3.get_paginator('list_parts').paginate(Bucket=bucket, Key='k', UploadId=id_,
                                                         PaginationConfig={'PageSize': 7}))
    assert [p['PartNumber'] for page in pages for p in page['Parts']] == list(range(1, 41))
    complete(s3, bucket, 'k', id_, [{'PartNumber': n, 'ETag': e} for n, e in enumerate(etags, 1)])
    assert s3.head_object(Bucket=bucket, Key='k')['ContentLength'] == 40 * PART


def test_conditions(s3, bucket):
    s3.put_object(Bucket=bucket, Key='k', Body=b'old')
    id_, parts = upload(s3, bucket, 'k', [b'new'])
    fails(412, 'PreconditionFailed', complete, s3, bucket, 'k', id_, parts, IfNoneMatch='*')
    complete(s3, bucket, 'k', id_, parts, IfMatch=s3.head_object(Bucket=bucket, Key='k')['ETag'])
    assert body(s3.get_object(Bucket=bucket, Key='k')) == b'new'
