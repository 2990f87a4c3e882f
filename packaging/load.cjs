/**
 * load(bundle): runs lib/<bundle>.cjs of a release, beside this file. What V8 compiled is kept, so that the next start
 * need not compile it again: in /var/cache/ufan, which only root can write to, else nowhere. A cache of another Node, or
 * of another release, V8 or its name rejects; one that can't be written costs nothing but time.
 */
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

const CACHE_DIR = process.env.UFAN_CACHE_DIR || '/var/cache/ufan';
const HEAD = '(function (exports, require, module, __filename, __dirname) {';

module.exports = function load(bundle) {
  const file = path.join(__dirname, `${bundle}.cjs`);
  const { size, mtimeMs } = fs.statSync(file);
  const name = `${bundle}-${size}-${Math.trunc(mtimeMs)}-${process.version}-${process.arch}`;
  const cache = path.join(CACHE_DIR, name);
  // The bundle is ASCII.
  const source = `${HEAD}${fs.readFileSync(file, 'latin1')}\n})`;
  const cachedData = read(cache);
  const script = new vm.Script(source, { filename: file, cachedData });
  const module = { exports: {} };
  script.runInThisContext()(module.exports, require, module, file, __dirname);
  if (!cachedData || script.cachedDataRejected) process.once('exit', () => write(cache, script));
};

/** Undefined for one that isn't root's alone: its content is run. */
function read(cache) {
  try {
    const fd = fs.openSync(cache, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
    try {
      const { uid, mode } = fs.fstatSync(fd);
      return uid === 0 && (mode & 0o022) === 0 ? fs.readFileSync(fd) : undefined;
    } finally {
      fs.closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

function write(cache, script) {
  if (process.geteuid() !== 0 || !isRoots(CACHE_DIR)) return;
  const draft = `${cache}.${process.pid}`;
  try {
    fs.writeFileSync(draft, script.createCachedData(), { mode: 0o644, flag: 'wx' });
    fs.renameSync(draft, cache);
  } catch {
    fs.rmSync(draft, { force: true });
  }
}

function isRoots(dir) {
  try {
    const { uid, mode } = fs.statSync(dir);
    return uid === 0 && (mode & 0o022) === 0;
  } catch {
    return false;
  }
}
