/**
 * Plots as SVG text: a bar a path with every run as a dot, and lines over a logarithmic axis. An SVG stands by itself
 * (README) or inline (report.html), on light and dark ground.
 */
import { escapeMarkup, formatFigure } from './text.js';

export type Tone = 'limit' | 'kernel' | 'fan' | 'plain' | 'peer';

export interface Bar {
  label: string;
  tone: Tone;
  /** The bar's length: the median. */
  value: number;
  /** A dot each. */
  runs: readonly number[];
}

export interface Line {
  label: string;
  tone: Tone;
  points: readonly { x: number; y: number }[];
}

const WIDTH = 760;
const LABEL_WIDTH = 190;
const VALUE_WIDTH = 90;
const ROW = 24;
const TITLE = 34;
const PLOT_HEIGHT = 220;
const MARGIN = 12;

const STYLE = `<style>
text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600}.note{font-size:11px;fill:#656d76}
.limit{fill:#8c959f;stroke:#8c959f}.kernel{fill:#4078c0;stroke:#4078c0}.fan{fill:#d4681c;stroke:#d4681c}
.plain{fill:#a475b5;stroke:#a475b5}.peer{fill:#6b9e78;stroke:#6b9e78}.bar{stroke:none}
.run{fill:#1f2328;stroke:none;fill-opacity:.45}.line{fill:none;stroke-width:2}.axis{stroke:#8c959f;stroke-width:1}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#9198a1}.run{fill:#e6edf3}}
</style>`;

/** `note` stands small beside the title: the unit, and which way is better. */
export function barChart(title: string, note: string, bars: readonly Bar[]): string {
  const height = TITLE + bars.length * ROW + MARGIN;
  const room = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
  const largest = Math.max(...bars.flatMap(({ value, runs }) => [value, ...runs]).filter(Number.isFinite), 0);
  const scale = largest > 0 ? room / largest : 0;
  const rows = bars.map((bar, i) => barRow(bar, TITLE + i * ROW, scale)).join('');
  return svg(title, height, heading(title, note) + rows);
}

function barRow({ label, tone, value, runs }: Bar, top: number, scale: number): string {
  const middle = top + ROW / 2;
  const length = Number.isFinite(value) ? value * scale : 0;
  const furthest = Math.max(length, ...runs.map((run) => run * scale));
  const dots = runs.map((run) => {
    return `<circle class="run" cx="${round(LABEL_WIDTH + run * scale)}" cy="${middle}" r="2.5"/>`;
  });
  return (
    `<text x="${LABEL_WIDTH - 8}" y="${middle + 4}" text-anchor="end">${escapeMarkup(label)}</text>` +
    `<rect class="bar ${tone}" x="${LABEL_WIDTH}" y="${top + 4}" width="${round(length)}" height="${ROW - 8}" rx="2"/>` +
    dots.join('') +
    `<text x="${round(LABEL_WIDTH + furthest + 8)}" y="${middle + 4}">${formatFigure(value)}</text>`
  );
}

/** Both axes as they come, x logarithmic; y begins at 0. */
export function lineChart(title: string, note: string, xTitle: string, lines: readonly Line[]): string {
  const xs = lines.flatMap(({ points }) => points.map(({ x }) => x));
  const ys = lines.flatMap(({ points }) => points.map(({ y }) => y)).filter(Number.isFinite);
  const left = 60;
  const right = WIDTH - LABEL_WIDTH;
  const bottom = TITLE + PLOT_HEIGHT;
  const [low, high] = [Math.log(Math.min(...xs)), Math.log(Math.max(...xs))];
  const largest = Math.max(...ys, 0) || 1;
  const toX = (x: number) => left + ((right - left) * (Math.log(x) - low)) / (high - low || 1);
  const toY = (y: number) => bottom - (PLOT_HEIGHT * y) / largest;
  const ticks = [...new Set(xs)].map((x) => {
    return `<text class="note" x="${round(toX(x))}" y="${bottom + 16}" text-anchor="middle">${formatInteger(x)}</text>`;
  });
  const axes =
    `<path class="axis" fill="none" d="M${left} ${TITLE}V${bottom}H${right}"/>` +
    `<text class="note" x="${left - 6}" y="${TITLE + 10}" text-anchor="end">${formatFigure(largest)}</text>` +
    `<text class="note" x="${left - 6}" y="${bottom}" text-anchor="end">0</text>` +
    `<text class="note" x="${right}" y="${bottom + 32}" text-anchor="end">${escapeMarkup(xTitle)}</text>`;
  const drawn = lines.map((line) => drawLine(line, toX, toY)).join('');
  return svg(title, bottom + 44, heading(title, note) + axes + ticks.join('') + drawn);
}

function drawLine(
  { label, tone, points }: Line,
  toX: (x: number) => number,
  toY: (y: number) => number,
): string {
  const whole = points.filter(({ y }) => Number.isFinite(y));
  const last = whole.at(-1);
  if (!last) return '';
  const path = whole.map(({ x, y }, i) => `${i === 0 ? 'M' : 'L'}${round(toX(x))} ${round(toY(y))}`).join('');
  const dots = whole.map(
    ({ x, y }) => `<circle class="${tone}" cx="${round(toX(x))}" cy="${round(toY(y))}" r="3"/>`,
  );
  return (
    `<path class="line ${tone}" style="fill:none" d="${path}"/>${dots.join('')}` +
    `<text x="${round(toX(last.x) + 10)}" y="${round(toY(last.y) + 4)}">${escapeMarkup(label)}</text>`
  );
}

function heading(title: string, note: string): string {
  return (
    `<text class="title" x="${MARGIN}" y="20">${escapeMarkup(title)}</text>` +
    `<text class="note" x="${WIDTH - MARGIN}" y="20" text-anchor="end">${escapeMarkup(note)}</text>`
  );
}

function svg(title: string, height: number, body: string): string {
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" role="img" ` +
    `aria-label="${escapeMarkup(title)}">${STYLE}${body}</svg>`
  );
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function formatInteger(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 1 });
}
