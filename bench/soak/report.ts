/** What a soak says: reports of its peers, summed for each fault, and the table of them. */

/** Since the last one. */
export interface Report {
  /** That came back and were compared. */
  bytes: number;
  mismatched: number;
  /** Connections that ended. */
  lost: number;
  /** Between two answers of the request/response flow. */
  longestGapMs: number;
  answers: number;
}

export interface Row extends Omit<Report, 'answers'> {
  fault: string;
  times: number;
}

export interface Use {
  rssBytes: number;
  openFiles: number;
  threads: number;
}

export function addTo(row: Row, { bytes, mismatched, lost, longestGapMs }: Report): void {
  row.bytes += bytes;
  row.mismatched += mismatched;
  row.lost += lost;
  row.longestGapMs = Math.max(row.longestGapMs, longestGapMs);
}

export function table(rows: readonly Row[]): string {
  const heads = ['fault', 'times', 'bytes compared', 'mismatched', 'connections lost', 'longest gap'];
  const cells = rows.map(({ fault, times, bytes, mismatched, lost, longestGapMs }) =>
    [fault, times, bytes, mismatched, lost, `${longestGapMs} ms`].map(String),
  );
  const widths = heads.map((head, i) => Math.max(head.length, ...cells.map((row) => row[i]!.length)));
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ');
  return [heads, ...cells].map(line).join('\n');
}

export function useLine(what: string, before: Use, after: Use): string {
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  return `${what}: RSS ${mb(before.rssBytes)} → ${mb(after.rssBytes)}, descriptors ${before.openFiles} → ${after.openFiles}, threads ${before.threads} → ${after.threads}: ${leaks(before, after).join(', ') || 'well'}`;
}

/** What is usual in the first third of the rounds, of which the very first is left out where there are more: a warm-up. */
export function early(uses: readonly Use[]): Use {
  const warm = uses.slice(uses.length > 3 ? 1 : 0);
  return usual(warm.slice(0, Math.ceil(warm.length / 3)));
}

/** The same of the last third. */
export function late(uses: readonly Use[]): Use {
  return usual(uses.slice(-Math.ceil(uses.length / 3)));
}

/** Medians. */
function usual(uses: readonly Use[]): Use {
  const median = (of: (use: Use) => number): number =>
    uses.map(of).sort((a, b) => a - b)[Math.floor(uses.length / 2)]!;
  return {
    rssBytes: median((use) => use.rssBytes),
    openFiles: median((use) => use.openFiles),
    threads: median((use) => use.threads),
  };
}

/** RSS may grow by so much of itself: a heap breathes. */
const MOST_GROWTH = 0.05;

/** What a fand holds more than before that it should not, in words; empty where all is well. */
export function leaks(before: Use, after: Use): string[] {
  const grown = after.rssBytes / before.rssBytes - 1;
  return [
    ...(grown > MOST_GROWTH ? [`RSS grew by ${(grown * 100).toFixed(1)} %`] : []),
    ...(after.openFiles === before.openFiles ? [] : ['descriptors differ']),
    ...(after.threads === before.threads ? [] : ['threads differ']),
  ];
}

/** Whether a fault did what it must not. */
export function hasFailed(rows: readonly Row[]): boolean {
  return rows.some(({ lost, mismatched, bytes }) => lost > 0 || mismatched > 0 || bytes === 0);
}
