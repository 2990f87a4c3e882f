import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, it } from 'vitest';
import { listenForMetrics } from '../../../src/daemon/metrics-port.js';
import { TextReply } from '../../../src/daemon/server.js';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

it('one user cannot use up the descriptors of fand', async () => {
  const port = await freePort();
  await listenForMetrics({ host: '127.0.0.1', port }, async () => new TextReply('text/plain', 'up 1\n'));
  const sockets = Array.from({ length: 100 }, () =>
    connect(port, '127.0.0.1')
      .on('error', () => undefined)
      .resume(),
  );
  await expect.poll(() => sockets.filter(({ closed }) => closed).length).toBe(100 - 32);
  for (const socket of sockets) socket.destroy();
  // One that comes before the others are gone gets no answer.
  const answer = async () => {
    try {
      return await (
        await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(1000) })
      ).text();
    } catch {
      return '';
    }
  };
  await expect.poll(answer).toBe('up 1\n');
});
