"""Importers of URIs of other stores: consumers find the bytes at their path; what is missing is said."""
import functools
import hashlib
import http.server
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import threading

import pytest

from stores import (chain, ended, failure, free_port, keys, nothing_left, needs, put_config, put_secret, running, said,
                    submit)

USE = 'cat "$1" > "$2"'


class Web(http.server.BaseHTTPRequestHandler):
    files = {}
    asked = []
    ranges = True

    def do_GET(self):
        self.asked.append((self.command, self.path))
        status, content = self.files.get(self.path.split('?')[0], (404, b''))
        self.protocol_version = 'HTTP/1.1'
        if status == 'broken':  # ends before its length
            self.send_response(200)
            self.send_header('Content-Length', str(len(content) * 2))
            self.end_headers()
            if self.command == 'GET':
                self.wfile.write(content)
            self.close_connection = True
            return
        if status == 'endless':  # of no length that is told
            self.send_response(200)
            self.send_header('Connection', 'close')
            self.end_headers()
            if self.command == 'GET':
                self.wfile.write(content)
            self.close_connection = True
            return
        wanted = self.headers.get('Range')
        if status == 200 and wanted and self.ranges:
            first, last = wanted.removeprefix('bytes=').split('-')
            whole = len(content)
            content = content[int(first):int(last) + 1]
            status = 206
        self.send_response(status)
        if status == 302:
            self.send_header('Location', content.decode())
            content = b''
        if status == 206:
            self.send_header('Content-Range', f'bytes {first}-{last}/{whole}')
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        if self.command == 'GET':
            self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, *arguments):
        pass


@pytest.fixture
def web():
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Web)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Web.asked, Web.files, Web.ranges = [], {}, True
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def trusting(new_server):
    return new_server(['--store-hosts', '127.0.0.1,http://localhost'])


def imported(server, uri, use=USE):
    return ended(server, submit(server, chain('', use, importer=uri)))


@pytest.mark.parametrize('ranges', [True, False])
def test_http(trusting, web, ranges):
    Web.ranges = ranges
    content = os.urandom(50_000_000)
    Web.files = {'/data/x.bin': (200, content), '/empty': (200, b''), '/stream': ('endless', content[:1000])}
    count = 'sha256sum < "$1" | cut -c1-64 | tr -d "\\n" > "$2"; echo "$1"'
    run, tasks = imported(trusting, web + '/data/x.bin?signed=a-word-that-is-secret', count)
    assert run['state'] == 'SUCCEEDED' and said(tasks) == hashlib.sha256(content).hexdigest(), tasks
    run, tasks = imported(trusting, web + '/empty')
    assert run['state'] == 'SUCCEEDED' and said(tasks) == '', tasks
    run, tasks = imported(trusting, web + '/stream', count)
    assert run['state'] == 'SUCCEEDED' and said(tasks) == hashlib.sha256(content[:1000]).hexdigest(), tasks
    nothing_left(trusting)
    assert 'a-word-that-is-secret' not in trusting.errors()


def test_http_that_fails(trusting, web):
    Web.files = {'/denied': (403, b'no'), '/away': (302, web.replace('127.0.0.1', '127.0.0.2').encode() + b'/x'),
                 '/broken': ('broken', b'half')}
    for path, words in (('/none', 'there is no object'), ('/denied?word=secret-word', 'status 403'), ('/away', 'status 302')):
        run, tasks = imported(trusting, web + path)
        assert run['state'] == 'FAILED' and words in failure(tasks, 'make'), failure(tasks, 'make')
        if path.startswith('/denied'):
            assert 'secret-word' not in failure(tasks, 'make') and 'secret-word' not in trusting.errors()
    run, tasks = imported(trusting, f'http://127.0.0.1:{free_port()}/x')
    assert run['state'] == 'FAILED' and 'onnect' in failure(tasks, 'make'), failure(tasks, 'make')


def test_http_of_no_trusted_host(server, web):
    Web.files = {'/x': (200, b'x')}
    for url in (web, web.replace('127.0.0.1', 'localhost'), web.replace('127.0.0.1', '[::ffff:127.0.0.1]')):
        run, tasks = imported(server, url + '/x')
        assert run['state'] == 'FAILED' and 'may be made' in failure(tasks, 'make'), failure(tasks, 'make')
    assert Web.asked == []


