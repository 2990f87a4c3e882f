/**
 * Metrics for a Prometheus that can't read a Unix socket: HTTP on a loopback port, where all that is served is
 * GET /metrics. Any user of this host can read it; nobody else can.
 */
import { createServer, type Server } from 'node:http';
import { isIPv6 } from 'node:net';
import { parseAddress } from '../addr/ipv4-address.js';
import { errorText, FanError } from '../base/error.js';
import type { TextReply } from './server.js';

export interface MetricsAddress {
  readonly host: string;
  readonly port: number;
}

const LOOPBACK = 127;
const LAST_PORT = 65_535;
/** Any user may connect: fand needs its descriptors for what it does for the fans. */
const MOST_CONNECTIONS = 32;
const LIMITS = { maxHeaderSize: 8192, headersTimeout: 5000, requestTimeout: 10_000, keepAliveTimeout: 1000 };

/** "127.0.0.1:9477" or "[::1]:9477". Throws FanError usage for anything that others could reach. */
export function parseMetricsAddress(text: string): MetricsAddress {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:]*)):([0-9]{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? '';
  const port = Number(digits);
  if (isLoopback(host, bracketed !== undefined) && port >= 1 && port <= LAST_PORT) return { host, port };
  throw new FanError(
    'usage',
    `metrics: "${text}" is no loopback address and port, such as 127.0.0.1:9477 or [::1]:9477`,
  );
}

function isLoopback(host: string, isBracketed: boolean): boolean {
  if (isBracketed) return isIPv6(host) && new URL(`http://[${host}]`).hostname === '[::1]';
  try {
    return parseAddress(host) >>> 24 === LOOPBACK;
  } catch {
    return false;
  }
}

/** Serves until the server is closed. Throws FanError daemon where the port can't be had. */
export async function listenForMetrics(
  { host, port }: MetricsAddress,
  read: () => Promise<TextReply>,
): Promise<Server> {
  const server = createServer(LIMITS, (request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('GET /metrics\n');
      return;
    }
    read().then(
      ({ type, text }) => response.writeHead(200, { 'content-type': type }).end(text),
      (error) => response.writeHead(500, { 'content-type': 'text/plain' }).end(`${errorText(error)}\n`),
    );
  });
  server.maxConnections = MOST_CONNECTIONS;
  // Of connections that say nothing, by a timer; one that sends and reads nothing ends as well.
  server.timeout = 2 * LIMITS.requestTimeout;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  }).catch((cause) => {
    throw new FanError('daemon', `cannot serve metrics on ${host} port ${port}: ${errorText(cause)}`, {
      cause,
    });
  });
  return server;
}
