"""What was acknowledged is there after the server is killed, again and again, under a mixed load."""
import hashlib
import os
import random
import threading

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

BUCKET = 'crash'
PART = 5 << 20


class Client(threading.Thread):
    """Writes keys of its own and remembers what was acknowledged. What was in flight when the server died may be there
    or not, but nothing in between."""

    def __init__(self, s3, number, seed):
        super().__init__()
        self.s3, self.number, self.random = s3, number, random.Random(seed)
        self.known, self.unsure, self.acknowledged = {}, {}, 0

    def run(self):
        try:
            while True:
                self.step()
        except (BotoCoreError, HTTPClientError, ClientError):
            pass  # the server is gone

    def step(self):
        key = f'{self.number}/{self.random.randrange(20)}'
        action = self.random.random()
        if action < 0.2:
            self.change(key, None, lambda: self.s3.delete_object(Bucket=BUCKET, Key=key))
            return
        size = self.random.choice([0, 10, 4096, 100_000, 200_000, 1_000_000])
        data = self.random.randbytes(size)
        if action < 0.9:
            self.change(key, data, lambda: self.s3.put_object(Bucket=BUCKET, Key=key, Body=data))
            return
        data = self.random.randbytes(PART) + data
        id_ = self.s3.create_multipart_upload(Bucket=BUCKET, Key=key)['UploadId']
        parts = [{'PartNumber': n, 'ETag': self.s3.upload_part(Bucket=BUCKET, Key=key, UploadId=id_, PartNumber=n,
                                                               Body=piece)['ETag']}
                 for n, piece in [(1, data[:PART]), (2, data[PART:])]]
        self.change(key, data, lambda: self.s3.complete_multipart_upload(
            Bucket=BUCKET, Key=key, UploadId=id_, MultipartUpload={'Parts': parts}))

    def change(self, key, data, call):
        digest = None if data is None else hashlib.sha256(data).hexdigest()
        self.unsure[key] = digest
        call()
        self.known[key] = self.unsure.pop(key)
        self.acknowledged += 1


def state(s3, key):
    try:
        return hashlib.sha256(s3.get_object(Bucket=BUCKET, Key=key)['Body'].read()).hexdigest()
    except ClientError as error:
        assert error.response['Error']['Code'] == 'NoSuchKey', error
        return None


def test_killed_again_and_again(new_server):
    one = new_server()
    one.s3().create_bucket(Bucket=BUCKET)
    known, total = {}, 0
    seed = int.from_bytes(os.urandom(4), 'big')
    print('seed', seed)
    for round_ in range(6):
        clients = [Client(one.s3(connect_timeout=5, read_timeout=20, retries={'total_max_attempts': 1}), n, seed + round_ * 100 + n)
                   for n in range(4)]
        for client in clients:
            client.start()
        # Killed in the middle of something: when enough has been acknowledged, wherever the others are.
        while sum(c.acknowledged for c in clients) < 40:
            assert any(c.is_alive() for c in clients), one.errors()
            clients[0].join(0.01)
        one.kill()
        for client in clients:
            client.join()
        one.start()
        s3 = one.s3()
        for client in clients:
            total += client.acknowledged
            for key in client.unsure:
                now = state(s3, key)
                assert now in (client.unsure[key], client.known.get(key, known.get(key))), key
                client.known[key] = now
            known.update(client.known)
        for key, digest in known.items():
            assert state(s3, key) == digest, key
        assert not list((one.data / 's3/tmp').iterdir())
    listed = {o['Key'] for page in s3.get_paginator('list_objects_v2').paginate(Bucket=BUCKET) for o in page.get('Contents', [])}
    assert listed == {key for key, digest in known.items() if digest is not None}
    assert total >= 240
    # No litter: with everything deleted, nothing is left.
    for upload in s3.list_multipart_uploads(Bucket=BUCKET).get('Uploads', []):
        s3.abort_multipart_upload(Bucket=BUCKET, Key=upload['Key'], UploadId=upload['UploadId'])
    for key in listed:
        s3.delete_object(Bucket=BUCKET, Key=key)
    s3.delete_bucket(Bucket=BUCKET)
    one.stop()
    one.start()
    assert not [f for _, _, files in os.walk(one.data / 's3/blobs') for f in files]
