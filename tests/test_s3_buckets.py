"""Buckets through boto3: names, lists, versions, policies, access control lists, locks and the other configurations."""
import datetime
import json
import time
import urllib.error
import urllib.request
import uuid

import pytest

from test_s3_objects import body, bucket, fails, s3  # noqa: F401

UTC = datetime.timezone.utc


def keys_of(answer):
    return [o['Key'] for o in answer.get('Contents', [])], [p['Prefix'] for p in answer.get('CommonPrefixes', [])]


def put(s3, bucket, *keys):
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())


@pytest.mark.parametrize('name', ['ab', 'A-b', 'a_b', '-ab', 'ab-', '192.168.5.4', 'a..b', 'a.-b', 'x' * 64, 'a b'])
def test_bad_names(server, name):
    s3 = server.s3()
    s3.meta.events.unregister('before-parameter-build.s3', None)
    from botocore.handlers import validate_bucket_name
    s3.meta.events.unregister('before-parameter-build.s3', validate_bucket_name)
    fails(400, 'InvalidBucketName', s3.create_bucket, Bucket=name)


def test_life_of_a_bucket(s3):
    name = f'b-{uuid.uuid4().hex[:12]}'
    fails(404, 'NoSuchBucket', s3.list_objects_v2, Bucket=name)
    fails(404, '404', s3.head_bucket, Bucket=name)
    fails(404, 'NoSuchBucket', s3.put_object, Bucket=name, Key='k', Body=b'')
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={'LocationConstraint': 'eu-west-1'})
    s3.create_bucket(Bucket=name)
    assert s3.get_bucket_location(Bucket=name)['LocationConstraint'] == 'eu-west-1'
    assert s3.head_bucket(Bucket=name)['BucketRegion'] == 'eu-west-1'
    assert name in [b['Name'] for b in s3.list_buckets()['Buckets']]
    put(s3, name, 'k')
    fails(409, 'BucketNotEmpty', s3.delete_bucket, Bucket=name)
    s3.delete_object(Bucket=name, Key='k')
    s3.delete_bucket(Bucket=name)
    fails(404, 'NoSuchBucket', s3.delete_bucket, Bucket=name)


@pytest.mark.parametrize('call', ['list_objects', 'list_objects_v2'])
def test_lists(s3, bucket, call):
    put(s3, bucket, 'bar', 'baz', 'cab', 'foo', 'foo/a', 'foo/b/c', 'quux/x', 'a b', 'ä', '\x0a')
    listing = getattr(s3, call)
    assert keys_of(listing(Bucket=bucket))[0] == ['\x0a', 'a b', 'bar', 'baz', 'cab', 'foo', 'foo/a', 'foo/b/c', 'quux/x', 'ä']
    assert keys_of(listing(Bucket=bucket, Delimiter='/')) == (['\x0a', 'a b', 'bar', 'baz', 'cab', 'foo', 'ä'], ['foo/', 'quux/'])
    assert keys_of(listing(Bucket=bucket, Delimiter='a')) == (['\x0a', 'foo', 'foo/b/c', 'quux/x', 'ä'], ['a', 'ba', 'ca', 'foo/a'])
    assert keys_of(listing(Bucket=bucket, Prefix='foo/', Delimiter='/')) == (['foo/a'], ['foo/b/'])
    assert keys_of(listing(Bucket=bucket, Prefix='nothing')) == ([], [])
    assert keys_of(listing(Bucket=bucket, Delimiter='ä')) == (keys_of(listing(Bucket=bucket))[0][:-1], ['ä'])
    none = listing(Bucket=bucket, MaxKeys=0)
    assert keys_of(none) == ([], []) and not none['IsTruncated']
    assert listing(Bucket=bucket, MaxKeys=5000)['MaxKeys'] == 1000
    fails(400, 'InvalidArgument', listing, Bucket=bucket, MaxKeys=-1)
    pages = list(s3.get_paginator(call).paginate(Bucket=bucket, Delimiter='/', PaginationConfig={'PageSize': 2}))
    assert [len(sum(keys_of(p), [])) for p in pages] == [2, 2, 2, 2, 1]
    assert sum((keys_of(p)[0] for p in pages), []) == ['\x0a', 'a b', 'bar', 'baz', 'cab', 'foo', 'ä']
    owner = listing(Bucket=bucket, **({'FetchOwner': True} if call.endswith('v2') else {}))['Contents'][0]['Owner']
    assert owner['ID'] == s3.list_buckets()['Owner']['ID']


