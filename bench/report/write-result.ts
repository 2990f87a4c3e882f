/**
 * The result's files in bench/results: raw JSON, the HTML report, and the headline as SVG. Synchronous: a signal's
 * handler writes them as well.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from '../lab/repository.js';
import { htmlReport, workloadChart } from './html.js';
import type { Result } from './result.js';

const RESULTS = join(REPOSITORY, 'bench/results');

/** Returns the paths written, the raw result first. */
export function writeResult(result: Result): string[] {
  mkdirSync(RESULTS, { recursive: true });
  const file = join(RESULTS, `${result.machine.date.replaceAll(':', '')}.json`);
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
  return [file, ...renderBeside(file, result)];
}

/** Makes the report of a raw result anew. Throws where the file isn't one. */
export function renderResult(file: string): string[] {
  return renderBeside(file, readResult(file));
}

/** The raw result in `file`. Throws where the file isn't one. */
export function readResult(file: string): Result {
  return JSON.parse(readFileSync(file, 'utf8')) as Result;
}

function renderBeside(file: string, result: Result): string[] {
  const stem = file.replace(/\.json$/, '');
  const files: [string, string][] = [[`${stem}.html`, htmlReport(result)]];
  for (const environment of result.environments) {
    const [headline] = environment.workloads;
    const chart = headline && workloadChart(headline, environment);
    if (chart)
      files.push([`${stem}-${headline.name}-${environment.profile}-${environment.mtu}.svg`, `${chart}\n`]);
  }
  for (const [name, text] of files) writeFileSync(name, text);
  return files.map(([name]) => name);
}
