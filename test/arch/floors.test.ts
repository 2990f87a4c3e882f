/**
 * src/README.md and its picture say what the code does: every room has its line, and the picture is the one that the
 * imports draw (after a change: npx vitest run -u --project unit test/arch).
 */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { drawFloors, houses } from './floors.js';
import { ROOMS } from './rooms.js';
import { SOURCES } from './sources.js';

const README = readFileSync(new URL('../../src/README.md', import.meta.url), 'utf8');

it('the picture of the floors is that of the imports', async () => {
  await expect(drawFloors(houses(ROOMS, SOURCES))).toMatchFileSnapshot('../../src/floors.svg');
});

it('shows every folder of src/ that has files', () => {
  const drawn = readFileSync(new URL('../../src/floors.svg', import.meta.url), 'utf8');
  const words = new Set(drawn.split(/[^\w-]+/));
  const missing = SOURCES.flatMap(({ room }) => room.split('/')).filter((name) => !words.has(name));
  expect(missing).toEqual([]);
});

it('src/README.md has the line of every room, in their order', () => {
  const lines = README.split('\n').filter((line) => /^\| `[\w/-]+\/` \| /.test(line));
  expect(lines).toEqual(ROOMS.map(({ name, holds }) => `| \`${name}/\` | ${holds} |`));
});