def test_list_positions(s3, bucket):
    put(s3, bucket, 'a', 'b', 'c', 'd')
    page = s3.list_objects(Bucket=bucket, MaxKeys=2)
    assert page['IsTruncated'] and 'NextMarker' not in page and keys_of(page)[0] == ['a', 'b']
    assert keys_of(s3.list_objects(Bucket=bucket, Marker='b'))[0] == ['c', 'd']
    assert keys_of(s3.list_objects(Bucket=bucket, Marker='bb'))[0] == ['c', 'd']
    page = s3.list_objects_v2(Bucket=bucket, MaxKeys=3, StartAfter='a')
    assert page['KeyCount'] == 3 and page['StartAfter'] == 'a' and keys_of(page)[0] == ['b', 'c', 'd']
    fails(400, 'InvalidArgument', s3.list_objects_v2, Bucket=bucket, ContinuationToken='!')


def test_versions(s3, bucket):
    assert 'Status' not in s3.get_bucket_versioning(Bucket=bucket)
    put(s3, bucket, 'old')
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={'Status': 'Enabled'})
    ids = [s3.put_object(Bucket=bucket, Key='k', Body=f'{i}'.encode())['VersionId'] for i in range(3)]
    for i, id_ in enumerate(ids):
        assert body(s3.get_object(Bucket=bucket, Key='k', VersionId=id_)) == f'{i}'.encode()
    listed = s3.list_object_versions(Bucket=bucket)
    assert [(v['Key'], v['VersionId'], v['IsLatest']) for v in listed['Versions']] == [
        ('k', ids[2], True), ('k', ids[1], False), ('k', ids[0], False), ('old', 'null', True)]
    marker = s3.delete_object(Bucket=bucket, Key='k')
    assert marker['DeleteMarker'] and marker['VersionId'] not in ids
    missing = fails(404, 'NoSuchKey', s3.get_object, Bucket=bucket, Key='k')
    assert missing['ResponseMetadata']['HTTPHeaders']['x-amz-delete-marker'] == 'true'
    fails(405, 'MethodNotAllowed', s3.get_object, Bucket=bucket, Key='k', VersionId=marker['VersionId'])
    fails(404, 'NoSuchVersion', s3.get_object, Bucket=bucket, Key='k', VersionId='nothing')
    s3.copy_object(Bucket=bucket, Key='back', CopySource={'Bucket': bucket, 'Key': 'k', 'VersionId': ids[0]})
    assert body(s3.get_object(Bucket=bucket, Key='back')) == b'0'
    assert s3.delete_object(Bucket=bucket, Key='k', VersionId=marker['VersionId'])['DeleteMarker']
    assert body(s3.get_object(Bucket=bucket, Key='k')) == b'2'
    s3.delete_object(Bucket=bucket, Key='k', VersionId=ids[2])
    assert body(s3.get_object(Bucket=bucket, Key='k')) == b'1'
    pages = s3.get_paginator('list_object_versions').paginate(Bucket=bucket, PaginationConfig={'PageSize': 1})
    assert [v['Key'] for p in pages for v in p.get('Versions', [])] == ['back', 'k', 'k', 'old']


