/**
 * A Docker swarm of two hosts on a fan: each host says by `enable-docker --network … --config-only` what the swarm's
 * network is there, a manager makes that, and replicas of a service reach each other by the fan, without VXLAN.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { IMAGE } from '../../../bench/lab/docker-host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { until } from '../fan-lab.js';
import { GuidedHost } from './guided-host.js';

const FAN = '-o 250.0.0.0/8 -u 172.30.0.0/16';

let lab: Lab;
let guided: GuidedHost[] = [];

beforeAll(async () => {
  lab = await createLab({ containers: 0 });
  guided = lab.hosts.map((host) => new GuidedHost(host));
  await Promise.all(
    guided.map(async (each) => {
      mkdirSync(dirname(each.dockerConfig), { recursive: true });
      writeFileSync(each.dockerConfig, '{}');
      await each.startDocker();
      await each.does(`fanatic enable-fan ${FAN}`);
    }),
  );
});

afterAll(async () => {
  await Promise.all(
    guided.map((each) => each.shell('docker swarm leave --force; true').then(() => each.stopDocker())),
  );
  lab?.remove();
});

it('--config-only is of a network', async () => {
  const { code, stderr } = await guided[0]!.shell('fanatic enable-docker --config-only');
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: 'fanatic: --config-only is of a network: say --network NAME too\n',
  });
});

it('replicas on two hosts reach each other by the fan', async () => {
  const [one, two] = guided as [GuidedHost, GuidedHost];
  for (const each of guided) await each.does('fanatic enable-docker --network fan-here --config-only');
  await one.does(`docker swarm init --advertise-addr ${one.host.address}`);
  const token = (await one.does('docker swarm join-token -q worker')).trim();
  await two.does(`docker swarm join --token ${token} ${one.host.address}:2377`);
  await one.does('docker network create --driver bridge --scope swarm --config-from fan-here fan');
  await one.does(
    `docker service create --detach --no-resolve-image --name web --mode global --network fan --stop-grace-period 0s ${IMAGE} sleep 600`,
  );
  const addressOn = (each: GuidedHost): Promise<string> =>
    until(
      async () =>
        (
          await each.shell(
            `docker inspect -f '{{(index .NetworkSettings.Networks "fan").IPAddress}}' $(docker ps -q)`,
          )
        ).stdout.trim(),
      (said) => /^250\./.test(said),
    );
  const [here, there] = [await addressOn(one), await addressOn(two)];
  expect([here, there]).toEqual(['250.0.28.128', '250.0.27.128']);
  const inWeb = (words: string): Promise<string> => one.does(`docker exec $(docker ps -q) ${words}`);
  expect(await inWeb(`ping -c 2 -s 1452 ${there}`)).toContain('2 packets received, 0% packet loss');
  await one.does('docker service rm web');
  for (const each of guided) {
    await until(
      async () => (await each.shell('docker ps -q')).stdout,
      (said) => said === '',
    );
  }
  await one.does('docker network rm fan');
  for (const each of guided) {
    await each.does(`fanatic disable-docker && ip link show fan-250-0-${each.host.address.split('.')[3]}`);
    expect(await each.does('docker network ls --format "{{.Name}}"')).not.toContain('fan-here');
  }
});
