import { afterAll, beforeAll, expect, it } from 'vitest';
import { FanLab } from './fan-lab.js';
let net: FanLab;
beforeAll(async () => { net = await FanLab.open({}); });
afterAll(() => net?.remove());
it('x', async () => {
  const t = Date.now();
  const out = await net.host(1).fanctl(['doctor'], { anyExit: true });
  console.log(out.code, Date.now() - t, out.stdout, out.stderr);
});
