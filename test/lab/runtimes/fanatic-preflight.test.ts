/**
 * What a machine lacks, fanatic says in one line before it touches anything: on hosts from which the program, the device or
 * the right was really taken, and in real containers of users of their own. What a fan can do without, it says and goes on.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { GuidedHost } from './guided-host.js';

const ENABLE = 'fanatic enable-fan 250 eth0';
/** /usr/sbin without one of its programs. */
const HIDE =
  'mount --bind /usr/sbin $D && mount -t tmpfs none /usr/sbin && ln -s $D/* /usr/sbin/ && rm /usr/sbin/';
/** A container with a network of its own, whose underlay is eth0. */
const UNDERLAY =
  'ip link add eth0 type veth && ip address add 172.30.0.28/16 dev eth0 && ip link set eth0 up && ip link set veth0 up';
const UNPRIVILEGED = 'lxc-usernsexec -m u:0:0:65536 -m g:0:0:65536 --';
const WITHOUT_BPF = 'setpriv --bounding-set=-bpf,-perfmon,-sys_admin --inh-caps=-bpf,-perfmon,-sys_admin';
/** Refuses bpf(2), whatever the caller may do, as the seccomp profile of a container engine does. */
const REFUSE_BPF = `/usr/bin/python3 -c "
import ctypes, os, platform, struct, sys
number = {'x86_64': 321, 'aarch64': 280}[platform.machine()]
rules = b''.join(struct.pack('HBBI', *rule) for rule in [(0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, 0x50001), (6, 0, 0, 0x7fff0000)])
buffer = ctypes.create_string_buffer(rules)
program = struct.pack('HxxxxxxP', 4, ctypes.addressof(buffer))
assert ctypes.CDLL(None).prctl(22, 2, program, 0, 0) == 0
os.execvp(sys.argv[1], sys.argv[1:])"`;

let lab: Lab;
let guided: GuidedHost;

beforeAll(async () => {
  lab = await createLab({ hosts: 1, containers: 0 });
  guided = new GuidedHost(lab.host(1));
  mkdirSync(`${lab.dir}/sbin`);
});

afterAll(() => lab?.remove());

const state = async (): Promise<string> =>
  `${await guided.does('ip -o link; ip route; nft list ruleset; sysctl net.ipv4.ip_forward')}
${existsSync(`${lab.host(1).dir}/fan.conf`)} ${existsSync(`${lab.host(1).dir}/fand.pid`)}`;

describe('refused, and nothing is changed', () => {
  it.each([
    [
      `unshare -m sh -c '${HIDE}nft && ${ENABLE}'`,
      /^this host lacks: the program nft \(apt-get install nftables\)$/,
    ],
    [
      `unshare -m sh -c '${HIDE}dnsmasq && ${ENABLE}'`,
      /^this host lacks: the program dnsmasq \(apt-get install dnsmasq-base\)$/,
    ],
    [
      `unshare -m sh -c 'mount -t tmpfs none /dev/net && ${ENABLE}'`,
      /^this host lacks: \/dev\/net\/tun \(ENOENT: .*\): modprobe tun, or give it to the container$/,
    ],
    // Root there has every right, but none over a network that is not its own.
    [
      `${UNPRIVILEGED} ${ENABLE}`,
      /^this container, which is unprivileged, lacks: nftables \(nft list tables: Operation not permitted .*\)$/,
    ],
    [
      `unshare -Urn sh -c '${UNDERLAY} && ${ENABLE}'`,
      /^this container, which is unprivileged, lacks: a user beside root, for dnsmasq: give the container a range of them$/,
    ],
    [
      `setpriv --bounding-set=-net_raw --inh-caps=-net_raw ${ENABLE}`,
      /^this host lacks: CAP_NET_ADMIN and CAP_NET_RAW$/,
    ],
  ])('%s', async (line, lack) => {
    const before = await state();
    const { code, stdout, stderr } = await guided.shell(line, { env: { D: `${lab.dir}/sbin` } });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    const [, said] = /^fanatic: a fan can't be set up, (.*)\n$/.exec(stderr) ?? [undefined, stderr];
    expect(said).toMatch(lack);
    expect(await state()).toBe(before);
  });
});

describe('done without, and said', () => {
  const SLOWER = 'fand takes every packet itself, which is slower (io raw, or packet)';

  it('BPF, for lack of a capability', async () => {
    const { stderr } = await guided.shell(`${WITHOUT_BPF} ${ENABLE}`);
    expect(stderr).toBe(`fanatic: note: no BPF without CAP_BPF: ${SLOWER}\n`);
    await guided.does('fanatic disable-fan 250 eth0');
  });

  it('BPF, which the system call refuses', async () => {
    const { stderr } = await guided.shell(`${REFUSE_BPF} ${ENABLE}`);
    expect(stderr).toBe(`fanatic: note: no BPF (BPF_PROG_LOAD: Operation not permitted): ${SLOWER}\n`);
    expect(await guided.does('fanctl show --json')).toMatch(/"io": "(packet|raw)"/);
    await guided.does('fanatic disable-fan 250 eth0');
  });

  it('in an unprivileged container', async () => {
    const tries = `${UNDERLAY} && ${ENABLE} && fanctl show --json && fanatic disable-fan 250 eth0`;
    const { code, stdout, stderr } = await guided.shell(`${UNPRIVILEGED} unshare -nm sh -c '${tries}'`, {
      env: { UFAN_RUN_DIR: `${lab.dir}/contained`, UFAN_CONFIG: `${lab.dir}/contained.conf` },
    });
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: `fanatic: note: no BPF in an unprivileged container: ${SLOWER}\n`,
    });
    expect(stdout).toContain('"state": "up"');
  });
});
