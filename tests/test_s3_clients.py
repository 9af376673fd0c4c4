"""Real S3 clients doing what people do with them. The programs come from Debian (s3cmd, rclone), from PyPI into an
environment of their own (aws, minio, s3fs with pandas), which PENSTOCK_S3_CLIENTS names, and from npm (minio), which
PENSTOCK_S3_JS names."""
import os
import pathlib
import shutil
import subprocess
import textwrap
import uuid

import pytest

from test_s3_objects import bucket, s3  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parent.parent
JS = pathlib.Path(os.environ.get('PENSTOCK_S3_JS', ROOT / 'build/s3-js'))
CLIENTS = pathlib.Path(os.environ.get('PENSTOCK_S3_CLIENTS', ROOT / 'build/s3-clients'))


def run(*command, env=None, **kwargs):
    # rclone 1.60 cannot start where AWS_CA_BUNDLE is set.
    result = subprocess.run([str(c) for c in command], env={**{k: v for k, v in os.environ.items() if k != 'AWS_CA_BUNDLE'}, **(env or {})}, text=True, timeout=120,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **kwargs)
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.fixture
def tree(tmp_path):
    """A folder with files of several sizes and names."""
    root = tmp_path / 'tree'
    (root / 'sub/deep').mkdir(parents=True)
    for name, size in [('a.txt', 10), ('b c.bin', 100_000), ('sub/d.bin', 300_000), ('sub/deep/ä.txt', 5),
                       ('sub/empty', 0), ('big.bin', 20 << 20)]:
        (root / name).write_bytes(os.urandom(size))
    return root


def same(one, other):
    files = {p.relative_to(one): p.read_bytes() for p in one.rglob('*') if p.is_file()}
    assert files == {p.relative_to(other): p.read_bytes() for p in other.rglob('*') if p.is_file()}


def keys_env(server):
    access, secret = server.s3_key()
    return {'AWS_ACCESS_KEY_ID': access, 'AWS_SECRET_ACCESS_KEY': secret, 'AWS_DEFAULT_REGION': 'us-east-1',
            'AWS_ENDPOINT_URL': server.s3_url, 'AWS_MAX_ATTEMPTS': '1', 'AWS_CONFIG_FILE': '/nonexistent'}


def test_aws_cli(server, tree, tmp_path):
    env = keys_env(server)
    name = f'aws-{uuid.uuid4().hex[:10]}'

    def aws(*words):
        return run(CLIENTS / 'bin/aws', *words, env=env)
    aws('s3', 'mb', f's3://{name}')
    assert name in aws('s3', 'ls')
    aws('s3', 'sync', tree, f's3://{name}/t')
    assert aws('s3', 'sync', tree, f's3://{name}/t').strip() == ''
    listing = aws('s3', 'ls', '--recursive', f's3://{name}/')
    assert 't/sub/deep/ä.txt' in listing and '20971520' in listing
    aws('s3', 'sync', f's3://{name}/t', tmp_path / 'back')
    same(tree, tmp_path / 'back')
    aws('s3', 'mv', f's3://{name}/t/a.txt', f's3://{name}/moved')
    aws('s3', 'cp', f's3://{name}/moved', tmp_path / 'moved')
    assert (tmp_path / 'moved').read_bytes() == (tree / 'a.txt').read_bytes()
    url = aws('s3', 'presign', f's3://{name}/moved').strip()
    assert run('curl', '-sf', url, '-o', tmp_path / 'presigned') == ''
    assert (tmp_path / 'presigned').read_bytes() == (tree / 'a.txt').read_bytes()
    aws('s3api', 'put-object-tagging', '--bucket', name, '--key', 'moved', '--tagging', 'TagSet=[{Key=a,Value=b}]')
    assert '"b"' in aws('s3api', 'get-object-tagging', '--bucket', name, '--key', 'moved')
    aws('s3', 'rb', '--force', f's3://{name}')


