import { expect, it } from 'vitest';
import { canAllowDirectRouting } from '../../../src/runtimes/docker.js';

it.each([
  ['20.10.24+dfsg1', false],
  ['28.1.1', false],
  ['28.2.0', true],
  ['28.2.2', true],
  ['29.0.1', true],
  ['', false],
  ['dev', false],
])('Docker %s takes the key allow-direct-routing: %s', (version, does) => {
  expect(canAllowDirectRouting(version)).toBe(does);
});
