/**
 * The file of the fans of this host, /etc/network/fan: read, and replaced as a whole. Its text is
 * config/fan-file.ts's.
 */
import { readText, replaceFile } from '../host/text-file.js';

export function configPath(): string {
  return process.env.UFAN_CONFIG || '/etc/network/fan';
}

/** Its text; undefined where there is no such file. Throws FanError config, not-root. */
export function readConfig(path = configPath()): Promise<string | undefined> {
  return readText(path);
}

/** Keeps mode and owner, and follows a link; makes the file where there is none. Throws FanError config. */
export function writeConfig(text: string, path = configPath()): Promise<void> {
  return replaceFile(path, text);
}