def test_http_by_python(trusting, web, tmp_path):
    from conftest import compile_pipeline
    Web.files = {'/rows.csv': (200, b'a,b\n1,2\n')}
    script = tmp_path / 'p.py'
    script.write_text(f'''
from kfp import dsl
from kfp.dsl import Dataset, Input

@dsl.component
def use(data: Input[Dataset]) -> str:
    return open(data.path).read() + data.uri

@dsl.pipeline(name='import-by-http')
def pipeline() -> str:
    rows = dsl.importer(artifact_uri='{web}/rows.csv', artifact_class=Dataset, reimport=False, metadata={{'a': 'b'}})
    return use(data=rows.output).output
''')
    spec = compile_pipeline(script)[0]
    run, tasks = ended(trusting, submit(trusting, spec))
    assert run['state'] == 'SUCCEEDED', tasks
    assert {p['parameter_key']: p['value'] for p in tasks['use']['outputs']['parameters']}['Output'] == (
        f'a,b\n1,2\n{web}/rows.csv')
    first = tasks['importer']['outputs']['artifacts'][0]['artifacts'][0]
    assert first['metadata'] == {'a': 'b'}
    run, tasks = ended(trusting, submit(trusting, spec))
    assert tasks['importer']['outputs']['artifacts'][0]['artifacts'][0]['artifact_id'] == first['artifact_id']


def test_file(new_server, tmp_path):
    allowed, other = tmp_path / 'allowed', tmp_path / 'other'
    (allowed / 'sub').mkdir(parents=True)
    other.mkdir()
    for folder in (tmp_path, allowed, other, allowed / 'sub'):
        folder.chmod(0o755)
    (allowed / 'sub/x.txt').write_text('from a file')
    (other / 'y.txt').write_text('not to be seen')
    (allowed / 'link').symlink_to(other / 'y.txt')
    (allowed / 'folder').symlink_to(other)
    server = new_server(['--store-folders', str(allowed)])
    run, tasks = imported(server, f'file://{allowed}/sub/x.txt')
    assert run['state'] == 'SUCCEEDED' and said(tasks) == 'from a file', failure(tasks, 'use') or failure(tasks, 'make')
    run, tasks = imported(server, f'file://{allowed}/sub', 'cat "$1/x.txt" > "$2"; ! touch "$1/new"')
    assert run['state'] == 'SUCCEEDED' and said(tasks) == 'from a file', failure(tasks, 'use') or failure(tasks, 'make')
    for path, words in ((f'{other}/y.txt', '--store-folders'), (f'{allowed}/../other/y.txt', '--store-folders'),
                        (f'{allowed}/link', 'links are not followed'), (f'{allowed}/folder/y.txt', 'links are not'),
                        (f'{allowed}/none', 'there is no object'), ('/etc/passwd', '--store-folders')):
        run, tasks = imported(server, f'file://{path}')
        assert run['state'] == 'FAILED' and words in failure(tasks, 'make'), (path, failure(tasks, 'make'))
    # And as a root.
    run, tasks = ended(server, submit(server, chain('mkdir "$1"; echo y > "$1/z"', 'cat "$1/z" > "$2"'),
                                      f'file://{allowed}/root'))
    assert run['state'] == 'SUCCEEDED' and said(tasks) == 'y\n', tasks
    assert [p.read_text() for p in (allowed / 'root').rglob('z')] == ['y\n']
    assert server.request('DELETE', f'/apis/v2beta1/runs/{run["run_id"]}?delete_artifacts=true').status == 200
    assert not list((allowed / 'root').rglob('z'))


def test_file_of_a_server_that_allows_none(server):
    run, tasks = imported(server, 'file:///etc/hostname')
    assert run['state'] == 'FAILED' and '--store-folders' in failure(tasks, 'make')


def test_unknown_schemes(server):
    for uri in ('ftp://host/x', 's3://'):
        run, tasks = imported(server, uri)
        assert run['state'] == 'FAILED' and uri in failure(tasks, 'make'), failure(tasks, 'make')


# --- Google Cloud Storage ---

def make_key_file(tmp_path, token_uri):
    key = tmp_path / 'key.pem'
    subprocess.run(['openssl', 'genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', str(key)],
                   check=True, capture_output=True)
    return json.dumps({'type': 'service_account', 'client_email': 'robot@project.example', 'private_key_id': 'k1',
                       'private_key': key.read_text(), 'token_uri': token_uri})