def test_s3cmd(server, tree, tmp_path):
    access, secret = server.s3_key()
    host = server.s3_url.removeprefix('http://')
    config = tmp_path / 's3cfg'
    config.write_text(f'[default]\naccess_key = {access}\nsecret_key = {secret}\nhost_base = {host}\n'
                      f'host_bucket = {host}\nuse_https = False\nmultipart_chunk_size_mb = 5\n')
    name = f's3cmd-{uuid.uuid4().hex[:10]}'

    def s3cmd(*words):
        return run('s3cmd', '-c', config, '--no-progress', *words)
    s3cmd('mb', f's3://{name}')
    s3cmd('sync', f'{tree}/', f's3://{name}/t/')
    assert 'sub/deep/ä.txt' in s3cmd('ls', '-r', f's3://{name}')
    (tmp_path / 'back').mkdir()
    s3cmd('sync', f's3://{name}/t/', f'{tmp_path}/back/')
    same(tree, tmp_path / 'back')
    s3cmd('cp', f's3://{name}/t/a.txt', f's3://{name}/copy')
    assert 'MD5 sum' in s3cmd('info', f's3://{name}/copy')
    s3cmd('setacl', '--acl-public', f's3://{name}/copy')
    assert run('curl', '-sf', f'{server.s3_url}/{name}/copy', '-o', tmp_path / 'public') == ''
    s3cmd('del', '-r', '--force', f's3://{name}')
    s3cmd('rb', f's3://{name}')


def rclone_env(server):
    access, secret = server.s3_key()
    return {'RCLONE_CONFIG_P_TYPE': 's3', 'RCLONE_CONFIG_P_PROVIDER': 'Other', 'RCLONE_CONFIG_P_ACCESS_KEY_ID': access,
            'RCLONE_CONFIG_P_SECRET_ACCESS_KEY': secret, 'RCLONE_CONFIG_P_ENDPOINT': server.s3_url,
            'RCLONE_CONFIG': '/dev/null', 'RCLONE_S3_CHUNK_SIZE': '5M', 'RCLONE_S3_UPLOAD_CUTOFF': '6M'}


def test_rclone(server, tree, tmp_path):
    env = rclone_env(server)
    name = f'rclone-{uuid.uuid4().hex[:10]}'

    def rclone(*words):
        return run('rclone', '-q', *words, env=env)
    rclone('sync', tree, f'p:{name}/t')
    rclone('check', tree, f'p:{name}/t')
    rclone('sync', f'p:{name}/t', tmp_path / 'back')
    same(tree, tmp_path / 'back')
    (tmp_path / 'back/a.txt').unlink()
    (tmp_path / 'back/new').write_bytes(b'new')
    rclone('sync', tmp_path / 'back', f'p:{name}/t')
    assert sorted(rclone('lsf', f'p:{name}/t').split()) == sorted(['b', 'c.bin', 'big.bin', 'new', 'sub/'])
    rclone('moveto', f'p:{name}/t/new', f'p:{name}/moved')
    assert rclone('cat', f'p:{name}/moved') == 'new'
    rclone('purge', f'p:{name}')


def python(server, code, *arguments):
    access, secret = server.s3_key()
    return run(CLIENTS / 'bin/python', '-c', textwrap.dedent(code), server.s3_url.removeprefix('http://'), access, secret,
               *arguments)


def test_minio(server, tree, tmp_path):
    python(server, """
        import io, sys
        from minio import Minio
        from minio.commonconfig import CopySource, Tags
        from minio.deleteobjects import DeleteObject
        host, access, secret, tree, name = sys.argv[1:]
        client = Minio(host, access_key=access, secret_key=secret, secure=False)
        assert not client.bucket_exists(name)
        client.make_bucket(name)
        assert client.bucket_exists(name)
        client.fput_object(name, 'big', tree + '/big.bin', part_size=5 << 20)
        client.fget_object(name, 'big', tree + '/copy.bin')
        assert open(tree + '/copy.bin', 'rb').read() == open(tree + '/big.bin', 'rb').read()
        client.put_object(name, 'stream', io.BytesIO(b'x' * 300000), -1, part_size=5 << 20, metadata={'a': 'b'})
        stat = client.stat_object(name, 'stream')
        assert stat.size == 300000 and stat.metadata['x-amz-meta-a'] == 'b'
        client.copy_object(name, 'copied', CopySource(name, 'stream'))
        tags = Tags.new_object_tags()
        tags['k'] = 'v'
        client.set_object_tags(name, 'copied', tags)
        assert client.get_object_tags(name, 'copied')['k'] == 'v'
        assert client.get_object(name, 'copied', offset=10, length=5).read() == b'xxxxx'
        keys = sorted(o.object_name for o in client.list_objects(name, recursive=True))
        assert keys == ['big', 'copied', 'stream'], keys
        url = client.presigned_get_object(name, 'copied')
        import urllib.request
        assert len(urllib.request.urlopen(url).read()) == 300000
        assert not list(client.remove_objects(name, [DeleteObject(k) for k in keys]))
        client.remove_bucket(name)
    """, tree, f'minio-{uuid.uuid4().hex[:10]}')


