"""The disk of the object store runs full: clients are told so, nothing half-made stays, and all goes on when there is
room again."""
import hashlib
import os
import subprocess
import threading

import pytest
from botocore.exceptions import ClientError, HTTPClientError

BUCKET = 'full'
MB = 1 << 20


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip('only root can mount a small disk')
    folder = tmp_path / 'disk'
    folder.mkdir()
    made = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=160m', 'tmpfs', folder], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f'no small disk can be mounted: {made.stderr}')
    yield folder
    # The server's helper, killed a moment ago, may still be on its way out.
    subprocess.run(['umount', '--lazy', folder], check=True)


def fill(folder):
    """Takes all the room that is left."""
    path = folder / 'fill'
    with open(path, 'wb', buffering=0) as out:
        for size in (MB, 4096, 1):
            try:
                while True:
                    out.write(b'x' * size)
            except OSError:
                pass
    return path


def code_of(call):
    with pytest.raises(ClientError) as failure:
        call()
    return failure.value.response['Error']['Code'], failure.value.response['ResponseMetadata']['HTTPStatusCode']


def read(s3, key):
    return s3.get_object(Bucket=BUCKET, Key=key)['Body'].read()


def test_a_full_disk(small_disk, new_server):
    one = new_server(data=small_disk / 'data')
    s3 = one.s3()
    s3.create_bucket(Bucket=BUCKET)
    known = {}

    def put(key, data):
        s3.put_object(Bucket=BUCKET, Key=key, Body=data)
        known[key] = hashlib.sha256(data).hexdigest()

    put('small', b'before')
    put('large', os.urandom(MB))
    # In the middle of an upload: others read on meanwhile.
    stop, reads, wrong = threading.Event(), [], []

    def read_on(mine):
        while not stop.is_set():
            reads.append(1)
            if read(mine, 'small') != b'before':
                wrong.append(1)

    reader = threading.Thread(target=read_on, args=(one.s3(),))
    reader.start()
    try:
        # The answer may be cut off by what was still being sent.
        with pytest.raises((ClientError, HTTPClientError)) as failure:
            s3.put_object(Bucket=BUCKET, Key='large', Body=os.urandom(200 * MB))
        if isinstance(failure.value, ClientError):
            assert failure.value.response['Error']['Code'] == 'InsufficientStorage'
    finally:
        stop.set()
        reader.join()
    assert reads and not wrong
    assert hashlib.sha256(read(s3, 'large')).hexdigest() == known['large']
    assert not list((one.data / 's3/tmp').iterdir())
    put('after', b'there is room for this')
    # Nothing left at all.
    taken = fill(small_disk)
    for key, size in [('small', 100_000), ('large', 2 * MB), ('new', 100_000)]:
        data = os.urandom(size)
        assert code_of(lambda: s3.put_object(Bucket=BUCKET, Key=key, Body=data)) == ('InsufficientStorage', 507)
    assert read(s3, 'small') == b'before'
    assert {o['Key'] for o in s3.list_objects_v2(Bucket=BUCKET)['Contents']} == set(known)
    taken.unlink()
    put('small', b'room again')
    put('new', os.urandom(300_000))
    upload = {'Bucket': BUCKET, 'Key': 'parts'}
    upload['UploadId'] = s3.create_multipart_upload(**upload)['UploadId']
    s3.upload_part(**upload, PartNumber=1, Body=os.urandom(5 * MB))
    taken = fill(small_disk)
    assert code_of(lambda: s3.upload_part(**upload, PartNumber=2, Body=os.urandom(5 * MB))) == ('InsufficientStorage', 507)
    taken.unlink()
    assert [p['PartNumber'] for p in s3.list_parts(**upload)['Parts']] == [1]
    s3.abort_multipart_upload(**upload)
    # And all of it is what it was after the server is killed.
    one.kill()
    one.start()
    s3 = one.s3()
    assert {o['Key'] for o in s3.list_objects_v2(Bucket=BUCKET)['Contents']} == set(known)
    for key, digest in known.items():
        assert hashlib.sha256(read(s3, key)).hexdigest() == digest, key
    files = [f for _, _, names in os.walk(one.data / 's3/blobs') for f in names]
    assert len(files) == 2, files  # large, new
