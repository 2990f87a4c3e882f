/** `fanctl dissect`: a capture from anywhere, offline: would these packets be accepted, and if not, why? */
import { createReadStream } from 'node:fs';
import { errorText, FanError } from '../../base/error.js';
import { printable } from '../../base/printable.js';
import { readDescribedFan } from '../../config/described-fan.js';
import { FandClient } from '../../control/client.js';
import type { RunPaths } from '../../control/protocol.js';
import { readStateFans } from '../../control/state-file.js';
import type { Dissected, Summary } from '../../trace/dissect.js';
import type { JudgedFan } from '../../trace/judge.js';
import { clockTime, whyOf } from '../../trace/stages.js';
import { formatCompactJson, print } from '../output/output.js';
import { type Command, type Invocation, refuseWord } from './command.js';

export const dissect: Command = {
  name: 'dissect',
  synopsis: ['dissect FILE|- [--fan "OVERLAY UNDERLAY"]... [--json]'],
  summary: 'judge the packets of a capture file as a fan would',
  description: `FILE is pcap or pcapng, of Ethernet, raw IP or Linux cooked frames. Each IP-in-IP packet, or VXLAN
packet of a fan of that type, is decoded and judged for the host that it is for; plain packets of
the overlay, and its ARP over VXLAN, for the host that sends them.
Sends nothing and needs no fand: --fan says which fans there are, as "250.0.0.0/8 172.30.0.28/16"
with any host's address and "vxlan" where it is of that type; without it those that are up here.`,
  completes: 'FILE',
  examples: ['dissect their.pcap --fan "250.0.0.0/8 172.30.0.28/16"', 'dissect - --json < their.pcap'],
  options: [
    { names: ['--fan'], value: 'FAN', summary: 'for this fan; may be given several times', repeats: true },
    { names: ['--json'], summary: 'an object a line, the summary last' },
  ],
  run,
};

async function run({ words, given, paths }: Invocation): Promise<void> {
  const [file, ...more] = words;
  if (file === undefined)
    throw new FanError('usage', 'dissect what? a capture file, or - for standard input');
  refuseWord('dissect', words.find((word) => /^-./.test(word)) ?? more[0]);
  const described = given.get('--fan');
  const fans = described === undefined ? await fansHere(paths) : described.split('\n').map(readFan);
  // With the dataplane comes the addon, which nothing else of fanctl needs.
  const { Dissection } = await import('../../trace/dissect.js');
  const { readCapture } = await import('../../trace/capture-reader.js');
  const json = given.has('--json');
  const dissection = new Dissection(fans);
  const input = file === '-' ? process.stdin : createReadStream(file);
  try {
    for await (const frame of readCapture(input)) {
      const dissected = dissection.add(frame);
      if (dissected) print(json ? toJson(dissected) : toText(dissected));
    }
  } catch (cause) {
    throw new FanError('unsupported', `${file}: ${errorText(cause)}`, { cause });
  }
  const { summary } = dissection;
  print(json ? formatCompactJson({ summary }) : summaryText(summary));
}

function readFan(text: string): JudgedFan {
  const { mapping, vxlan } = readDescribedFan(text);
  return { overlay: mapping.overlay, underlay: mapping.underlay, ...(vxlan && { vxlan }) };
}

/** Of fand, or of what a dead one left. */
async function fansHere(paths: RunPaths): Promise<JudgedFan[]> {
  const views = await new FandClient(paths)
    .fans()
    .catch(async () => (await readStateFans(paths)).map(({ view }) => view));
  if (views.length === 0) {
    throw new FanError('not-configured', 'no fan is up here: say which, --fan "250.0.0.0/8 172.30.0.28/16"');
  }
  return views.map(({ overlay, underlay, flags }) => readFan(`${overlay} ${underlay} ${flags}`));
}

function toJson({ number, timeNs, path, verdict, reason, layers, comment }: Dissected): string {
  return formatCompactJson({
    number,
    time: Number(timeNs) / 1e9,
    path,
    verdict,
    reason: reason ?? null,
    why: reason === undefined ? null : whyOf(reason),
    layers: layers.map((layer) => layer.trim()),
    comment: comment ?? null,
  });
}

const IN_WORDS = {
  fragment: 'a fragment, judged with the last of its datagram',
  cut: 'too little captured to judge',
};

function toText({ number, timeNs, path, verdict, reason, layers, comment }: Dissected): string {
  const words = verdict === 'fragment' || verdict === 'cut' ? IN_WORDS[verdict] : verdict;
  const end = reason === undefined ? words : `DROPPED ${reason}: ${whyOf(reason)}`;
  const lines = [`#${number} ${clockTime(timeNs)} ${path}: ${end}`, ...layers.map((layer) => `    ${layer}`)];
  return [...lines, ...(comment === undefined ? [] : [`    comment: ${printable(comment)}`])].join('\n');
}

function summaryText(summary: Summary): string {
  const reasons = Object.entries(summary.reasons).map(([name, count]) => `${name} ${count}`);
  const dropped = reasons.length > 0 ? `${summary.dropped} dropped (${reasons.join(', ')})` : '0 dropped';
  const parts = [`${summary.accepted} accepted`, dropped];
  if (summary.fragments > 0) parts.push(`${summary.fragments} fragments before the last of their datagram`);
  if (summary.incomplete > 0) parts.push(`${summary.incomplete} datagrams incomplete`);
  if (summary.cut > 0) parts.push(`${summary.cut} cut short by the capture`);
  parts.push(`${summary.other} of no fan`);
  if (summary.unknownLink > 0) parts.push(`${summary.unknownLink} of them of a link type that is not read`);
  return `${summary.frames} frames: ${parts.join(', ')}`;
}
