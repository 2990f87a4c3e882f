/**
 * The log: pino, JSON lines to a file or the journal, readable lines on a terminal.
 * UFAN_LOG_LEVEL (trace, debug, info, warn, error, silent) sets the level; the default is info.
 */
import { type LogFn, type Logger, type LoggerOptions, pino, stdSerializers } from 'pino';
import { printable, printableLines } from './printable.js';

export type { Logger };

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];

export async function createLog(name: string, level = process.env.UFAN_LOG_LEVEL ?? 'info'): Promise<Logger> {
  const known = LEVELS.includes(level) ? level : 'info';
  const options: LoggerOptions = {
    name,
    level: known,
    hooks: { logMethod },
    serializers: { err: printableError },
  };
  const log = process.stdout.isTTY
    ? pino(options, (await import('pino-pretty')).default({ ignore: 'pid,hostname' }))
    : pino(options);
  if (known !== level) log.warn({ level }, `UFAN_LOG_LEVEL is none of ${LEVELS.join(', ')}: info is used`);
  return log;
}

/** What others say comes into messages: names of devices, words of programs. */
function logMethod(this: Logger, args: Parameters<LogFn>, method: LogFn): void {
  const shown = args.map((arg: unknown) => (typeof arg === 'string' ? printable(arg) : arg));
  method.apply(this, shown as Parameters<LogFn>);
}

function printableError(error: Error): object {
  const { message, stack, ...more } = stdSerializers.err(error);
  return { ...more, message: printable(message), stack: printableLines(stack) };
}
