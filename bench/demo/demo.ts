/**
 * `npm run demo`: the fan's main job before the reader's eyes. Two hosts and a container each, `fanctl up` on both,
 * and then what an operator would try: ping, a message each way, iperf, a look at the wire.
 *
 * `npm run demo -- --docker` does it with real Docker (docker.ts), `-- --vxlan` with fans over VXLAN. Exit code 1 if any step
 * failed.
 */
import { join } from 'node:path';
import { errorText } from '../../src/base/error.js';
import type { FanView } from '../../src/control/protocol.js';
import { DEFAULT_VXLAN_PORT, type FanType } from '../../src/fan/encapsulation.js';
import { Capture, complaints, tcpdumpText } from '../lab/capture.js';
import { containerAddress } from '../lab/fan.js';
import { iperf } from '../lab/iperf.js';
import { createLab, type Lab } from '../lab/lab.js';
import { ping } from '../lab/ping.js';
import { sendMessage } from '../lab/transfer.js';
import { vxlan } from '../paths/vxlan.js';
import { table } from '../report/table.js';
import { Account, StepFailed } from './account.js';
import { demonstrateDocker } from './docker.js';
import { checkMapping, expect, raiseFans, takeFansDown } from './fan-steps.js';

const IPERF_SECONDS = 4;
/** What tcpdump is told of a fan's packets, which of them are shown, and by what they are known. ARP goes over VXLAN too. */
const ON_THE_WIRE = {
  ipip: { options: ['-v'], filter: 'proto 4', only: 'proto 4', mark: 'IPIP' },
  vxlan: {
    options: ['-v', '-T', 'vxlan'],
    filter: `udp port ${DEFAULT_VXLAN_PORT}`,
    only: `udp port ${DEFAULT_VXLAN_PORT} and udp[28:2] = 0x800`,
    mark: 'VXLAN',
  },
} as const satisfies Record<FanType, object>;

async function demonstrate(account: Account, labs: Lab[], type: FanType): Promise<void> {
  account.heading('Two hosts, a container each');
  const lab = await account.step('network namespaces, veth cables, a switch', async (say) => {
    const built = await createLab({ hosts: 2, containers: 1 });
    labs.push(built);
    say(built.hosts.map((host) => `host ${host.index}: eth0 ${host.underlay}`).join('\n'));
    return built;
  });
  account.heading('The fan');
  const fans = await raiseFans(account, lab, type);
  await checkMapping(account, fans);
  account.heading('Container to container');
  await tryPing(account, lab, fans);
  await tryMessages(account, lab, fans);
  account.heading('How fast');
  await compareSpeed(account, lab, fans, labs);
  account.heading('On the wire');
  await showPacket(account, lab, fans, type);
  account.heading('Away with it');
  await takeFansDown(account, lab, fans);
}

async function tryPing(account: Account, lab: Lab, fans: FanView[]): Promise<void> {
  const [from, to] = addresses(fans);
  await account.step(`ping ${from} → ${to}`, async (say) => {
    const inside = await ping(lab.host(1).container(1), to, { count: 5 });
    const outside = await ping(lab.host(1), lab.host(2).address, { count: 5 });
    const [fan, bare] = [inside.rttMs?.avg, outside.rttMs?.avg];
    say(`${inside.received} of ${inside.sent} came back, ${fan} ms on average (host to host ${bare} ms)`);
    expect(inside.received, inside.sent, 'replies');
  });
}

/** One each way. */
async function tryMessages(account: Account, lab: Lab, fans: FanView[]): Promise<void> {
  const [first, second] = addresses(fans);
  const ends = [
    { from: lab.host(1).container(1), to: lab.host(2).container(1), source: first, address: second },
    { from: lab.host(2).container(1), to: lab.host(1).container(1), source: second, address: first },
  ];
  for (const { from, to, source, address } of ends) {
    await account.step(`nc ${source} → ${address}`, async (say) => {
      const text = `hello from ${source}`;
      const arrived = await sendMessage(from, to, address, text);
      say(`${address} got: ${arrived}`);
      expect(arrived, text, 'the message');
    });
  }
}

