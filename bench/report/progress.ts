/**
 * The live line of a run: how far it is, how long it still takes, what was measured last. On a terminal it stays in
 * place; elsewhere each measurement is a line.
 */

const ERASE = '\r\x1b[K';

export class Progress {
  readonly #terminal = process.stderr.isTTY === true;
  #runs: number;
  readonly #runSeconds: number;
  readonly #restSeconds: number;
  #phaseBegan = performance.now();
  #done = 0;

  /** Estimates: of all runs, and of what comes after the last one. */
  constructor(runs: number, runSeconds: number, restSeconds: number) {
    this.#runs = runs;
    this.#runSeconds = runSeconds;
    this.#restSeconds = restSeconds;
  }

  /** A measurement that is done (or failed). */
  run(text: string): void {
    this.#done++;
    this.#show(text);
    if (this.#done === this.#runs) this.#phaseBegan = performance.now();
  }

  /** So many planned measurements won't be made. */
  skip(runs: number): void {
    this.#runs -= runs;
  }

  /** Something under way that is no measurement. */
  stage(text: string): void {
    this.#show(text);
  }

  /** A line that stays. */
  say(text: string): void {
    if (this.#terminal) process.stderr.write(ERASE);
    process.stderr.write(`${text}\n`);
  }

  end(): void {
    if (this.#terminal) process.stderr.write(ERASE);
  }

  #show(text: string): void {
    const width = `${this.#runs}`.length;
    const line = `[${`${this.#done}`.padStart(width)}/${this.#runs}  ${formatDuration(this.#left())} left]  ${text}`;
    if (!this.#terminal) process.stderr.write(`${line}\n`);
    else process.stderr.write(ERASE + line.slice(0, (process.stderr.columns || 100) - 1));
  }

  /** Seconds: of the runs by the estimate at first, more and more by what they took so far. */
  #left(): number {
    const elapsed = (performance.now() - this.#phaseBegan) / 1000;
    if (this.#done >= this.#runs) return Math.max(0, this.#restSeconds - elapsed);
    const share = this.#done / this.#runs;
    const bySpeed = share === 0 ? this.#runSeconds : (elapsed / share) * (1 - share);
    const byPlan = Math.max(0, this.#runSeconds - elapsed);
    return share * bySpeed + (1 - share) * byPlan + this.#restSeconds;
  }
}

/** "0:05", "12:30", "1:02:03". */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const two = (part: number) => `${part}`.padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
