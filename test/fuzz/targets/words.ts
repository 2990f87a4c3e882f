/** A fan's words, as a line of /etc/network/fan or a command has them, and the record of the fans that fand left. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect } from 'vitest';
import { FanError } from '../../../src/base/error.js';
import { FAN_FLAGS, formatFlags } from '../../../src/config/fan-flags.js';
import { parseFanWords } from '../../../src/config/fan-line.js';
import { formatOverlay } from '../../../src/config/overlay.js';
import { formatUnderlay } from '../../../src/config/underlay.js';
import { runPaths } from '../../../src/control/protocol.js';
import { readStateFans } from '../../../src/control/state-file.js';
import { StateStore } from '../../../src/control/state-store.js';
import { CASES, type Target } from '../target.js';

const KNOWN = [
  ...FAN_FLAGS.map(({ name }) => name),
  ...['250', '250.0.0.0/8', 'eth0', 'eth0/16', '172.30.0.28/16', 'default/16', '-o', '-u', '--overlay'],
  ...['1', '64', '255', '2-127', 'inherit', 'bpf', 'auto', '0', '-1', '1e9', '0x10', '/', '.', '#', '%'],
];
const word = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...KNOWN) },
  { weight: 1, arbitrary: fc.constantFrom(...KNOWN).map((name) => `--${name}`) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom(...KNOWN), fc.string({ maxLength: 8 })).map((two) => two.join('=')),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) },
);

/** Refused with a word of advice, or understood: then what it is formatted as means the same. */
function understand(words: readonly string[]): void {
  let fan: ReturnType<typeof parseFanWords>;
  try {
    fan = parseFanWords(words);
  } catch (error) {
    expect(error).toBeInstanceOf(FanError);
    return;
  }
  const { overlay, underlay, options } = fan;
  const again = formatFlags(options).split(' ');
  if (overlay) again.push('-o', formatOverlay(overlay));
  if (underlay) again.push('-u', formatUnderlay(underlay));
  expect(parseFanWords(again)).toEqual(fan);
}

export const words: Target = {
  name: 'words',
  check(seed) {
    fc.assert(fc.property(fc.array(word, { maxLength: 8 }), understand), { seed, numRuns: 5 * CASES });
  },
};

const GOOD_STATE = JSON.stringify({
  version: 1,
  host: [{ kind: 'forwarding', data: { before: '0' } }],
  fans: [
    {
      id: 'x',
      view: { bridge: 'fan-250-0-28', state: 'up' },
      request: {},
      plan: {},
      steps: [],
      complete: true,
    },
  ],
  removeRunDir: false,
});
const stateTexts = fc.oneof(
  fc.json(),
  fc.string({ unit: 'binary' }),
  fc
    .array(fc.tuple(fc.nat(GOOD_STATE.length), fc.string({ maxLength: 3 })), { maxLength: 4 })
    .map((changes) => {
      let text = GOOD_STATE;
      for (const [at, put] of changes) text = text.slice(0, at) + put + text.slice(at + put.length);
      return text;
    }),
);

let dir: string | undefined;

export const state: Target = {
  name: 'state',
  async check(seed) {
    dir ??= mkdtempSync(join(tmpdir(), 'ufan-fuzz-'));
    const paths = runPaths(dir);
    const property = fc.asyncProperty(stateTexts, async (text) => {
      writeFileSync(paths.state, text);
      for (const read of [() => readStateFans(paths), () => new StateStore(paths.state).load()]) {
        await read().catch((error) => expect(error).toBeInstanceOf(FanError));
      }
    });
    await fc.assert(property, { seed, numRuns: CASES });
  },
  close() {
    if (dir !== undefined) rmSync(dir, { recursive: true });
  },
};
