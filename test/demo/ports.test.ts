// Ports for servers to come: nobody is given one that somebody else was given
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { accepts, freePort } from '../../src/demo/ports.ts';

test('no port is given twice, not even to processes that ask at the same time', async () => {
  const script = `
    import { freePort } from ${JSON.stringify(import.meta.resolve('../../src/demo/ports.ts'))};
    const ports = [];
    while (ports.length < 200) ports.push(await freePort());
    console.log(JSON.stringify(ports));
    process.stdin.resume();
  `;
  const ask = () => {
    const child = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
    const listed = once(child.child.stdout ?? assert.fail(), 'data');
    return { child, ports: listed.then(([json]) => JSON.parse(String(json)) as number[]) };
  };
  const asked = [ask(), ask()];
  const ports = (await Promise.all(asked.map(one => one.ports))).flat();
  for (const { child } of asked) child.child.stdin?.end();
  await Promise.all(asked.map(one => one.child));
  assert.equal(ports.length, 400);
  assert.equal(new Set(ports).size, 400);
});

test('accepts says whether somebody listens', async () => {
  const port = await freePort();
  assert.equal(await accepts(port), false);
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  assert.equal(await accepts(port), true);
  server.close();
});