class Issuer(http.server.BaseHTTPRequestHandler):
    """Gives tokens for texts that the key has signed, as Google does; and, before a store, lets only those pass."""
    public_key = None
    asked = 0
    store = None
    refuse = False
    rejected = 0

    def do_POST(self):
        if self.path != '/token':
            return self.pass_on()
        import base64
        import urllib.parse
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers['Content-Length'])).decode())
        [assertion] = form['assertion']
        head, claims, signature = (base64.urlsafe_b64decode(p + '=' * (-len(p) % 4)) for p in assertion.split('.'))
        signed = assertion.rsplit('.', 1)[0].encode()
        from tempfile import NamedTemporaryFile
        with NamedTemporaryFile() as text, NamedTemporaryFile() as mark:
            text.write(signed), text.flush(), mark.write(signature), mark.flush()
            right = subprocess.run(['openssl', 'dgst', '-sha256', '-verify', self.public_key, '-signature', mark.name,
                                    text.name], capture_output=True).returncode == 0
        claims = json.loads(claims)
        Issuer.asked += 1
        right = right and claims['iss'] == 'robot@project.example' and json.loads(head) == {
            'alg': 'RS256', 'typ': 'JWT', 'kid': 'k1'} and 'devstorage' in claims['scope'] and not self.refuse
        answer = {'access_token': 'the-token', 'expires_in': 3600, 'token_type': 'Bearer'} if right else {
            'error': 'invalid_grant', 'error_description': 'Invalid JWT'}
        self.answer(200 if right else 400, json.dumps(answer).encode())

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def pass_on(self):
        import http.client
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        if self.headers.get('Authorization') != 'Bearer the-token' and 'upload_id' not in self.path:
            Issuer.rejected += 1
            return self.answer(401, b'{"error": {"message": "Invalid Credentials"}}')
        connection = http.client.HTTPConnection(self.store.removeprefix('http://'))
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ('host', 'content-length')}
        connection.request(self.command, self.path, body, headers)
        response = connection.getresponse()
        own = f'http://127.0.0.1:{self.server.server_port}'
        kept = [(k, v.replace(self.store, own)) for k, v in response.getheaders()
                if k.lower() in ('location', 'range', 'content-range', 'content-type', 'etag')]
        self.answer(response.status, response.read(), kept)
        connection.close()

    do_GET = do_PUT = do_DELETE = pass_on

    def log_message(self, *arguments):
        pass


def google_store(tmp_path):
    """The program of a store that speaks Google's protocol, from PyPI."""
    python = os.environ.get('PENSTOCK_GCS_PYTHON') or sys.executable
    found = subprocess.run([python, '-c', 'import gcp_storage_emulator'], capture_output=True)
    if found.returncode != 0:
        pytest.skip('gcp-storage-emulator is not installed (PENSTOCK_GCS_PYTHON names a Python that has it)')
    port = free_port()
    command = [python, '-m', 'gcp_storage_emulator', 'start', '--host', '127.0.0.1', '--port', str(port), '--in-memory',
               '--default-bucket', 'cloud']
    return command, f'http://127.0.0.1:{port}'


@pytest.fixture
def google(tmp_path):
    """The store, a key file for it, and where both are found."""
    command, url = google_store(tmp_path)
    with running(command, url + '/', cwd=tmp_path):
        issuer = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Issuer)
        thread = threading.Thread(target=issuer.serve_forever)
        thread.start()
        own = f'http://127.0.0.1:{issuer.server_port}'
        key_file = make_key_file(tmp_path, own + '/token')
        subprocess.run(['openssl', 'pkey', '-in', str(tmp_path / 'key.pem'), '-pubout', '-out',
                        str(tmp_path / 'public.pem')], check=True)
        Issuer.public_key, Issuer.store, Issuer.asked = str(tmp_path / 'public.pem'), url, 0
        Issuer.refuse, Issuer.rejected = False, 0
        yield own, key_file
        issuer.shutdown()
        thread.join()
        issuer.server_close()


def gs_provider(endpoint):
    return {'default': {'endpoint': endpoint, 'credentials': {'secretRef': {
        'secretName': 'gs-key', 'tokenKey': 'key.json'}}}}


