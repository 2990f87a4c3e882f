/**
 * bundle.mjs DIRECTORY: the release as files. Each program is one CommonJS file without node_modules; beside them the
 * addon, the BPF objects and the man pages. What the code finds by "#…" the release's own package.json says.
 */
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import util from 'node:util';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const out = process.argv[2];
const PROGRAMS = ['fanctl', 'fanatic', 'fand'];
const OBJECTS = [
  'gso_shim',
  'bridge_exit',
  'encap',
  'decap',
  'vxlan_encap',
  'vxlan_decap',
  'vxlan_direct_decap',
  'vxlan_witness',
].map((name) => `${name}.bpf.o`);
const MANUALS = PROGRAMS.map((name) => `man/${name}.8`);

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Modules for other programs, with their declarations. */
const API = ['mapping', 'client'];

/**
 * What of Node would be loaded for nothing. Asked for by its name, a module of Node's makes all that it exports: `process`
 * opens standard input for that. commander starts programs for commands in files of their own, of which there are none.
 * What a program has of `util` is for few of its ways. A CommonJS bundle has a `require` of its own; by a path, not by
 * "#native", an addon is found without the loader of ES modules.
 */
const MODULES = {
  child_process: 'module.exports = {};',
  module: `const paths = { '#native': '../native/ufan.node', '#connect': '../native/connect.node' };
    exports.createRequire = () => Object.assign((id) => require(paths[id] ?? id), { resolve: require.resolve });`,
  process: 'module.exports = process;',
  util: Object.keys(util)
    .map((name) => `Object.defineProperty(exports, '${name}', { enumerable: true, get: () => require('node:util').${name} });`)
    .join('\n'),
};
const lean = {
  name: 'lean',
  setup({ initialOptions, onResolve, onLoad }) {
    onResolve({ filter: /^(node:)?(child_process|module|process|util)$/ }, ({ path, importer, namespace }) => {
      const name = path.replace('node:', '');
      if (namespace === 'lean') return undefined;
      const isOurs = !/\/node_modules\//.test(importer);
      const isWanted = {
        child_process: /\/node_modules\/commander\//.test(importer),
        module: isOurs && initialOptions.format === 'cjs',
      };
      return (isWanted[name] ?? true) ? { path: name, namespace: 'lean' } : undefined;
    });
    onLoad({ filter: /.*/, namespace: 'lean' }, ({ path }) => ({ contents: MODULES[path], loader: 'js' }));
  },
};

/** Commands of fanctl that are done sooner than all of fanctl is read: they stand in a bundle without the others. */
const SHORT = ['show', 'stats'];
const short = {
  name: 'short',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.\/commands\// }, ({ path, kind }) => {
      const isLeftOut = kind === 'dynamic-import' && !SHORT.some((name) => path === `./commands/${name}.js`);
      return isLeftOut ? { path, namespace: 'short' } : undefined;
    });
    onLoad({ filter: /.*/, namespace: 'short' }, () => ({ contents: '' }));
  },
};

const shared = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node18.19',
  minify: true,
  legalComments: 'none',
  // Of another Node's addon; without it probes take our own sockets.
  external: ['raw-socket'],
  plugins: [lean],
  logLevel: 'warning',
};

await build({
  ...shared,
  entryPoints: API.map((name) => `src/api/${name}.ts`),
  outdir: join(out, 'lib/api'),
  outExtension: { '.js': '.mjs' },
  format: 'esm',
});
for (const name of API) declarations(join(root, `dist/src/api/${name}.d.ts`));

const programs = {
  ...shared,
  outdir: join(out, 'lib'),
  outExtension: { '.js': '.cjs' },
  format: 'cjs',
  // What is imported on the way is required then: a module loader of its own would be made for it.
  supported: { 'dynamic-import': false },
  define: { 'import.meta.url': '__filename' },
};

await build({
  ...programs,
  entryPoints: { 'fanctl-short': 'src/cli/fanctl.ts' },
  plugins: [lean, short],
});
const { metafile } = await build({
  ...programs,
  entryPoints: {
    fanctl: 'src/cli/fanctl.ts',
    fanatic: 'src/cli/fanatic.ts',
    fand: 'src/daemon/fand.ts',
    worker: 'src/dataplane/workers/worker.ts',
    'io-probe': 'src/dataplane/io-probe/io-probe.ts',
  },
  metafile: true,
});

