/**
 * What checks found, as text: by default a line each, and under those that are not well what was seen and what mends it;
 * on a terminal by groups, where what is well is one line a group, in colours; and the same as JSON.
 */
import { printable } from '../../base/printable.js';
import type { CheckResult } from '../../control/protocol.js';
import { CHECK_GROUPS, titleOf } from './check-titles.js';
import { type Paint, plainly } from './paint.js';

const LABELS: Readonly<Record<CheckResult['status'], string>> = { ok: 'ok', warn: 'warn', fail: 'FAIL' };
const LABEL_WIDTH = 6;
/** Of checks that a group has no line for, as those of another version. */
const OTHERS = 'others';

/** Ends with a line that sums it up. */
export function formatChecks(results: readonly CheckResult[]): string {
  return [...results.flatMap((result) => formatCheck(result, plainly)), '', sumUp(results, plainly)].join(
    '\n',
  );
}

/** For a terminal: `every` shows also what is well, a line each. */
export function formatGroups(results: readonly CheckResult[], paint: Paint, every: boolean): string {
  const lines = groupsOf(results).flatMap(([title, members]) => {
    const healthy = members.filter(({ status }) => status === 'ok');
    const shown = members.filter((member) => every || !healthy.includes(member));
    const count = healthy.length === 1 ? '1 check' : `${healthy.length} checks`;
    const label = paint('ok', LABELS.ok.padEnd(LABEL_WIDTH));
    if (shown.length === 0) return [`${label}${paint('bold', title)}: ${count}`];
    const folded = every || healthy.length === 0 ? [] : [`${label}${count}`];
    return [paint('bold', title), ...shown.flatMap((one) => formatCheck(one, paint)), ...folded];
  });
  return [...lines, '', sumUp(results, paint)].join('\n');
}

/** The objects of `--json`: each with its title behind its name. */
export function withTitles(results: readonly CheckResult[]): (CheckResult & { title?: string })[] {
  return results.map(({ check, ...rest }) => {
    const title = titleOf(check);
    return title === undefined ? { check, ...rest } : { check, title, ...rest };
  });
}

/** "packets pass between bridge and fan (forward-drop)" */
export function nameWithTitle(check: string): string {
  const title = titleOf(check);
  return title === undefined ? check : `${title} (${check})`;
}

function groupsOf(results: readonly CheckResult[]): [string, CheckResult[]][] {
  const groups = CHECK_GROUPS.map(({ title, checks }): [string, CheckResult[]] => [
    title,
    results.filter(({ check }) => check in checks),
  ]);
  groups.push([OTHERS, results.filter(({ check }) => titleOf(check) === undefined)]);
  return groups.filter(([, members]) => members.length > 0);
}

function formatCheck(
  { check, status, severity, evidence, fix, direction }: CheckResult,
  paint: Paint,
): string[] {
  const label = paint(status, LABELS[status].padEnd(LABEL_WIDTH));
  const name = nameWithTitle(check);
  if (status === 'ok') return [`${label}${name}: ${printable(evidence)}`];
  const way = direction === undefined ? '' : `, direction ${direction}`;
  const indent = ' '.repeat(LABEL_WIDTH);
  return [
    `${label}${paint('bold', name)}: ${severity}${way}`,
    `${indent}  ${printable(evidence)}`,
    ...(fix === '' ? [] : [`${indent}  fix: ${printable(fix)}`]),
  ];
}

function sumUp(results: readonly CheckResult[], paint: Paint): string {
  const count = (status: CheckResult['status']) =>
    results.filter((result) => result.status === status).length;
  const [failed, warned] = [count('fail'), count('warn')];
  const parts = [
    results.length === 1 ? '1 check' : `${results.length} checks`,
    failed > 0 ? paint('fail', `${failed} failed`) : '0 failed',
    warned > 0 ? paint('warn', `${warned} warned`) : '0 warned',
  ];
  return parts.join(', ');
}
