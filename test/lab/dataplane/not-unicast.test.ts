/**
 * A whole packet of the peer's in a frame for all, or for a group: dropped, and counted once, in every io. The same packet
 * in a frame for this host gets in, so nothing else is wrong with it. RFC 1122 §3.3.6.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { raiseFan } from '../../../bench/lab/fan.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import { packet, tunnelled } from '../../unit/dataplane/packets.js';
import { FAN, growth, PYTHON, readCounters, readQuietStats, until } from '../fan-lab.js';

const SEND = join(REPOSITORY, 'test/lab/send-frames.py');
const NOT_UNICAST = 'drop-outer-not-unicast-packets';
const OUTER = tunnelled('172.30.0.27', '172.30.0.28', packet('250.0.27.2', '250.0.28.2'));
const SENDER = '020000000001';

describe.each(['raw', 'packet', 'bpf'])('with io %s', (io) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ hosts: 2, containers: 1 });
    await raiseFan(lab.host(1), [...FAN, '--io', io]);
  });
  afterAll(() => lab.remove());

  it('only the frame for this host gets in', async () => {
    const victim = lab.host(1);
    const { stdout } = await victim.exec(['cat', '/sys/class/net/eth0/address']);
    const own = stdout.trim().replaceAll(':', '');
    const send = (target: string) =>
      lab.host(2).exec([PYTHON, SEND, 'eth0', `${target}${SENDER}0800${Buffer.from(OUTER).toString('hex')}`]);
    const before = await readCounters(victim);
    for (const target of ['ffffffffffff', '01005e000001', own]) await send(target);
    const grown = async () => growth(before, await readCounters(victim));
    await until(grown, (seen) => seen[NOT_UNICAST] === 2 && seen['decap-tx-packets'] === 1);
    await readQuietStats(victim);
    const seen = await grown();
    const drops = Object.entries(seen).filter(([name]) => name.startsWith('drop-'));
    expect(drops).toEqual([[NOT_UNICAST, 2]]);
    expect(seen).toMatchObject({ 'decap-rx-packets': 1, 'decap-tx-packets': 1 });
  });
});
