/**
 * The demonstrations as a user runs them: every step ticked, exit code 0, nothing left behind.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { listLabs } from '../../../bench/lab/cleanup.js';
import { RunningCommand, run } from '../../../bench/lab/command.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';

const DEMO = join(REPOSITORY, 'dist/bench/demo/demo.js');

async function demonstrate(...args: string[]): Promise<string> {
  const demo = new RunningCommand([process.execPath, DEMO, ...args]);
  const { stdout } = await demo.finish({ timeoutMs: 100_000 });
  expect(stdout).toContain('the fan works');
  expect(stdout).not.toContain('✗');
  expect([...listLabs().values()]).not.toContain(demo.pid);
  return stdout;
}

it('shows the fan with namespaces for containers', async () => {
  const stdout = await demonstrate();
  expect(stdout).toContain('proto IPIP (4)');
  expect(stdout).toContain('172.30.0.28 > 172.30.0.27: IP');
  expect(stdout).toMatch(/container to container, the fan +\d/);
});

it('shows the fan over VXLAN', async () => {
  const stdout = await demonstrate('--vxlan');
  expect(stdout).toContain('fanctl up 250.0.0.0/8 eth0/16 vxlan');
  expect(stdout).toMatch(
    /172\.30\.0\.28\.\d+ > 172\.30\.0\.27\.8472: VXLAN, flags \[I\] \(0x08\), vni 16384000/,
  );
  expect(stdout).toMatch(/container to container, the fan +\d/);
});

it('shows the fan with real Docker', async (context) => {
  const found = (process.env.PATH ?? '').split(':').some((dir) => existsSync(join(dir, 'dockerd')));
  if (!found) context.skip('dockerd is not installed (scripts/setup installs docker.io)');
  expect(await demonstrate('--docker')).toMatch(/bits\/sec +receiver/);
});

it('says which option it does not know', async () => {
  await expect(run([process.execPath, DEMO, '--dcoker'])).rejects.toThrow(/unknown option --dcoker/);
});
