/** `fanctl doctor` of a fan over VXLAN whose UDP port, or VNI, somebody else on the host has too. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FAN, FanLab, PYTHON } from '../fan-lab.js';
import { diagnose } from './doctor-lab.js';

/** Shares the port with fand, as a program of the same user can that says so. */
const SHARE = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind(('172.30.0.28', 8472))
print('bound', flush=True)
sys.stdin.read()
`;

describe.each(['raw', 'bpf'])('a fan over VXLAN, io %s', (io) => {
  let net: FanLab;
  beforeAll(async () => {
    net = await FanLab.open({ hosts: 1 }, [...FAN, 'no-heal', 'vxlan', 'io', io]);
  });
  afterAll(() => net?.remove());
  const found = async () => {
    const { results } = await diagnose(net.host(1));
    return results.find(({ check }) => check === 'udp-port-shared');
  };

  it('has port and VNI alone', async () => {
    expect(await found()).toMatchObject({
      status: 'ok',
      evidence: 'nobody else has udp port 8472, or vni 16384000',
    });
  });

  it('shares the port with a program, which is named', async (context) => {
    if (io !== 'raw') context.skip("with io bpf the kernel's device has the port, which no program shares");
    const program = net.host(1).spawn([PYTHON, '-c', SHARE], { openInput: true });
    await program.prints(/bound/);
    expect(await found()).toMatchObject({
      status: 'fail',
      evidence: expect.stringMatching(/^python3\S* \(pid \d+\) receives by udp port 8472 too$/),
    });
    await program.stop();
    expect(await found()).toMatchObject({ status: 'ok' });
  });

  it('is warned of a VXLAN device of the kernel with its VNI', async () => {
    const theirs = 'link add theirs type vxlan id 16384000 dev eth0 dstport';
    await net.host(1).ip(`${theirs} 4789`);
    expect(await found()).toMatchObject({ status: 'ok' });
    await net.host(1).ip('link del theirs', `${theirs} 8472`);
    expect(await found()).toMatchObject({
      status: 'warn',
      evidence: expect.stringContaining("theirs, a VXLAN device of the kernel, has the fan's vni 16384000"),
    });
    await net.host(1).ip('link del theirs');
  });
});
