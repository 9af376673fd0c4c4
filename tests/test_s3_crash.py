"""What was acknowledged is there after the server is killed, again and again, under a mixed load, and after what the
database had not synced is lost."""
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
        mine = [key for key, digest in self.known.items() if digest is not None]
        if action < 0.3 and mine:
            source = self.random.choice(mine)
            self.change_digest(key, self.known[source], lambda: self.s3.copy_object(
                Bucket=BUCKET, Key=key, CopySource={'Bucket': BUCKET, 'Key': source}, MetadataDirective='REPLACE'))
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
        self.change_digest(key, None if data is None else hashlib.sha256(data).hexdigest(), call)

    def change_digest(self, key, digest, call):
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


class Putter(threading.Thread):
    """Puts objects of a bucket with versions, over one another, and remembers the versions that were acknowledged."""

    def __init__(self, s3, number):
        super().__init__()
        self.s3, self.number, self.random, self.versions = s3, number, random.Random(number), {}

    def run(self):
        try:
            while True:
                key = f'{self.number}/{self.random.randrange(5)}'
                data = self.random.randbytes(self.random.choice([0, 100, 4096, 200_000]))
                answer = self.s3.put_object(Bucket=BUCKET, Key=key, Body=data, Metadata={'of': str(self.number)})
                self.versions[key, answer['VersionId']] = hashlib.sha256(data).hexdigest()
        except (BotoCoreError, HTTPClientError, ClientError):
            pass  # the server is gone


def test_a_loss_of_power_takes_what_the_database_had_not_synced(new_server):
    one = new_server()
    one.s3().create_bucket(Bucket=BUCKET)
    one.s3().put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={'Status': 'Enabled'})
    journal, known = one.data / 's3/meta.db-wal', {}
    seed = int.from_bytes(os.urandom(4), 'big')
    print('seed', seed)
    chance = random.Random(seed)
    for round_ in range(4):
        # So much was waited for when the server had come up; nothing after it is.
        synced = journal.stat().st_size
        putters = [Putter(one.s3(retries={'total_max_attempts': 1}), round_ * 10 + n) for n in range(4)]
        for putter in putters:
            putter.start()
        while sum(len(p.versions) for p in putters) < 60:
            assert any(p.is_alive() for p in putters), one.errors()
            putters[0].join(0.01)
        one.kill()
        for putter in putters:
            putter.join()
            known.update(putter.versions)
        assert journal.stat().st_size > synced
        os.truncate(journal, chance.randrange(synced, journal.stat().st_size))
        with open(max((one.data / 's3/log').iterdir()), 'ab') as log:
            log.write(b'PSL2' + chance.randbytes(chance.randrange(100)))  # a record that was being written
        one.start()
        s3 = one.s3()
        for (key, version), digest in known.items():
            answer = s3.get_object(Bucket=BUCKET, Key=key, VersionId=version)
            assert hashlib.sha256(answer['Body'].read()).hexdigest() == digest, (key, version)
            assert answer['Metadata']['of'] == key.split('/')[0]
    listed = [v for page in s3.get_paginator('list_object_versions').paginate(Bucket=BUCKET) for v in page['Versions']]
    assert {(v['Key'], v['VersionId']) for v in listed} >= set(known)
    # The newest of a key is the one that was acknowledged last, or was under way when the power went.
    for key in {key for key, _ in known}:
        last = [version for k, version in known if k == key][-1]
        order = [v['VersionId'] for v in listed if v['Key'] == key]
        assert order.index(last) <= 1, (key, order)
