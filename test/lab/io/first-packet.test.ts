/**
 * The first packet after something was set up gets through: what the kernel drops in that moment, it doesn't count.
 */
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { createLab } from '../../../bench/lab/lab.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';

const FIRST_PACKET = join(REPOSITORY, 'test/lab/io/first-packet.mjs');
const ACTIVE_DEVICE = join(REPOSITORY, 'dist/src/io/netlink/active-device.js');
/** Without the wait a quarter of the packets is lost. */
const ROUNDS = 40;

it('comes out of a TUN that was just attached to', async () => {
  const lab = await createLab({ hosts: 1, containers: 0 });
  onTestFinished(() => lab.remove());
  const { stdout } = await lab.host(1).exec([process.execPath, FIRST_PACKET, String(ROUNDS)]);
  expect(Number(stdout)).toBe(ROUNDS);
});

it('is not promised by a device that stays down', async () => {
  const lab = await createLab({ hosts: 1, containers: 0 });
  onTestFinished(() => lab.remove());
  await lab.host(1).ip('tuntap add dev down0 mode tun');
  const script = `import { awaitActive } from '${ACTIVE_DEVICE}';
    await awaitActive('down0').catch(({ code, message }) => console.log(code, message));`;
  const { stdout } = await lab.host(1).exec([process.execPath, '--input-type=module', '-e', script]);
  expect(stdout).toBe('step-failed down0 is set up and attached to, but passes no packets\n');
});
