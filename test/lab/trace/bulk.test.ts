/**
 * Traces and captures while iperf3 fills the fan: bulk is shown evenly and what is missed of it is counted, who sends
 * little beside it is seen whole, and the account is given however it ends. Files are read by tshark and capinfos.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fields } from '../../../bench/lab/capture.js';
import { type Output, type RunningCommand, run } from '../../../bench/lab/command.js';
import { ping } from '../../../bench/lab/ping.js';
import { FANCTL } from '../../../bench/lab/repository.js';
import { echoUdp, FAN, FanLab, fandPid, growth, killFand, readCounters, until } from '../fan-lab.js';

const CAPTURED_MS = 9000;
const PINGS = 60;
const PING_BYTES = 1000;
const UDP_SIZES = Array.from({ length: 20 }, (_, i) => 100 + i);

interface Account {
  captured: number;
  seen: number;
  missed: number;
}

/** What stands on stderr at the end; fails where it isn't there. */
function accountOf({ stderr }: Output, done = 'captured'): Account {
  const of = (what: string) => {
    const found = new RegExp(`^(\\d+) packets? ${what}`, 'm').exec(stderr);
    if (!found) throw new Error(`no account of what was ${what}:\n${stderr}`);
    return Number(found[1]);
  };
  return { captured: of(done), seen: of('seen'), missed: of('missed') };
}

const inOrder = (times: readonly string[]) => times.every((time, i) => i === 0 || times[i - 1]! <= time);

describe.each([
  ['raw', []],
  ['packet', []],
  ['bpf', []],
  ['raw', ['--workers', '2']],
] as const)('beside bulk, with io %s %j', (io, words) => {
  let net: FanLab;
  beforeAll(async () => {
    net = await FanLab.open({ hosts: 2 }, [...FAN, '--io', io, ...words]);
    await ping(net.container(1), net.address(2), { count: 1 });
  });
  afterAll(() => net?.remove());

  /** TCP at full speed from container 1 to container 2 for as long as `act` takes. */
  async function withBulk<T>(act: () => Promise<T>): Promise<T> {
    const server = net.container(2).spawn(['iperf3', '-s', '-1', '--forceflush']);
    await server.prints(/Server listening/);
    const client = net.container(1).spawn(['iperf3', '-c', net.address(2), '-t', '100', '--forceflush']);
    try {
      await client.prints(/sec/);
      return await act();
    } finally {
      await client.stop();
      await server.stop();
    }
  }

  async function start(file: string, ...more: string[]): Promise<RunningCommand> {
    const command = net.host(1).spawn([process.execPath, FANCTL, 'capture', '-w', file, ...more]);
    await command.prints(/note: capturing/);
    return command;
  }

  const sendLittle = async () => {
    const pinged = ping(net.container(1), net.address(2), { count: PINGS, intervalMs: 50, size: PING_BYTES });
    await echoUdp(net.container(1), net.container(2), net.address(2), UDP_SIZES);
    return pinged;
  };

  it('bulk is in the file all the time, in order, and what is slow is whole', async () => {
    const file = join(net.lab.dir, `bulk-${io}.pcapng`);
    const before = await readCounters(net.host(1));
    const { output, pinged } = await withBulk(async () => {
      const capture = await start(file);
      const [pings] = await Promise.all([sendLittle(), sleep(CAPTURED_MS)]);
      // As timeout(1) does: to the process and to its group.
      process.kill(capture.pid, 'SIGINT');
      process.kill(capture.pid, 'SIGINT');
      return { output: await capture.finish(), pinged: pings };
    });
    expect(growth(before, await readCounters(net.host(1)))['encap-rx-packets']).toBeGreaterThan(20_000);
    const { captured, seen, missed } = accountOf(output);
    expect(captured).toBeGreaterThan(2000);
    expect(captured + missed).toBe(seen);
    const rows = await fields(file, [
      ...['frame.time_epoch', 'frame.interface_name', 'frame.cap_len', 'frame.len'],
      ...['tcp.dstport', 'icmp.type', 'udp.srcport', 'udp.dstport'],
    ]);
    expect(rows).toHaveLength(2 * captured);
    const times = rows.map(([time = '']) => time);
    expect(inOrder(times)).toBe(true);
    // In each of the whole seconds there is something of the stream.
    const firstS = Math.ceil(Number(times[0]));
    const lastS = Math.floor(Number(times.at(-1)));
    expect(lastS - firstS).toBeGreaterThanOrEqual(CAPTURED_MS / 1000 - 2);
    const bulk = rows.filter(([, side, , , port]) => side?.endsWith('overlay') && port === '5201');
    for (let second = firstS; second < lastS; second++) {
      const here = bulk.filter(([time]) => Math.floor(Number(time)) === second);
      expect(here.length, `second ${second - firstS} of ${bulk.length} packets`).toBeGreaterThan(0);
    }
    const echoes = rows.filter(([, , , , , type]) => type !== '');
    expect(echoes.filter(([, , , , , type]) => type === '8')).toHaveLength(2 * pinged.sent);
    expect(echoes.filter(([, , , , , type]) => type === '0')).toHaveLength(2 * pinged.received);
    const datagrams = rows.filter((row) => row.slice(6).includes('9007'));
    expect(datagrams).toHaveLength(4 * UDP_SIZES.length);
    for (const [, , held, length] of [...echoes, ...datagrams]) expect(held).toBe(length);
    // Super-packets have their headers and some payload.
    const bursts = rows.filter(([, , , length]) => Number(length) > 9236);
    expect(Math.max(0, ...bursts.map(([, , held]) => Number(held)))).toBeLessThan(450);
  });

  it('with a filter nothing is missed', async () => {
    const file = join(net.lab.dir, `filtered-${io}.pcapng`);
    await withBulk(async () => {
      const capture = await start(file, 'icmp', 'or', 'udp', 'port', '9007');
      const { sent, received } = await sendLittle();
      await until(
        async () => (await fields(file, ['frame.number'])).length,
        (rows) => rows === 2 * (sent + received) + 4 * UDP_SIZES.length,
      );
      const { captured, seen, missed } = accountOf(await capture.stop('SIGTERM'));
      expect([seen, missed]).toEqual([captured, 0]);
    });
  });
});

