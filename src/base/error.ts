/**
 * The one error type of control code: a machine-readable code, a sentence for the operator, and the cause.
 *
 * Packet code never throws; it returns a drop reason (see drop-reason.ts). Native calls throw a plain Error
 * with {code, errno, syscall}, which control code wraps as the cause of a FanError.
 */

export type FanErrorCode =
  | 'usage'
  | 'bad-address'
  | 'bad-overlay'
  | 'bad-underlay'
  | 'overlap'
  | 'not-root'
  | 'already-configured'
  | 'not-configured'
  | 'in-use'
  | 'config'
  | 'unsupported'
  | 'step-failed'
  | 'daemon'
  /** fand ends: the request was not begun. */
  | 'leaving';

export class FanError extends Error {
  readonly code: FanErrorCode;

  /** `message` says what is wrong and what to do about it, in one line, with no program name in front. */
  constructor(code: FanErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'FanError';
    this.code = code;
  }
}

/**
 * Words that nobody knows, perhaps with a slip: who knows all that may stand there can say which was meant
 * (command-line.ts).
 */
export class UnknownWord extends FanError {
  readonly what: string;
  readonly words: readonly string[];
  /** What may stand there besides, options with their dashes: "--dhcp". */
  readonly known: readonly string[];

  /** The message is `what`: `remedy`. */
  constructor(what: string, remedy: string, words: readonly string[], known: readonly string[] = []) {
    super('usage', `${what}: ${remedy}`);
    this.what = what;
    this.words = words;
    this.known = known;
  }
}

/** The text of anything that was thrown, in one line. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
