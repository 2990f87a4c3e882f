/**
 * Asks once what I/O modes this kernel can do: runs io-probe.ts in a network namespace of its own. `--io auto` takes
 * the fastest of them that works on the device as well.
 *
 * A namespace takes more privileges than fand keeps: it starts the probe before it gives them up (daemon/confinement.ts)
 * and hears of it by a pipe, whose number stands in the environment of the fand that comes then.
 */
import { execFile, spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { errorText } from '../../base/error.js';
import { native } from '../../io/native.js';

/** null, or why the mode doesn't work here. */
export interface IoProbe {
  packet: string | null;
  bpf: string | null;
  /** Of bpf: decap in the kernel; without it the daemon does that part. */
  decap: string | null;
  /** bpf of a fan over VXLAN. */
  vxlan: string | null;
}

const TIMEOUT_S = 10;
const PIPE = 'UFAN_IO_PROBE_PIPE';
/** The shell leaves at once, so that the probe is nobody's child whom we would have to wait for. */
const DETACHED = '"$@" </dev/null >&3 2>&3 &';

function command(): string[] {
  return ['unshare', '--net', process.execPath, createRequire(import.meta.url).resolve('#io-probe')];
}

/** Starts it, for the program that this process executes next. Returns a descriptor that must stay open in it. */
export function startIoProbe(): number {
  const [read, write] = native.pipeOpen();
  const argv = ['-c', DETACHED, 'fand', 'timeout', `${TIMEOUT_S}`, ...command()];
  spawnSync('/bin/sh', argv, { stdio: ['ignore', 'ignore', 'ignore', write] });
  native.close(write);
  process.env[PIPE] = `${read}`;
  return read;
}

/** What startIoProbe() began is not waited for: it is asked anew. */
export function dropIoProbe(): void {
  const pipe = takePipe();
  if (pipe !== undefined) native.close(pipe);
}

/** What the fand before this one began; from now on no program that we start has it. */
export function adoptIoProbe(): Promise<IoProbe> | undefined {
  const pipe = takePipe();
  if (pipe === undefined) return undefined;
  native.closeOnExec(pipe);
  return text(new Socket({ fd: pipe, readable: true, writable: false })).then(verdictOf, failed);
}

/**
 * Takes a few tenths of a second. Never fails: where the probe can't run, bpf is not proven; packet mode finds out
 * itself what it has to do without.
 */
export function probeIo(): Promise<IoProbe> {
  return new Promise((resolve) => {
    const [program = '', ...argv] = command();
    execFile(program, argv, { timeout: TIMEOUT_S * 1000 }, (error, stdout, stderr) => {
      resolve(error ? failed(new Error(lastLine(stderr) || error.message)) : verdictOf(stdout));
    });
  });
}

function takePipe(): number | undefined {
  const named = process.env[PIPE];
  delete process.env[PIPE];
  return named === undefined ? undefined : Number(named);
}

/** The last line of both its outputs: the verdict, or why there is none. */
function verdictOf(output: string): IoProbe {
  try {
    return JSON.parse(lastLine(output)) as IoProbe;
  } catch {
    return failed(new Error(lastLine(output) || `it did not end within ${TIMEOUT_S} s`));
  }
}

function lastLine(output: string): string {
  return output.trim().split('\n').at(-1) ?? '';
}

function failed(cause: unknown): IoProbe {
  const reason = `the probe failed: ${errorText(cause)}`;
  return { packet: null, bpf: reason, decap: reason, vxlan: reason };
}
