/**
 * The ears that `fanctl probe` of another host has fand hold: one at a time at each port, whoever asks, and none for a good
 * while after it; what wants the port itself has it. One that could not be opened leaves no descriptor behind.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { raiseFan, showFans } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import { FAN, PYTHON, until } from '../fan-lab.js';

const PORT = 8472;
const OPEN = `
import { closeSync, openSync, readdirSync } from 'node:fs';
import { openEar } from '${REPOSITORY}/dist/src/diagnosis/probe/ear.js';
const address = 0xac1e001c;
const open = () => readdirSync('/proc/self/fd').length;
const attempt = async (spare, port) => {
  const before = open();
  const taken = [];
  try {
    for (;;) taken.push(openSync('/dev/null'));
  } catch {}
  for (let i = 0; i < spare; i++) closeSync(taken.pop());
  const ear = await openEar(address, port, () => undefined).catch(() => undefined);
  for (const fd of taken) closeSync(fd);
  if (ear) return ear.close() ?? 'opened';
  return open() - before;
};
for (const port of [0, ${PORT}]) {
  (await openEar(address, port, () => undefined)).close();
  const found = [];
  for (let spare = 0; spare < 12; spare++) found.push(await attempt(spare, port));
  console.log(JSON.stringify(found));
}
process.exit();
`;

let lab: Lab;
let one: Host;
beforeAll(async () => {
  lab = await createLab({ hosts: 3, containers: 0 });
  one = lab.host(1);
  await raiseFan(one, FAN);
});
afterAll(() => lab?.remove());

/** What fand of host 1 says to another host that asks it to hear at a port, 0 for protocol 4. One that hands over may miss it. */
async function hears(from: Host, port: number): Promise<boolean> {
  const request = { ufan: 1, id: 'x', ask: 'hear', overlay: '250.0.0.0/8', nonce: '0123456789abcdef', port };
  const script = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("${from.address}", 8326)); s.settimeout(3)
question = sys.stdin.buffer.read()
for _ in range(4):
    s.sendto(question, ("${one.address}", 8326))
    try: answer = s.recv(65536); break
    except TimeoutError: pass
sys.stdout.write(answer.decode())`;
  const input = JSON.stringify(request).padEnd(1024);
  return (JSON.parse((await from.exec([PYTHON, '-c', script], { input })).stdout) as { hears: boolean })
    .hears;
}

const held = async (): Promise<boolean> =>
  (await one.exec(['ss', '-lnuH', `sport = :${PORT}`])).stdout.trim() !== '';

it('one that could not be opened whole leaves nothing open', async () => {
  const script = 'ulimit -n 64; exec "$@"';
  const { stdout } = await lab
    .host(2)
    .exec(['sh', '-c', script, 'sh', process.execPath, '--input-type=module', '-'], {
      input: OPEN.replace('0xac1e001c', '0xac1e001b'),
    });
  const rows = stdout
    .trim()
    .split('\n')
    .map((row) => JSON.parse(row) as (number | string)[]);
  for (const row of rows) expect(new Set(row)).toEqual(new Set([0, 'opened']));
  expect(rows).toHaveLength(2);
});

it('there is one for all who ask, and then none', async () => {
  expect(await hears(lab.host(2), PORT)).toBe(true);
  expect(await held()).toBe(true);
  expect(await hears(lab.host(3), PORT)).toBe(false);
  await until(held, (is) => !is);
  expect([await hears(lab.host(2), PORT), await hears(lab.host(3), PORT)]).toEqual([false, false]);
  expect(await held()).toBe(false);
});

it('`up` of a fan that wants the port closes it', async () => {
  await one.fanctl(['restart']);
  expect(await hears(lab.host(3), PORT)).toBe(true);
  expect(await held()).toBe(true);
  // And in between nobody gets another one.
  const asking = { isOver: false };
  const asked = (async () => {
    while (!asking.isOver) await hears(lab.host(3), PORT);
  })();
  await one.fanctl(['up', '251.0.0.0/8', 'eth0/16', 'vxlan']);
  asking.isOver = true;
  await asked.catch(() => undefined);
  expect((await showFans(one)).map(({ state }) => state)).toEqual(['up', 'up']);
});
