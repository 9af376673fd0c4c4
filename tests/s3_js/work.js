// What people do with MinIO's JavaScript client: work.js HOST PORT ACCESS_KEY SECRET BUCKET MODULES FOLDER
'use strict';
const assert = require('node:assert');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { Readable } = require('node:stream');

const [host, port, accessKey, secretKey, bucket, modules, folder] = process.argv.slice(2);
const minio = require(path.join(modules, 'minio'));
const client = new minio.Client({ endPoint: host, port: Number(port), useSSL: false, accessKey, secretKey, partSize: 5 * 1024 * 1024 });

async function read(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function collect(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

async function objects() {
  const small = Buffer.from('of a buffer');
  await client.putObject(bucket, 'dir/small', small, small.length, { 'Content-Type': 'text/x-small', 'X-Amz-Meta-Who': 'me' });
  const stat = await client.statObject(bucket, 'dir/small');
  assert.equal(stat.size, small.length);
  assert.equal(stat.etag, crypto.createHash('md5').update(small).digest('hex'));
  assert.equal(stat.metaData['content-type'], 'text/x-small');
  assert.equal(stat.metaData.who, 'me');
  assert.deepEqual(await read(await client.getObject(bucket, 'dir/small')), small);
  assert.deepEqual(await read(await client.getPartialObject(bucket, 'dir/small', 3, 4)), small.subarray(3, 7));
  // A stream of unknown length goes up in parts.
  const large = crypto.randomBytes(12 * 1024 * 1024 + 7);
  const pieces = [];
  for (let at = 0; at < large.length; at += 1 << 20) pieces.push(large.subarray(at, at + (1 << 20)));
  const put = await client.putObject(bucket, 'large ä+%', Readable.from(pieces));
  assert.ok(put.etag.endsWith('-3'), put.etag);
  assert.deepEqual(await read(await client.getObject(bucket, 'large ä+%')), large);
  fs.writeFileSync(path.join(folder, 'up'), large);
  await client.fPutObject(bucket, 'file', path.join(folder, 'up'));
  await client.fGetObject(bucket, 'file', path.join(folder, 'down'));
  assert.deepEqual(fs.readFileSync(path.join(folder, 'down')), large);
  await client.copyObject(bucket, 'copied', `/${bucket}/dir/small`);
  assert.deepEqual(await read(await client.getObject(bucket, 'copied')), small);
  await assert.rejects(client.statObject(bucket, 'missing'), { code: 'NotFound' });
  await assert.rejects(client.getObject(bucket, 'missing'), { code: 'NoSuchKey' });
}

async function lists() {
  const names = ['copied', 'dir/small', 'file', 'large ä+%'];
  assert.deepEqual((await collect(client.listObjectsV2(bucket, '', true))).map((o) => o.name), names);
  assert.deepEqual((await collect(client.listObjects(bucket, '', true))).map((o) => o.name), names);
  const top = await collect(client.listObjectsV2(bucket, '', false));
  assert.deepEqual(top.map((o) => o.prefix || o.name).sort(), ['copied', 'dir/', 'file', 'large ä+%']);
  // An upload that was begun shows itself, and goes.
  await client.initiateNewMultipartUpload(bucket, 'unfinished', {});
  assert.deepEqual((await collect(client.listIncompleteUploads(bucket, '', true))).map((u) => u.key), ['unfinished']);
  await client.removeIncompleteUpload(bucket, 'unfinished');
  assert.deepEqual(await collect(client.listIncompleteUploads(bucket, '', true)), []);
}

async function presigned() {
  let answer = await fetch(await client.presignedPutObject(bucket, 'presigned', 60), { method: 'PUT', body: 'put' });
  assert.equal(answer.status, 200);
  answer = await fetch(await client.presignedGetObject(bucket, 'presigned', 60, { 'response-content-type': 'x/y' }));
  assert.equal(await answer.text(), 'put');
  assert.equal(answer.headers.get('content-type'), 'x/y');
  const policy = client.newPostPolicy();
  policy.setBucket(bucket);
  policy.setKey('posted');
  policy.setExpires(new Date(Date.now() + 60_000));
  policy.setContentLengthRange(1, 100);
  const { postURL, formData } = await client.presignedPostPolicy(policy);
  for (const [length, status] of [[50, 204], [101, 400]]) {
    const form = new FormData();
    for (const [name, value] of Object.entries(formData)) form.append(name, value);
    form.append('file', new Blob(['x'.repeat(length)]), 'name');
    answer = await fetch(postURL, { method: 'POST', body: form });
    assert.equal(answer.status, status, await answer.text());
  }
  assert.equal((await client.statObject(bucket, 'posted')).size, 50);
}

async function configurations() {
  const policy = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { AWS: ['*'] }, Action: ['s3:GetObject'], Resource: [`arn:aws:s3:::${bucket}/dir/*`] }] };
  await client.setBucketPolicy(bucket, JSON.stringify(policy));
  assert.deepEqual(JSON.parse(await client.getBucketPolicy(bucket)), policy);
  assert.equal((await fetch(`http://${host}:${port}/${bucket}/dir/small`)).status, 200);
  assert.equal((await fetch(`http://${host}:${port}/${bucket}/copied`)).status, 403);
  await client.setBucketTagging(bucket, { team: 'a' });
  assert.deepEqual(await client.getBucketTagging(bucket), [{ Key: 'team', Value: 'a' }]);
  await client.setObjectTagging(bucket, 'copied', { k: 'v' });
  assert.deepEqual(await client.getObjectTagging(bucket, 'copied'), [{ Key: 'k', Value: 'v' }]);
  await client.removeObjectTagging(bucket, 'copied');
  const rules = { Rule: [{ ID: 'old', Status: 'Enabled', Filter: { Prefix: 'tmp/' }, Expiration: { Days: 3 } }] };
  await client.setBucketLifecycle(bucket, rules);
  assert.equal([].concat((await client.getBucketLifecycle(bucket)).Rule)[0].ID, 'old');
  await client.setBucketEncryption(bucket, { Rule: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }] });
  const { ServerSideEncryptionConfiguration: sealed } = await client.getBucketEncryption(bucket);
  assert.equal(sealed.Rule.ApplyServerSideEncryptionByDefault.SSEAlgorithm, 'AES256');
  await client.putObject(bucket, 'sealed', 'sealed');
  assert.equal(String(await read(await client.getObject(bucket, 'sealed'))), 'sealed');
}

