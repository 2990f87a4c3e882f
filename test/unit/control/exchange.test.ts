/** One request and its answer, the same by both ways; the server is a thread of its own, as one of the ways stops ours. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exchange, type Request } from '../../../src/control/exchange.js';
import { exchangeAtOnce } from '../../../src/control/exchange-at-once.js';

const SERVER = `
  const { workerData, parentPort } = require('node:worker_threads');
  const head = 'HTTP/1.1 200 OK\\r\\nContent-Length: 9\\r\\n\\r\\n';
  const answers = {
    '/whole': (socket) => socket.end(head + '"größer"'),
    '/pieces': (socket) => {
      const pieces = Buffer.from(head + '"größer"');
      // Within the head, and within a character.
      for (const [at, end] of [[0, 20], [20, 43], [43, 100]]) setTimeout(() => socket.write(pieces.subarray(at, end)), at * 2);
      setTimeout(() => socket.end(), 200);
    },
    '/hangs-up': (socket) => socket.end(),
    '/no-http': (socket) => socket.end('SSH-2.0-what'),
    '/long': (socket) => socket.end('x'.repeat(1 << 20)),
    '/silent': () => {},
    '/echo': (socket, said) => socket.end('HTTP/1.1 404 Not Found\\r\\n\\r\\n' + said),
  };
  require('node:net').createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (said) => answers[/ (\\S+)/.exec(said)[1]](socket, said));
  }).listen(workerData, () => parentPort.postMessage('listens'));
`;

let dir: string;
let socketPath: string;
let server: Worker;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'ufan-exchange-'));
  socketPath = join(dir, 'socket');
  server = new Worker(SERVER, { eval: true, workerData: socketPath });
  await once(server, 'message');
});
afterAll(async () => {
  await server.terminate();
  rmSync(dir, { recursive: true });
});

describe.each([
  ['beside other work', exchange],
  ['at once', exchangeAtOnce],
])('%s', (_, how) => {
  const ask = (path: string, given: Partial<Request> = {}) =>
    how({
      socketPath,
      method: 'GET',
      path,
      payload: '',
      patienceMs: 5000,
      onSilence: () => new Error('it is silent'),
      ...given,
    });
  const bodyOf = async (path: string, given: Partial<Request> = {}): Promise<string> => {
    let text = '';
    for await (const piece of (await ask(path, given)).body) text += piece;
    return text;
  };

  it.each(['/whole', '/pieces'])('has what is answered: %s', async (path) => {
    expect(await ask(path)).toMatchObject({ status: 200, length: 9 });
    expect(await bodyOf(path)).toBe('"größer"');
  });

  it('sends what is to be sent, and knows an answer without a length', async () => {
    const sent = { method: 'POST', payload: '{"à":1}' };
    expect(await ask('/echo', sent)).toMatchObject({ status: 404, length: undefined });
    expect(await bodyOf('/echo', sent)).toBe(
      'POST /echo HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: 8\r\n\r\n{"à":1}',
    );
  });

  it('says what is no answer', async () => {
    await expect(ask('/hangs-up')).rejects.toThrow('it hung up');
    await expect(ask('/no-http')).rejects.toThrow('its answer is no HTTP');
    await expect(ask('/long')).rejects.toThrow('its answer is no HTTP');
  });

  it('waits no longer than told', async () => {
    await expect(ask('/silent', { patienceMs: 100 })).rejects.toThrow('it is silent');
  });

  it('says that nobody listens', async () => {
    const none = join(dir, 'none');
    await expect(ask('/whole', { socketPath: none })).rejects.toMatchObject({
      code: 'ENOENT',
      syscall: 'connect',
    });
  });
});
