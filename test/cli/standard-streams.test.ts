/** What is printed at once arrives whole and in its order, whatever the other end is, and however slowly it reads. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { native } from '../../src/io/native.js';
import { built } from './run-cli.js';

/** Whoever starts a program makes its standard output wait: that is undone before the program begins. */
const WITHOUT_WAITING = `import fcntl, os, sys
fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) | os.O_NONBLOCK)
os.execv(sys.argv[1], sys.argv[1:])`;

/** Runs `code` with `stdout` of the built module, into `output`; its last words are on stderr. */
function run(code: string, output: number | 'pipe', wrapper: readonly string[] = []): ChildProcess {
  const module = JSON.stringify(built('base/standard-streams.js'));
  const script = `const { stdout, stderr } = await import(${module}); ${code}; stderr.write('done');`;
  const [program = '', ...words] = [...wrapper, process.execPath, '--input-type=module', '-e', script];
  return spawn(program, words, {
    stdio: ['ignore', output, 'pipe'],
  });
}

async function lastWords(child: ChildProcess): Promise<string> {
  let said = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  await once(child, 'close');
  return said;
}

/** More than a pipe holds. */
const LINES = 100_000;
const PRINT = `for (let i = 0; i < ${LINES}; i += 2) stdout.write(i + '\\n' + (i + 1) + '\\n')`;
const PRINTED = `${[...Array(LINES).keys()].join('\n')}\n`;

it('by a pipe that does not wait for its reader', async () => {
  const [readEnd, writeEnd] = native.pipeOpen();
  const child = run(PRINT, writeEnd, ['/usr/bin/python3', '-c', WITHOUT_WAITING]);
  closeSync(writeEnd);
  const ended = lastWords(child);
  await sleep(300);
  const chunk = Buffer.alloc(1 << 16);
  let text = '';
  for (;;) {
    try {
      const count = readSync(readEnd, chunk);
      if (count === 0) break;
      text += chunk.toString('latin1', 0, count);
    } catch (error) {
      expect(error).toMatchObject({ code: 'EAGAIN' });
      await sleep(5);
    }
  }
  closeSync(readEnd);
  expect(text === PRINTED).toBe(true);
  expect(await ended).toBe('done');
});

it.each([
  ['at once', ''],
  ['by the stream', 'stdout.stream;'],
])('to nobody, %s', async (_, first) => {
  const told = `stdout.onError = (error) => stderr.write(error.code + ' ')`;
  const child = run(`${told}; ${first} ${PRINT}; await new Promise((done) => setTimeout(done, 50))`, 'pipe');
  child.stdout!.destroy();
  expect(await lastWords(child)).toBe('done');
});
