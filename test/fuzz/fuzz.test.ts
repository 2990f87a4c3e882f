/**
 * `npm run fuzz`, and its short form in the tests. Each target first meets the seeds that found something before, then
 * new ones until its share of the time is over. A failure names its seed, and that seed alone repeats it:
 *
 *   npm run fuzz -- --only decap --seed 123
 */
import { afterAll, describe, it } from 'vitest';
import { KEPT_SEEDS } from './kept-seeds.js';
import type { Target } from './target.js';
import { captures } from './targets/captures.js';
import { control } from './targets/control.js';
import { offload } from './targets/offload.js';
import { programs } from './targets/programs.js';
import { decap, encap } from './targets/walks.js';
import { state, words } from './targets/words.js';

const TARGETS: readonly Target[] = [decap, encap, ...programs, offload, captures, words, state, control];

const { UFAN_FUZZ_MINUTES, UFAN_FUZZ_SEED, UFAN_FUZZ_ONLY } = process.env;
/** Of all targets together, where nothing is said: with their start and end it stays under half a minute. */
const SHORT_MS = 12_000;
/** A round may be under way when the time is over, on a machine that is busy. */
const GRACE_MS = 60_000;
/** Of a packet of 64 kB its beginning tells enough. */
const MOST_TEXT = 6000;
const MOST_SEED = 2 ** 31;

const chosen = TARGETS.filter(({ name }) => !UFAN_FUZZ_ONLY || name === UFAN_FUZZ_ONLY);
const totalMs = UFAN_FUZZ_MINUTES ? Number(UFAN_FUZZ_MINUTES) * 60_000 : SHORT_MS;
const shareMs = totalMs / chosen.length;

async function round(target: Target, seed: number): Promise<void> {
  try {
    await target.check(seed);
  } catch (cause) {
    const again = `npm run fuzz -- --only ${target.name} --seed ${seed}`;
    const found = `${(cause as Error).message}\n${((cause as Error).cause as Error | undefined)?.message ?? ''}`;
    throw new Error(
      `seed ${seed} found something in ${target.name}: "${again}" repeats it; ` +
        `once mended, keep the seed in test/fuzz/kept-seeds.ts\n${found.slice(0, MOST_TEXT)}`,
    );
  }
}

describe.each(chosen)('fuzz $name', (target) => {
  afterAll(() => target.close?.());

  it('finds nothing', { timeout: shareMs + GRACE_MS }, async () => {
    if (UFAN_FUZZ_SEED) return round(target, Number(UFAN_FUZZ_SEED));
    const deadline = Date.now() + shareMs;
    for (const seed of KEPT_SEEDS[target.name] ?? []) await round(target, seed);
    const first = Math.floor(Math.random() * MOST_SEED);
    let seed = first;
    for (; seed === first || Date.now() < deadline; seed++) await round(target, seed);
    process.stdout.write(`fuzz: ${target.name}: seeds ${first} to ${seed - 1}\n`);
  });
});
