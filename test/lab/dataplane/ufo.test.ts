/**
 * UDP that a device hands over merged as fragments (UFO): a packet socket has no word for it, and what the kernel can not
 * hand over to us is counted; a raw socket gets it.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningCommand } from '../../../bench/lab/command.js';
import { raiseFan } from '../../../bench/lab/fan.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import { PYTHON, readStats, until } from '../fan-lab.js';

const TAP = join(REPOSITORY, 'test/lab/ufo-tap.py');
const LOST = 'drop-receive-failed-packets';

describe.each(['raw', 'packet', 'bpf'])('with io %s', (io) => {
  let lab: Lab;
  let tap: RunningCommand;
  beforeAll(async () => {
    lab = await createLab({ hosts: 1 });
    const host = lab.host(1);
    tap = host.spawn([PYTHON, TAP, 'vnic', '172.31.0.27', '172.31.0.28', '251.0.27.2', '251.0.28.2'], {
      openInput: true,
    });
    await tap.prints(/ready/);
    await host.ip('link set vnic up', 'address add 172.31.0.28/16 dev vnic');
    await raiseFan(host, ['251.0.0.0/8', 'vnic/16', '--io', io]);
  });
  afterAll(async () => {
    await tap?.stop();
    lab?.remove();
  });

  it('is counted where it can not be received', async () => {
    tap.say('\n\n');
    // Delivered, each is three on the wire.
    const wanted = io === 'raw' ? { lost: 0, delivered: 6 } : { lost: 2, delivered: 0 };
    const ask = async () => {
      const { host, fans } = await readStats(lab.host(1));
      return { lost: host.counters[LOST], delivered: fans[0]!.counters['decap-tx-packets']! };
    };
    expect(await until(ask, ({ lost, delivered }) => lost! + delivered >= 2)).toEqual(wanted);
  });
});
