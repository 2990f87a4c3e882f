/** A line of fand's log, an object of pino's, for people: "2026-11-29 11:37:01.123 info  fan-250-0-28 is up". */
const LEVELS: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
};
const LEVEL_WIDTH = 5;

interface Entry {
  level?: number;
  time?: number;
  msg?: string;
  err?: { stack?: string };
}

/** What is no such object comes as it is; the time is UTC. */
export function formatLogLine(line: string): string {
  const entry = parse(line);
  if (entry?.msg === undefined || entry.time === undefined) return line;
  const time = new Date(entry.time).toISOString().replace('T', ' ').slice(0, -1);
  const level = LEVELS[entry.level ?? 0] ?? `${entry.level}`;
  const text = `${time} ${level.padEnd(LEVEL_WIDTH)} ${entry.msg}`;
  return entry.err?.stack === undefined ? text : `${text}\n${entry.err.stack}`;
}

function parse(line: string): Entry | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Entry;
  } catch {
    return undefined;
  }
}
