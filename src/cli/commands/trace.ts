/** `fanctl trace`: packets as they pass through fand, live, with each stage and the verdict. */

import type { TraceLine } from '../../control/protocol.js';
import { TraceText } from '../../trace/trace-text.js';
import { fitText } from '../output/fit.js';
import { formatCompactJson, print, printNote, printStatus } from '../output/output.js';
import { TraceAccount } from '../output/trace-account.js';
import { type Command, type Invocation, requireRoot } from './command.js';
import { Ending, follow, readWish, TRACE_OPTIONS } from './traced.js';

/** Headers, and what ICMP quotes of them; more packets than anybody reads. */
const LIMITS = { snapLen: 256, recordsPerSecond: 2000, bytesPerSecond: 1 << 20 };

export const trace: Command = {
  name: 'trace',
  synopsis: ['trace [FILTER] [-c N] [--drops] [--fan BRIDGE] [--json]'],
  summary: 'show packets as they pass, each stage and the verdict',
  description: `FILTER is in tcpdump's words ("host 250.0.27.2 and tcp port 80"); a packet is shown if its
inner or its outer form matches. Ends with Ctrl-C. docs/tracing.md explains the stages.`,
  examples: ['trace host 250.0.27.2', 'trace --drops -c 10'],
  options: [...TRACE_OPTIONS, { names: ['--json'], summary: 'an object a line' }],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  requireRoot('trace');
  const ending = new Ending();
  const wish = await readWish(invocation, LIMITS);
  const account = new TraceAccount();
  const text = new TraceText();
  const show = invocation.given.has('--json') ? formatJsonLine : formatText;
  try {
    await follow(invocation.paths, wish, ending, account, (line) => {
      if (line.type === 'fan') text.learn(line);
      if (line.type === 'started') printNote('tracing');
      const shown = show(text, line);
      if (shown !== undefined) print(shown);
      return true;
    });
  } finally {
    for (const line of account.lines('shown', LIMITS)) printStatus(line);
    if (wish.request.dropsOnly && account.isEmpty) {
      printNote('nothing dropped by fand; what the kernel drops before it: fanctl doctor');
    }
    ending.forget();
  }
}

function formatText(text: TraceText, line: TraceLine): string | undefined {
  if (line.type === 'packet') return fitText(text.packet(line));
  if (line.type === 'kernel') return fitText(text.kernel(line));
  return line.type === 'lost' ? `${line.records} packets not shown: too fast` : undefined;
}

function formatJsonLine(text: TraceText, line: TraceLine): string | undefined {
  if (line.type === 'packet') return formatCompactJson(text.packetJson(line));
  if (line.type === 'kernel') return formatCompactJson(text.kernelJson(line));
  return line.type === 'lost' ? formatCompactJson({ lost: line.records }) : undefined;
}
