"""What browsers get: the dashboard's page, and protection from other sites' pages."""
import gzip
import http.client
import json
import re
import urllib.parse

import pytest

from conftest import shell

PERSON = {'Accept': 'text/html,application/xhtml+xml,*/*;q=0.8'}


def ask(server, method, path, headers=None, body=None):
    """One request as it is written here, with nothing added but a Host."""
    address = urllib.parse.urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host='Host' in (headers or {}), skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader('Content-Length', str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def test_the_page(server):
    answer, body = ask(server, 'GET', '/')
    assert answer.status == 200 and answer.getheader('Content-Type') == 'text/html; charset=utf-8'
    assert b'<title>' in body
    assert answer.getheader('Cache-Control') == 'no-cache'
    policy = dict(part.strip().split(' ', 1) for part in answer.getheader('Content-Security-Policy').split(';'))
    assert policy['default-src'] == policy['base-uri'] == policy['frame-ancestors'] == "'none'"
    assert policy['script-src'] == policy['style-src'] == "'self'"
    for name, value in (('X-Content-Type-Options', 'nosniff'), ('Referrer-Policy', 'no-referrer'),
                        ('Cross-Origin-Opener-Policy', 'same-origin')):
        assert answer.getheader(name) == value
    for path in ('/runs/12?tab=graph', '/artifacts/7', '/pipelines'):
        again, same = ask(server, 'GET', path, PERSON)
        assert (again.status, same) == (200, body), path
    head, empty = ask(server, 'HEAD', '/')
    assert (head.status, empty, head.getheader('Content-Length')) == (200, b'', str(len(body)))


def test_forms_and_tags(server):
    plain, body = ask(server, 'GET', '/')
    packed, bytes_ = ask(server, 'GET', '/', {'Accept-Encoding': 'gzip'})
    assert packed.getheader('Content-Encoding') == 'gzip' and gzip.decompress(bytes_) == body
    tags = {plain.getheader('ETag'), packed.getheader('ETag')}
    assert len(tags) == 2 and all(tag.startswith('"') for tag in tags)
    for tag, headers in ((plain, {}), (packed, {'Accept-Encoding': 'gzip'})):
        again, empty = ask(server, 'GET', '/', {**headers, 'If-None-Match': tag.getheader('ETag')})
        assert (again.status, empty) == (304, b'')
    other, _ = ask(server, 'GET', '/', {'If-None-Match': packed.getheader('ETag')})
    assert other.status == 200


def test_what_the_page_loads(server):
    _, body = ask(server, 'GET', '/')
    assets = re.findall(r'(?:src|href)="(/assets/[^"]+)"', body.decode())
    # A program that was built without a dashboard has a page that loads nothing.
    assert assets or b'without its dashboard' in body
    for path in assets:
        answer, plain = ask(server, 'GET', path)
        assert answer.status == 200 and 'immutable' in answer.getheader('Cache-Control')
        assert answer.getheader('Content-Type').startswith(('text/javascript', 'text/css'))
        packed, smaller = ask(server, 'GET', path, {'Accept-Encoding': 'br, gzip'})
        assert packed.getheader('Content-Encoding') in ('br', 'gzip') and len(smaller) < len(plain)
    assert not re.search(rb'<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=', body), 'the policy allows nothing inline'


def test_what_the_page_is_not_for(server):
    for path in ('/apis/v2beta1/nothing', '/pipeline/apis/v2beta1/nothing', '/apis/nothing', '/api/v1/nothing',
                 '/assets/nothing.js'):
        answer, body = ask(server, 'GET', path, PERSON)
        assert answer.status == 404 and json.loads(body)['code'], path
        assert 'sandbox' in answer.getheader('Content-Security-Policy')
        assert answer.getheader('X-Content-Type-Options') == 'nosniff'
    answer, body = ask(server, 'GET', '/runs/12')
    assert answer.status == 404 and 'there is nothing at' in json.loads(body)['message']
    assert ask(server, 'POST', '/', PERSON, b'')[0].status == 404
    answer, _ = ask(server, 'GET', '/../../etc/passwd')
    assert answer.status == 404


FOREIGN = [{'Origin': 'http://evil.example'}, {'Origin': 'null'}, {'Sec-Fetch-Site': 'cross-site'},
           {'Origin': 'http://127.0.0.1:1', 'Sec-Fetch-Site': 'same-site'},
           {'Origin': 'http://evil.example', 'Sec-Fetch-Site': 'cross-site', 'Content-Type': 'text/plain'}]


@pytest.mark.parametrize('headers', FOREIGN)
def test_pages_of_other_sites_change_nothing(server, headers):
    run = server.submit(shell('true'))
    server.wait(run)
    wanted = json.dumps({'display_name': 'forged'}).encode()
    for method, path, body in (('POST', '/apis/v2beta1/experiments', wanted),
                               ('POST', '/pipeline/apis/v2beta1/experiments', wanted),
                               ('POST', '/apis/v1beta1/experiments', b'{"name": "forged"}'),
                               ('DELETE', f'/apis/v2beta1/runs/{run}', b''),
                               ('POST', f'/apis/v2beta1/runs/{run}:archive', b''),
                               ('PATCH', f'/apis/v2beta1/pipelines/{run}', b'{}'),
                               ('POST', '/api/v1/namespaces/default/configmaps', b'{"metadata": {"name": "forged"}}'),
                               ('PUT', '/api/v1/namespaces/default/configmaps/forged', b'{}')):
        answer, text = ask(server, method, path, headers, body)
        assert answer.status == 403, (method, path, text)
        assert 'allowed-hosts' in json.loads(text)['message']
    assert 'forged' not in server.get('/apis/v2beta1/experiments').text
    assert server.get('/api/v1/namespaces/default/configmaps/forged').status == 404
    assert server.get(f'/apis/v2beta1/runs/{run}').json['storage_state'] == 'AVAILABLE'


def test_its_own_pages_and_programs_may(server):
    own = server.url
    name = iter(range(100))
    for headers in ({}, {'Origin': own}, {'Origin': own, 'Sec-Fetch-Site': 'same-origin'}, {'Sec-Fetch-Site': 'none'}):
        body = json.dumps({'display_name': f'own-{next(name)}-{len(headers)}'}).encode()
        answer, text = ask(server, 'POST', '/apis/v2beta1/experiments', headers, body)
        assert answer.status == 200, text
    # What others' pages may send they cannot read: there is no header that lets them.
    answer, _ = ask(server, 'GET', '/apis/v2beta1/experiments', {'Origin': 'http://evil.example'})
    assert answer.status == 200 and answer.getheader('Access-Control-Allow-Origin') is None
    assert answer.getheader('Cross-Origin-Resource-Policy') == 'same-origin'


def test_names_that_are_not_this_server(server, new_server):
    for host in ('evil.example', 'evil.example:8080', '127.0.0.1.evil.example'):
        for path in ('/', '/apis/v2beta1/runs', '/api/v1/namespaces/kubeflow/pods', '/metrics'):
            answer, body = ask(server, 'GET', path, {'Host': host, **PERSON})
            assert answer.status == 403 and 'allowed-hosts' in json.loads(body)['message'], (host, path)
    for host in ('localhost', 'LOCALHOST:1', '127.0.0.1:99', '[::1]:8080'):
        assert ask(server, 'GET', '/apis/v2beta1/runs', {'Host': host})[0].status == 200, host
    own = new_server(['--allowed-hosts', 'penstock.example,other.example'])
    assert ask(own, 'GET', '/', {'Host': 'penstock.example'})[0].status == 200
    assert ask(own, 'GET', '/', {'Host': 'evil.example'})[0].status == 403
    body = b'{"display_name": "from a friend"}'
    friend = {'Origin': 'https://other.example', 'Sec-Fetch-Site': 'cross-site'}
    assert ask(own, 'POST', '/apis/v2beta1/experiments', friend, body)[0].status == 200


def test_objects_are_never_pages_of_the_dashboards_origin(server):
    key = server.s3_key()
    s3 = server.s3(key, url=server.url + '/s3', signature_version='s3v4')
    s3.create_bucket(Bucket='pages')
    s3.put_object(Bucket='pages', Key='evil.html', Body=b'<script>alert(1)</script>', ContentType='text/html')
    url = urllib.parse.urlsplit(s3.generate_presigned_url('get_object', Params={'Bucket': 'pages', 'Key': 'evil.html'}))
    answer, body = ask(server, 'GET', f'{url.path}?{url.query}')
    assert answer.status == 200, body
    policy = answer.getheader('Content-Security-Policy')
    assert policy.startswith('sandbox') and 'allow-same-origin' not in policy