describe('files and ends', () => {
  let net: FanLab;
  let server: RunningCommand;
  let client: RunningCommand;
  beforeAll(async () => {
    net = await FanLab.open({ hosts: 2 }, [...FAN, '--io', 'packet']);
    server = net.container(2).spawn(['iperf3', '-s', '--forceflush']);
    await server.prints(/Server listening/);
    client = net.container(1).spawn(['iperf3', '-c', net.address(2), '-t', '1000', '--forceflush']);
    await client.prints(/sec/);
  });
  afterAll(async () => {
    await client?.stop();
    await server?.stop();
    net?.remove();
  });

  const capture = (...words: string[]) =>
    net
      .host(1)
      .spawn([process.execPath, FANCTL, 'capture', ...words.map((word) => word.replace('DIR', net.lab.dir))]);
  const filesOf = (start: string) =>
    readdirSync(net.lab.dir)
      .filter((name) => name.startsWith(start))
      .sort();
  /** Each is a capture by itself, in order, with both interfaces. */
  async function readable(names: readonly string[]): Promise<number> {
    let packets = 0;
    for (const name of names) {
      const file = join(net.lab.dir, name);
      const rows = await fields(file, ['frame.time_epoch', 'frame.interface_name']);
      expect(inOrder(rows.map(([time = '']) => time))).toBe(true);
      expect(new Set(rows.map(([, side]) => side))).toEqual(
        new Set(['fan-250-0-28/overlay', 'fan-250-0-28/underlay']),
      );
      expect((await run(['capinfos', '-M', file])).stdout).toMatch(/Capture application: +fanctl capture/);
      packets += rows.length;
    }
    return packets;
  }

  it('-C and -W: a ring of files of that size', async () => {
    const running = capture('-w', 'DIR/ring', '-C', '1', '-W', '3');
    // Twice around: the first has begun again.
    let first = 0;
    await until(
      async () => {
        const { ino = 0, size = 0 } = statSync(join(net.lab.dir, 'ring0'), { throwIfNoEntry: false }) ?? {};
        const full = filesOf('ring').length === 3 && ino !== 0;
        if (full && first === 0) first = size;
        return full && size < first;
      },
      (again) => again,
      60_000,
    );
    accountOf(await running.stop('SIGINT'));
    expect(filesOf('ring')).toEqual(['ring0', 'ring1', 'ring2']);
    for (const name of filesOf('ring'))
      expect(statSync(join(net.lab.dir, name)).size).toBeLessThan(1_100_000);
    expect(await readable(filesOf('ring'))).toBeGreaterThan(0);
  });

  it('-C alone: numbers from 1, and no packet is lost between two files', async () => {
    const running = capture('-w', 'DIR/grows', '-C', '1');
    await until(
      async () => filesOf('grows').length,
      (files) => files >= 3,
    );
    const { captured } = accountOf(await running.stop('SIGINT'));
    expect(filesOf('grows').slice(0, 3)).toEqual(['grows', 'grows1', 'grows2']);
    expect(await readable(filesOf('grows'))).toBe(2 * captured);
  });

  it('-G and -W: files by time, and the end', async () => {
    const output = await capture('-w', 'DIR/timed-%s.pcapng', '-G', '2', '-W', '3').finish();
    const { captured } = accountOf(output);
    expect(filesOf('timed-').length).toBe(3);
    expect(await readable(filesOf('timed-'))).toBe(2 * captured);
  });

  it('-s: so much of each packet, 0 all of it', async () => {
    const longest = async (words: string[]) => {
      await capture('-w', 'DIR/snap', '-c', '300', ...words).finish();
      const rows = await fields(join(net.lab.dir, 'snap'), ['frame.cap_len', 'frame.len']);
      return {
        held: Math.max(...rows.map(([held]) => Number(held))),
        cut: rows.some(([held, all]) => held !== all),
      };
    };
    expect(await longest(['-s', '60'])).toEqual({ held: 60, cut: true });
    expect((await longest(['-s', '0'])).cut).toBe(false);
  });

  it('--wire-size cuts what was not copied whole: each packet is there with its headers', async () => {
    await capture('-w', 'DIR/wire', '-c', '200', '--wire-size', 'tcp').finish();
    const file = join(net.lab.dir, 'wire');
    const rows = await fields(file, ['frame.len', 'tcp.len'], 'frame.interface_name contains "overlay"');
    expect(Math.max(...rows.map(([length]) => Number(length)))).toBe(1480);
    expect(rows.length).toBeGreaterThan(400);
  });

  it('trace ends with the same account', async () => {
    const running = net.host(1).spawn([process.execPath, FANCTL, 'trace', '--json', 'tcp']);
    await running.prints(/encap/);
    const output = await running.stop('SIGINT');
    const shown = output.stdout.split('\n').filter((line) => line.includes('"verdict"')).length;
    const { captured, seen, missed } = accountOf(output, 'shown');
    expect([captured, captured + missed]).toEqual([shown, seen]);
  });

  it('trace --drops that saw none says who would know more', async () => {
    const running = net
      .host(1)
      .spawn([process.execPath, FANCTL, 'trace', '--drops', '--fan', 'fan-250-0-28', 'icmp']);
    await running.prints(/note: tracing/);
    const { stderr } = await running.stop('SIGINT');
    expect(stderr).toContain('0 packets seen');
    expect(stderr).toMatch(/what the kernel drops before it: fanctl doctor|dropped by the kernel/);
  });

  it('gives the account when fand leaves, and the file is whole', async () => {
    const running = capture('-w', 'DIR/left');
    await running.prints(/note: capturing/);
    await until(
      async () => statSync(join(net.lab.dir, 'left')).size,
      (size) => size > 100_000,
    );
    process.kill(fandPid(net.host(1)), 'SIGTERM');
    const output = await running.finish({ anyExit: true });
    expect(output.code).toBe(1);
    expect(output.stderr).toMatch(/fanctl: fand broke off/);
    expect(output.stderr).not.toContain('as far as');
    const { captured, seen, missed } = accountOf(output);
    expect(captured + missed).toBe(seen);
    expect(await readable(['left'])).toBe(2 * captured);
    await net.host(1).fanctl(['up', ...FAN, '--io', 'packet']);
  });

  it('and as far as it goes when fand is killed', async () => {
    const running = capture('-w', 'DIR/killed');
    await running.prints(/note: capturing/);
    await until(
      async () => statSync(join(net.lab.dir, 'killed')).size,
      (size) => size > 100_000,
    );
    await killFand(net.host(1));
    const output = await running.finish({ anyExit: true });
    expect(output.code).toBe(1);
    expect(output.stderr).toMatch(/packets seen, as far as fand came to tell/);
    expect(await readable(['killed'])).toBe(2 * accountOf(output).captured);
    await net.host(1).fanctl(['up', ...FAN, '--io', 'packet']);
  });

  it.each([
    [['-w', '-', '-C', '1'], 'need a file'],
    [['-w', 'DIR/x', '-G', '1'], 'say the time in its name'],
    [['-w', 'DIR/x', '-W', '2'], '-W counts the files of -C or -G'],
    [['-w', 'DIR/x', '-s', '70000'], '-s: "70000" is no number from 0 to 65555'],
    [['-w', '/nonexistent/x'], 'cannot write /nonexistent/x'],
  ])('%j is refused', async (words, why) => {
    const output = await capture(...words).finish({ anyExit: true });
    expect([output.code, output.stderr.split('\n').length]).toEqual([1, 2]);
    expect(output.stderr).toContain(why);
  });
});
