/** What is fuzzed: one body of code, judged by something that shares nothing with it. */
export interface Target {
  /** As `npm run fuzz -- --only NAME` says it. */
  readonly name: string;
  /** One round of many cases, all from the seed. Rejects with what was found. */
  check(seed: number): Promise<void> | void;
  /** What it holds open between rounds. */
  close?(): Promise<void> | void;
}

/** Runs of a property in one round: some tenths of a second, so that a round ends near the time that it is given. */
export const CASES = 400;