def test_suspended_versions(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={'Status': 'Enabled'})
    first = s3.put_object(Bucket=bucket, Key='k', Body=b'1')['VersionId']
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={'Status': 'Suspended'})
    assert 'VersionId' not in s3.put_object(Bucket=bucket, Key='k', Body=b'2')
    assert 'VersionId' not in s3.put_object(Bucket=bucket, Key='k', Body=b'3')
    assert [v['VersionId'] for v in s3.list_object_versions(Bucket=bucket)['Versions']] == ['null', first]
    assert s3.delete_object(Bucket=bucket, Key='k')['VersionId'] == 'null'
    assert [v['VersionId'] for v in s3.list_object_versions(Bucket=bucket)['Versions']] == [first]
    s3.delete_objects(Bucket=bucket, Delete={'Objects': [{'Key': 'k', 'VersionId': v} for v in ['null', first]]})
    s3.delete_bucket(Bucket=bucket)


def test_policies(server, s3, bucket):
    put(s3, bucket, 'public/a', 'private')
    nobody = server.s3(key=False)
    fails(404, 'NoSuchBucketPolicy', s3.get_bucket_policy, Bucket=bucket)
    statement = {'Effect': 'Allow', 'Principal': '*', 'Action': ['s3:GetObject', 's3:ListBucket'],
                 'Resource': [f'arn:aws:s3:::{bucket}', f'arn:aws:s3:::{bucket}/public/*']}
    policy = json.dumps({'Version': '2012-10-17', 'Statement': [statement]})
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert s3.get_bucket_policy(Bucket=bucket)['Policy'] == policy
    assert s3.get_bucket_policy_status(Bucket=bucket)['PolicyStatus']['IsPublic']
    assert body(nobody.get_object(Bucket=bucket, Key='public/a')) == b'public/a'
    fails(403, 'AccessDenied', nobody.get_object, Bucket=bucket, Key='private')
    fails(404, 'NoSuchKey', nobody.get_object, Bucket=bucket, Key='public/missing')
    assert keys_of(nobody.list_objects(Bucket=bucket))[0] == ['private', 'public/a']
    deny = {**statement, 'Effect': 'Deny', 'Action': 's3:PutObject', 'Resource': f'arn:aws:s3:::{bucket}/*',
            'Condition': {'StringNotEquals': {'s3:x-amz-acl': 'public-read'}}}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({'Version': '2012-10-17', 'Statement': [deny]}))
    fails(403, 'AccessDenied', s3.put_object, Bucket=bucket, Key='k', Body=b'')
    s3.put_object(Bucket=bucket, Key='k', Body=b'', ACL='public-read')
    s3.delete_bucket_policy(Bucket=bucket)
    fails(400, 'MalformedPolicy', s3.put_bucket_policy, Bucket=bucket, Policy='{}')
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={'BlockPublicPolicy': True, 'BlockPublicAcls': True})
    fails(403, 'AccessDenied', s3.put_bucket_policy, Bucket=bucket, Policy=policy)
    fails(403, 'AccessDenied', s3.put_object, Bucket=bucket, Key='k', Body=b'', ACL='public-read')
    fails(403, 'AccessDenied', s3.put_bucket_acl, Bucket=bucket, ACL='public-read')


KEYS = """
keys:
- access_key: ALICE
  secret_key: alice-secret
  account: {id: alice-id, name: Alice, email: alice@example.org}
- access_key: BOB
  secret_key: bob-secret
  account: {id: bob-id, name: Bob, email: bob@example.org}
- access_key: TEAM
  secret_key: team-secret
  scopes:
  - {bucket: mlpipeline, prefix: private-artifacts/team/}
- access_key: READER
  secret_key: reader-secret
  scopes:
  - {bucket: "*", access: read}
"""


@pytest.fixture
def accounts(new_server, tmp_path):
    (tmp_path / 'keys.yaml').write_text(KEYS)
    one = new_server(['--s3-keys', str(tmp_path / 'keys.yaml')])
    return one, one.s3(key=('ALICE', 'alice-secret')), one.s3(key=('BOB', 'bob-secret'))