for (const program of [...PROGRAMS, 'fanctl-short']) {
  // Its first line would stand in the middle of the function that load.cjs makes of it.
  const file = join(out, 'lib', `${program}.cjs`);
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^#!.*\n/, ''));
  chmodSync(file, 0o644);
}
for (const program of PROGRAMS) {
  const bundle = program === 'fanctl' ? `${JSON.stringify(SHORT)}.includes(process.argv[2]) ? 'fanctl-short' : 'fanctl'` : `'${program}'`;
  script(
    `bin/${program}`,
    // A file less to load, in the JavaScript of any Node.
    `${readFileSync(join(root, 'packaging/node-version.cjs'), 'utf8')}\nmodule.exports('${program}');\nrequire('../lib/load.cjs')(${bundle});`,
  );
}
cpSync(join(root, 'packaging/lxd'), join(out, 'lxd'), { recursive: true });
copy('packaging/load.cjs', 'lib/load.cjs');
for (const addon of ['ufan', 'connect']) copy(`native/build/Release/${addon}.node`, `native/${addon}.node`);
for (const object of OBJECTS) copy(`native/build/${object}`, `native/${object}`);
for (const manual of MANUALS) copy(manual, manual);
for (const text of ['LICENSE', 'README.md', 'CHANGELOG.md']) copy(text, text);
cpSync(join(root, 'docs'), join(out, 'docs'), { recursive: true });
writeFileSync(join(out, 'THIRD-PARTY'), thirdParty());
writeFileSync(join(out, 'package.json'), `${JSON.stringify(releaseManifest(), undefined, 2)}\n`);

function script(path, body) {
  mkdirSync(dirname(join(out, path)), { recursive: true });
  writeFileSync(join(out, path), `#!/usr/bin/env node\n'use strict';\n${body}\n`);
  chmodSync(join(out, path), 0o755);
}

function copy(from, to) {
  mkdirSync(dirname(join(out, to)), { recursive: true });
  // A new file: a fand that runs from there has the addon in its memory.
  rmSync(join(out, to), { force: true });
  copyFileSync(join(root, from), join(out, to));
  chmodSync(join(out, to), 0o644);
}

/** Copies a built declaration, and those that it imports, to types/. */
function declarations(from) {
  const to = join(out, 'types', relative(join(root, 'dist/src'), from));
  if (existsSync(to)) return;
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  for (const [, path] of readFileSync(from, 'utf8').matchAll(/from '(\.[^']+)\.js'/g)) {
    declarations(join(dirname(from), `${path}.d.ts`));
  }
}

function releaseManifest() {
  const { name, version, description, license, os } = manifest;
  return {
    name,
    version,
    description,
    license,
    engines: { node: '>=18.19' },
    os,
    cpu: [process.arch],
    libc: ['glibc'],
    bin: Object.fromEntries(PROGRAMS.map((program) => [program, `bin/${program}`])),
    man: MANUALS,
    exports: {
      ...Object.fromEntries(
        API.map((name) => [`./${name}`, { types: `./types/api/${name}.d.ts`, default: `./lib/api/${name}.mjs` }]),
      ),
      './package.json': './package.json',
    },
    files: ['bin', 'lib', 'lxd', 'types', 'native', 'man', 'docs', 'CHANGELOG.md', 'THIRD-PARTY'],
    imports: {
      '#native': './native/ufan.node',
      '#connect': './native/connect.node',
      '#gso-shim': './native/gso_shim.bpf.o',
      '#bridge-exit-program': './native/bridge_exit.bpf.o',
      '#encap-program': './native/encap.bpf.o',
      '#decap-program': './native/decap.bpf.o',
      '#vxlan-encap-program': './native/vxlan_encap.bpf.o',
      '#vxlan-decap-program': './native/vxlan_decap.bpf.o',
      '#vxlan-direct-decap-program': './native/vxlan_direct_decap.bpf.o',
      '#vxlan-witness-program': './native/vxlan_witness.bpf.o',
      '#io-probe': './lib/io-probe.cjs',
      '#worker': './lib/worker.cjs',
      '#fand': './bin/fand',
      '#fanctl': './bin/fanctl',
      '#lxd-ip': './lxd/ip',
      '#package': './package.json',
    },
  };
}

/** Names, authors' notices and licences of the modules whose code is in the bundles. */
function thirdParty() {
  const modules = new Set(
    Object.keys(metafile.inputs)
      .map((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1])
      .filter((name) => name !== undefined),
  );
  return [...modules].sort().map(notice).join(`\n${'-'.repeat(72)}\n\n`);
}

function notice(name) {
  const dir = join(root, 'node_modules', name);
  const { version, license } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
  const text = ['LICENSE', 'LICENSE.md', 'license', 'LICENCE']
    .map((file) => {
      try {
        return readFileSync(join(dir, file), 'utf8');
      } catch {
        return undefined;
      }
    })
    .find((found) => found !== undefined);
  return `${name} ${version} (${license})\n\n${text ?? ''}`;
}
