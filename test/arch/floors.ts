/**
 * The picture in src/README.md, drawn from the rooms and what their files import: a house stands on those that it needs,
 * so every arrow leads down. Arrows that follow from others are left out.
 */
import { type Room, roomOf } from './rooms.js';

export interface House {
  readonly name: string;
  /** Names of the rooms in it, lowest first; '' is the house's own. */
  readonly rooms: readonly string[];
  readonly needs: ReadonlySet<string>;
}

interface Box {
  readonly house: House;
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

const houseOf = (room: string): string => room.split('/')[0]!;

/** In the order of the table, which is that of the floors. */
export function houses(
  rooms: readonly Room[],
  files: readonly { path: string; files: readonly string[] }[],
): House[] {
  return [...new Set(rooms.map(({ name }) => houseOf(name)))].map((name) => ({
    name,
    rooms: rooms
      .filter((room) => houseOf(room.name) === name && room.name !== name)
      .map((room) => room.name.slice(name.length + 1)),
    needs: new Set(
      files
        .filter(({ path }) => houseOf(roomOf(path)) === name)
        .flatMap((file) => file.files.map((target) => houseOf(roomOf(target))))
        .filter((target) => target !== name),
    ),
  }));
}

/** Of each house: one above the highest that it needs. */
function floorsOf(all: readonly House[]): Map<string, number> {
  const floors = new Map<string, number>();
  for (const { name, needs } of all) {
    floors.set(name, Math.max(-1, ...[...needs].map((need) => floors.get(need) ?? -1)) + 1);
  }
  return floors;
}

/** Without what another need already stands on. */
function directNeeds(house: House, all: readonly House[]): string[] {
  const byName = new Map(all.map((each) => [each.name, each]));
  const reaches = (from: string, to: string): boolean =>
    [...(byName.get(from)?.needs ?? [])].some((need) => need === to || reaches(need, to));
  return [...house.needs].filter((need) => ![...house.needs].some((other) => reaches(other, need)));
}

const WIDTH = 880;
const HEIGHT = 56;
const STOREY = 92;
const GAP = 120;
const LETTER = 7.3;

const widthOf = ({ name, rooms }: House): number =>
  Math.max(120, LETTER * Math.max(name.length + 6, rooms.join(' · ').length + 4));

function place(all: readonly House[]): Map<string, Box> {
  const floors = floorsOf(all);
  const top = Math.max(...floors.values());
  const boxes = new Map<string, Box>();
  for (let floor = 0; floor <= top; floor++) {
    const here = all.filter(({ name }) => floors.get(name) === floor);
    const total = here.reduce((sum, house) => sum + widthOf(house) + GAP, -GAP);
    let x = (WIDTH - total) / 2;
    for (const house of here) {
      boxes.set(house.name, { house, x, y: 16 + (top - floor) * STOREY, width: widthOf(house) });
      x += widthOf(house) + GAP;
    }
  }
  return boxes;
}

function drawBox({ house, x, y, width }: Box): string[] {
  const middle = Math.round(x + width / 2);
  const rooms = house.rooms.join(' · ');
  return [
    `<rect x="${Math.round(x)}" y="${y}" width="${Math.round(width)}" height="${HEIGHT}" rx="6"/>`,
    `<text x="${middle}" y="${y + (rooms ? 23 : 33)}" class="house">${house.name}/</text>`,
    ...(rooms ? [`<text x="${middle}" y="${y + 43}">${rooms}</text>`] : []),
  ];
}

/** From the foot of one house to the roof of another, spread along both so that arrows stay apart. */
function drawArrow(from: Box, to: Box): string {
  const lean = Math.max(-1, Math.min(1, (to.x + to.width / 2 - from.x - from.width / 2) / 240));
  const x1 = Math.round(from.x + from.width * (0.5 + 0.44 * lean));
  const x2 = Math.round(to.x + to.width * (0.5 - 0.25 * lean));
  return `<path d="M${x1} ${from.y + HEIGHT} L${x2} ${to.y - 3}"/>`;
}

export function drawFloors(all: readonly House[]): string {
  const boxes = place(all);
  const height = Math.max(...[...boxes.values()].map(({ y }) => y)) + HEIGHT + 16;
  const arrows = all.flatMap((house) =>
    directNeeds(house, all).map((need) => drawArrow(boxes.get(house.name)!, boxes.get(need)!)),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}">`,
    '<title>The houses of src/ and their rooms: each imports only from those that it stands on</title>',
    '<style>rect{fill:#f6f4ee;stroke:#55606e}path{stroke:#55606e;fill:none;marker-end:url(#tip)}',
    'text{font:12px ui-monospace,monospace;text-anchor:middle;fill:#30363d}.house{font-weight:bold;font-size:14px}</style>',
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">',
    '<polygon points="0,0 8,4 0,8" fill="#55606e"/></marker></defs>',
    `<rect width="${WIDTH}" height="${height}" style="fill:#fff;stroke:none"/>`,
    ...arrows,
    ...[...boxes.values()].flatMap(drawBox),
    '</svg>',
    '',
  ].join('\n');
}
