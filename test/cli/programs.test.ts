/**
 * The package as another program has it: in its node_modules, through package.json's exports, type-checked by tsc with
 * our declarations, and run. The programs are those of docs/programs.md.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { makeScratch, runCommand } from './run-cli.js';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
const EXAMPLES = ['whose', 'operate'];
const program = makeScratch();

function read(path: string): string {
  return readFileSync(join(REPOSITORY, path), 'utf8');
}

function compile(): string {
  const words = [join(REPOSITORY, 'node_modules/typescript/bin/tsc'), '-p', program];
  try {
    return execFileSync(process.execPath, words, { encoding: 'utf8' });
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

beforeAll(() => {
  mkdirSync(join(program, 'node_modules/@types'), { recursive: true });
  symlinkSync(REPOSITORY, join(program, 'node_modules/ufan'));
  symlinkSync(join(REPOSITORY, 'node_modules/@types/node'), join(program, 'node_modules/@types/node'));
  writeFileSync(join(program, 'package.json'), JSON.stringify({ type: 'module', private: true }));
  const compilerOptions = {
    target: 'es2022',
    module: 'nodenext',
    strict: true,
    outDir: 'out',
    types: ['node'],
  };
  writeFileSync(join(program, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  for (const name of EXAMPLES) {
    copyFileSync(join(REPOSITORY, `docs/examples/${name}.ts`), join(program, `${name}.ts`));
  }
});

describe('docs/programs.md', () => {
  it.each(EXAMPLES)('shows examples/%s.ts as it is', (name) => {
    expect(read('docs/programs.md')).toContain(
      `\`\`\`ts\n${read(`docs/examples/${name}.ts`).trimEnd()}\n\`\`\``,
    );
  });

  it('names everything that the two modules export', async () => {
    const exported = await Promise.all([
      import('../../src/api/mapping.js'),
      import('../../src/api/client.js'),
    ]);
    for (const name of exported.flatMap((module) => Object.keys(module))) {
      expect(read('docs/programs.md')).toContain(name);
    }
  });
});

describe('a program with ufan in its node_modules', () => {
  it('is type-checked with our declarations, and knows our types from others', () => {
    expect(compile()).toBe('');
    writeFileSync(join(program, 'wrong.ts'), `import { parseFan } from 'ufan/mapping';\nparseFan(250);\n`);
    expect(compile()).toMatch(/wrong\.ts\(2,\d+\): error TS2\d+/);
    writeFileSync(join(program, 'wrong.ts'), '');
  }, 240_000);

  it('calculates, and prints what the page says', async () => {
    const { status, stdout, stderr } = await runCommand(
      process.execPath,
      [join(program, 'out/whose.js')],
      program,
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(read('docs/programs.md')).toContain(`\`\`\`\n${stdout}\`\`\``);
  });

  it('brings a fan up, asks about it and takes it down, and gets errors with a code', async () => {
    // A host of its own: a network namespace, whose eth0 leads nowhere.
    const script = `
      ip link add eth0 type veth peer name peer0 && ip addr add 172.30.0.28/16 dev eth0 && ip link set lo up && ip link set eth0 up && ip link set peer0 up &&
      exec "$0" "$1"`;
    const words = ['--net', 'sh', '-c', script, process.execPath, join(program, 'out/operate.js')];
    const { status, stdout, stderr } = await runCommand('unshare', words, join(program, 'run'));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.split('\n')).toEqual([
      'fan-250-0-28: 250.0.28.0/24 on eth0, MTU 1480, up',
      expect.stringMatching(/^250\.0\.27\.2: host 172\.30\.0\.27, \S+$/),
      expect.stringMatching(/^sent: \d+ packets$/),
      'not-configured: 250.0.0.0/8 on eth0/16 is not configured',
      '',
    ]);
  });

  it('gets no more of the package than that', async () => {
    writeFileSync(join(program, 'inside.mjs'), `await import('ufan/dist/src/daemon/daemon.js');`);
    const { stderr } = await runCommand(process.execPath, [join(program, 'inside.mjs')], program);
    expect(stderr).toContain('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });
});
