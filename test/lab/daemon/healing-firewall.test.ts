/**
 * What others do to the host's firewall and filters while a TCP connection and a ping go on: a real dockerd that comes, and
 * is started anew; iptables-restore of rules that know nothing of the fan; a strict reverse-path filter where the way back
 * is another. Each is healed, and it is printed how long no ping was answered.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RunningCommand } from '../../../bench/lab/command.js';
import { DockerHost } from '../../../bench/lab/docker-host.js';
import { listens } from '../../../bench/lab/transfer.js';
import { FandClient } from '../../../src/control/client.js';
import { type FanView, runPaths } from '../../../src/control/protocol.js';
import { FAN, FanLab, until } from '../fan-lab.js';

const PORT = 9400;
const PING_MS = 20;
/** What healing may take: two seconds from the kernel's notice; the old iptables gives none. */
const [WITHIN_MS, UNTOLD_MS] = [10_000, 25_000];
const NO_RULES = (policy: string): string =>
  `*filter\\n:INPUT ACCEPT [0:0]\\n:FORWARD ${policy} [0:0]\\n:OUTPUT ACCEPT [0:0]\\nCOMMIT\\n`;
let net: FanLab;
let docker: DockerHost | undefined;
let pings: RunningCommand;
let stream: { sender: RunningCommand; listener: RunningCommand; files: string[]; end: string };
const times: string[] = [];

const host = () => net.host(1);
const sh = (script: string) => host().exec(['sh', '-ec', script]);
const view = async (): Promise<FanView> => (await new FandClient(runPaths(host().dir)).fans())[0]!;

beforeAll(async () => {
  // With io bpf, decap comes before the filter.
  net = await FanLab.open({}, [...FAN, 'io', 'raw']);
  const file = (name: string) => join(net.lab.dir, name);
  const [sent, received, end] = [file('sent'), file('received'), file('end')];
  const listener = net.container(2).spawn(['sh', '-c', `exec nc -n -l ${PORT} > "$0"`, received]);
  await listens(net.container(2), PORT);
  const send = `while [ ! -e "$2" ]; do head -c 65536 /dev/urandom | tee -a "$3"; sleep 0.05; done | nc -n -N "$0" "$1"`;
  const sender = net.container(1).spawn(['sh', '-c', send, net.address(2), `${PORT}`, end, sent]);
  stream = { sender, listener, files: [sent, received], end };
  pings = net.container(1).spawn(['ping', '-n', '-D', '-i', `${PING_MS / 1000}`, net.address(2)]);
  await pings.prints(/time=/);
});

afterAll(async () => {
  console.log(
    ['event                                        longest without an answer', ...times].join('\n'),
  );
  await pings?.stop('SIGINT');
  await docker?.stop();
  net?.remove();
});

/** When answers came, ms of the clock. */
const answers = (): number[] =>
  [...pings.stdout.matchAll(/^\[(\d+\.\d+)\] .* time=/gm)].map((found) => Number(found[1]) * 1000);

/** Does it, and waits until pings are answered as before and nothing is amiss. */
async function survive(event: string, act: () => Promise<unknown>, withinMs = WITHIN_MS): Promise<void> {
  const from = Date.now();
  await act();
  const after = Date.now();
  await until(
    async () => answers().filter((time) => time > after).length,
    (count) => count > 50,
    withinMs,
  );
  await until(view, ({ state }) => state === 'up', withinMs);
  const seen = answers().filter((time) => time > from - 1000);
  const gap = Math.max(...seen.slice(1).map((time, i) => time - seen[i]!));
  times.push(`${event.padEnd(45)}${gap.toFixed(0).padStart(6)} ms`);
}

/** To the peer by a second device on the same wire, while what it sends comes by eth0 as ever. */
async function takeOtherWay(): Promise<void> {
  const macOf = async (of: number) =>
    (await net.host(of).exec(['cat', '/sys/class/net/eth0/address'])).stdout.trim();
  const [here, there] = [await macOf(1), await macOf(2)];
  await net.host(2).ip(`neigh replace ${host().address} lladdr ${here} nud permanent dev eth0`);
  await net.lab.wire.ip(
    `link add h1b type veth peer name eth1 netns ${host().name}`,
    'link set h1b master underlay up',
  );
  await host().ip(
    'link set eth1 up',
    `neigh replace ${net.host(2).address} lladdr ${there} nud permanent dev eth1`,
    `route add ${net.host(2).address}/32 dev eth1 src ${host().address}`,
  );
}

const startDocker = async (): Promise<void> => {
  docker = await DockerHost.start(host(), ['--bridge=none', '--iptables=true']);
};

it('a dockerd comes, whose FORWARD drops', async () => {
  await survive('dockerd comes, and FORWARD drops', async () => {
    await startDocker();
    await sh('iptables -P FORWARD DROP');
  });
});

it('dockerd is started anew', async () => {
  await survive('dockerd is started anew, and FORWARD drops', async () => {
    await docker!.stop();
    docker = undefined;
    await sh('iptables -F; iptables -P FORWARD ACCEPT');
    await startDocker();
    await sh('iptables -P FORWARD DROP');
  });
});

it.each(['iptables', 'iptables-legacy'])('%s-restore of rules that drop', async (program) => {
  await survive(
    `${program}-restore with FORWARD DROP`,
    () => sh(`printf '${NO_RULES('DROP')}' | ${program}-restore`),
    program === 'iptables' ? WITHIN_MS : UNTOLD_MS,
  );
});

it('a strict reverse-path filter, where the way back is another', async () => {
  await takeOtherWay();
  await survive('rp_filter of eth0 is 1', () => sh('sysctl -qw net.ipv4.conf.eth0.rp_filter=1'));
  expect((await sh('cat /proc/sys/net/ipv4/conf/eth0/rp_filter')).stdout).toBe('2\n');
});

it('not one byte was lost, and down leaves nothing', async () => {
  await host().exec(['touch', stream.end]);
  await stream.sender.finish();
  await stream.listener.finish();
  const { stdout } = await host().exec(['sha256sum', ...stream.files]);
  const [one, other] = stdout.split('\n').map((line) => line.slice(0, 64));
  expect(other).toBe(one);
  await host().fanctl(['down', '-e', '--force']);
  const left = await sh('ip -o link; nft list ruleset; iptables-legacy-save');
  expect(left.stdout).not.toMatch(/(fan|tun)-250|table ip ufan-|"ufan/);
});
