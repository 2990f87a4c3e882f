/** `fanctl capture`: the packets that pass through fand as pcapng, each side with its verdict, to files or a pipe. */
import { createRequire } from 'node:module';
import { FanError } from '../../base/error.js';
import type { TraceLine } from '../../control/protocol.js';
import { CAPTURE_SNAP_LEN, CaptureWriter } from '../../trace/capture-writer.js';
import { checkRotation, type Rotation, Savefiles } from '../../trace/savefiles.js';
import { printNote, printStatus, refuseTerminal, writeBytes } from '../output/output.js';
import { TraceAccount } from '../output/trace-account.js';
import { type Command, type Invocation, requireRoot } from './command.js';
import { Ending, follow, readNumber, readWish, TRACE_OPTIONS } from './traced.js';

const RATE = { recordsPerSecond: 20_000, bytesPerSecond: 64 << 20 };
/** Of a super-packet without -s: the headers, outer one and options included, and 256 bytes of payload. */
const BURST_SNAP_LEN = 256 + 20 + 60 + 60;
const BYTES_PER_MB = 1e6;
const MOST_MB = 1e6;
const MOST_SECONDS = 366 * 86_400;
const MOST_FILES = 1e6;

export const capture: Command = {
  name: 'capture',
  synopsis: [
    'capture -w FILE|- [FILTER] [-c N] [-s SNAPLEN] [--drops] [--fan BRIDGE] [--wire-size]',
    'capture -w FILE [-C MB | -G SECONDS] [-W COUNT] ...',
  ],
  summary: 'write packets as they pass to pcapng files or a pipe',
  description: `FILTER is that of trace. Each fan has two interfaces, FAN/overlay and FAN/underlay; the verdict
and the drop reason are in the packet's comment. Ends with Ctrl-C, and says how many packets were
captured, seen and missed.`,
  examples: [
    'capture -w - host 250.0.27.2 | tshark -r -',
    'capture -w drops.pcapng --drops',
    'capture -w bulk.pcapng -C 100 -W 5',
  ],
  options: [
    { names: ['-w'], value: 'FILE', summary: 'where to, - for standard output; with -G a time, as %H%M%S' },
    { names: ['-s'], value: 'SNAPLEN', summary: 'bytes of each packet, 0 all; else 396 of super-packets' },
    { names: ['-C'], value: 'MB', summary: 'another file after so many million bytes' },
    { names: ['-G'], value: 'SECONDS', summary: 'another file after so many seconds' },
    { names: ['-W'], value: 'COUNT', summary: 'with -C files in a ring, with -G files to end after' },
    ...TRACE_OPTIONS,
    { names: ['--wire-size'], summary: 'cut super-packets into the packets on the wire' },
  ],
  run,
};

interface CaptureOutput {
  /** Whole blocks; false where nobody reads them any more. */
  write(blocks: readonly Uint8Array[]): boolean | Promise<boolean>;
  close(): unknown;
}

/** Standard output. Throws FanError usage where it is a terminal. */
function pipe(writer: CaptureWriter): CaptureOutput {
  refuseTerminal();
  let isBegun = false;
  const write = (blocks: readonly Uint8Array[]) => {
    const begin = isBegun ? [] : [writer.begin()];
    isBegun = true;
    const bytes = Buffer.concat([...begin, ...blocks]);
    return bytes.length === 0 || writeBytes(bytes);
  };
  return { write, close: () => write([writer.end()]) };
}

function readRotation(given: Invocation['given']): Rotation {
  const megabytes = readNumber('-C', given.get('-C'), 1, MOST_MB);
  const seconds = readNumber('-G', given.get('-G'), 1, MOST_SECONDS);
  const files = readNumber('-W', given.get('-W'), 1, MOST_FILES);
  return {
    ...(megabytes !== undefined && { bytes: megabytes * BYTES_PER_MB }),
    ...(seconds !== undefined && { seconds }),
    ...(files !== undefined && { files }),
  };
}

async function run(invocation: Invocation): Promise<void> {
  requireRoot('capture');
  const { given, paths } = invocation;
  const file = given.get('-w');
  if (file === undefined || file === '') {
    throw new FanError('usage', 'say where to: -w FILE, or -w - for standard output');
  }
  const rotation = readRotation(given);
  checkRotation(file, rotation);
  const snapLen = readNumber('-s', given.get('-s'), 0, CAPTURE_SNAP_LEN);
  const most = snapLen || CAPTURE_SNAP_LEN;
  const ending = new Ending();
  const limits = { snapLen: most, burstSnapLen: snapLen === undefined ? BURST_SNAP_LEN : most, ...RATE };
  const wish = await readWish(invocation, limits);
  const { version } = createRequire(import.meta.url)('#package') as { version: string };
  const writer = new CaptureWriter(`fanctl capture ${version}`, {
    wireSize: given.has('--wire-size'),
    snapLen: most,
  });
  const output = file === '-' ? pipe(writer) : new Savefiles(file, rotation, writer);
  const account = new TraceAccount();
  const take = (line: TraceLine) => {
    if (line.type === 'started') {
      printNote(`capturing to ${file === '-' ? 'standard output' : file}`);
      if (rotation.seconds !== undefined && rotation.files !== undefined)
        ending.after(rotation.seconds * rotation.files * 1000);
    }
    return output.write(writer.add(line));
  };
  try {
    await follow(paths, wish, ending, account, take);
  } finally {
    try {
      await output.write(writer.rest());
      await output.close();
    } finally {
      for (const line of account.lines('captured', RATE)) printStatus(line);
      ending.forget();
    }
  }
}