def test_accounts(accounts):
    _, alice, bob = accounts
    alice.create_bucket(Bucket='alices')
    put(alice, 'alices', 'k')
    fails(409, 'BucketAlreadyExists', bob.create_bucket, Bucket='alices')
    for call in [bob.list_objects_v2, bob.get_bucket_acl, bob.delete_bucket, bob.get_bucket_policy]:
        fails(403, 'AccessDenied', call, Bucket='alices')
    fails(403, 'AccessDenied', bob.get_object, Bucket='alices', Key='k')
    fails(403, 'AccessDenied', bob.put_object, Bucket='alices', Key='k', Body=b'')
    assert [b['Name'] for b in bob.list_buckets()['Buckets']] == []
    acl = alice.get_bucket_acl(Bucket='alices')
    assert acl['Owner'] == {'ID': 'alice-id', 'DisplayName': 'Alice'}
    assert [g['Permission'] for g in acl['Grants']] == ['FULL_CONTROL']
    grant = {'Grantee': {'Type': 'CanonicalUser', 'ID': 'bob-id'}, 'Permission': 'WRITE'}
    alice.put_bucket_acl(Bucket='alices', AccessControlPolicy={'Owner': acl['Owner'], 'Grants': acl['Grants'] + [grant]})
    put(bob, 'alices', 'of-bob')
    fails(403, 'AccessDenied', alice.get_object, Bucket='alices', Key='of-bob')
    bob.put_object(Bucket='alices', Key='of-bob', Body=b'x', ACL='bucket-owner-full-control')
    assert body(alice.get_object(Bucket='alices', Key='of-bob')) == b'x'
    fails(403, 'AccessDenied', bob.list_objects, Bucket='alices')
    alice.put_object_acl(Bucket='alices', Key='k', GrantRead='emailAddress=bob@example.org')
    assert body(bob.get_object(Bucket='alices', Key='k')) == b'k'
    fails(400, 'UnresolvableGrantByEmailAddress', alice.put_object_acl, Bucket='alices', Key='k', GrantRead='emailAddress=no@one')
    alice.put_bucket_policy(Bucket='alices', Policy=json.dumps({'Version': '2012-10-17', 'Statement': [{
        'Effect': 'Allow', 'Principal': {'AWS': 'arn:aws:iam::bob-id:root'}, 'Action': 's3:ListBucket',
        'Resource': 'arn:aws:s3:::alices', 'Condition': {'StringEquals': {'s3:prefix': 'of-'}}}]}))
    fails(403, 'AccessDenied', bob.list_objects, Bucket='alices')
    assert keys_of(bob.list_objects(Bucket='alices', Prefix='of-'))[0] == ['of-bob']


def test_scopes(accounts):
    server = accounts[0]
    root, team, reader = server.s3(), server.s3(key=('TEAM', 'team-secret')), server.s3(key=('READER', 'reader-secret'))
    put(root, 'mlpipeline', 'private-artifacts/other/k')
    put(team, 'mlpipeline', 'private-artifacts/team/k')
    assert keys_of(team.list_objects(Bucket='mlpipeline', Prefix='private-artifacts/team/'))[0] == ['private-artifacts/team/k']
    fails(403, 'AccessDenied', team.list_objects, Bucket='mlpipeline')
    team.head_bucket(Bucket='mlpipeline')
    assert [b['Name'] for b in team.list_buckets()['Buckets']] == ['mlpipeline']
    fails(403, 'AccessDenied', team.list_objects, Bucket='mlpipeline', Prefix='private-artifacts/')
    fails(403, 'AccessDenied', team.get_object, Bucket='mlpipeline', Key='private-artifacts/other/k')
    fails(403, 'AccessDenied', team.put_object, Bucket='mlpipeline', Key='k', Body=b'')
    fails(403, 'AccessDenied', team.create_bucket, Bucket='another')
    fails(403, 'AccessDenied', team.copy_object, Bucket='mlpipeline', Key='private-artifacts/team/c',
          CopySource='mlpipeline/private-artifacts/other/k')
    assert body(reader.get_object(Bucket='mlpipeline', Key='private-artifacts/team/k'))
    fails(403, 'AccessDenied', reader.delete_object, Bucket='mlpipeline', Key='private-artifacts/team/k')


