/** When a process counts as gone: not before its last thread, which still holds its sockets and locks. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { isAlive, waitUntilGone } from '../../src/control/process-end.js';

/** Its first thread ends; another goes on until its stdin ends. */
const FIRST_THREAD_ENDS = `
import ctypes, os, sys, threading
def rest():
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)
threading.Thread(target=rest).start()
ctypes.CDLL(None).pthread_exit(None)`;

function stateOf(pid: number): string {
  return /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))![1]!;
}

async function start(): Promise<{ child: ChildProcess; pid: number }> {
  const child = spawn('/usr/bin/python3', ['-c', FIRST_THREAD_ENDS], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout!, 'data');
  return { child, pid: child.pid! };
}

it('a process whose first thread alone has ended is alive', async () => {
  const { child, pid } = await start();
  await expect.poll(() => stateOf(pid), { timeout: 30_000 }).toBe('Z');
  expect(await isAlive(pid)).toBe(true);
  expect(await waitUntilGone(pid, 50)).toBe(false);
  child.stdin!.end();
  expect(await waitUntilGone(pid, 30_000)).toBe(true);
});

it('one that waits to be reaped is gone', async () => {
  // It ends when the shell, which would reap it, is another program.
  const script = 'sleep 0.5 & echo $!; exec sleep 600';
  const parent = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void parent.kill('SIGKILL'));
  const [printed] = await once(parent.stdout, 'data');
  const pid = Number(String(printed));
  await expect.poll(() => stateOf(pid), { timeout: 30_000 }).toBe('Z');
  expect(await isAlive(pid)).toBe(false);
});
