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
import { type Far, inNetworkOf, worksAcrossHosts } from './across-hosts.js';
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
let far: Far;

beforeAll(async () => {
  lab = await createLab();
  guided = new GuidedHost(lab.host(1));
  const [peer, { view }] = [lab.host(2), await raiseFan(lab.host(2), FAN)];
  far = { host: peer, container: peer.container(1), address: containerAddress(view, 1) };
  await guided.does('mkdir -p "$(dirname "$UFAN_DOCKER_CONFIG")" && echo "{}" > "$UFAN_DOCKER_CONFIG"');
  await guided.startDocker();
});

/** Nothing is up or enabled; dockerd runs, as its file says. */
async function cleanUp(): Promise<void> {
  await guided.shell('docker rm -f $(docker ps -aq); fanatic disable-docker; fanatic disable-fan');
}

afterAll(async () => {
  await guided?.stopDocker();
  lab?.remove();
});

const inWeb = inNetworkOf("docker inspect -f '{{.State.Pid}}' web");
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
  afterEach(cleanUp);
  it.each([
    ['iptables on', CONFIG],
    ['iptables off', CONFIG.replace('"log', '"iptables": false, "log')],
  ])(
    'is the fan, with %s; a container reaches the other host; and the file comes back to the byte',
    async (_, config) => {
      writeFileSync(guided.dockerConfig, config);
      // Without iptables dockerd leaves the policy DROP of one that had them, and nobody's containers get out.
      await guided.does('iptables -P FORWARD ACCEPT');
      await guided.does(`fanatic enable-fan ${O} ${U} && fanatic enable-docker ${O} ${U}`);
      expect(JSON.parse(guided.read(guided.dockerConfig))).toMatchObject({
        bridge: 'fan-250-0-28',
        'fixed-cidr': '250.0.28.128/25',
        mtu: 1480,
        'ip-masq': false,
        labels: ['a=b', 'c={"d": 1}'],
      });
      const pinged = await guided.does(
        `docker run --rm ${IMAGE} sh -c 'ip -4 -o a; ping -c 2 -s 1452 ${far.address}'`,
      );
      expect(pinged).toContain('250.0.28.128/24');
      expect(pinged).toContain('2 packets received, 0% packet loss');
      await guided.does(`docker run -d --name web --restart always --stop-timeout 0 ${IMAGE} sleep 600`);
      await worksAcrossHosts(guided, inWeb, far);
      // It comes back with dockerd.
      await guided.does(
        'service docker restart; until [[ $(docker inspect -f "{{.State.Running}}" web) = true ]]; do sleep 0.1; done',
      );
      expect(await guided.does(`docker exec web ping -c 2 ${far.address}`)).toContain(' 0% packet loss');
      await guided.does(
        'docker rm -f web; fanatic enable-docker && fanatic disable-docker && fanatic disable-docker',
      );
      expect(guided.read(guided.dockerConfig)).toBe(config);
    },
  );
});

it('a network of its own beside the default bridge', async () => {
  writeFileSync(guided.dockerConfig, '{}');
  await guided.does('service docker restart');
  await guided.does(`fanatic enable-fan ${O} ${U} && fanatic enable-docker --network fan ${O} ${U}`);
  expect(guided.read(guided.dockerConfig)).toBe('{}');
  expect(await show()).toBe(`${header}${U} ${O} up enabled -\n`);
  expect(
    await guided.does(`docker run --rm --network fan ${IMAGE} ping -c 2 -s 1452 ${far.address}`),
  ).toContain('2 packets received, 0% packet loss');
  expect(await guided.does(`fanatic test local-docker --peer ${far.address}`)).toMatch(
    /^TCP from 250\.0\.28\.12[89] to 250\.0\.28\.12[89]: a line came through$/m,
  );
  const refused = await guided.shell(
    `docker run -d --network fan --name web ${IMAGE} sleep 60 && fanatic disable-docker`,
  );
  expect(refused).toMatchObject({ code: 1 });
  expect(refused.stderr).toMatch(/network fan is in use by web: stop these containers first/);
  await worksAcrossHosts(guided, inWeb, far);
  await guided.does('docker rm -f web && fanatic disable-docker && ip link show fan-250-0-28');
  expect(await guided.does('docker network ls --format "{{.Name}}"')).not.toContain('fan\n');
});

describe('older charms', () => {
  it('configure and enable by position, twice, and deconfigure', async () => {
    writeFileSync(guided.dockerConfig, CONFIG);
    guided.install('lxc', '#!/bin/sh\nexit 127\n');
    await guided.does(`fanatic enable-fan ${O} ${U}; fanatic enable-docker ${O} ${U}`);
    await guided.does(`fanatic enable-docker ${O} ${U}`);
    const refused = await guided.shell(`fanatic disable-fan ${O} ${U}`);
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toBe(`fanatic: ${O} on ${U} is used by docker: fanatic disable-docker first\n`);
    await guided.does(`fanatic deconfigure ${O} ${U} && fanatic deconfigure`);
    expect(await show()).toBe(header);
    expect(guided.read(guided.dockerConfig)).toBe(CONFIG);
  });
});

