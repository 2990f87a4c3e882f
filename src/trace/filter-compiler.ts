/**
 * A filter in tcpdump's words to a program for wire/packet-filter.ts. tcpdump compiles it: nobody else's dialect of
 * pcap-filter(7) would be the one that people know.
 */
import { execFile } from 'node:child_process';
import { FanError } from '../base/error.js';

/** Resolving a host name may take a while; tcpdump itself does not. */
const TIMEOUT_MS = 20_000;
const MOST_OUTPUT = 1 << 20;
/** A request of fanctl's takes no more. */
const MOST_INSTRUCTIONS = 2048;

/** Code, jt, jf, k of each instruction; none for an empty text. Throws FanError usage with tcpdump's reason. */
export async function compileFilter(text: string): Promise<number[]> {
  if (text.trim() === '') return [];
  const output = await runTcpdump(text);
  const [count = 0, ...program] = output.trim().split(/\s+/).map(Number);
  if (program.length !== count * 4 || program.some((word) => !Number.isInteger(word))) {
    throw new FanError('unsupported', 'tcpdump -ddd prints no program that fanctl knows');
  }
  if (count > MOST_INSTRUCTIONS) {
    throw new FanError(
      'usage',
      `the filter is too long: ${count} instructions, ${MOST_INSTRUCTIONS} at most`,
    );
  }
  return program;
}

function runTcpdump(text: string): Promise<string> {
  const options = { timeout: TIMEOUT_MS, maxBuffer: MOST_OUTPUT };
  return new Promise((resolve, reject) => {
    execFile('tcpdump', ['-ddd', '-y', 'RAW', '--', text], options, (error, stdout, stderr) => {
      if (!error) resolve(stdout);
      else if (error.code === 'ENOENT') {
        reject(new FanError('unsupported', 'a filter needs tcpdump, which is not installed'));
      } else reject(new FanError('usage', `bad filter "${text}": ${reasonOf(stderr)}`, { cause: error }));
    });
  });
}

/** "tcpdump: can't parse filter expression: syntax error" → "syntax error". */
function reasonOf(stderr: string): string {
  const line = stderr.split('\n').find((each) => each.startsWith('tcpdump: ')) ?? stderr.trim();
  return line.replace(/^tcpdump: (can't parse filter expression: )?/, '') || 'tcpdump does not say why';
}
