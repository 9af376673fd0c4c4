"""The object store beside nginx, which serves and stores the same files, and plain writes with a sync. In turns."""
import concurrent.futures
import contextlib
import hashlib
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / 'build/release'
LOAD = BUILD / 's3_load'
BUCKET = 'bench'
ROUNDS = 3
TICKS = os.sysconf('SC_CLK_TCK')
KB, MB = 1 << 10, 1 << 20
# Size, connections, at most so many requests and seconds a measurement, names.
PUTS = [(4 * KB, 1, 20_000, 1, 20_000), (4 * KB, 8, 50_000, 1, 50_000), (4 * KB, 64, 100_000, 1, 100_000),
        (MB, 1, 200, 1, 64), (MB, 8, 200, 1, 64), (MB, 64, 200, 1, 64),
        (100 * MB, 1, 3, 4, 3), (100 * MB, 8, 8, 4, 8), (100 * MB, 64, 64, 4, 64)]
GETS = [(4 * KB, 1, 100_000, 1, 1000), (4 * KB, 8, 100_000, 1, 1000), (4 * KB, 64, 200_000, 1, 1000),
        (MB, 1, 10_000, 1, 64), (MB, 8, 10_000, 1, 64), (MB, 64, 10_000, 1, 64),
        (100 * MB, 1, 40, 1, 3), (100 * MB, 8, 80, 1, 8), (100 * MB, 64, 128, 1, 8)]


class Measured:
    """What one call of the load generator has printed; `cpu_us` is the server's, a request."""

    def __init__(self, line, cpu=0.0):
        count, seconds, self.median_us, self.slow_us, self.client_us = (float(word) for word in line.split())
        self.rate = count / seconds
        self.cpu_us = cpu * 1e6 / count


def cpu_of(pids):
    """Seconds of processor time."""
    total = 0
    for pid in pids:
        fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def resident(pids):
    """Bytes of memory of their own: mapped files are not counted."""
    total = 0
    for pid in pids:
        text = pathlib.Path(f'/proc/{pid}/status').read_text()
        total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith('RssAnon:')) * KB
    return total


class Peer:
    def __init__(self, name, url, pids, key=()):
        self.name, self.url, self.pids, self.key = name, url, pids, key

    def measure(self, method, size, connections, count, seconds, names):
        before = cpu_of(self.pids)
        line = subprocess.check_output([LOAD, method, f'{self.url}/{size}', *map(str, (size, connections, count, seconds, names)),
                                        *self.key], text=True)
        return Measured(line, cpu_of(self.pids) - before)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


NGINX = '''
daemon off;
worker_processes auto;
pid {folder}/pid;
error_log {folder}/errors warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  client_max_body_size 0;
  client_body_temp_path {folder}/part;
  proxy_temp_path {folder}/t1; fastcgi_temp_path {folder}/t2; uwsgi_temp_path {folder}/t3; scgi_temp_path {folder}/t4;
  server {{
    listen 127.0.0.1:{port};
    root {folder}/files;
    location / {{ dav_methods PUT; create_full_put_path on; }}
  }}
}}
'''


@contextlib.contextmanager
def nginx(folder):
    """A Peer, or None where nginx is not installed."""
    program = shutil.which('nginx', path=os.environ.get('PATH', '') + ':/usr/sbin')
    if program is None:
        print('nginx is not installed: nothing stands beside the object store (./dev setup benches)')
        yield None
        return
    port = free_port()
    (folder / 'files').mkdir(parents=True)
    user = '' if os.geteuid() else 'user root;\n'
    (folder / 'conf').write_text(user + NGINX.format(folder=folder, port=port))
    process = subprocess.Popen([program, '-c', folder / 'conf', '-e', folder / 'errors'])
    try:
        while True:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(('127.0.0.1', port)):
                break
            assert process.poll() is None, (folder / 'errors').read_text()
            time.sleep(0.01)
        children = pathlib.Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()
        yield Peer('nginx', f'http://127.0.0.1:{port}/{BUCKET}', children)
    finally:
        process.terminate()
        process.wait()


