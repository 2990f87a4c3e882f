/** What checks found, as text: a line each, and under those that are not well what was seen and what mends it. */
import { printable } from '../../base/printable.js';
import type { CheckResult } from '../../control/protocol.js';

const LABELS: Readonly<Record<CheckResult['status'], string>> = { ok: 'ok', warn: 'warn', fail: 'FAIL' };
const LABEL_WIDTH = 6;

/** Ends with a line that sums it up. */
export function formatChecks(results: readonly CheckResult[]): string {
  const width = Math.max(0, ...results.map(({ check }) => check.length));
  const lines = results.flatMap((result) => formatCheck(result, width));
  return [...lines, '', sumUp(results)].join('\n');
}

function formatCheck(
  { check, status, severity, evidence, fix, direction }: CheckResult,
  width: number,
): string[] {
  const label = LABELS[status].padEnd(LABEL_WIDTH);
  if (status === 'ok') return [`${label}${check.padEnd(width)}  ${printable(evidence)}`];
  const way = direction === undefined ? '' : `, direction ${direction}`;
  const indent = ' '.repeat(LABEL_WIDTH);
  return [
    `${label}${check.padEnd(width)}  ${severity}${way}`,
    `${indent}  ${printable(evidence)}`,
    ...(fix === '' ? [] : [`${indent}  fix: ${printable(fix)}`]),
  ];
}

function sumUp(results: readonly CheckResult[]): string {
  const count = (status: CheckResult['status']) =>
    results.filter((result) => result.status === status).length;
  const parts = [
    results.length === 1 ? '1 check' : `${results.length} checks`,
    `${count('fail')} failed`,
    `${count('warn')} warned`,
  ];
  return parts.join(', ');
}
