/**
 * A host of the lab that is a kernel of its own: user-mode Linux, on a TAP that is a port of the underlay's bridge.
 * The machine's own kernel may lack what a peer of the fan needs, such as `ipip`; this one has its own modules.
 *
 * Its root is the machine's, read-only, so it has the same programs; the lab's directory is at its place in it,
 * writable. Commands go in and results come out as files there, so a Guest is used as any other Namespace is.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compilePeer } from '../peers/compile.js';
import type { RunningCommand } from './command.js';
import type { Lab } from './lab.js';
import { awaitLinks } from './links.js';
import { Namespace } from './namespace.js';
import { SETUP_DIR } from './repository.js';
import { addPort } from './underlay.js';

export interface GuestOptions {
  /** Of its eth0: "172.30.0.27/16". */
  underlay: string;
  /** Modules of its kernel, each after those that it needs: "net/ipv4/ipip". */
  modules?: readonly string[];
}

const BOOT_MS = 60_000;
const MEMORY = '128M';

/**
 * The guest's first process; its variables come by the kernel's command line. A job is a directory N.ready with a
 * command and its input; a file N.kill beside it ends it. bash, whose `read -t` waits without a process.
 */
const INIT = `#!/bin/bash
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t hostfs -o "$LAB" lab "$LAB"
mount -t tmpfs run /run
mkfifo /run/never
exec 3<>/run/never
export PATH=/usr/sbin:/usr/bin HOME=/ LC_ALL=C
for module in \${MODULES//,/ }; do
  "$BUSYBOX" insmod "/usr/lib/uml/modules/$(uname -r)/kernel/$module.ko" || exit
done
ip link set lo up
ip link set vec0 name eth0
cd "$LAB/guest/jobs" || exit
run() {
  mv "$1.ready" "$1.running"
  setsid sh "$1.running/command" <"$1.running/in" >"$1.running/out" 2>"$1.running/err" &
  pids[$1]=$!
}
declare -A pids
shopt -s nullglob
echo ready
while :; do
  for job in *.ready; do run "\${job%.ready}"; done
  for job in *.kill; do kill -- "-\${pids[\${job%.kill}]}" && rm "$job"; done
  for name in "\${!pids[@]}"; do
    kill -0 "\${pids[$name]}" 2>/dev/null && continue
    wait "\${pids[$name]}"
    echo $? >"$name.running/code"
    mv "$name.running" "$name.done"
    unset "pids[$name]"
  done
  read -rt 0.02 -u 3
done
`;

/** On the machine, in a command's place: `follow JOB PID` hands the input on and, when it has ended, the output. */
const FOLLOW = `#!/bin/sh
job=$1
trap ': >"$job.kill"' TERM INT
cat >"$job/in"
mv "$job" "$job.ready"
until [ -e "$job.done" ]; do
  kill -0 "$2" || exit 125
  sleep 0.02
done
cat "$job.done/out"
cat "$job.done/err" >&2
exit "$(cat "$job.done/code")"
`;

export class Guest extends Namespace {
  /** The address of its eth0. */
  readonly address: string;
  readonly #dir: string;
  readonly #kernel: RunningCommand;
  #jobs = 0;

  private constructor(name: string, address: string, dir: string, kernel: RunningCommand) {
    super(name);
    this.address = address;
    this.#dir = dir;
    this.#kernel = kernel;
  }

  /** Boots it as one more host of the lab, with eth0 up; the lab ends it. Throws where the kernel isn't installed. */
  static async boot(lab: Lab, { underlay, modules = [] }: GuestOptions): Promise<Guest> {
    const dir = join(lab.dir, 'guest');
    const port = 'guest';
    mkdirSync(join(dir, 'jobs'), { recursive: true });
    writeFileSync(join(dir, 'init'), INIT, { mode: 0o755 });
    writeFileSync(join(dir, 'follow'), FOLLOW, { mode: 0o755 });
    await addPort(lab.wire, port, lab.mtu);
    const preload =
      process.arch === 'x64' ? { LD_PRELOAD: await compilePeer('whole-xstate', 'preloaded') } : {};
    const words = [
      `mem=${MEMORY} quiet con=null con0=null,fd:1 uml_dir=${dir} umid=uml`,
      `root=/dev/root rootfstype=hostfs rootflags=/ ro init=${join(dir, 'init')}`,
      `vec0:transport=tap,ifname=${port},depth=128,gro=0`,
      `LAB=${lab.dir} MODULES=${modules.join()} BUSYBOX=${join(SETUP_DIR, 'busybox/bin/busybox')}`,
    ].flatMap((line) => line.split(' '));
    const kernel = lab.wire.spawn(['linux.uml', ...words], { env: preload });
    await kernel.prints(/^ready/m, BOOT_MS);
    const guest = new Guest(`${lab.name}-guest`, underlay.split('/')[0] ?? '', dir, kernel);
    await guest.ip(`address add ${underlay} broadcast + dev eth0`, 'link set eth0 up');
    await awaitLinks(lab.wire.name, port);
    return guest;
  }

  /** What its kernel said so far. */
  get console(): string {
    return this.#kernel.stdout;
  }

  override async ip(...lines: readonly string[]): Promise<void> {
    await this.exec(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  /** Output comes when the command has ended, input must have an end, the environment is the guest's. */
  protected override inside(argv: readonly string[]): string[] {
    const job = join(this.#dir, 'jobs', `${++this.#jobs}`);
    mkdirSync(job);
    writeFileSync(join(job, 'command'), `exec ${argv.map(quote).join(' ')}\n`);
    return [join(this.#dir, 'follow'), job, `${this.#kernel.pid}`];
  }
}

/** For the shell. */
function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
