/** How the control socket ends: nobody is dropped who had connected, and nobody is served half. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ControlServer, type Routes } from '../../../src/daemon/server.js';

/** On a busy machine. */
const SOON = { timeout: 10_000 };

let dir: string;
let path: string;
let sockets: Socket[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ufan-server-'));
  path = join(dir, 'sock');
  sockets = [];
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  rmSync(dir, { recursive: true, force: true });
});

async function serve(routes: Routes, log = pino({ level: 'silent' })) {
  const onIdle = vi.fn();
  const server = new ControlServer(path, routes, onIdle, log);
  await server.listen();
  return { server, onIdle };
}

/** Connects; what it says and hears is up to the test. */
async function caller(): Promise<Socket> {
  const socket = connect(path).setEncoding('utf8');
  sockets.push(socket);
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return socket;
}

async function ask(socket: Socket, request = 'GET /x'): Promise<string> {
  let heard = '';
  socket.on('data', (text: string) => {
    heard += text;
  });
  socket.write(`${request} HTTP/1.1\r\nhost: fand\r\n\r\n`);
  await new Promise((resolve) => socket.once('close', resolve));
  return heard;
}

it('is busy from the connection to the answer', async () => {
  const { server, onIdle } = await serve({ 'GET /x': () => sleep(50, 'done') });
  const socket = await caller();
  await vi.waitFor(() => expect(server.isBusy).toBe(true), SOON);
  expect(await ask(socket)).toMatch(/^HTTP\/1.1 200 [\s\S]*"done"\n/);
  expect(server.isBusy).toBe(false);
  expect(onIdle).toHaveBeenCalledTimes(1);
});

it('is not kept busy by somebody who gave up', async () => {
  const { server, onIdle } = await serve({});
  (await caller()).destroy();
  await vi.waitFor(() => expect(onIdle).toHaveBeenCalled(), SOON);
  expect(server.isBusy).toBe(false);
});

it('tells those who had connected that fand leaves, and finishes what it had begun', async () => {
  const calls: string[] = [];
  const { server } = await serve({
    'GET /x': () => calls.push('begun'),
    'GET /slow': () => {
      calls.push('slow');
      return sleep(100, 'slow answer');
    },
  });
  const early = await caller();
  const slow = ask(await caller(), 'GET /slow');
  await vi.waitFor(() => expect(calls).toEqual(['slow']), SOON);
  server.refuse();
  const drained = server.drain();
  expect(await ask(early)).toMatch(/^HTTP\/1.1 503 [\s\S]*"code":"leaving"/);
  expect(calls).toEqual(['slow']);
  await expect(caller()).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await slow).toContain('slow answer');
  await drained;
  expect(server.isBusy).toBe(false);
});

it('waits a second at most for somebody who says nothing', async () => {
  const { server } = await serve({});
  await caller();
  server.refuse();
  const start = performance.now();
  await server.drain();
  expect(performance.now() - start).toBeGreaterThan(500);
  expect(performance.now() - start).toBeLessThan(5000);
});

it('is reachable again where its socket was removed', async () => {
  const { server } = await serve({ 'GET /x': () => 'here' });
  expect(server.isReachable).toBe(true);
  rmSync(path);
  expect(server.isReachable).toBe(false);
  await server.listen();
  expect(server.isReachable).toBe(true);
  expect(await ask(await caller())).toContain('"here"');
});

it('takes a request that breaks off for none: no route sees it, and no error is logged', async () => {
  const lines: string[] = [];
  const route = vi.fn();
  const log = pino({ level: 'warn' }, { write: (line: string) => lines.push(line) });
  const { server } = await serve({ 'POST /x': route }, log);
  const socket = await caller();
  socket.write('POST /x HTTP/1.1\r\nhost: fand\r\ncontent-length: 9\r\n\r\n{');
  await vi.waitFor(() => expect(server.isBusy).toBe(true), SOON);
  socket.destroy();
  await vi.waitFor(() => expect(server.isBusy).toBe(false), SOON);
  await sleep(20);
  expect(route).not.toHaveBeenCalled();
  expect(lines).toEqual([]);
});
