/**
 * `fanctl doctor` on hosts with nothing wrong: no failure and no warning. Among them what looks wrong at first: Docker's
 * FORWARD DROP with the fan's rules in it, ports that are larger than what DHCP told their containers.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { buildImage, DockerHost, IMAGE, onBridge, upperHalf } from '../../../bench/lab/docker-host.js';
import { attachContainers, raiseFan, showFans } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping, UNANSWERED } from '../../../bench/lab/ping.js';
import { FANCTL } from '../../../bench/lab/repository.js';
import { FAN, until } from '../fan-lab.js';
import { diagnose, failures, named, troubles } from './doctor-lab.js';

let lab: Lab | undefined;
const dockers: DockerHost[] = [];

afterEach(async () => {
  await Promise.all(dockers.splice(0).map((docker) => docker.stop()));
  lab?.remove();
  lab = undefined;
});

async function openLab(hosts = 2): Promise<Lab> {
  lab = await createLab({ hosts });
  // What br_netfilter does to a bridge under a firewall has a test of its own.
  for (const host of lab.hosts) await setBridgeNetfilter(host, 0);
  return lab;
}

function setBridgeNetfilter(host: Host, value: 0 | 1): Promise<unknown> {
  const file = '/proc/sys/net/bridge/bridge-nf-call-iptables';
  return host.exec(['sh', '-c', `[ ! -e ${file} ] || echo ${value} > ${file}`]);
}

function raiseAll(hosts: readonly Host[], ...flags: string[]): Promise<unknown> {
  return Promise.all(hosts.map((host) => raiseFan(host, [...FAN, ...flags])));
}

/** Once fand has put its accepts into chains that came after it. */
async function expectHealthy(hosts: readonly Host[]): Promise<void> {
  const ask = () => Promise.all(hosts.map(troubles));
  await until(ask, (found) => found.flat().length === 0);
}

/** Each way between the first containers of the two hosts. */
async function expectTraffic({ hosts }: Lab): Promise<void> {
  const [near, far] = [hosts[0]!, hosts[1]!];
  const talk = async (from: Host, to: Host) => {
    const { gateway } = (await showFans(to))[0]!;
    expect(await ping(from.container(1), gateway.replace(/1$/, '2'))).toMatchObject({ received: 3 });
  };
  await Promise.all([talk(near, far), talk(far, near)]);
}

describe('a healthy host', () => {
  it('without a fan', async () => {
    const { hosts } = await openLab(1);
    await expectHealthy(hosts);
    expect((await hosts[0]!.fanctl(['doctor'])).stdout).toMatch(/^\d+ checks, 0 failed, 0 warned\n$/m);
  });

  it.each(['raw', 'packet', 'bpf'])('with io %s, and traffic', async (io) => {
    const { hosts } = await openLab();
    await raiseAll(hosts, 'io', io);
    await expectTraffic(lab!);
    await expectHealthy(hosts);
  });

  it('with several fans', async () => {
    const { hosts } = await openLab();
    for (const host of hosts) {
      await raiseFan(host, FAN);
      await host.fanctl(['up', '99', 'eth0/16']);
      await host.fanctl(['up', '250.128.0.0/9', 'eth0/16', 'bridge', 'half.of.it']);
    }
    await expectTraffic(lab!);
    await expectHealthy(hosts);
  });

  it('with DHCP, where containers were told the MTU and their ports were not', async () => {
    const { hosts } = await openLab();
    for (const host of hosts) {
      const { view } = await raiseFan(host, [...FAN, 'dhcp', 'host-reserve', '3']);
      await attachContainers(host, { ...view, gateway: view.gateway.replace(/1$/, '9') });
      await host.ip('link set c1 mtu 1500');
    }
    await expectHealthy(hosts);
  });

  it('seen by a user who may not ask: exit 2', async () => {
    const { hosts } = await openLab(1);
    await raiseFan(hosts[0]!, FAN);
    const argv = ['setpriv', '--reuid=65534', '--clear-groups', process.execPath, FANCTL, 'doctor', '--json'];
    const { code, stdout } = await hosts[0]!.exec(argv, { anyExit: true });
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject([
      { check: 'unreadable', status: 'warn', evidence: expect.stringMatching(/^not checked: .*root/) },
    ]);
  });

  it('with strict reverse-path filters on every device', async () => {
    const { hosts } = await openLab();
    for (const host of hosts) {
      await host.sysctl('net/ipv4/conf/all/rp_filter', 1);
      await raiseFan(host, FAN);
    }
    await expectTraffic(lab!);
    await expectHealthy(hosts);
  });

  it('with a firewall that knows the fan: ufw and firewalld in their shape', async () => {
    const { hosts } = await openLab();
    const [first, second] = [hosts[0]!, hosts[1]!];
    await first.exec(['sh', '-ec', UFW]);
    await second.exec(['nft', FIREWALLD]);
    await raiseAll(hosts);
    await expectTraffic(lab!);
    await expectHealthy(hosts);
  });
});

describe('a firewall that drops protocol 94, which is called ipip and is not', () => {
  it.each([
    'nft add table inet p; nft add chain inet p in "{ type filter hook input priority 0; }"; nft add rule inet p in ip protocol 94 drop',
    'iptables -A INPUT -p 94 -j DROP',
  ])('%s', async (rules) => {
    const { hosts } = await openLab();
    for (const host of hosts) await raiseFan(host, [...FAN, 'io', 'raw']);
    await hosts[1]!.exec(['sh', '-ec', rules]);
    await expectTraffic(lab!);
    await expectHealthy(hosts);
  });
});