def test_gs(new_server, google):
    server = new_server()
    own, key_file = google
    put_secret(server, 'gs-key', **{'key.json': key_file})
    put_config(server, {'gs': gs_provider(own)})
    run, tasks = ended(server, submit(server, chain('mkdir "$1"; echo a > "$1/a"; echo b > "$1/b c"',
                                                    'cat "$1/a" "$1/b c" > "$2"'), 'gs://cloud/root'))
    assert run['state'] == 'SUCCEEDED' and said(tasks) == 'a\nb\n', tasks
    big = 40 << 20
    run, tasks = ended(server, submit(server, chain(f'head -c {big} /dev/urandom > "$1"; sha256sum < "$1" >&2',
                                                    'wc -c < "$1" | tr -d "\\n" > "$2"'), 'gs://cloud/big'))
    assert run['state'] == 'SUCCEEDED' and said(tasks) == str(big), tasks
    assert Issuer.asked == 1 and Issuer.rejected == 0
    [artifact] = tasks['make']['outputs']['artifacts'][0]['artifacts']
    read = server.get('/artifacts/get?source=gs&bucket=cloud&peek=5&key=' + artifact['uri'].removeprefix('gs://cloud/'))
    assert read.status == 200
    assert server.request('DELETE', f'/apis/v2beta1/runs/{run["run_id"]}?delete_artifacts=true').status == 200
    run, tasks = imported(server, artifact['uri'])
    assert run['state'] == 'FAILED' and 'there is no object' in failure(tasks, 'make'), failure(tasks, 'make')
    assert 'PRIVATE KEY' not in server.errors() and 'the-token' not in server.errors()


def test_gs_keys_that_are_wrong(new_server, google):
    server = new_server()
    own, key_file = google
    put_config(server, {'gs': gs_provider(own)})
    put_secret(server, 'gs-key', **{'key.json': '{"type": "service_account", "private_key": "a-secret-word"}'})
    run, tasks = imported(server, 'gs://cloud/x')
    assert run['state'] == 'FAILED' and 'service_account' in failure(tasks, 'make')
    assert 'a-secret-word' not in str(tasks) + server.errors()
    Issuer.refuse = True
    put_secret(server, 'gs-key', **{'key.json': key_file})
    run, tasks = imported(server, 'gs://cloud/x')
    assert run['state'] == 'FAILED' and 'invalid_grant Invalid JWT' in failure(tasks, 'make'), failure(tasks, 'make')


def test_gs_by_the_environment(new_server, tmp_path):
    command, url = google_store(tmp_path)
    with running(command, url + '/', cwd=tmp_path):
        server = new_server(env={'STORAGE_EMULATOR_HOST': url})
        run, tasks = ended(server, submit(server, chain('echo a > "$1"', USE), 'gs://cloud/env'))
        assert run['state'] == 'SUCCEEDED' and said(tasks) == 'a\n', tasks


# --- images in a registry ---

def layer(*entries):
    """A tar of (name, content or TarInfo's settings)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w:gz') as tar:
        for name, what in entries:
            info = tarfile.TarInfo(name)
            if isinstance(what, bytes):
                info.size = len(what)
                tar.addfile(info, io.BytesIO(what))
            else:
                for key, value in what.items():
                    setattr(info, key, value)
                tar.addfile(info)
    return out.getvalue()


class Registry:
    """Debian's docker-registry on a port and folder of its own."""

    def __init__(self, url, login=None):
        self.url, self.login = url, login

    def call(self, method, path, body=None, kind='application/octet-stream'):
        import base64
        import urllib.request
        url = path if path.startswith('http') else self.url + path
        request = urllib.request.Request(url, body, {'Content-Type': kind}, method=method)
        if self.login:
            request.add_header('Authorization', 'Basic ' + base64.b64encode(self.login.encode()).decode())
        return urllib.request.urlopen(request)

    def blob(self, name, content):
        digest = 'sha256:' + hashlib.sha256(content).hexdigest()
        place = self.call('POST', f'/v2/{name}/blobs/uploads/', b'').headers['Location']
        self.call('PUT', f'{place}{"&" if "?" in place else "?"}digest={digest}', content)
        return {'digest': digest, 'size': len(content)}

    def push(self, name, tag, layers):
        """Layers: bytes of a tar, or (title, bytes) of a plain file."""
        config = dict(self.blob(name, b'{"architecture": "amd64", "os": "linux"}'),
                      mediaType='application/vnd.oci.image.config.v1+json')
        described = []
        for one in layers:
            if isinstance(one, tuple):
                described.append(dict(self.blob(name, one[1]), mediaType='application/octet-stream',
                                      annotations={'org.opencontainers.image.title': one[0]}))
            else:
                described.append(dict(self.blob(name, one), mediaType='application/vnd.oci.image.layer.v1.tar+gzip'))
        kind = 'application/vnd.oci.image.manifest.v1+json'
        manifest = {'schemaVersion': 2, 'mediaType': kind, 'config': config, 'layers': described}
        self.call('PUT', f'/v2/{name}/manifests/{tag}', json.dumps(manifest).encode(), kind)
        return f'oci://localhost:{self.url.rsplit(":", 1)[1]}/{name}:{tag}'


