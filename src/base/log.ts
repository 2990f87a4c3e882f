/**
 * The log: pino, JSON lines to a file or the journal, readable lines on a terminal.
 * UFAN_LOG_LEVEL (trace, debug, info, warn, error, silent) sets the level; the default is info.
 */
import { type Logger, pino } from 'pino';

export type { Logger };

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];

export function createLog(name: string, level = process.env.UFAN_LOG_LEVEL ?? 'info'): Logger {
  const known = LEVELS.includes(level) ? level : 'info';
  const log = process.stdout.isTTY
    ? pino({ name, level: known, transport: { target: 'pino-pretty', options: { ignore: 'pid,hostname' } } })
    : pino({ name, level: known });
  if (known !== level) log.warn({ level }, `UFAN_LOG_LEVEL is none of ${LEVELS.join(', ')}: info is used`);
  return log;
}
