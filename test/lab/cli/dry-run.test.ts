/**
 * `--dry-run` of up and down: it changes nothing, and a shell that runs what it prints does to the host what the command
 * itself does.
 */
import { existsSync, readdirSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CommandError, run } from '../../../bench/lab/command.js';
import { raiseFan } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { killFand, until } from '../fan-lab.js';

const FAN = ['250.0.0.0/8', 'eth0/16', 'dhcp', 'host-reserve', '3'];
const ENDS = FAN.slice(0, 2);

let lab: Lab;
let host: Host;
beforeAll(async () => {
  lab = await createLab({ hosts: 1, containers: 1 });
  host = lab.host(1);
});
afterEach(async () => {
  await host.fanctl(['down', '-e', '--force']);
});
afterAll(() => lab.remove());

/** What steps set up; not what fand attaches, nor what the kernel says of a TUN that nobody has open. */
async function picture(): Promise<Record<string, string>> {
  const read = async (...argv: string[]) => (await host.exec(argv)).stdout;
  const links = JSON.parse(await read('ip', '-j', 'link')) as Record<string, unknown>[];
  const shown = links.map(({ ifname, mtu, address, ifalias, txqlen }) => {
    return [ifname, mtu, address, ifalias, txqlen].join(' ');
  });
  const sysctls = "grep -rs '' /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf | sort";
  const dnsmasq =
    "for p in $(ip netns pids $0); do tr '\\0' ' ' </proc/$p/cmdline; echo; done | grep -c ^dnsmasq || true";
  return {
    links: shown.sort().join('\n'),
    addresses: await read(
      'sh',
      '-c',
      'ip -br -4 address | sed -E "s/ (UP|DOWN|UNKNOWN) //; s/ +/ /g" | sort',
    ),
    routes: (await read('ip', '-4', 'route')).replaceAll(' linkdown', ''),
    nft: (await read('nft', '-s', 'list', 'ruleset')).replace(/packets \d+ bytes \d+/g, ''),
    sysctls: await read('sh', '-c', sysctls),
    dnsmasq: (await run(['sh', '-c', dnsmasq, host.name])).stdout,
  };
}

/** Everything that a dry run must leave alone. */
const untouched = async () => ({
  ...(await picture()),
  run: readdirSync(host.dir).sort().join(' '),
  state: existsSync(`${host.dir}-state`) ? readdirSync(`${host.dir}-state`).join(' ') : '',
  processes: (await run(['ip', 'netns', 'pids', host.name])).stdout,
});

async function refused(args: string[]): Promise<string> {
  const error = await host.fanctl(args).then(
    () => undefined,
    (failed: unknown) => failed,
  );
  if (!(error instanceof CommandError)) throw new Error(`fanctl ${args.join(' ')} succeeded`);
  return error.output.stderr;
}

describe('up --dry-run', () => {
  it.each([
    ['on a plain host', []],
    ['beside a firewall that drops', ['iptables -P FORWARD DROP', 'iptables -P INPUT DROP']],
  ])('changes nothing, and prints what up does: %s', async (_, arrange) => {
    for (const command of arrange) await host.exec(command.split(' '));
    try {
      const before = await untouched();
      const { stdout, stderr } = await host.fanctl(['up', ...FAN, '--dry-run']);
      expect(await untouched()).toEqual(before);
      expect(stderr).toBe('fanctl: note: a fand is started, which forwards for it\n');
      expect(stdout).toMatch(/^# turn on IPv4 forwarding \(net\.ipv4\.ip_forward\)$/m);
      expect(stdout).toMatch(
        /^# route 250\.0\.0\.0\/8 to tun-250-0-28\nip -4 route prepend 250\.0\.0\.0\/8 dev /m,
      );
      await host.fanctl(['up', ...FAN]);
      const byCommand = await picture();
      await host.fanctl(['down', ...ENDS]);
      await host.exec(['sh', '-e', '-c', stdout]);
      expect(await picture()).toEqual(byCommand);
      // Takes over what is there.
      await host.fanctl(['up', ...FAN]);
    } finally {
      for (const command of arrange) await host.exec(command.replace('DROP', 'ACCEPT').split(' '));
      await host.fanctl(['down', '-e', '--force']);
      await host.sysctl('net/ipv4/ip_forward', 0);
    }
  });

  it('says so where the fan is up, and refuses what up refuses', async () => {
    expect(await refused(['up', '250', 'nosuch', '--dry-run'])).toMatch(/no device nosuch/);
    expect(await refused(['up', '172.0.0.0/8', 'eth0', '--dry-run'])).toMatch(/overlap/);
    expect(existsSync(`${host.dir}/fand.sock`)).toBe(false);
    await host.fanctl(['up', ...FAN]);
    expect(await host.fanctl(['up', ...FAN, '--dry-run'])).toMatchObject({
      stdout: '',
      stderr: 'fanctl: note: fan-250-0-28 is up already, with these flags\n',
    });
    expect(await refused(['up', ...ENDS, '--dry-run'])).toMatch(
      /already configured .* it has dhcp, host-reserve 3 and/,
    );
    const json = JSON.parse((await host.fanctl(['up', '99', 'eth0', '--dry-run', '--json'])).stdout);
    expect(json).toMatchObject({
      bridges: ['fan-99-0-28'],
      steps: expect.arrayContaining([
        {
          what: 'route 99.0.0.0/8 to tun-99-0-28',
          commands: ['ip -4 route prepend 99.0.0.0/8 dev tun-99-0-28 src 99.0.28.1 proto 250'],
        },
      ]),
    });
  });
});

describe('down --dry-run', () => {
  it('changes nothing, and prints what down does', async () => {
    const before = await picture();
    await host.fanctl(['up', ...FAN, 'no-heal']);
    // At first fand looks at what has come, by programs that are gone soon.
    let up = await untouched();
    await until(
      async () => {
        const before = up;
        up = await untouched();
        return isDeepStrictEqual(up, before);
      },
      (isSettled) => isSettled,
    );
    const { stdout, stderr } = await host.fanctl(['down', ...ENDS, '--dry-run']);
    await expect.poll(untouched).toEqual(up);
    expect(stderr).toMatch(/^fanctl: note: fand \(pid \d+\) leaves\n$/);
    expect(stdout).toMatch(/^# set up bridge fan-250-0-28\nip link delete dev fan-250-0-28$/m);
    await killFand(host);
    await host.exec(['sh', '-e', '-c', stdout]);
    expect(await picture()).toEqual(before);
  });

  it('refuses what down refuses, and takes every form', async () => {
    expect(await refused(['down', ...ENDS, '--dry-run'])).toBe(
      'fanctl: 250.0.0.0/8 on eth0/16 is not configured\n',
    );
    expect((await host.fanctl(['down', '-e', '--dry-run'])).stdout).toBe('');
    await raiseFan(host, FAN);
    expect(await refused(['down', '-e', '--dry-run'])).toMatch(/is in use by c1 /);
    const { stdout } = await host.fanctl(['down', '-e', '--force', '--dry-run', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ bridges: ['fan-250-0-28'] });
    expect(stdout).not.toContain('.leases');
  });
});