def start_registry(tmp_path, login=None):
    program = needs('docker-registry')
    port = free_port()
    auth = ''
    if login:
        users = subprocess.run([needs('htpasswd'), '-Bbn', *login.split(':')], check=True, capture_output=True).stdout
        (tmp_path / 'users').write_bytes(users)
        auth = f'auth: {{htpasswd: {{realm: tests, path: {tmp_path}/users}}}}\n'
    (tmp_path / 'registry.yml').write_text(
        f'version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/blobs}}}}\n'
        f'http: {{addr: "127.0.0.1:{port}"}}\n{auth}')
    url = f'http://127.0.0.1:{port}'
    return [program, 'serve', str(tmp_path / 'registry.yml')], url


@pytest.fixture
def registry(tmp_path):
    command, url = start_registry(tmp_path)
    with running(command, url + '/v2/'):
        yield Registry(url)


@pytest.fixture
def near(new_server):
    return new_server(['--store-hosts', 'localhost,http://localhost'])


def test_an_image(near, registry):
    uri = registry.push('models/cat', '1', [
        layer(('models/', {'type': tarfile.DIRTYPE, 'mode': 0o755}), ('models/weights', b'old'), ('models/gone', b'x'),
              ('models/dir/a', b'x')),
        layer(('./models/weights', b'meow'), ('models/.wh.gone', b''), ('models/dir/.wh..wh..opq', b''),
              ('models/dir/b', b'y'), ('models/link', {'type': tarfile.SYMTYPE, 'linkname': '/models/weights'}),
              ('models/hard', {'type': tarfile.LNKTYPE, 'linkname': 'models/weights'}))])
    run, tasks = imported(near, uri, 'cd "$1/models"; echo $(cat weights link hard) $(ls) $(ls dir) > "$2"')
    assert run['state'] == 'SUCCEEDED', tasks
    assert said(tasks) == 'meowmeowmeow dir hard link weights b\n'
    nothing_left(near)


def test_an_artifact_of_plain_files(near, registry):
    uri = registry.push('models/flat', 'v2', [('weights.bin', b'meow'), ('sub/card.md', b'# cat')])
    run, tasks = imported(near, uri, 'cd "$1/models"; cat weights.bin sub/card.md > "$2"')
    assert run['state'] == 'SUCCEEDED' and said(tasks) == 'meow# cat', tasks


def test_images_that_would_lead_out(near, registry):
    wrong = {
        'up': [layer(('../escape', b'x'))], 'deep': [layer(('a/../../escape', b'x'))],
        'link': [layer(('l', {'type': tarfile.SYMTYPE, 'linkname': '../../../etc'}))],
        'hard': [layer(('h', {'type': tarfile.LNKTYPE, 'linkname': '../../../etc/passwd'}))],
        'title': [('../escape', b'x')], 'no-tar': [b'this is no tar file']}
    for name, layers in wrong.items():
        uri = registry.push(f'wrong/{name}', '1', layers)
        run, tasks = imported(near, uri, 'true')
        assert run['state'] == 'FAILED', (name, tasks)
        assert 'leads out' in failure(tasks, 'use') or 'unpacked' in failure(tasks, 'use') or (
            'no file to link' in failure(tasks, 'use')), failure(tasks, 'use')
    # A link that one layer makes is not walked through by the next.
    uri = registry.push('wrong/two', '1', [
        layer(('d', {'type': tarfile.SYMTYPE, 'linkname': 'elsewhere'})), layer(('d/x', b'inside'))])
    run, tasks = imported(near, uri, 'cat "$1/d/x" > "$2"; [ ! -L "$1/d" ]')
    assert run['state'] == 'SUCCEEDED' and said(tasks) == 'inside', tasks
    # An absolute name is one below the image's root.
    uri = registry.push('wrong/absolute', '1', [layer(('/etc/absolute', b'inside'))])
    run, tasks = imported(near, uri, 'cat "$1/etc/absolute" > "$2"')
    assert run['state'] == 'SUCCEEDED' and said(tasks) == 'inside', tasks
    nothing_left(near)
    assert not list(pathlib.Path(near.data).rglob('escape'))


