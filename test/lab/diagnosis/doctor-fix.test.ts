/**
 * `fanctl doctor --fix` where more than a setting is amiss: a dead daemon, a dead fan, dnsmasq gone; and `down` after all
 * that.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { raiseFan } from '../../../bench/lab/fan.js';
import { ping, UNANSWERED } from '../../../bench/lab/ping.js';
import { FAN, FanLab, fandPid, killFand } from '../fan-lab.js';
import { relaysOf } from '../relays-of.js';
import { diagnose, failures, named } from './doctor-lab.js';

const BRIDGE = 'fan-250-0-28';
const TUN = 'tun-250-0-28';

let net: FanLab;

beforeAll(async () => {
  net = await FanLab.open({}, [...FAN, 'no-heal']);
});

afterAll(() => net?.remove());

const broken = () => net.host(1);
const sh = (script: string) => broken().exec(['sh', '-ec', script]);

describe('doctor and its --fix', () => {
  it('fand-dead: the daemon hangs', async () => {
    const pid = fandPid(broken());
    process.kill(pid, 'SIGSTOP');
    try {
      const { results } = await diagnose(broken());
      const [found, ...more] = results.filter(({ status }) => status === 'fail');
      expect(more).toEqual([]);
      expect(found).toMatchObject({
        check: 'fand-dead',
        evidence: expect.stringContaining('does not answer'),
      });
      expect(found?.fix).toContain(`kill -9 $(cat ${broken().dir}/fand.pid)`);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  async function expectMended(name: string, ...others: string[]): Promise<void> {
    const { code, results } = await diagnose(broken());
    expect(code).toBe(1);
    expect(named(results, 'fail')).toEqual([name, ...others]);
    const mended = await diagnose(broken(), '--fix');
    expect(mended.notes).toMatch(/^fanctl: note: brought 250\.0\.0\.0\/8 on eth0\/16 up again/);
    expect(named(mended.results, 'fail')).toEqual([]);
    expect(mended.code).toBe(0);
    expect(await ping(net.container(1), net.address(2))).toMatchObject({ received: 3 });
  }

  it('fand-dead: the daemon was killed, and the firewall flushed meanwhile', async () => {
    await killFand(broken());
    await sh('nft flush ruleset; sysctl -qw net.ipv4.ip_forward=0');
    await expectMended('fand-dead', 'ip-forward-off', 'nat-rules-missing', 'guard-missing');
  });

  it('fan-dead: the TUN was removed', async () => {
    await sh(`ip link del ${TUN}`);
    await expect.poll(async () => (await broken().fanctl(['show'])).stdout).toMatch(/ dead$/m);
    await expectMended('fan-dead');
  });

  it('relay-broken: an end is down, or the filter is gone', async () => {
    await broken().fanctl(['up', '99', 'eth0/16', '--io', 'raw', 'no-heal']);
    const [relay] = await relaysOf(broken());
    for (const harm of [
      `ip link set ${relay!.name}-out down`,
      `tc qdisc del dev ${relay!.name}-out clsact`,
    ]) {
      await sh(harm);
      expect(await failures(broken())).toEqual(['relay-broken']);
      expect(await failures(broken(), '--fix')).toEqual([]);
    }
    await broken().fanctl(['down', '99', 'eth0/16', '--force']);
  });

  it('dhcp-dead: dnsmasq was killed', async () => {
    await broken().fanctl(['down', '-e', '--force']);
    await raiseFan(broken(), [...FAN, 'no-heal', 'dhcp']);
    const pid = Number(readFileSync(join(broken().dir, `dnsmasq-${BRIDGE}.pid`), 'utf8'));
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => failures(broken())).toEqual(['dhcp-dead']);
    expect(await failures(broken(), '--fix')).toEqual([]);
  });

  it('dhcp-blocked: INPUT drops what it does not know', async () => {
    await sh('iptables -P INPUT DROP; iptables -A INPUT -s 172.30.0.0/16 -j ACCEPT');
    expect(await failures(broken())).toEqual(['dhcp-blocked']);
    expect(await failures(broken(), '--fix')).toEqual([]);
    await sh('nft delete table ip filter');
  });

  it('forward-drop: a firewall that came after up, and was loaded anew', async () => {
    for (const firewall of ['iptables -P FORWARD DROP', 'nft flush chain ip filter FORWARD']) {
      await sh(firewall);
      expect(await ping(net.container(1), net.address(2), { ...UNANSWERED, count: 1 })).toMatchObject({
        received: 0,
      });
      expect(await failures(broken())).toEqual(['forward-drop']);
      expect(await failures(broken(), '--fix')).toEqual([]);
      expect(await ping(net.container(1), net.address(2))).toMatchObject({ received: 3 });
    }
  });

  it('down leaves nothing of what --fix did', async () => {
    await broken().fanctl(['down', '-e', '--force']);
    const { stdout } = await sh('iptables -S FORWARD; nft delete table ip filter; nft list ruleset');
    expect(stdout).toBe('-P FORWARD DROP\n');
    expect((await sh('ip -o link')).stdout).not.toMatch(/ (fan|tun)-/);
    expect(await diagnose(broken())).toMatchObject({ code: 0 });
  });
});