@pytest.mark.skipif(shutil.which('node') is None, reason='there is no node')
@pytest.mark.skipif(not (JS / 'node_modules/minio').is_dir(), reason="MinIO's JavaScript client is not installed (npm)")
def test_minio_js(server, tmp_path):
    host, port = server.s3_url.removeprefix('http://').split(':')
    run('node', ROOT / 'tests/s3_js/work.js', host, port, *server.s3_key(), f'js-{uuid.uuid4().hex[:10]}',
        JS / 'node_modules', tmp_path)


def test_what_clients_have_put_outlives_restarts(new_server, tree, tmp_path):
    """Written by one client, read by others: after an orderly end, and after a sudden one."""
    server = new_server()
    run(CLIENTS / 'bin/aws', 's3', 'mb', 's3://kept', env=keys_env(server))
    run(CLIENTS / 'bin/aws', 's3', 'sync', tree, 's3://kept/t', env=keys_env(server))
    s3 = server.s3()
    s3.put_bucket_encryption(Bucket='kept', ServerSideEncryptionConfiguration={
        'Rules': [{'ApplyServerSideEncryptionByDefault': {'SSEAlgorithm': 'AES256'}}]})
    run(CLIENTS / 'bin/aws', 's3', 'cp', tree / 'big.bin', 's3://kept/t/sealed.bin', env=keys_env(server))
    (tree / 'sealed.bin').write_bytes((tree / 'big.bin').read_bytes())
    id_ = s3.create_multipart_upload(Bucket='kept', Key='t/late')['UploadId']
    etag = s3.upload_part(Bucket='kept', Key='t/late', UploadId=id_, PartNumber=1, Body=b'late')['ETag']
    for end in [server.stop, server.kill]:
        end()
        server.start()
        back = tmp_path / end.__name__
        run('rclone', '-q', 'sync', 'p:kept/t', back, env=rclone_env(server))
        same(tree, back)
    # The upload that was under way is still.
    server.s3().complete_multipart_upload(Bucket='kept', Key='t/late', UploadId=id_,
                                          MultipartUpload={'Parts': [{'PartNumber': 1, 'ETag': etag}]})
    assert run(CLIENTS / 'bin/aws', 's3', 'cp', 's3://kept/t/late', '-', env=keys_env(server)) == 'late'


def test_pandas(server, bucket):
    python(server, """
        import sys
        import pandas, s3fs
        host, access, secret, bucket = sys.argv[1:]
        options = {'key': access, 'secret': secret, 'client_kwargs': {'endpoint_url': 'http://' + host}}
        frame = pandas.DataFrame({'a': range(200000), 'b': 'text'})
        frame.to_csv(f's3://{bucket}/dir/frame.csv', index=False, storage_options=options)
        assert pandas.read_csv(f's3://{bucket}/dir/frame.csv', storage_options=options).equals(frame)
        fs = s3fs.S3FileSystem(**options)
        assert fs.ls(bucket + '/dir') == [bucket + '/dir/frame.csv']
        with fs.open(bucket + '/dir/big', 'wb', block_size=5 << 20) as out:
            for _ in range(13):
                out.write(b'z' * (1 << 20))
        assert fs.info(bucket + '/dir/big')['size'] == 13 << 20
        fs.mv(bucket + '/dir/big', bucket + '/moved')
        fs.rm(bucket + '/dir', recursive=True)
        assert fs.ls(bucket) == [bucket + '/moved']
    """, bucket)