/** The same iperf3 untunnelled, by kernel VXLAN and by the fan. */
async function compareSpeed(account: Account, lab: Lab, fans: FanView[], labs: Lab[]): Promise<void> {
  const measure = (title: string, ...ends: Parameters<typeof iperf>) => {
    return account.step(`iperf3, ${IPERF_SECONDS} s, one TCP stream: ${title}`, async (say) => {
      const { bitsPerSecond } = await iperf(...ends);
      say(`${(bitsPerSecond / 1e9).toFixed(2)} Gbit/s`);
      return bitsPerSecond;
    });
  };
  const seconds = { seconds: IPERF_SECONDS };
  const [client, server] = [lab.host(1), lab.host(2)];
  const bare = await measure('host to host, untunnelled', client, server, server.address, seconds);
  const tunnel = await account.step('the same two hosts once more, with kernel VXLAN', async () => {
    const other = await createLab({ hosts: 2, containers: 1 });
    labs.push(other);
    return vxlan.setUp(other);
  });
  const kernel = await measure('VXLAN', tunnel.client, tunnel.server, tunnel.serverAddress, seconds);
  const fan = await measure('the fan', client.container(1), server.container(1), addresses(fans)[1], seconds);
  await account.step('side by side', async (say) => {
    const row = (title: string, bits: number) => {
      return [title, (bits / 1e9).toFixed(2), (bits / bare).toFixed(2), (bits / kernel).toFixed(2)];
    };
    const rows = [
      row('host to host, untunnelled', bare),
      row('container to container, kernel VXLAN', kernel),
      row('container to container, the fan', fan),
    ];
    say(table(['', 'Gbit/s', 'of untunnelled', 'of VXLAN'], rows));
  });
}

async function showPacket(account: Account, lab: Lab, fans: FanView[], type: FanType): Promise<void> {
  const [, to] = addresses(fans);
  const { options, filter, only, mark } = ON_THE_WIRE[type];
  await account.step(`host 1 $ tcpdump ${[...options, '-i', 'eth0', filter].join(' ')}`, async (say) => {
    const host = lab.host(1);
    // Else the checksum of UDP is not complete yet where tcpdump looks: the NIC would do it.
    if (type === 'vxlan') {
      await Promise.all(lab.hosts.map((each) => each.exec(['ethtool', '-K', 'eth0', 'tx', 'off'])));
    }
    const capture = await Capture.start(host, 'eth0', join(host.dir, 'demo.pcap'), only);
    await ping(host.container(1), to, { count: 1 });
    await capture.stop();
    const text = await tcpdumpText(capture.file, [...options, '-t', '-c', '1']);
    say(text.trim());
    if (!text.includes(mark)) throw new Error(`no packet of ${mark} was seen`);
    const wrong = await complaints(capture.file);
    if (wrong.length > 0) throw new Error(`tshark complains:\n${wrong.join('\n')}`);
    say('tshark has nothing to complain of');
  });
}

/** Of the first container on host 1, and on host 2. */
function addresses(fans: readonly FanView[]): [string, string] {
  const [first, second] = fans.map((fan) => containerAddress(fan, 1));
  return [first ?? '', second ?? ''];
}

async function main(args: readonly string[]): Promise<void> {
  const unknown = args.find((arg) => !['--docker', '--vxlan'].includes(arg));
  if (unknown !== undefined)
    throw new Error(`unknown option ${unknown}\nusage: npm run demo [-- [--docker] [--vxlan]]`);
  const type = args.includes('--vxlan') ? 'vxlan' : 'ipip';
  const account = new Account();
  const labs: Lab[] = [];
  let failed: StepFailed | undefined;
  try {
    const show = args.includes('--docker') ? demonstrateDocker : demonstrate;
    await show(account, labs, type);
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    failed = error;
  } finally {
    for (const lab of labs) lab.remove();
  }
  account.end(failed);
  process.exitCode = failed ? 1 : 0;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`demo: ${errorText(error)}`);
  process.exitCode = 1;
}
