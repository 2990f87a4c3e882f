/**
 * A probe's ICMP by npm's raw-socket and by our own sockets: the same replies and errors, round trips of the same size;
 * and a raw-socket that this Node can't load costs no probe.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import { inCopy } from '../packaging/copy-of-machine.js';

const DRIVER = new URL('icmp-driver.mjs', import.meta.url).pathname;
let lab: Lab;

interface Told {
  times: number[];
  nobody: number | null;
  notices: { type: number; code: number; reporter: string }[];
}

async function drive(kind: string): Promise<Told> {
  const { address } = lab.host(1);
  const peer = lab.host(2).address;
  const { stdout } = await lab.host(1).exec([process.execPath, DRIVER, REPOSITORY, kind, address, peer]);
  return JSON.parse(stdout) as Told;
}

beforeAll(async () => {
  lab = await createLab({ containers: 0 });
});
afterAll(() => lab?.remove());

describe.each(['library', 'native'])("a probe's ICMP by the %s", (kind) => {
  it('has replies, errors, and nothing where nobody answers', async () => {
    const { times, nobody, notices } = await drive(kind);
    expect(times.every((ms) => ms > 0 && ms < 1000)).toBe(true);
    expect(nobody).toBeNull();
    expect(notices).toContainEqual({ type: 3, code: 3, reporter: lab.host(2).address });
  });
});

describe('where raw-socket was built for another Node', () => {
  it('the transport is ours', async () => {
    const { stdout, stderr } = await inCopy(`
      cd /first
      for addon in $(find node_modules/raw-socket -name '*.node'); do echo other >"$addon"; done
      node -e "import('/first/dist/src/diagnosis/probe/icmp-transport.js').then(async (module) => {
        const transport = await module.openTransport();
        console.log(transport.constructor.name);
        transport.close();
      })"`);
    expect({ stdout, stderr }).toEqual({ stdout: 'NativeTransport\n', stderr: '' });
  });
});
