/**
 * fanatic and a real LXD: the half of Ubuntu's own test that is about it, word for word. The profile is gone, and the
 * default one as it was, when all is undone.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { containerAddress, raiseFan } from '../../../bench/lab/fan.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { FAN } from '../fan-lab.js';
import { LxdHost } from './lxd-host.js';

const O = '250.0.0.0/8';
const U = '172.30.0.0/16';
const HEADER = 'Underlay Overlay Fan Docker LXD\n';

let lab: Lab;
let guided: LxdHost;
let far: string;

beforeAll(async () => {
  lab = await createLab({ containers: 1 });
  far = containerAddress((await raiseFan(lab.host(2), FAN)).view, 1);
  guided = await LxdHost.start(lab.host(1));
});

afterAll(async () => {
  await guided?.stop();
  lab?.remove();
});

it("passes Ubuntu's own test of LXD", async () => {
  const before = await guided.does('lxc profile list --format csv; lxc profile show default');
  await guided.does(`fanatic enable-fan -u ${U} -o ${O}`);
  await guided.does('lxc profile create fan-250-0-28');
  expect((await guided.shell('fanatic enable-lxd')).stderr).toBe(
    'fanatic: LXD has a profile fan-250-0-28 already: lxc profile delete it first\n',
  );
  await guided.does('lxc profile delete fan-250-0-28');
  await guided.does(`fanatic enable-lxd -u ${U} -o ${O}`);
  expect(await guided.does('fanatic show')).toBe(`${HEADER}${U} ${O} up - enabled\n`);
  await guided.does('fanatic test local-lxd');
  expect(await guided.does(`fanatic test local-lxd --peer ${far}`)).toMatch(
    /^ping from \S+ to 250\.0\.27\.2: 3 of 3$/m,
  );
  await guided.does(`fanatic disable-lxd -u ${U} -o ${O}`);
  expect(await guided.does('fanatic show')).toBe(`${HEADER}${U} ${O} up - -\n`);
  expect(await guided.does('lxc profile list --format csv; lxc profile show default')).toBe(before);
});
