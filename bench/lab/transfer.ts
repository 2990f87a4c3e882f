/**
 * Bytes from one namespace of the lab to another by netcat, as a newcomer would try a network.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespace } from './namespace.js';

/** Seconds in which nothing moves after which nc gives up: TCP that lost several times over waits for some. */
const IDLE_S = '30';

export interface TransferOptions {
  port?: number;
  timeoutMs?: number;
}

/** Sends a text over TCP and returns what arrived. */
export async function sendMessage(
  from: Namespace,
  to: Namespace,
  address: string,
  text: string,
  options: TransferOptions = {},
): Promise<string> {
  const { port = 9000, timeoutMs = 60_000 } = options;
  const listener = to.spawn(['nc', '-n', '-l', `${port}`]);
  try {
    await listens(to, port);
    await from.exec(['nc', '-n', '-N', '-w', IDLE_S, address, `${port}`], { input: text, timeoutMs });
    return (await listener.finish({ timeoutMs })).stdout;
  } finally {
    await listener.stop();
  }
}

export interface FileTransfer {
  /** Of the file as it arrived. */
  sha256: string;
  bytes: number;
  ms: number;
}

/** Sends a file over TCP; what arrives is written to `received`. */
export async function sendFile(
  from: Namespace,
  to: Namespace,
  address: string,
  file: string,
  received: string,
  options: TransferOptions = {},
): Promise<FileTransfer> {
  const { port = 9000, timeoutMs = 60_000 } = options;
  const listener = to.spawn(['sh', '-c', 'exec nc -n -l "$0" > "$1"', `${port}`, received]);
  try {
    await listens(to, port);
    const start = performance.now();
    const client = ['sh', '-c', 'exec nc -n -N -w "$3" "$0" "$1" < "$2"', address, `${port}`, file, IDLE_S];
    await from.exec(client, { timeoutMs });
    await listener.finish({ timeoutMs });
    const ms = performance.now() - start;
    const { stdout } = await to.exec(['sh', '-c', 'sha256sum "$0"; stat -c %s "$0"', received]);
    const [sum = '', size] = stdout.split('\n');
    return { sha256: sum.slice(0, 64), bytes: Number(size), ms };
  } finally {
    await listener.stop();
  }
}

/** A file of random bytes in `dir`, and its sha256. */
export async function randomFile(from: Namespace, dir: string, bytes: number) {
  const path = join(dir, `random-${bytes}`);
  const { stdout } = await from.exec([
    'sh',
    '-c',
    'head -c "$1" /dev/urandom > "$0" && sha256sum "$0"',
    path,
    `${bytes}`,
  ]);
  return { path, sha256: stdout.slice(0, 64) };
}

/** Waits until something listens on the TCP port. */
export async function listens(where: Namespace, port: number | string): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    const { stdout } = await where.exec(['ss', '-Hltn', `sport = :${port}`]);
    if (stdout !== '') return;
    await sleep(20);
  }
  throw new Error(`nothing listens on port ${port} of ${where.name}`);
}