describe('refused, and nothing is changed', () => {
  afterAll(cleanUp);

  /** Fails in one line that says `error`, with the file as it was. */
  async function expectRefused(command: string, error: RegExp): Promise<void> {
    const config = guided.read(guided.dockerConfig);
    const { code, stdout, stderr } = await guided.shell(`fanatic ${command}`);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^fanatic: [^\n]+\n$/);
    expect(stderr).toMatch(error);
    expect(guided.read(guided.dockerConfig)).toBe(config);
  }

  it.each([
    ['enable-docker', /has no fan: fanatic enable-fan -o 250\.0\.0\.0\/8 -u default\/16 first/],
    [
      'enable-docker 99 eth0',
      /no line of it is this fan: fanatic enable-fan -o 99\.0\.0\.0\/8 -u eth0\/16 first/,
    ],
    ['test', /test what\? say one of local-docker, /],
    ['test local-lxc', /test knows no "local-lxc": say one of local-docker, /],
    ['enable-fan 250.0.0.0/8', /what is missing: an underlay such as eth0\/16/],
    ['enable-fan 250.0.0.0/8 nosuch0', /this host has no device nosuch0/],
  ])('without a fan: %s', expectRefused);

  const PODMAN = {
    runtime: 'podman',
    overlay: O,
    underlay: U,
    bridge: 'fan-250-0-28',
    range: '250.0.28.192/26',
    edits: [],
  };
  const write = (json: object): string => `echo '${JSON.stringify(json)}' >`;
  const ledger = '"$UFAN_STATE_DIR/runtimes.json"';

  it.each([
    ['enable-docker --netwrok x', '', '', /unknown option --netwrok, did you mean --network\?/],
    ['enable-docker --range x', '', '', /--range: "x" is no IPv4 network/],
    [
      'enable-docker --range 10.0.0.0/24',
      '',
      '',
      /10\.0\.0\.0\/24 is no part of the fan's 250\.0\.28\.0\/24/,
    ],
    ['enable-incus', '', '', /Incus is not on this host \(no incus\): apt-get install incus/],
    ['test local-docker', '', '', /Docker is not enabled for fan-250-0-28: fanatic enable-docker -o /],
    [
      'enable-docker',
      `${write({ bip: '10.1.1.1/24' })} $UFAN_DOCKER_CONFIG`,
      '',
      /has "bip", .*: take it out/,
    ],
    ['enable-docker', 'echo "{" > $UFAN_DOCKER_CONFIG', '', /daemon\.json is no JSON: .*: mend it first/],
    [
      'enable-docker',
      'echo "[]" > $UFAN_DOCKER_CONFIG',
      '',
      /daemon\.json holds no JSON object: mend it first/,
    ],
    [
      'enable-docker',
      'fanatic enable-fan 99 eth0',
      'fanatic disable-fan 99 eth0',
      /has several fans, .*: say which/,
    ],
    ['enable-docker --network bridge', '', '', /Docker has a network bridge already: say another name/],
    [
      'enable-docker',
      `docker run -d --name web ${IMAGE} sleep 60`,
      'docker rm -f web',
      /Docker must restart, and web would lose the network: stop these containers first/,
    ],
    [
      'enable-docker',
      `${write({ version: 1, entries: [PODMAN] })} ${ledger}`,
      `rm ${ledger}`,
      /250\.0\.28\.128\/25 is given to containers by podman already \(250\.0\.28\.192\/26\)/,
    ],
    [
      'disable-fan',
      `${write({ version: 1, entries: [{ ...PODMAN, runtime: 'docker', bridge: 'fan-250-0-28' }] })} ${ledger}; ${write({ bridge: 'fan-250-0-28' })} $UFAN_DOCKER_CONFIG`,
      `rm ${ledger}`,
      /250\.0\.0\.0\/8 on 172\.30\.0\.0\/16 is used by docker: fanatic disable-docker first/,
    ],
    [
      'enable-docker',
      `${write({ 'no-such-key': 1 })} $UFAN_DOCKER_CONFIG`,
      'echo "{}" > $UFAN_DOCKER_CONFIG; service docker start',
      /service docker restart: .*no-such-key/,
    ],
  ])('%s, after: %s', async (command, before, after, error) => {
    writeFileSync(guided.dockerConfig, CONFIG);
    await guided.does(`fanctl show -q | grep -q fan-250 || fanatic enable-fan ${O} ${U}; ${before}`);
    await expectRefused(command, error);
    if (after) await guided.does(after);
  });

  it('what somebody else changed since stays, and only our keys go', async () => {
    writeFileSync(guided.dockerConfig, CONFIG);
    await guided.does('fanatic enable-docker --no-restart');
    const changed = guided.read(guided.dockerConfig).replace('json-file', 'local');
    writeFileSync(guided.dockerConfig, changed);
    await guided.does('fanatic disable-docker --no-restart');
    expect(guided.read(guided.dockerConfig)).toBe(CONFIG.replace('json-file', 'local'));
  });
});
