/** `fanctl explain`: what an address is to the fans of this host, or to one that is only described. No traffic. */
import { parseAddress } from '../../addr/ipv4-address.js';
import { FanError } from '../../base/error.js';
import { type DescribedFan, readDescribedFan } from '../../config/described-fan.js';
import { FandClient, NotRunning } from '../../control/client.js';
import { exchangeAtOnce } from '../../control/exchange-at-once.js';
import type { ExplainRequest, Explanation, RunPaths } from '../../control/protocol.js';
import { readStateFans } from '../../control/state-file.js';
import { explainAddress } from '../../fan/explanation.js';
import { formatExplanation } from '../output/explanation-text.js';
import { fitText, outputColumns } from '../output/fit.js';
import { formatJson, print } from '../output/output.js';
import { type Command, type Invocation, QUIET, refuseWord } from './command.js';

export const explain: Command = {
  name: 'explain',
  synopsis: ['explain ADDR [from ADDR [by DEVICE]] [--json] [--fan FAN]'],
  summary: 'say where packets to an address go, and why',
  description: `No packet is sent. With --fan no fan needs to be up: the arithmetic alone.`,
  operands: [
    ['ADDR', 'of the overlay: its host, and the way there; of the underlay: its slice'],
    ['from ADDR', 'the sender of the packet: would it be taken for one?'],
    ['by DEVICE', 'of this host, that its packet comes in by: may one of this sender?'],
  ],
  options: [
    { names: ['--json'], summary: 'an object instead of the text' },
    { names: ['--fan'], value: 'FAN', summary: 'for this fan: "250.0.0.0/8 172.30.0.28/16"' },
    QUIET,
  ],
  examples: [
    'explain 250.0.27.2',
    'explain 250.0.28.5 from 250.0.27.2',
    'explain 250.0.28.5 from 250.0.27.2 by eth0',
    'explain 250.0.27.2 --fan "250.0.0.0/8 172.30.0.28/16"',
  ],
  run,
};

async function run({ words, given, paths }: Invocation): Promise<void> {
  const request = readWords(words);
  const described = given.get('--fan');
  if (described !== undefined && request.by !== undefined)
    throw new FanError('usage', 'by is of a device of this host: leave out --fan, or "by"');
  const explanation =
    described === undefined ? await ask(paths, request) : calculate(readDescribedFan(described), request);
  print(
    given.has('--json') ? formatJson(explanation) : fitText(formatExplanation(explanation, outputColumns())),
  );
}

function readWords(words: readonly string[]): ExplainRequest {
  const [address, keyword, from, ...rest] = words;
  if (address === undefined) throw new FanError('usage', 'explain what? an address such as 250.0.27.2');
  refuseWord(
    'explain',
    words.find((word) => word.startsWith('-')),
  );
  parseAddress(address);
  if (keyword === undefined) return { address };
  if (keyword !== 'from') refuseWord('explain', keyword);
  if (from === undefined) throw new FanError('usage', 'from needs an address, such as 250.0.28.2');
  parseAddress(from);
  const [second, by, ...more] = rest;
  if (second === undefined) return { address, from };
  if (second !== 'by') refuseWord('explain', second);
  if (by === undefined) throw new FanError('usage', 'by needs a device of this host, such as eth0');
  refuseWord('explain', more[0]);
  return { address, from, by };
}

function calculate({ mapping, vxlan }: DescribedFan, { address, from }: ExplainRequest): Explanation {
  const sender = from === undefined ? undefined : parseAddress(from);
  return { ...explainAddress([mapping], parseAddress(address), sender, () => vxlan), here: null };
}

/** fand's answer; where none runs, the arithmetic of the fans that a dead one left. */
async function ask(paths: RunPaths, request: ExplainRequest): Promise<Explanation> {
  try {
    return await new FandClient(paths, exchangeAtOnce).explain(request);
  } catch (error) {
    const isWithoutFan = error instanceof FanError && error.code === 'not-configured';
    if (!(error instanceof NotRunning) && !isWithoutFan) throw error;
    const fans = await readStateFans(paths);
    if (fans.length === 0) {
      throw new FanError('not-configured', 'no fan is up: name one, --fan "250.0.0.0/8 172.30.0.28/16"');
    }
    const names = fans.map(({ view }) => view.bridge).join(', ');
    throw new FanError('daemon', `fand is not running: bring ${names} up again, or name a fan with --fan`);
  }
}
