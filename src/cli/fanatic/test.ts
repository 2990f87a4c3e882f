/** `fanatic test local-docker` and the like: two containers on the fan, made for it, and packets between them. */
import { FanError } from '../../base/error.js';
import { enabledRuntimes } from '../../runtimes/enable.js';
import { Ledger } from '../../runtimes/ledger.js';
import { RUNTIMES } from '../../runtimes/runtimes.js';
import { dockerLike, lxdLike, type TrialEngine, tryFan } from '../../runtimes/trial.js';
import { type Command, type Invocation, QUIET, requireRoot } from '../commands/command.js';
import { openConfig } from '../commands/config-lines.js';
import { print } from '../output/output.js';
import { requireLine, runningFan } from './fan-of.js';
import { runtimeOf } from './runtime-commands.js';

/** How each runtime is tried; `network` is the one of its own that it has for the fan. */
const ENGINES: ReadonlyMap<string, (bridge: string, network: string | undefined) => TrialEngine> = new Map([
  ['docker', (_bridge: string, network?: string) => dockerLike('docker', network)],
  ['podman', (bridge: string) => dockerLike('podman', bridge)],
  ['lxd', (bridge: string) => lxdLike('lxc', bridge)],
  ['incus', (bridge: string) => lxdLike('incus', bridge)],
]);
const KINDS = [...ENGINES.keys()].map((name) => `local-${name}`);

export const test: Command = {
  name: 'test',
  synopsis: [`test ${KINDS.join('|')} [OVERLAY UNDERLAY]`],
  summary: 'try a fan with two containers on this host',
  description: `Two containers of a static busybox get addresses of the slice, ping each other and the
host, and pass a line by TCP. They are removed again, and nothing is downloaded.`,
  options: [
    {
      names: ['--peer'],
      value: 'ADDRESS',
      summary: "another host's address on the overlay, to ping as well",
    },
    QUIET,
  ],
  completes: KINDS.join('|'),
  examples: ['test local-docker', 'test local-podman --peer 250.0.27.1'],
  run,
};

async function run({ words, given, paths }: Invocation): Promise<void> {
  const [kind = '', ...ends] = words;
  const name = kind.replace(/^local-/, '');
  const makeEngine = ENGINES.get(name);
  if (!makeEngine || kind === name) {
    const said = kind === '' ? 'test what?' : `test knows no "${kind}":`;
    throw new FanError('usage', `${said} say one of ${KINDS.join(', ')}`);
  }
  requireRoot('test');
  const runtime = runtimeOf(name);
  const line = await requireLine(await openConfig(), ends, paths);
  await runtime.requirePresent();
  const fan = await runningFan(line, paths);
  const ledger = await Ledger.open(paths.stateDir);
  if (!(await enabledRuntimes(RUNTIMES, fan, ledger)).includes(name)) {
    const remedy = `fanatic enable-${name} -o ${fan.overlay} -u ${fan.underlay} first`;
    throw new FanError('not-configured', `${runtime.title} is not enabled for ${fan.bridge}: ${remedy}`);
  }
  const entries = ledger.of(fan, name);
  const network = entries.some((entry) => entry.network === undefined) ? undefined : entries[0]?.network;
  await tryFan(makeEngine(fan.bridge, network), fan, given.get('--peer'), print);
}
