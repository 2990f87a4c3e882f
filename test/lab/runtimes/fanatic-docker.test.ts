/**
 * fanatic and a real Docker: Ubuntu's own test word for word, the default bridge and a network of its own across hosts,
 * and daemon.json as it was, to the byte, when all is undone.
 */
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { IMAGE } from '../../../bench/lab/docker-host.js';
import { containerAddress, raiseFan } from '../../../bench/lab/fan.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { FAN } from '../fan-lab.js';
import { GuidedHost } from './guided-host.js';

const O = '250.0.0.0/8';
const U = '172.30.0.0/16';
/** Written by hand, with a key of ours among others. */
const CONFIG = `{
  "log-driver": "json-file",   "mtu": 1400,
  "labels": ["a=b", "c={\\"d\\": 1}"]
}`;

let lab: Lab;
let guided: GuidedHost;
let far: string;

beforeAll(async () => {
  lab = await createLab();
  guided = new GuidedHost(lab.host(1));
  far = containerAddress((await raiseFan(lab.host(2), FAN)).view, 1);
  await guided.does('mkdir -p "$(dirname "$UFAN_DOCKER_CONFIG")" && echo "{}" > "$UFAN_DOCKER_CONFIG"');
  await guided.startDocker();
});

afterEach(async () => {
  await guided.shell(`docker rm -f $(docker ps -aq); fanatic disable-docker; fanatic disable-fan`);
});

afterAll(async () => {
  await guided?.stopDocker();
  lab?.remove();
});

const show = () => guided.does('fanatic show');
const header = 'Underlay Overlay Fan Docker LXD\n';

it("passes Ubuntu's own test", async () => {
  await guided.does(`fanatic enable-fan -u ${U} -o ${O}`);
  expect(await show()).toBe(`${header}${U} ${O} up - -\n`);
  for (const bridge of (await guided.does("fanctl show | awk 'NR > 1 { print $1 }'")).trim().split('\n')) {
    await guided.does(`ip link show ${bridge}`);
  }
  await guided.does(`fanatic disable-fan -u ${U} -o ${O}`);
  expect(await show()).toBe(header);

  await guided.does(`fanatic enable-fan -u ${U} -o ${O}`);
  await guided.does(`fanatic enable-docker -u ${U} -o ${O}`);
  expect(await show()).toBe(`${header}${U} ${O} up enabled -\n`);
  expect(await guided.does(`docker run --rm ${IMAGE} ping -c 10 -i 0.05 250.0.28.1`)).toContain(
    '10 packets transmitted, 10 packets received',
  );
  await guided.does(`fanatic disable-docker -u ${U} -o ${O}`);
  expect(await show()).toBe(`${header}${U} ${O} up - -\n`);
  await guided.does(`fanatic disable-fan -u ${U} -o ${O}`);
  expect(await show()).toBe(header);
});

describe('the default bridge', () => {
  it.each([
    ['iptables on', CONFIG],
    ['iptables off', CONFIG.replace('"log', '"iptables": false, "log')],
  ])(
    'is the fan, with %s; a container reaches the other host; and the file comes back to the byte',
    async (_, config) => {
      writeFileSync(guided.dockerConfig, config);
      await guided.does(`fanatic enable-fan ${O} ${U} && fanatic enable-docker ${O} ${U}`);
      expect(JSON.parse(guided.read(guided.dockerConfig))).toMatchObject({
        bridge: 'fan-250-0-28',
        'fixed-cidr': '250.0.28.128/25',
        mtu: 1480,
        'ip-masq': false,
        labels: ['a=b', 'c={"d": 1}'],
      });
      const pinged = await guided.does(
        `docker run --rm ${IMAGE} sh -c 'ip -4 -o a; ping -c 2 -s 1452 ${far}'`,
      );
      expect(pinged).toContain('250.0.28.128/24');
      expect(pinged).toContain('2 packets received, 0% packet loss');
      await guided.does('fanatic enable-docker && fanatic disable-docker && fanatic disable-docker');
      expect(guided.read(guided.dockerConfig)).toBe(config);
    },
  );
});