def test_images_that_are_not_there(near, registry):
    port = registry.url.rsplit(':', 1)[1]
    for uri, words in ((f'oci://localhost:{port}/none/such:1', 'there is no object'),
                       (f'oci://localhost:{port}/Not A Name', 'its name is wrong'),
                       (f'oci://localhost:{free_port()}/x/y:1', 'onnect')):
        run, tasks = imported(near, uri, 'true')
        assert run['state'] == 'FAILED' and words in failure(tasks, 'make'), failure(tasks, 'make')
    run, tasks = imported(near, f'oci://127.0.0.1:{port}/x/y:1', 'true')
    assert run['state'] == 'FAILED' and 'may be made' in failure(tasks, 'make'), failure(tasks, 'make')


def test_an_image_behind_a_login(near, tmp_path):
    login = 'somebody:a-word-of-the-registry'
    command, url = start_registry(tmp_path, login)
    with running(command, url + '/v2/'):
        uri = Registry(url, login).push('private/cat', '1', [layer(('models/weights', b'meow'))])
        run, tasks = imported(near, uri, 'cat "$1/models/weights" > "$2"')
        assert run['state'] == 'FAILED' and 'without a login' in failure(tasks, 'make'), failure(tasks, 'make')
        host = uri.removeprefix('oci://').split('/')[0]
        user, word = login.split(':')

        def give(password):
            put_secret(near, 'pull', 'kubernetes.io/dockerconfigjson', **{'.dockerconfigjson': json.dumps(
                {'auths': {host: {'username': user, 'password': password}}})})
        give('another')
        run, tasks = imported(near, uri, 'true')
        assert run['state'] == 'FAILED' and 'login of a Secret' in failure(tasks, 'make'), failure(tasks, 'make')
        give(word)
        run, tasks = imported(near, uri, 'cat "$1/models/weights" > "$2"')
        assert run['state'] == 'SUCCEEDED' and said(tasks) == 'meow', tasks
        assert word not in near.errors()


def test_an_image_that_skopeo_pushed(near, registry, tmp_path):
    skopeo = needs('skopeo')
    folder = tmp_path / 'image'
    blobs = folder / 'blobs/sha256'
    blobs.mkdir(parents=True)

    def blob(content):
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {'digest': 'sha256:' + digest, 'size': len(content)}
    plain = layer(('models/weights', b'meow'))
    import gzip
    config = blob(json.dumps({'architecture': 'amd64', 'os': 'linux', 'rootfs': {'type': 'layers', 'diff_ids': [
        'sha256:' + hashlib.sha256(gzip.decompress(plain)).hexdigest()]}}).encode())
    manifest = blob(json.dumps({'schemaVersion': 2, 'config': dict(
        config, mediaType='application/vnd.oci.image.config.v1+json'), 'layers': [dict(
            blob(plain), mediaType='application/vnd.oci.image.layer.v1.tar+gzip')]}).encode())
    (folder / 'oci-layout').write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / 'index.json').write_text(json.dumps({'schemaVersion': 2, 'manifests': [dict(
        manifest, mediaType='application/vnd.oci.image.manifest.v1+json')]}))
    host = 'localhost:' + registry.url.rsplit(':', 1)[1]
    subprocess.run([skopeo, 'copy', '--insecure-policy', '--dest-tls-verify=false', f'oci:{folder}',
                    f'docker://{host}/by/skopeo:7'], check=True, capture_output=True)
    run, tasks = imported(near, f'oci://{host}/by/skopeo:7', 'cat "$1/models/weights" > "$2"')
    assert run['state'] == 'SUCCEEDED' and said(tasks) == 'meow', tasks
