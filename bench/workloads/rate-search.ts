/**
 * The highest rate that a path carries with no more than a given loss, found by trials.
 *
 * Upward by steps until one fails or the generator gives no more; then the gap between the best that held and the
 * least that failed is halved (by ratio) until it is small. A trial that fails is tried once more: on a shared machine
 * a single hiccup of some milliseconds loses more than 1 % of a short trial.
 */

export interface Trial {
  /** Packets a second: asked of the generator, really sent, and arrived. */
  asked: number;
  sent: number;
  delivered: number;
}

export interface SearchOptions {
  /** Packets a second to begin with. */
  start: number;
  /** Factor between steps upward, more than 1. */
  step: number;
  /** 0.01 is one in a hundred. */
  maxLoss: number;
  /** It is enough when the least failing rate is at most this factor above the best. */
  precision: number;
  maxTrials: number;
}

export interface SearchResult {
  /** The holding trial with the most delivered; undefined when not even the lowest rate held. */
  best: Trial | undefined;
  trials: readonly Trial[];
  /** Whether the generator, not the path, set the limit. */
  generatorLimited: boolean;
}

/** Below this a path carries nothing worth a figure. */
const LOWEST = 500;
/**
 * A generator that sends less than this share of what was asked has lost its CPU to others now and then, or is at its
 * own end: it is, when asking for more doesn't make that much more arrive.
 */
const KEEPS_UP = 0.95;
const WORTH_ASKING = 1.04;

export function lossOf({ sent, delivered }: Trial): number {
  return sent === 0 ? 1 : 1 - delivered / sent;
}

export async function searchRate(
  attempt: (rate: number) => Promise<Trial>,
  options: SearchOptions,
): Promise<SearchResult> {
  const trials: Trial[] = [];
  const holds = (trial: Trial) => lossOf(trial) <= options.maxLoss;
  const tryRate = async (rate: number): Promise<Trial> => {
    const first = await attempt(Math.round(rate));
    trials.push(first);
    if (holds(first) || trials.length >= options.maxTrials) return first;
    const second = await attempt(Math.round(rate));
    trials.push(second);
    return second;
  };
  let good = 0;
  let bad = Number.POSITIVE_INFINITY;
  let generatorLimited = false;
  let delivered = 0;
  let rate = options.start;
  while (trials.length < options.maxTrials && rate >= LOWEST && bad / good > options.precision) {
    const trial = await tryRate(rate);
    if (holds(trial)) good = rate;
    else bad = rate;
    generatorLimited = trial.sent < KEEPS_UP * rate && trial.delivered < delivered * WORTH_ASKING;
    if (generatorLimited && holds(trial)) break;
    delivered = Math.max(delivered, trial.delivered);
    if (bad === Number.POSITIVE_INFINITY) rate *= options.step;
    else rate = good === 0 ? rate / options.step : Math.sqrt(good * bad);
  }
  const best = trials.filter(holds).sort((a, b) => b.delivered - a.delivered)[0];
  return { best, trials, generatorLimited };
}