def test_object_lock(s3):
    name = f'b-{uuid.uuid4().hex[:12]}'
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    assert s3.get_bucket_versioning(Bucket=name)['Status'] == 'Enabled'
    fails(409, 'InvalidBucketState', s3.put_bucket_versioning, Bucket=name, VersioningConfiguration={'Status': 'Suspended'})
    rule = {'ObjectLockEnabled': 'Enabled', 'Rule': {'DefaultRetention': {'Mode': 'GOVERNANCE', 'Days': 1}}}
    s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=rule)
    assert s3.get_object_lock_configuration(Bucket=name)['ObjectLockConfiguration'] == rule
    version = s3.put_object(Bucket=name, Key='k', Body=b'x')['VersionId']
    assert s3.get_object_retention(Bucket=name, Key='k')['Retention']['Mode'] == 'GOVERNANCE'
    fails(403, 'AccessDenied', s3.delete_object, Bucket=name, Key='k', VersionId=version)
    s3.put_object_legal_hold(Bucket=name, Key='k', LegalHold={'Status': 'ON'})
    fails(403, 'AccessDenied', s3.delete_object, Bucket=name, Key='k', VersionId=version, BypassGovernanceRetention=True)
    assert s3.head_object(Bucket=name, Key='k')['ObjectLockLegalHoldStatus'] == 'ON'
    s3.put_object_legal_hold(Bucket=name, Key='k', LegalHold={'Status': 'OFF'})
    later = datetime.datetime.now(UTC) + datetime.timedelta(days=3)
    s3.put_object_retention(Bucket=name, Key='k', Retention={'Mode': 'GOVERNANCE', 'RetainUntilDate': later})
    sooner = {'Mode': 'GOVERNANCE', 'RetainUntilDate': datetime.datetime.now(UTC) + datetime.timedelta(days=1)}
    fails(403, 'AccessDenied', s3.put_object_retention, Bucket=name, Key='k', Retention=sooner)
    s3.put_object_retention(Bucket=name, Key='k', Retention=sooner, BypassGovernanceRetention=True)
    assert s3.delete_object(Bucket=name, Key='k')['DeleteMarker']
    s3.delete_object(Bucket=name, Key='k', VersionId=version, BypassGovernanceRetention=True)
    plain = f'b-{uuid.uuid4().hex[:12]}'
    s3.create_bucket(Bucket=plain)
    put(s3, plain, 'k')
    fails(404, 'ObjectLockConfigurationNotFoundError', s3.get_object_lock_configuration, Bucket=plain)
    fails(400, 'InvalidRequest', s3.get_object_retention, Bucket=plain, Key='k')
    fails(409, 'InvalidBucketState', s3.put_object_lock_configuration, Bucket=plain, ObjectLockConfiguration=rule)


def test_cors(server, s3, bucket):
    fails(404, 'NoSuchCORSConfiguration', s3.get_bucket_cors, Bucket=bucket)
    rules = [{'AllowedMethods': ['GET', 'PUT'], 'AllowedOrigins': ['http://*.example.org'], 'AllowedHeaders': ['x-amz-*'],
              'ExposeHeaders': ['ETag'], 'MaxAgeSeconds': 60}]
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={'CORSRules': rules})
    assert s3.get_bucket_cors(Bucket=bucket)['CORSRules'] == rules
    s3.put_object(Bucket=bucket, Key='k', Body=b'x', ACL='public-read')

    def ask(method, **headers):
        request = urllib.request.Request(f'{server.s3_url}/{bucket}/k', method=method,
                                         headers={k.replace('_', '-'): v for k, v in headers.items()})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.headers
    status, headers = ask('GET', Origin='http://a.example.org')
    assert status == 200 and headers['Access-Control-Allow-Origin'] == 'http://a.example.org'
    assert headers['Access-Control-Expose-Headers'] == 'ETag'
    assert ask('GET', Origin='http://other.org')[1]['Access-Control-Allow-Origin'] is None
    preflight = dict(Origin='http://a.example.org', Access_Control_Request_Method='PUT')
    status, headers = ask('OPTIONS', **preflight, Access_Control_Request_Headers='x-amz-meta-a')
    assert status == 200 and headers['Access-Control-Allow-Methods'] == 'GET, PUT'
    assert ask('OPTIONS', **preflight, Access_Control_Request_Headers='x-other')[0] == 403
    assert ask('OPTIONS', Origin='http://a.example.org', Access_Control_Request_Method='DELETE')[0] == 403
    assert ask('OPTIONS')[0] == 400
    s3.delete_bucket_cors(Bucket=bucket)
    assert ask('OPTIONS', **preflight)[0] == 403


