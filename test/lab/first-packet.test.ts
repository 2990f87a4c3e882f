/**
 * The first packet after something was set up gets through: what the kernel drops in that moment, it doesn't count.
 */
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { createLab } from '../../bench/lab/lab.js';
import { REPOSITORY } from '../../bench/lab/repository.js';

const FIRST_PACKET = join(REPOSITORY, 'test/lab/first-packet.mjs');
/** Without the wait a quarter of the packets is lost. */
const ROUNDS = 40;

it('comes out of a TUN that was just attached to', async () => {
  const lab = await createLab({ hosts: 1, containers: 0 });
  onTestFinished(() => lab.remove());
  const { stdout } = await lab.host(1).exec([process.execPath, FIRST_PACKET, String(ROUNDS)]);
  expect(Number(stdout)).toBe(ROUNDS);
});
