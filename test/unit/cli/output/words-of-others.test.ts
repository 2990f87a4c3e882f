/** Words of others in what fanctl prints: names of devices, rules of a firewall. None of them moves a terminal. */
import { expect, it } from 'vitest';
import { formatChecks } from '../../../../src/cli/output/check-output.js';
import { formatExplanation } from '../../../../src/cli/output/explanation-text.js';
import { formatFans, formatStats } from '../../../../src/cli/output/output.js';
import { renderTop } from '../../../../src/cli/output/top-view.js';
import type { Explanation, FanView } from '../../../../src/control/protocol.js';
import { TraceText } from '../../../../src/trace/trace-text.js';

/** A name that Linux lets a device have, and a comment that nft lets a rule have. */
const EVIL = 'e\x1b[31mth\x9b0\x07';
const SHOWN = 'e\\x1b[31mth\\x9b0\\x07';

const view = {
  bridge: EVIL,
  overlay: '250.0.0.0/8',
  underlay: '172.30.0.28/16',
  flags: '',
  state: 'up',
} as FanView;

const texts: readonly [string, () => string][] = [
  ['show', () => formatFans([view])],
  [
    'stats',
    () => formatStats({ host: { counters: {} }, fans: [{ ...view, io: 'raw', counters: {} }] }, false),
  ],
  [
    'doctor',
    () =>
      formatChecks([
        {
          check: 'forward-drop',
          status: 'fail',
          severity: 'major',
          evidence: `rule "${EVIL}\nok"`,
          fix: EVIL,
        },
      ]),
  ],
  [
    'explain',
    () =>
      formatExplanation({
        ...{
          address: '250.0.27.2',
          kind: 'overlay',
          host: '172.30.0.27',
          verdict: 'deliverable',
          here: null,
        },
        ...{ why: `rule "${EVIL}\n  verdict"`, slices: [], bits: null },
      } as unknown as Explanation),
  ],
  [
    'top',
    () =>
      renderTop(
        {
          ...{
            seconds: 1,
            hostname: EVIL,
            pid: 1,
            version: '1',
            uptimeSeconds: 1,
            cpuPercent: 1,
            rssBytes: 1,
          },
          ...{ workers: [], fans: [], drops: [], peers: [], pathMtus: [] },
        },
        new Map(),
        { columns: 200, rows: 50, glyphs: '_-' },
      )
        .map(({ text }) => text)
        .join('\n'),
  ],
  [
    'trace',
    () => new TraceText().kernel({ type: 'kernel', reason: 'tun-overflow', bridge: EVIL, packets: 1 }),
  ],
];

it.each(texts)('%s', (_, format) => {
  const text = format();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is there is what is tested.
  expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  expect(text).toContain(SHOWN);
  expect(text.split('\n').filter((line) => /^(ok| {2}verdict"|#)/.test(line))).toEqual([]);
});
