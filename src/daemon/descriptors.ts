/**
 * Enough file descriptors for a change, asked before it begins. Each step of `down` starts programs and reads files; where
 * descriptors end half-way, the rest of the host stays changed and nobody knows of it any more.
 */
import { closeSync, openSync } from 'node:fs';
import { errorText, FanError } from '../base/error.js';

/** A program that a step starts takes some ten, and a listing of rules or links runs beside another at times. */
const ENOUGH = 64;
const ANY_FILE = '/dev/null';

/** Throws FanError daemon where fand could not open so many; then nothing has changed. */
export function requireDescriptors(): void {
  const opened: number[] = [];
  try {
    while (opened.length < ENOUGH) opened.push(openSync(ANY_FILE, 'r'));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'EMFILE' && code !== 'ENFILE') throw cause;
    throw new FanError('daemon', shortage(code, opened.length, errorText(cause)), { cause });
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

function shortage(code: string, free: number, why: string): string {
  const what = `nothing was changed: ${free} file descriptors are free, and a change takes up to ${ENOUGH} (${why})`;
  if (code === 'ENFILE') return `${what}: raise fs.file-max, or end what holds so many files`;
  return `${what}: end connections to fand, or raise its limit: prlimit --pid ${process.pid} --nofile=65536`;
}
