/**
 * One end of a soak's traffic, in a container. `serve` echoes what comes; `talk ADDRESS` keeps streams, idle connections
 * and a request/response flow to it, all of which come back: each block of a stream is compared by its sha256. For each
 * line on stdin it prints a report since the last one, as JSON.
 */
import { createHash, randomBytes } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Report } from './report.js';

const PORT = 9100;
const STREAMS = 2;
const IDLE = 50;
const BLOCK = 128 * 1024;
/** Blocks of a stream on their way. */
const WINDOW = 2;
const PACE_MS = 20;
const ASK_MS = 10;

let report: Report = empty();
let lastAnswer = performance.now();

function empty(): Report {
  return { bytes: 0, mismatched: 0, lost: 0, longestGapMs: 0, answers: 0 };
}

/** A connection that ends is lost: nobody here ends one. It is made anew. */
function open(address: string, use: (socket: Socket) => void): void {
  const socket = connect({ port: PORT, host: address, noDelay: true });
  let isOver = false;
  const again = () => {
    if (isOver) return;
    isOver = true;
    report.lost += 1;
    socket.destroy();
    setTimeout(() => open(address, use), 200);
  };
  socket.on('error', again).on('close', again);
  socket.once('connect', () => use(socket));
}

function stream(socket: Socket): void {
  const sent: string[] = [];
  let received = createHash('sha256');
  let length = 0;
  const send = () => {
    if (socket.destroyed) return;
    if (sent.length < WINDOW) {
      const block = randomBytes(BLOCK);
      sent.push(createHash('sha256').update(block).digest('hex'));
      socket.write(block);
    }
    setTimeout(send, PACE_MS);
  };
  socket.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + BLOCK - length);
      received.update(part);
      length += part.length;
      at += part.length;
      if (length < BLOCK) return;
      if (received.digest('hex') !== sent.shift()) report.mismatched += BLOCK;
      report.bytes += BLOCK;
      received = createHash('sha256');
      length = 0;
    }
  });
  send();
}

/** One question at a time: the time between two answers is the gap that somebody sees. */
function ask(socket: Socket): void {
  let question = 0;
  const next = () => {
    question = (question + 1) % 0xffff_ffff;
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(question);
    if (!socket.destroyed) socket.write(bytes);
  };
  socket.on('data', (answer: Buffer) => {
    if (answer.length !== 4 || answer.readUInt32BE() !== question) report.mismatched += answer.length;
    const now = performance.now();
    report.longestGapMs = Math.max(report.longestGapMs, now - lastAnswer);
    report.answers += 1;
    lastAnswer = now;
    setTimeout(next, ASK_MS);
  });
  next();
}

function serve(): void {
  createServer({ noDelay: true }, (socket) => socket.on('error', () => socket.destroy()).pipe(socket)).listen(
    PORT,
    () => process.stdout.write('ready\n'),
  );
}

function talk(address: string): void {
  for (let n = 0; n < STREAMS; n++) open(address, stream);
  for (let n = 0; n < IDLE; n++) open(address, () => undefined);
  open(address, ask);
  createInterface({ input: process.stdin }).on('line', () => {
    const gap = Math.max(report.longestGapMs, performance.now() - lastAnswer);
    process.stdout.write(`${JSON.stringify({ ...report, longestGapMs: Math.round(gap) })}\n`);
    report = empty();
  });
}

const [role, address = ''] = process.argv.slice(2);
if (role === 'serve') serve();
else talk(address);
