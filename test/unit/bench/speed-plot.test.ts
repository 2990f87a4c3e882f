/** The plot of README.md and docs/speed.md is that of the table there (after a change: npx vitest run -u with this file). */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { type Bar, barChart, type Tone } from '../../../bench/report/chart.js';

const PAGE = readFileSync(new URL('../../../docs/speed.md', import.meta.url), 'utf8');

/** By how a row of the table begins. */
const TONES: readonly (readonly [RegExp, Tone])[] = [
  [/^untunnelled/, 'limit'],
  [/^kernel/, 'kernel'],
  [/^ufan/, 'fan'],
  [/^the same/, 'fan'],
  [/^one packet/, 'plain'],
  [/./, 'peer'],
];

function barsOf(table: string): Bar[] {
  return table.split('\n').flatMap((line): Bar[] => {
    const [, name = '', figure = ''] = line.split('|').map((cell) => cell.trim());
    if (!/^[\d.]+$/.test(figure)) return [];
    const plain = name
      .replace(/[*`]/g, '')
      .replace('the same where BPF is not allowed', 'ufan, packet, no BPF');
    const label = plain
      .split(/[:(]/)[0]!
      .trim()
      .replace('the fastest userspace tunnel beside it', 'vtun, no cipher');
    return [{ label, tone: TONES.find(([start]) => start.test(label))![1], value: Number(figure), runs: [] }];
  });
}

it('shows the figures of the table', async () => {
  const [table = ''] = PAGE.split('\n## ');
  const bars = barsOf(table).sort((one, other) => other.value - one.value);
  expect(bars).toHaveLength(8);
  const plot = barChart(
    'One TCP stream, container to container',
    'Gbit/s, more is better; one two-core VM',
    bars,
  );
  await expect(plot).toMatchFileSnapshot('../../../docs/speed.svg');
});
