"""S3 over TLS, with a certificate of nobody's and with one that is known."""
import subprocess

import pytest

from stores import chain, ended, failure, free_port, needs, put_config, put_secret, running, s3_provider, said, submit


@pytest.fixture
def secure(new_server, tmp_path):
    """Another Penstock's S3 behind nginx, which speaks TLS."""
    nginx = needs('nginx')
    outside = new_server()
    outside.s3().create_bucket(Bucket='far')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', tmp_path / 'key.pem', '-out',
                    tmp_path / 'cert.pem', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'],
                   check=True, capture_output=True)
    port, plain = free_port(), free_port()
    (tmp_path / 'nginx.conf').write_text(f'''
daemon off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log;
events {{}}
http {{ access_log off; client_max_body_size 0; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;
  fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
  server {{ listen 127.0.0.1:{plain}; return 204; }}
  server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {tmp_path}/cert.pem; ssl_certificate_key {tmp_path}/key.pem;
    location / {{ proxy_pass {outside.s3_url}; proxy_set_header Host $http_host; proxy_request_buffering off;
                  proxy_http_version 1.1; }} }} }}
''')
    with running([nginx, '-c', str(tmp_path / 'nginx.conf'), '-p', str(tmp_path)], f'http://127.0.0.1:{plain}/'):
        yield outside, f'localhost:{port}', (tmp_path / 'cert.pem').read_text()


def test_tls(new_server, secure):
    outside, endpoint, certificate = secure
    server = new_server()
    access, word = outside.s3_key()
    put_secret(server, access=access, word=word)
    spec = chain('head -c 20000000 /dev/zero > "$1"', 'wc -c < "$1" | tr -d "\\n" > "$2"')
    put_config(server, {'s3': s3_provider(endpoint, maxRetries=0)})
    run, tasks = ended(server, submit(server, spec, 's3://far/tls'))
    assert run['state'] == 'FAILED' and 'ertificate' in failure(tasks, 'make'), failure(tasks, 'make')
    for more in ({'caBundle': certificate}, {'verifySSL': False}):
        put_config(server, {'s3': s3_provider(endpoint, **more)})
        run, tasks = ended(server, submit(server, spec, 's3://far/tls'))
        assert run['state'] == 'SUCCEEDED' and said(tasks) == '20000000', failure(tasks, 'make')
