/**
 * The exchange of exchange.ts, in which nothing else is done until all of the answer is there: for a program that asks
 * one thing and ends. The addon connects, and files of Node's do the rest: to load node:net and wait by its streams
 * takes a quarter of what Node takes to start.
 */
import { closeSync, readFileSync, writeFileSync } from 'node:fs';
import { type Exchange, exchange, type Request, readAnswer, requestText } from './exchange.js';

export const exchangeAtOnce: Exchange = async (request) => {
  const addon = await import('../io/connect.js').catch(() => undefined);
  // What the addon lacks to be loaded is for those to say who can't do without it.
  if (!addon) return exchange(request);
  const text = ask(addon.unixConnect, request);
  return {
    ...(await readAnswer(only(text))),
    destroy: () => undefined,
    waitForever: () => undefined,
  };
};

function ask(connect: (path: string, patienceMs: number) => number, request: Request): string {
  const { socketPath, patienceMs, onSilence } = request;
  let fd: number | undefined;
  try {
    fd = connect(socketPath, patienceMs);
    writeFileSync(fd, requestText(request));
    return readFileSync(fd, 'utf8');
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'EAGAIN' ? onSilence() : error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

async function* only(text: string): AsyncGenerator<string> {
  if (text !== '') yield text;
}