describe('a host with Docker', () => {
  it('that was there first and drops what it does not know', async () => {
    const { hosts } = await openLab();
    const host = hosts[0]!;
    dockers.push(await DockerHost.start(host, ['--bridge=none']));
    await raiseAll(hosts);
    await expectTraffic(lab!);
    await expectHealthy(hosts);
  });

  it('whose containers are on the fan', async () => {
    const { hosts, dir } = await openLab();
    const image = await buildImage(dir);
    for (const host of hosts) {
      const { view } = await raiseFan(host, FAN);
      const range = upperHalf(view.slice);
      const docker = await DockerHost.start(host, onBridge({ bridge: view.bridge, range, mtu: view.mtu }));
      dockers.push(docker);
      await docker.docker(['import', image, IMAGE]);
      await docker.runContainer('first');
    }
    await expectTraffic(lab!);
    await expectHealthy(hosts);
  });

  it('that came after the fan and changed nothing for it', async () => {
    const { hosts } = await openLab();
    await raiseAll(hosts);
    dockers.push(await DockerHost.start(hosts[0]!, ['--bridge=none']));
    await expectTraffic(lab!);
    await expectHealthy(hosts);
  });

  it('whose FORWARD DROP came after the fan: forward-drop, which --fix mends', async () => {
    const { hosts } = await openLab();
    await raiseAll(hosts, 'no-heal');
    dockers.push(await DockerHost.start(hosts[0]!, ['--bridge=none']));
    await hosts[0]!.exec(['iptables', '-P', 'FORWARD', 'DROP']);
    expect(await ping(hosts[0]!.container(1), '250.0.27.2', UNANSWERED)).toMatchObject({ received: 0 });
    expect(await failures(hosts[0]!)).toEqual(['forward-drop']);
    const { results, notes } = await diagnose(hosts[0]!, '--fix');
    expect(named(results, 'fail')).toEqual([]);
    expect(notes).toBe('fanctl: note: open the firewall for fan-250-0-28\n');
    await expectTraffic(lab!);
    await expectHealthy(hosts);
  });
});

describe('bridge-netfilter', () => {
  const chain = (name: string, policy = 'accept') =>
    `nft 'add table ${name}; add chain ${name} f { type filter hook forward priority 0; policy ${policy}; }'`;
  it.each([
    ['the policy of iptables', 'iptables -P FORWARD DROP'],
    ['the policy of a chain of nftables', chain('inet fw', 'drop')],
    [
      'a rule behind a jump',
      `${chain('ip fw')}
      nft 'add chain ip fw no; add rule ip fw no iifname "fan-*" reject; add rule ip fw f jump no'`,
    ],
    ['the old iptables', 'iptables-legacy -P FORWARD DROP'],
    [
      'several at once',
      `iptables -P FORWARD DROP; iptables-legacy -P FORWARD DROP
      ${chain('inet fw', 'drop')}`,
    ],
  ])('warns where containers of one host can not reach each other: %s', async (_, rules) => {
    lab = await createLab({ hosts: 1, containers: 2 });
    const host = lab.host(1);
    await setBridgeNetfilter(host, 1);
    await raiseFan(host, FAN);
    const talk = (options = {}) => ping(host.container(1), '250.0.28.3', options);
    expect(await talk()).toMatchObject({ received: 3 });
    await host.exec(['sh', '-ec', rules]);
    await host.fanctl(['doctor', '--fix']);
    expect(await talk(UNANSWERED)).toMatchObject({ received: 0 });
    const [trouble, ...more] = await troubles(host);
    expect(more).toEqual([]);
    expect(trouble).toMatchObject({ check: 'bridge-netfilter', status: 'warn' });
    await host.exec(['sh', '-ec', trouble!.fix]);
    expect(await talk()).toMatchObject({ received: 3 });
    await host.exec(['iptables', '-S']);
    await expectHealthy([host]);
  });
});

const UFW = `
  iptables -P FORWARD DROP; iptables -P INPUT DROP
  for hook in forward input; do
    chain=$(echo $hook | tr a-z A-Z)
    iptables -N ufw-before-$hook; iptables -N ufw-user-$hook
    iptables -A $chain -j ufw-before-$hook
    iptables -A ufw-before-$hook -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    iptables -A ufw-before-$hook -m conntrack --ctstate INVALID -j DROP
    iptables -A ufw-before-$hook -p icmp --icmp-type 8 -j ACCEPT
    iptables -A ufw-before-$hook -j ufw-user-$hook
    iptables -A ufw-user-$hook -p tcp --dport 22 -m limit --limit 6/min -j ACCEPT
  done`;

const FIREWALLD = `table inet firewalld {
  chain filter_FORWARD {
    type filter hook forward priority 10; policy accept;
    ct state { established, related } accept
    ct state vmap { invalid : drop, new : continue }
    jump zones
    reject with icmpx type admin-prohibited
  }
  chain zones { iifname "eth1" goto zone_public; }
  chain zone_public { tcp dport 22 accept; reject; }
  chain filter_INPUT {
    type filter hook input priority 10; policy accept;
    ct state established accept
    iifname "lo" accept
    jump zones
    drop
  }
}`;
