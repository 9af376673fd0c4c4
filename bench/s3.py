"""The object store beside nginx, which serves and stores the same files, and plain writes with a sync. In turns."""
import contextlib
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / 'build/release'
LOAD = BUILD / 's3_load'
BUCKET = 'bench'
ROUNDS = 3
TICKS = os.sysconf('SC_CLK_TCK')
KB, MB = 1 << 10, 1 << 20
# Size, connections, at most so many requests and seconds a measurement, names.
PUTS = [(4 * KB, 1, 20_000, 2, 20_000), (4 * KB, 8, 50_000, 2, 50_000), (4 * KB, 64, 100_000, 2, 100_000),
        (MB, 1, 300, 2, 64), (MB, 8, 300, 2, 64), (MB, 64, 300, 2, 64),
        (100 * MB, 1, 3, 4, 3), (100 * MB, 8, 8, 4, 8), (100 * MB, 64, 64, 4, 64)]
GETS = [(4 * KB, 1, 100_000, 2, 1000), (4 * KB, 8, 100_000, 2, 1000), (4 * KB, 64, 200_000, 2, 1000),
        (MB, 1, 10_000, 2, 64), (MB, 8, 10_000, 2, 64), (MB, 64, 10_000, 2, 64),
        (100 * MB, 1, 40, 2, 3), (100 * MB, 8, 80, 2, 8), (100 * MB, 64, 128, 2, 8)]


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
    count, seconds = max(2, min(20_000, 256 * MB // size)), 2
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
    server.s3().create_bucket(Bucket=BUCKET)
    with nginx(folder / 'nginx') as beside:
        before = resident([pid])
        bench_puts(store, beside, folder)
        bench_gets(store, beside)
    print(f'memory of the server: {before / MB:.0f} MiB before, {resident([pid]) / MB:.0f} MiB after', flush=True)


def bench_s3(server_class):
    folder = pathlib.Path(tempfile.mkdtemp(prefix='penstock-bench-', dir=ROOT / 'build'))
    server = server_class(folder / 'data').start()
    try:
        bench_speed(server, folder)
    finally:
        server.destroy()
        shutil.rmtree(folder, ignore_errors=True)
