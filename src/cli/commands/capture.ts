/** `fanctl capture`: the packets that pass through fand as pcapng, each side with its verdict, to a file or a pipe. */
import { createRequire } from 'node:module';
import { FanError } from '../../base/error.js';
import { CAPTURE_SNAP_LEN, CaptureWriter } from '../../trace/capture-writer.js';
import { openBinary, printNote } from '../output/output.js';
import { type Command, type Invocation, requireRoot } from './command.js';
import { follow, readWish, TRACE_OPTIONS } from './traced.js';

const LIMITS = { snapLen: CAPTURE_SNAP_LEN, recordsPerSecond: 20_000, bytesPerSecond: 64 << 20 };

export const capture: Command = {
  name: 'capture',
  synopsis: ['capture -w FILE|- [FILTER] [-c N] [--drops] [--fan BRIDGE] [--wire-size]'],
  summary: 'write packets as they pass to a pcapng file or a pipe',
  description: `FILTER is that of trace. Each fan has two interfaces, FAN/overlay and FAN/underlay; the verdict
and the drop reason are in the packet's comment. Ends with Ctrl-C.`,
  examples: ['capture -w - host 250.0.27.2 | tshark -r -', 'capture -w drops.pcapng --drops'],
  options: [
    { names: ['-w'], value: 'FILE', summary: 'where to, - for standard output' },
    ...TRACE_OPTIONS,
    { names: ['--wire-size'], summary: 'cut super-packets into the packets on the wire' },
  ],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  requireRoot('capture');
  const { given, paths } = invocation;
  const file = given.get('-w');
  if (file === undefined || file === '') {
    throw new FanError('usage', 'say where to: -w FILE, or -w - for standard output');
  }
  const wish = await readWish(invocation, LIMITS);
  const { version } = createRequire(import.meta.url)('#package') as { version: string };
  const writer = new CaptureWriter(`fanctl capture ${version}`, given.has('--wire-size'));
  const output = openBinary(file);
  let packets = 0;
  try {
    await output.write(writer.begin());
    await follow(paths, wish, (line) => {
      if (line.type === 'started') printNote(`capturing to ${file === '-' ? 'standard output' : file}`);
      if (line.type === 'packet') packets++;
      return output.write(writer.add(line));
    });
    await output.write(writer.end());
  } finally {
    await output.close();
  }
  printNote(`${packets} packets captured`);
}