async function versions() {
  await client.setBucketVersioning(bucket, { Status: 'Enabled' });
  assert.equal((await client.getBucketVersioning(bucket)).Status, 'Enabled');
  const { versionId } = await client.putObject(bucket, 'versioned', 'old');
  await client.putObject(bucket, 'versioned', 'new');
  assert.equal(String(await read(await client.getObject(bucket, 'versioned', { versionId }))), 'old');
  await client.removeObject(bucket, 'versioned');
  await assert.rejects(client.statObject(bucket, 'versioned'), { code: 'NotFound' });
  const all = await collect(client.listObjects(bucket, '', true, { IncludeVersion: true }));
  assert.equal(all.filter((o) => o.name === 'versioned').length, 3);
  await client.removeObjects(bucket, all.map((o) => ({ name: o.name, versionId: o.versionId })));
  assert.deepEqual(await collect(client.listObjects(bucket, '', true, { IncludeVersion: true })), []);
}

async function main() {
  assert.equal(await client.bucketExists(bucket), false);
  await client.makeBucket(bucket);
  assert.equal(await client.bucketExists(bucket), true);
  assert.ok((await client.listBuckets()).some((b) => b.name === bucket));
  await objects();
  await lists();
  await presigned();
  await configurations();
  await versions();
  await client.removeBucket(bucket);
  assert.equal(await client.bucketExists(bucket), false);
}

// Connections that are kept alive would keep the program.
main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
