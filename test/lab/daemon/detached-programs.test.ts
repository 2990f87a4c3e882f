/**
 * Programs of a fan in the kernel that another process detaches: put back, and where the fan was told no-heal the fan is
 * degraded until doctor --fix. Packets pass all the while but over VXLAN.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { containerAddress, raiseFan } from '../../../bench/lab/fan.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import { FandClient } from '../../../src/control/client.js';
import { type FanView, runPaths } from '../../../src/control/protocol.js';
import { FAN, fandPid, PYTHON, until } from '../fan-lab.js';

const DETACH = join(REPOSITORY, 'test/lab/detach-links.py');

describe.each([
  ['bpf', 'ipip', 'encap, decap, bridge exit', 'no-heal'],
  ['bpf', 'vxlan', 'encap, decap, witness, direct decap, bridge exit', 'no-heal'],
  ['packet', 'ipip', 'GSO shim', 'no-heal'],
  ['bpf', 'ipip', 'encap, decap, bridge exit', ''],
])('with io %s over %s', (io, type, programs, flag) => {
  /** What comes in by its VXLAN device then is nobody's until the program is back. */
  const isVxlan = type === 'vxlan';
  let lab: Lab;
  let target: string;
  beforeAll(async () => {
    lab = await createLab({ hosts: 2 });
    for (const host of lab.hosts) {
      const { view } = await raiseFan(host, [...FAN, type, '--io', io, ...(flag ? [flag] : [])]);
      target = containerAddress(view, 1);
    }
  });
  afterAll(() => lab?.remove());

  const view = async (): Promise<FanView> => (await new FandClient(runPaths(lab.host(1).dir)).fans())[0]!;
  const links = async (): Promise<string[]> => {
    const { stdout } = await lab
      .host(1)
      .exec(['sh', '-c', `cat /proc/${fandPid(lab.host(1))}/fdinfo/*`], { anyExit: true });
    return [...stdout.matchAll(/^link_id:\s*(\d+)/gm)].map((found) => found[1]!);
  };
  const ping = () => lab.host(1).container(1).exec(['ping', '-c', '3', '-i', '0.2', '-W', '5', target]);

  it(`${flag || 'heal'}: ${programs} detached is seen, and put back`, async () => {
    const before = await links();
    const { stdout } = await lab.host(1).exec([PYTHON, DETACH, `${fandPid(lab.host(1))}`]);
    expect(Number(stdout)).toBe(before.length);
    if (!isVxlan) await ping();
    if (flag) {
      const degraded = await until(view, ({ health }) => health.length > 0);
      expect(degraded.health.map(({ check }) => check)).toEqual(['programs-detached']);
      for (const program of programs.split(', ')) expect(degraded.detached).toContain(program);
      await lab.host(1).fanctl(['doctor', '--fix'], { anyExit: true });
    }
    await until(links, (now) => now.length === before.length && !now.some((id) => before.includes(id)));
    const well = await until(view, ({ health, detached }) => health.length === 0 && detached === undefined);
    expect([well.state, well.io]).toEqual(['up', io]);
    await ping();
  });
});
