/** IPsec policies of the host and what fand sends by its raw sockets: they see it for what it is, protocol 4. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ping, UNANSWERED } from '../../../bench/lab/ping.js';
import { FAN, FanLab, growth, readCounters } from '../fan-lab.js';

const BLOCK_IPIP = 'src 172.30.0.28/32 dst 172.30.0.27/32 proto 4 dir out action block';

describe('with io raw', () => {
  let net: FanLab;
  beforeAll(async () => {
    net = await FanLab.open({}, [...FAN, '--io', 'raw']);
  });
  afterAll(() => net?.remove());

  const pingPeer = (options = {}) => ping(net.container(1), net.address(2), { count: 2, ...options });

  it('a policy for protocol 4 that blocks the peer keeps our packets, which are counted', async () => {
    expect(await pingPeer()).toMatchObject({ received: 2 });
    await net.host(1).ip(`xfrm policy add ${BLOCK_IPIP}`);
    const before = await readCounters(net.host(1));
    expect(await pingPeer(UNANSWERED)).toMatchObject({ received: 0 });
    const refused = async () => growth(before, await readCounters(net.host(1)))['drop-send-failed-packets'];
    await expect.poll(refused).toBe(2);
    await net.host(1).ip('xfrm policy flush');
    expect(await pingPeer()).toMatchObject({ received: 2 });
  });
});
