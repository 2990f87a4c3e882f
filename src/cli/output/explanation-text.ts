/**
 * How `fanctl explain` looks on a terminal: the verdict, who is who, the address as a picture of its bits before and
 * after the shift, and the way from here.
 */
import { parseAddress } from '../../addr/ipv4-address.js';
import { printable } from '../../base/printable.js';
import type { ExplainedHost, Explanation } from '../../control/protocol.js';
import type { BitWidths } from '../../fan/explanation.js';

type Row = [string, string];

/** As wide as a name and an address; the bits stand behind that. */
const BESIDE = ' '.repeat(28);
const WIDE = BESIDE.length + 35;

/** On a terminal of fewer than WIDE columns each line of bits stands by itself. */
export function formatExplanation(explanation: Explanation, columns = Number.POSITIVE_INFINITY): string {
  const { address, kind, host, verdict, why, here, bits } = explanation;
  const title =
    kind === 'outside' ? 'in no fan' : `an ${kind} address${host === address ? '' : ` on host ${host}`}`;
  const blocks = [
    [`${address}: ${title}`, ...formatRows([['verdict', `${verdict}: ${why}`], ...whoRows(explanation)])],
  ];
  if (bits && host !== null) blocks.push(formatPicture(explanation, bits, host, columns >= WIDE));
  if (here) blocks.push(formatRows(wayRows(here, host)));
  return blocks.map((lines) => lines.join('\n')).join('\n\n');
}

function formatRows(rows: readonly Row[]): string[] {
  return rows.map(([name, text]) => `  ${name.padEnd(9)} ${printable(text)}`);
}

function whoRows({ fan, slices, source, here }: Explanation): Row[] {
  const rows: Row[] = [];
  if (source) rows.push(['from', `${source.address}: ${source.verdict}, ${source.why}`]);
  if (fan) {
    const name = here ? `${here.bridge}, ` : '';
    rows.push([
      'fan',
      `${name}${fan.overlay} on ${fan.underlay}, this host is ${fan.host} with slice ${fan.slice}`,
    ]);
  }
  for (const { slice, gateway, bridge } of slices) {
    rows.push(['slice', `${slice}, gateway ${gateway}, bridge ${bridge}`]);
  }
  return rows;
}

/** An overlay address shows how it becomes the host's, an underlay address how it becomes a slice. */
function formatPicture(
  { kind, address, slices }: Explanation,
  bits: BitWidths,
  host: string,
  isWide: boolean,
): string[] {
  const inner = kind === 'overlay' ? address : (slices[0]?.slice.split('/')[0] ?? '');
  const meaning = 'o'.repeat(bits.overlayPrefix) + 'h'.repeat(bits.host) + 's'.repeat(bits.slice);
  const overlay = formatBits('overlay', inner, meaning, isWide);
  const underlay = formatBits('underlay', host, 'u'.repeat(32 - bits.host) + 'h'.repeat(bits.host), isWide);
  const shift = (to: string) => `${isWide ? BESIDE : '  '}h moves ${to} by ${bits.shift}`;
  return [
    ...(kind === 'overlay'
      ? [...overlay, shift('right'), ...underlay]
      : [...underlay, shift('left'), ...overlay]),
    '',
    '  o overlay prefix, h host bits, s address within the slice, u underlay prefix',
  ];
}

/** The 32 bits, and under each what it means. */
function formatBits(name: string, address: string, meaning: string, isWide: boolean): string[] {
  const value = parseAddress(address).toString(2).padStart(32, '0');
  const label = `  ${name.padEnd(9)} ${address.padEnd(15)} `;
  if (isWide) return [`${label}${inOctets(value)}`, `${BESIDE}${inOctets(meaning)}`];
  return [label.trimEnd(), `  ${inOctets(value)}`, `  ${inOctets(meaning)}`];
}

function inOctets(digits: string): string {
  return digits.replaceAll(/.{8}(?=.)/g, '$& ');
}

function wayRows(here: ExplainedHost, host: string | null): Row[] {
  const { innerRoute, route, neighbour, tun, io, ioNotes, mtu, notes } = here;
  const rows: Row[] = [];
  if (innerRoute) rows.push(['inner', `dev ${innerRoute.device}`]);
  if (route) {
    const hop = route.onLink ? 'on the link' : `via ${route.nextHop}`;
    rows.push(['outer', `to ${host} dev ${route.device} from ${route.source}, ${hop}`]);
  }
  if (neighbour) {
    rows.push(['neighbour', `${neighbour.address} ${neighbour.state} ${neighbour.mac ?? ''}`.trimEnd()]);
  }
  rows.push(['io', [io, ...ioNotes].join('; ')]);
  const { containers } = mtu;
  const range = containers?.least === containers?.most ? '' : ` to ${containers?.most}`;
  const stages: Row[] = [
    ['containers', containers ? `${containers.least}${range}` : 'none'],
    ['bridge', number(mtu.bridge)],
    [tun, number(mtu.tun)],
    ['path', mtu.path === null ? 'nothing learnt' : `${mtu.path}`],
    ...(route?.mtu ? [['route', `${route.mtu}`] satisfies Row] : []),
    ['underlay', number(mtu.underlay)],
  ];
  rows.push(['mtu', stages.map((stage) => stage.join(' ')).join(', ')]);
  rows.push(...notes.map((note): Row => ['note', note]));
  return rows;
}

function number(value: number | null): string {
  return value === null ? 'gone' : `${value}`;
}
