/**
 * The lab itself: names that don't clash, profiles that are really set, and nothing left whatever its end.
 * Its owner's end by a signal is tried on a process of its own, which needs the built files (scripts/setup).
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { LABS_DIR, removeLab, sweepDeadLabs } from '../../../bench/lab/cleanup.js';
import { RunningCommand, run } from '../../../bench/lab/command.js';
import { useCongestionControl } from '../../../bench/lab/congestion-control.js';
import { createLab, type Lab, type LabOptions, openLab } from '../../../bench/lab/lab.js';
import { ping } from '../../../bench/lab/ping.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import { PYTHON } from '../fan-lab.js';

const labs: Lab[] = [];

async function lab(options: LabOptions = {}): Promise<Lab> {
  const made = await createLab(options);
  labs.push(made);
  return made;
}

/** Namespaces and directories of a lab. */
function remains(name: string): string[] {
  return [...readdirSync('/run/netns'), ...readdirSync(LABS_DIR)].filter((entry) => entry.startsWith(name));
}

/** A process that holds a lab with a process in it, and has printed the lab's name. */
async function holder(): Promise<{ owner: RunningCommand; name: string }> {
  const module = join(REPOSITORY, 'dist/bench/lab/lab.js');
  const code = `
    const { createLab } = await import(${JSON.stringify(module)});
    const lab = await createLab({ hosts: 1 });
    lab.host(1).spawn(['sleep', '600']);
    console.log('lab ' + lab.name);
    setInterval(() => {}, 1000);`;
  const owner = new RunningCommand([process.execPath, '--input-type=module', '-e', code]);
  await owner.prints(/lab \S+\n/);
  return { owner, name: /lab (\S+)/.exec(owner.stdout)?.[1] ?? '' };
}

afterEach(() => {
  for (const made of labs.splice(0)) made.remove();
});

describe('a lab', () => {
  it('lets its hosts reach each other, and has the addresses asked for', async () => {
    const made = await lab({
      hosts: 3,
      underlays: ['10.1.0.5/20', '10.1.0.6/20', '10.1.15.9/20'],
      containers: 2,
    });
    expect(made.host(3).address).toBe('10.1.15.9');
    expect(await ping(made.host(1), '10.1.15.9', { count: 1 })).toMatchObject({ sent: 1, received: 1 });
    const { stdout } = await made.host(2).container(2).exec(['ip', '-br', 'link', 'show', 'eth0']);
    expect(stdout).toContain('eth0');
  });

  it('has names, directories and addresses apart from another one', async () => {
    const [one, other] = await Promise.all([lab(), lab()]);
    expect(one.name).not.toBe(other.name);
    expect(one.host(1).env).not.toEqual(other.host(1).env);
    expect(one.host(1).underlay).toBe(other.host(1).underlay);
  });

  it('is found again by its directory', async () => {
    const made = await lab({ containers: 2, mtu: 1400 });
    expect(openLab(made.dir)).toEqual(made);
  });

  it.each([
    ['nic-like', 'off', 'on'],
    ['offload', 'on', 'off'],
  ] as const)('of profile %s has tso and gso %s, gro %s, at both ends', async (profile, sends, merges) => {
    const made = await lab({ profile });
    for (const [where, device] of [
      [made.host(1), 'eth0'],
      [made.wire, 'h1'],
    ] as const) {
      const { stdout } = await where.exec(['ethtool', '-k', device]);
      expect(stdout).toMatch(new RegExp(`^tcp-segmentation-offload: ${sends}$`, 'm'));
      expect(stdout).toMatch(new RegExp(`^generic-segmentation-offload: ${sends}$`, 'm'));
      expect(stdout).toMatch(new RegExp(`^generic-receive-offload: ${merges}$`, 'm'));
    }
  });

  it('has the MTU asked for on every part of the underlay', async () => {
    const made = await lab({ mtu: 9000 });
    expect(await ping(made.host(1), made.host(2).address, { count: 1, size: 8972, df: true })).toMatchObject({
      received: 1,
    });
  });

  it.each([
    ['nic-like', 'in 60 frames', (frames: number) => frames >= 60],
    ['offload', 'uncut', (frames: number) => frames < 10],
  ] as const)('sends a burst of 60 datagrams %s %s', async (profile, _, isSo) => {
    const { hosts } = await lab({ hosts: 2, containers: 0, profile });
    const [one, two] = [hosts[0]!, hosts[1]!];
    // Neither is what ARP needs counted.
    await ping(one, two.address, { count: 1 });
    const sent = async () =>
      Number((await one.exec(['cat', '/sys/class/net/eth0/statistics/tx_packets'])).stdout);
    const before = await sent();
    await one.exec([PYTHON, join(REPOSITORY, 'test/lab/udp-bursts.py'), two.address, '1000', '1']);
    expect(isSo((await sent()) - before)).toBe(true);
  });

  it.each(['cubic', 'reno'])(
    'begins TCP connections with the congestion control asked for: %s',
    async (control) => {
      const made = await lab({ hosts: 1, containers: 2 });
      const [host, ...ends] = [made.host(1), made.host(1).container(1), made.host(1).container(2)] as const;
      await host.ip('link add br0 type bridge', 'address add 10.9.0.1/24 dev br0', 'link set br0 up');
      for (const end of ends) {
        const address = `10.9.0.${1 + end.index}/24`;
        await end.attach({ bridge: 'br0', address, gateway: '10.9.0.1', mtu: 1500 });
        await useCongestionControl(end, control);
      }
      const code = `
import socket, sys
listener = socket.create_server(("10.9.0.3", 9), reuse_port=True) if sys.argv[1] == "serve" else None
print("ready", flush=True)
end = listener.accept()[0] if listener else socket.create_connection(("10.9.0.3", 9))
print(end.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\\0").decode(), flush=True)
end.recv(1) if listener else None`;
      const server = ends[1].spawn([PYTHON, '-c', code, 'serve']);
      await server.prints(/ready/);
      const client = await ends[0].exec([PYTHON, '-c', code, 'call']);
      expect([client.stdout, (await server.finish()).stdout]).toEqual(Array(2).fill(`ready\n${control}\n`));
    },
  );

  it('says of a command that failed what ran, how it ended and what it wrote', async () => {
    const made = await lab({ hosts: 1 });
    await expect(made.host(1).exec(['ip', 'link', 'set', 'nowhere', 'up'])).rejects.toThrow(
      /ip link set nowhere up: exit 1\n {2}Cannot find device "nowhere"/,
    );
    // The shell is killed; what it started holds its output open.
    await expect(made.host(1).exec(['sh', '-c', 'sleep 600 | cat'], { timeoutMs: 500 })).rejects.toThrow(
      'still running after 0.5 s',
    );
  });
});