def test_lifecycle(s3, bucket):
    fails(404, 'NoSuchLifecycleConfiguration', s3.get_bucket_lifecycle_configuration, Bucket=bucket)
    rules = [{'ID': 'one', 'Filter': {'Prefix': 'tmp/'}, 'Status': 'Enabled', 'Expiration': {'Days': 1}},
             {'ID': 'two', 'Filter': {'And': {'Prefix': 'a/', 'Tags': [{'Key': 'x', 'Value': 'y'}]}}, 'Status': 'Disabled',
              'NoncurrentVersionExpiration': {'NoncurrentDays': 3, 'NewerNoncurrentVersions': 2},
              'AbortIncompleteMultipartUpload': {'DaysAfterInitiation': 7}}]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={'Rules': rules})
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)['Rules'] == rules
    put(s3, bucket, 'tmp/k', 'other')
    assert 'rule-id="one"' in s3.head_object(Bucket=bucket, Key='tmp/k')['Expiration']
    assert 'Expiration' not in s3.head_object(Bucket=bucket, Key='other')
    for bad in [{'Days': 0}, {'Date': datetime.datetime(2030, 1, 1, 5, tzinfo=UTC)}]:
        fails(400, 'InvalidArgument', s3.put_bucket_lifecycle_configuration, Bucket=bucket, LifecycleConfiguration={
            'Rules': [{'ID': 'x', 'Filter': {'Prefix': ''}, 'Status': 'Enabled', 'Expiration': bad}]})
    s3.delete_bucket_lifecycle(Bucket=bucket)


def test_other_configurations(s3, bucket):
    fails(404, 'NoSuchTagSet', s3.get_bucket_tagging, Bucket=bucket)
    s3.put_bucket_tagging(Bucket=bucket, Tagging={'TagSet': [{'Key': 'a', 'Value': 'b'}]})
    assert s3.get_bucket_tagging(Bucket=bucket)['TagSet'] == [{'Key': 'a', 'Value': 'b'}]
    s3.delete_bucket_tagging(Bucket=bucket)
    fails(404, 'NoSuchTagSet', s3.get_bucket_tagging, Bucket=bucket)
    fails(404, 'ServerSideEncryptionConfigurationNotFoundError', s3.get_bucket_encryption, Bucket=bucket)
    fails(404, 'NoSuchWebsiteConfiguration', s3.get_bucket_website, Bucket=bucket)
    fails(404, 'OwnershipControlsNotFoundError', s3.get_bucket_ownership_controls, Bucket=bucket)
    s3.put_bucket_acl(Bucket=bucket, ACL='public-read')
    enforced = {'Rules': [{'ObjectOwnership': 'BucketOwnerEnforced'}]}
    fails(400, 'InvalidBucketAclWithObjectOwnership', s3.put_bucket_ownership_controls, Bucket=bucket, OwnershipControls=enforced)
    s3.put_bucket_acl(Bucket=bucket, ACL='private')
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={'Rules': [{'ObjectOwnership': 'BucketOwnerEnforced'}]})
    fails(400, 'AccessControlListNotSupported', s3.put_object, Bucket=bucket, Key='k', Body=b'', ACL='public-read')
    assert 'LoggingEnabled' not in s3.get_bucket_logging(Bucket=bucket)
    fails(403, 'AccessDenied', s3.list_objects_v2, Bucket=bucket, ExpectedBucketOwner='0' * 12)
    assert s3.get_bucket_request_payment(Bucket=bucket)['Payer'] == 'BucketOwner'
