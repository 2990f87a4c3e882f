/** A fand that is short of file descriptors: `down` does nothing at all, `show` still knows the fan, and later it goes whole. */
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { showFans } from '../../../bench/lab/fan.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { fandPid } from '../fan-lab.js';

const FAN = ['250.0.0.0/8', 'eth0/16'];
/** For the request itself, and for what fand looks at by itself meanwhile; no step comes to its end with them. */
const SPARE = 40;
const LOOKS = 30;

let lab: Lab;
beforeAll(async () => {
  lab = await createLab({ hosts: 1, containers: 0 });
});
afterAll(() => lab.remove());

it('down is whole or not at all', async () => {
  const host = lab.host(1);
  const left = async () => [
    (await host.exec(['nft', 'list', 'ruleset'])).stdout,
    (await host.exec(['ip', '-4', '-br', 'address'])).stdout,
    (await host.exec(['ip', 'route'])).stdout,
  ];
  const clean = await left();
  await host.fanctl(['up', ...FAN]);
  const up = await left();
  const pid = fandPid(host);
  const limit = (most: number) => host.exec(['prlimit', `--pid=${pid}`, `--nofile=${most}:`]);
  const many = Number(
    (await host.exec(['prlimit', `--pid=${pid}`, '--nofile', '--raw', '--noheadings', '--output=SOFT']))
      .stdout,
  );
  // Those that stay: what fand looks at by itself opens others, and closes them again.
  const open = () => new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let taken = open();
  for (let look = 0; look < LOOKS; look++) {
    await sleep(50);
    const now = open();
    taken = new Set([...taken].filter((fd) => now.has(fd)));
  }
  let few = 0;
  for (let spare = 0; spare < SPARE; few++) spare += taken.has(few) ? 0 : 1;
  await limit(few);
  await expect(host.fanctl(['down', ...FAN])).rejects.toThrow(
    /nothing was changed: \d+ file descriptors are free, .* raise its limit: prlimit --pid \d+ --nofile=/,
  );
  expect(await left()).toEqual(up);
  expect((await showFans(host)).map(({ state }) => state)).toEqual(['up']);
  await limit(many);
  await host.fanctl(['down', ...FAN]);
  expect(await left()).toEqual(clean);
});
