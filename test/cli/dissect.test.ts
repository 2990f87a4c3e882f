/** `fanctl dissect` as a command: files and pipes, fans by option, output for people and programs, exit status. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  enhancedPacket,
  INBOUND,
  interfaceDescription,
  sectionHeader,
} from '../../src/trace/pcapng-writer.js';
import { packet, tunnelled } from '../unit/dataplane/packets.js';
import { built, makeScratch, runBuilt, runCommand } from './run-cli.js';

const dir = makeScratch();
const runDir = join(dir, 'run');
const file = join(dir, 'some.pcapng');
const FAN = '250.0.0.0/8 172.30.0.1/16';
const dissect = (...args: string[]) => runBuilt('cli/fanctl.js', ['dissect', ...args], runDir);

function captureOf(packets: readonly Uint8Array[]): Buffer {
  const blocks = packets.map((bytes, i) =>
    enhancedPacket({
      interfaceId: 0,
      timeNs: BigInt(i) * 1_000_000_000n,
      bytes,
      length: bytes.length,
      direction: INBOUND,
      comment: i === 0 ? 'from elsewhere' : '',
      dropped: 0,
    }),
  );
  return Buffer.concat([sectionHeader('test'), interfaceDescription('x', '', 65_535), ...blocks]);
}

const PACKETS = [
  tunnelled('172.30.0.27', '172.30.0.28', packet('250.0.27.2', '250.0.28.2')),
  tunnelled('172.30.0.77', '172.30.0.28', packet('250.0.27.2', '250.0.28.2')),
  tunnelled('10.1.0.5', '10.1.0.6', packet('99.0.5.2', '99.0.6.2')),
  packet('192.0.2.1', '192.0.2.2'),
];

beforeAll(() => writeFileSync(file, captureOf(PACKETS)));

describe('fanctl dissect', () => {
  it('says of each packet whether it is accepted, and sums up', async () => {
    const { status, stdout, stderr } = await dissect(file, '--fan', FAN);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const lines = stdout.split('\n');
    expect(lines[0]).toMatch(/^#1 \d\d:\d\d:00\.000000 decap: accepted$/);
    expect(lines[1]).toMatch(/^ {4}IP 172\.30\.0\.27 > 172\.30\.0\.28: IPIP/);
    expect(stdout).toContain('    comment: from elsewhere\n');
    expect(stdout).toContain(
      'decap: DROPPED source-forged: the inner source does not map to the outer source\n',
    );
    expect(lines.at(-2)).toBe(
      '4 frames: 1 accepted, 2 dropped (source-forged 1, outer-destination 1), 1 of no fan',
    );
  });

  it('shows what a comment has of control characters, and no line that looks like a verdict', async () => {
    const comment = 'x\x1b[2J\x1b[32m\n#2 00:00:01.000000 decap: accepted\r\x9b31m\u202e';
    const evil = enhancedPacket({
      interfaceId: 0,
      timeNs: 0n,
      bytes: PACKETS[1]!,
      length: PACKETS[1]!.length,
      direction: INBOUND,
      comment,
      dropped: 0,
    });
    const path = join(dir, 'evil.pcapng');
    writeFileSync(path, Buffer.concat([sectionHeader('test'), interfaceDescription('x', '', 65_535), evil]));
    const { stdout } = await dissect(path, '--fan', FAN);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is there is what is tested.
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
    expect(stdout.split('\n').filter((line) => line.startsWith('#'))).toHaveLength(1);
    expect(stdout).toContain(
      '    comment: x\\x1b[2J\\x1b[32m\\n#2 00:00:01.000000 decap: accepted\\r\\x9b31m\\u{202e}\n',
    );
    const json = (await dissect(path, '--fan', FAN, '--json')).stdout;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: as above.
    expect(json).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
    expect(JSON.parse(json.split('\n')[0]!)).toMatchObject({ number: 1, verdict: 'dropped', comment });
    const missing = await dissect('no\x1b[31m\nsuch', '--fan', FAN);
    expect([missing.status, missing.stderr.split('\n').length]).toEqual([1, 2]);
    expect(missing.stderr).toContain('no\\x1b[31m\\nsuch');
  });

  it('takes several fans, a pipe, and prints objects', async () => {
    const script = `"$0" "$1" dissect - --json --fan "$2" --fan='99.0.0.0/8 10.1.0.1/16' < "$3"`;
    const argv = ['-c', script, process.execPath, built('cli/fanctl.js'), FAN, file];
    const { status, stdout } = await runCommand('bash', argv, runDir);
    expect(status).toBe(0);
    const objects = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(objects.slice(0, 3)).toEqual([
      expect.objectContaining({ number: 1, time: 0, path: 'decap', verdict: 'accepted', reason: null }),
      expect.objectContaining({ number: 2, time: 1, verdict: 'dropped', reason: 'source-forged' }),
      expect.objectContaining({ number: 3, time: 2, verdict: 'accepted', comment: null }),
    ]);
    expect(objects[3].summary).toMatchObject({ frames: 4, accepted: 2, dropped: 1, other: 1 });
  });

  it.each([
    ['is not there', 'nowhere.pcap', undefined, 'ENOENT'],
    ['is none', 'text.pcap', Buffer.from('no capture at all'), 'the file is neither pcap nor pcapng'],
    ['is empty', 'empty.pcap', Buffer.alloc(0), 'the file is empty'],
    ['is cut short', 'cut.pcap', captureOf(PACKETS).subarray(0, -9), 'the file is cut short after packet 3'],
  ])('fails where the file %s', async (_, name, bytes, words) => {
    const path = join(dir, name);
    if (bytes) writeFileSync(path, bytes);
    const { status, stderr } = await dissect(path, '--fan', FAN);
    expect(stderr).toMatch(/^fanctl: [^\n]+\n$/);
    expect(stderr).toContain(`${path}: `);
    expect(stderr).toContain(words);
    expect(status).toBe(1);
  });

  it('fails where the fan can not be', async () => {
    const { status, stderr } = await dissect(file, '--fan', '250.0.0.0/16 172.30.0.1/16');
    expect(stderr).toMatch(/^fanctl: overlay 250\.0\.0\.0\/16 is no larger than underlay/);
    expect(status).toBe(1);
  });
});
