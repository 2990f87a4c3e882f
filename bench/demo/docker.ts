/**
 * `npm run demo -- --docker`: the 2015 announcement replayed. A real dockerd on each host, its containers on the
 * fan's bridge, and between them ping, nc and iperf3.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FanView } from '../../src/control/protocol.js';
import type { FanType } from '../../src/fan/encapsulation.js';
import { buildImage, DockerHost, IMAGE, onBridge, upperHalf } from '../lab/docker-host.js';
import { createLab, type Lab } from '../lab/lab.js';
import type { Account } from './account.js';
import { checkMapping, expect, raiseFans, takeFansDown } from './fan-steps.js';

const IPERF_SECONDS = 5;

interface DockerContainer {
  docker: DockerHost;
  name: string;
  address: string;
}

export async function demonstrateDocker(account: Account, labs: Lab[], type: FanType): Promise<void> {
  account.heading('Two hosts');
  const lab = await account.step('network namespaces, veth cables, a switch', async () => {
    const built = await createLab({ hosts: 2, containers: 0 });
    labs.push(built);
    return built;
  });
  account.heading('The fan');
  const fans = await raiseFans(account, lab, type);
  await checkMapping(account, fans);
  account.heading('Docker on it');
  const started: DockerHost[] = [];
  try {
    const containers = await startContainers(account, lab, fans, started);
    account.heading('Container to container');
    for (const [from, to] of [containers, [...containers].reverse()] as [
      DockerContainer,
      DockerContainer,
    ][]) {
      await tryPing(account, from, to);
      await tryMessage(account, from, to);
    }
    await tryIperf(account, ...(containers as [DockerContainer, DockerContainer]));
  } finally {
    await Promise.all(started.map((docker) => docker.stop()));
  }
  account.heading('Away with it');
  await takeFansDown(account, lab, fans);
}

async function startContainers(account: Account, lab: Lab, fans: readonly FanView[], started: DockerHost[]) {
  const image = await account.step('an image of busybox and iperf3', () => buildImage(lab.dir));
  const containers: DockerContainer[] = [];
  for (const [i, fan] of fans.entries()) {
    const host = lab.host(i + 1);
    const range = upperHalf(fan.slice);
    const title = `host ${host.index} $ dockerd --bridge=${fan.bridge} --fixed-cidr=${range} --mtu=${fan.mtu}`;
    const docker = await account.step(title, async () => {
      const one = await DockerHost.start(host, onBridge({ bridge: fan.bridge, range, mtu: fan.mtu }));
      started.push(one);
      await one.docker(['import', image, IMAGE]);
      return one;
    });
    const name = `container-${host.index}`;
    await account.step(
      `host ${host.index} $ docker run -d --name ${name} ${IMAGE} sleep 600`,
      async (say) => {
        const address = await docker.runContainer(name);
        say(`its address is ${address}`);
        containers.push({ docker, name, address });
      },
    );
  }
  return containers;
}

async function tryPing(account: Account, from: DockerContainer, to: DockerContainer): Promise<void> {
  await account.step(`docker exec ${from.name} ping ${to.address}`, async (say) => {
    const { stdout } = await from.docker.docker(['exec', from.name, 'ping', '-c', '3', to.address]);
    say(stdout.trim().split('\n').slice(-2).join('\n'));
  });
}

async function tryMessage(account: Account, from: DockerContainer, to: DockerContainer): Promise<void> {
  await account.step(`nc ${from.address} → ${to.address}`, async (say) => {
    // A listener without input would close the connection, and busybox's nc at the other end obeys at once.
    const listener = to.docker.spawn(['exec', '-i', to.name, 'nc', '-l', '-p', '9000'], { openInput: true });
    try {
      await listens(to, 9000);
      const text = `hello from ${from.address}`;
      await from.docker.docker(['exec', '-i', from.name, 'nc', to.address, '9000'], { input: text });
      const { stdout } = await listener.finish();
      say(`${to.address} got: ${stdout}`);
      expect(stdout, text, 'the message');
    } finally {
      await listener.stop();
    }
  });
}

async function tryIperf(account: Account, client: DockerContainer, server: DockerContainer): Promise<void> {
  const iperf = ['iperf3', '-c', server.address, '-t', `${IPERF_SECONDS}`];
  await account.step(`docker exec ${client.name} ${iperf.join(' ')}`, async (say) => {
    await server.docker.docker(['exec', '-d', server.name, 'iperf3', '-s', '-1']);
    await listens(server, 5201);
    const { stdout } = await client.docker.docker(['exec', client.name, ...iperf]);
    const received = stdout.split('\n').find((line) => /bits\/sec.*receiver/.test(line));
    if (received === undefined) throw new Error(`iperf3 reports no figure:\n${stdout}`);
    say(received);
  });
}

/** Waits until something in the container listens on the TCP port. */
async function listens({ docker, name }: DockerContainer, port: number): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    const { stdout } = await docker.docker(['exec', name, 'netstat', '-ltn']);
    if (stdout.includes(`:${port} `)) return;
    await sleep(50);
  }
  throw new Error(`nothing listens on port ${port} of ${name}`);
}