def raw(kind, size, folder):
    """Writes with a sync, one after another."""
    folder.mkdir(exist_ok=True)
    count, seconds = max(2, min(20_000, 128 * MB // size)), 1
    return Measured(subprocess.check_output([LOAD, kind, str(size), str(count), str(seconds), folder], text=True))


def shown(size):
    return f'{size // MB} MiB' if size >= MB else f'{size // KB} KiB'


def median(values):
    return statistics.median(values)


def print_row(what, ours, peers):
    """`peers`: name, its measurements, the least ratio that is wanted or None."""
    text = f'{what:<28}{median(m.rate for m in ours):9.1f}/s {median(m.median_us for m in ours) / 1000:8.2f} ms '
    text += f'{median(m.cpu_us for m in ours):8.0f} us CPU'
    for name, values, wanted in peers:
        ratio = median(m.rate / v.rate for m, v in zip(ours, values))
        text += f'   {ratio:5.2f}x {name} ({median(v.rate for v in values):.1f}/s'
        text += f', {median(v.cpu_us for v in values):.0f} us)' if values[0].cpu_us else ')'
        if wanted:
            text += f' [want >= {wanted}x]'
    print(text, flush=True)


def bench_puts(store, beside, folder):
    for size, connections, count, seconds, names in PUTS:
        ours, theirs, plain, appended = [], [], [], []
        # 6 GiB a turn: once is enough.
        for _ in range(1 if size * count > 1 << 31 else ROUNDS):
            plain.append(raw('write', size, folder / 'raw'))
            appended.append(raw('append', size, folder / 'raw'))
            ours.append(store.measure('PUT', size, connections, count, seconds, names))
            if beside:
                theirs.append(beside.measure('PUT', size, connections, count, seconds, names))
        wanted = 5 if (size, connections) == (4 * KB, 64) else None
        peers = [('write+fdatasync', plain, wanted), ('append+fdatasync', appended, None)]
        if beside:
            peers.append(('nginx without a sync', theirs, None))
        print_row(f'PUT {shown(size)}, {connections} at once', ours, peers)


def bench_gets(store, beside):
    for size, connections, count, seconds, names in GETS:
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(store.measure('GET', size, connections, count, seconds, names))
            if beside:
                theirs.append(beside.measure('GET', size, connections, count, seconds, names))
        wanted = 0.8 if size >= MB else None
        print_row(f'GET {shown(size)}, {connections} at once', ours, [('nginx', theirs, wanted)] if beside else [])


def bench_speed(server, folder):
    pid = server.process.pid
    store = Peer('Penstock', f'{server.s3_url}/{BUCKET}', [pid], server.s3_key())
    with nginx(folder / 'nginx') as beside:
        before = resident([pid])
        bench_puts(store, beside, folder)
        bench_gets(store, beside)
    print(f'memory of the server: {before / MB:.0f} MiB before, {resident([pid]) / MB:.0f} MiB after', flush=True)


def forget_pages(folder):
    """As after a start of the machine: the files of the folder are read from the disk again."""
    for path in folder.rglob('*'):
        if path.is_file():
            with open(path, 'rb') as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def restart(server, cold):
    """Stops and starts the server; seconds until it is ready."""
    server.stop()
    os.unlink(server.log.name)
    if cold:
        forget_pages(server.data / 's3')
    began = time.monotonic()
    server.start()
    return time.monotonic() - began


def milliseconds(url, turns=9):
    """The median of fetching a page by its signed URL, without reading its XML."""
    times = []
    for _ in range(turns):
        began = time.monotonic()
        with urllib.request.urlopen(url) as answer:
            answer.read()
        times.append((time.monotonic() - began) * 1000)
    return median(times)


def print_pages(server, when):
    s3 = server.s3(signature_version='s3v4')

    def page(**query):
        return milliseconds(s3.generate_presigned_url('list_objects_v2', Params={'Bucket': BUCKET, **query}))

    store = Peer('', f'{server.s3_url}/{BUCKET}/many/7', [server.process.pid], server.s3_key())
    gets = store.measure('GET', 100, 8, 20_000, 1, 100_000)
    puts = store.measure('PUT', 100, 8, 20_000, 1, 20_000)
    print(f'{when}: a page of 1,000 keys {page(Prefix="many/"):.1f} ms, in the middle '
          f'{page(StartAfter="many/5/100/5"):.1f} ms; of 10 folders {page(Prefix="many/", Delimiter="/"):.1f} ms; '
          f'GET {gets.rate:.0f}/s, PUT {puts.rate:.0f}/s at 8 connections; memory {resident([server.process.pid]) / MB:.0f} MiB',
          flush=True)


def bench_many_keys(server):
    began = time.monotonic()
    for folder in range(10):
        Peer('', f'{server.s3_url}/{BUCKET}/many/{folder}', [server.process.pid], server.s3_key()).measure(
            'PUT', 100, 64, 100_000, 600, 100_000)
    print(f'a million keys of 100 bytes put in {time.monotonic() - began:.0f} s', flush=True)
    print_pages(server, 'then')
    for cold in (False, True):
        took = restart(server, cold)
        print_pages(server, f'after a {"cold" if cold else "warm"} start in {took:.2f} s')


def bench_many_parts(server):
    s3 = server.s3(max_pool_connections=16)
    source, upload = {'Bucket': BUCKET, 'Key': 'part'}, {'Bucket': BUCKET, 'Key': 'parts'}
    s3.put_object(**source, Body=os.urandom(5 * MB))
    upload['UploadId'] = s3.create_multipart_upload(**upload)['UploadId']
    began = time.monotonic()

    def copy(number):
        answer = s3.upload_part_copy(**upload, PartNumber=number, CopySource=source)
        return {'PartNumber': number, 'ETag': answer['CopyPartResult']['ETag']}

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        parts = list(pool.map(copy, range(1, 10_001)))
    copied, began = time.monotonic() - began, time.monotonic()
    s3.complete_multipart_upload(**upload, MultipartUpload={'Parts': parts})
    completed, began = time.monotonic() - began, time.monotonic()
    size = 10_000 * 5 * MB
    last = s3.get_object(Bucket=BUCKET, Key='parts', Range=f'bytes={size - 2 * MB}-')['Body'].read()
    assert len(last) == 2 * MB and last == s3.get_object(**source, Range=f'bytes={3 * MB}-')['Body'].read()
    print(f'10,000 parts, copied by boto3 in 16 threads: {copied:.1f} s; completed in {completed:.2f} s; its last 2 MiB '
          f'{(time.monotonic() - began) * 1000:.0f} ms', flush=True)
    s3.delete_object(Bucket=BUCKET, Key='parts')


class Numbered:
    """A file of so many bytes, no two MiB of which are the same; made as they are read."""

    def __init__(self, size):
        self.left, self.number, self.block, self.hash, self.rest = size, 0, os.urandom(MB - 8), hashlib.sha256(), b''

    def read(self, size=-1):
        out = bytearray()
        while self.left and (size < 0 or len(out) < size):
            if not self.rest:
                self.number += 1
                self.rest = memoryview(self.number.to_bytes(8, 'big') + self.block)
            piece = self.rest[:min(self.left, len(self.rest) if size < 0 else min(len(self.rest), size - len(out)))]
            self.rest = self.rest[len(piece):]
            self.left -= len(piece)
            out += piece
        self.hash.update(out)
        return bytes(out)


def bench_large_upload(server):
    from boto3.s3.transfer import TransferConfig
    size, before = 5 << 30, resident([server.process.pid])
    if shutil.disk_usage(server.data).free < 2 * size:
        print('5 GiB: there is no room on the disk')
        return
    source, most = Numbered(size), before
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        upload = pool.submit(server.s3(max_pool_connections=4).upload_fileobj, source, BUCKET, 'large',
                             Config=TransferConfig(multipart_chunksize=64 * MB, max_concurrency=4))
        while not upload.done():
            most = max(most, resident([server.process.pid]))
            time.sleep(0.1)
        upload.result()
    took = time.monotonic() - began
    print(f'5 GiB by boto3 in parts of 64 MiB: {size / MB / took:.0f} MiB/s; memory {before / MB:.0f} MiB before, at most '
          f'{most / MB:.0f} MiB', flush=True)
    for cold in (False, True):
        restart(server, cold)
        digest, began = hashlib.sha256(), time.monotonic()
        body = server.s3().get_object(Bucket=BUCKET, Key='large')['Body']
        while piece := body.read(4 * MB):
            digest.update(piece)
        assert digest.digest() == source.hash.digest()
        print(f'and back by boto3 after a {"cold" if cold else "warm"} start: '
              f'{size / MB / (time.monotonic() - began):.0f} MiB/s; memory {resident([server.process.pid]) / MB:.0f} MiB', flush=True)


def bench_s3(server_class, scale):
    folder = pathlib.Path(tempfile.mkdtemp(prefix='penstock-bench-', dir=ROOT / 'build'))
    server = server_class(folder / 'data').start()
    try:
        server.s3().create_bucket(Bucket=BUCKET)
        if scale:
            bench_many_keys(server)
            bench_many_parts(server)
            bench_large_upload(server)
        else:
            bench_speed(server, folder)
    finally:
        server.destroy()
        shutil.rmtree(folder, ignore_errors=True)