describe('the end of a lab', () => {
  it('takes processes, namespaces and directory along', async () => {
    const made = await lab();
    const sleeper = made.host(1).spawn(['sleep', '600']);
    const stubborn = made.host(2).container(1).spawn(['sh', '-c', 'sleep 600 & echo ready; wait']);
    await stubborn.prints(/ready/);
    made.remove();
    expect((await sleeper.ended).code).toBe(143);
    expect((await stubborn.ended).code).toBe(143);
    expect(remains(made.name)).toEqual([]);
  });

  it('comes when it cannot be built', async () => {
    const error: Error = await createLab({ hosts: 2, underlays: ['nowhere'] }).then(
      () => new Error('it was built'),
      (reason) => reason,
    );
    const [name = 'none'] = /ufan-\d+-\w{6}/.exec(error.message) ?? [];
    expect(error.message).toContain(`ip -n ${name}-h1 -batch`);
    expect(remains(name)).toEqual([]);
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('comes with its owner, by %s', async (signal) => {
    const { owner, name } = await holder();
    expect(remains(name).length).toBeGreaterThan(1);
    await owner.stop(signal);
    expect(remains(name)).toEqual([]);
  });

  it('comes by the next lab where its owner was killed', async () => {
    const { owner, name } = await holder();
    expect(remains(name).length).toBeGreaterThan(1);
    await owner.stop('SIGKILL');
    sweepDeadLabs();
    // A lab of another file that begins now may have been first.
    await expect.poll(() => remains(name)).toEqual([]);
  });
});

describe("a kept lab's programs", () => {
  it('bring up fans over VXLAN where it says so', async () => {
    const command = join(REPOSITORY, 'dist/bench/lab/lab-command.js');
    const { stdout } = await run([process.execPath, command, '--vxlan']);
    const name = /^lab (\S+):/m.exec(stdout)?.[1] ?? '';
    try {
      const lines = stdout.split('\n').map((line) => line.trim());
      const commands = lines.filter((line) => / fanctl up |\/attach | ping /.test(line));
      expect(commands).toHaveLength(4);
      for (const line of commands.map((text) => text.replace(/ +#.*/, ''))) await run(['sh', '-c', line]);
      const shown = await run(['sh', '-c', commands[0]!.replace(/ up .*/, ' show')]);
      expect(shown.stdout).toMatch(/type vxlan/);
      expect(stdout).toContain('tcpdump -T vxlan -ni eth0 udp port 8472');
    } finally {
      removeLab(name);
    }
  });

  it('work on its hosts, and refuse to change the machine from its shell', async () => {
    const command = join(REPOSITORY, 'dist/bench/lab/lab-command.js');
    const { stdout } = await run([process.execPath, command, '--hosts', '1']);
    const name = /^lab (\S+):/m.exec(stdout)?.[1] ?? '';
    const bin = join(LABS_DIR, name, 'bin');
    try {
      for (const program of ['fanctl', 'fanatic', 'fand']) {
        const refused = await run([join(bin, program), 'up', '-a'], { anyExit: true });
        expect(refused).toMatchObject({ code: 1, stdout: '' });
        expect(refused.stderr).toBe(
          `${program}: this shell is on the machine itself, not on a host of the lab: say h1 ${program} up -a\n`,
        );
        const inside = await run([join(bin, 'h1'), program, '--help']);
        expect(inside.stdout).toContain(program);
      }
      expect((await run([join(bin, 'c1'), 'fanctl', 'show'], { anyExit: true })).stderr).toContain('say h1');
    } finally {
      removeLab(name);
    }
  });
});
