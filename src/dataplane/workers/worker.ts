/**
 * The forwarding thread: waits in poll, serves what is readable, and takes a new configuration between two batches.
 * Runs as a worker_thread of fand; worker-client.ts is its other end.
 */
import './inlining.js';
import { readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { errorText } from '../../base/error.js';
import { Poller } from '../../io/poller.js';
import type { FanProgram } from '../../io/programs/fan-program.js';
import { Forwarder } from '../forwarder.js';
import { Pace } from '../ports/pace.js';
import { BATCH, type FanPort } from '../ports/ports.js';
import { Counters } from '../tables/counters.js';
import type { ByDirection } from '../tables/fan-spec.js';
import { TraceSession } from '../tracing/session.js';
import { Tracer } from '../tracing/tracer.js';
import { SentSizes } from '../walks/sent-sizes.js';
import type { FromWorker, ToWorker, WorkerData } from './protocol.js';

/** A wait ends by itself, as what is known ages. */
const LONGEST_WAIT_MS = 5000;
/** Devices that one poll may report. */
const READY = 64;

/** Whether this thread serves the devices, or one of another process does. */
interface Turn {
  isOurs: boolean;
  /** The process ends, and what it has open with it. */
  isOver: boolean;
}

function run(port: MessagePort, data: WorkerData): void {
  const poller = Poller.open(data.wakeFd);
  const tell = (message: FromWorker): void => port.postMessage(message);
  const forwarder = new Forwarder(
    new Counters(data.counters),
    poller,
    (fan, cause) => tell({ type: 'lost', fan, message: errorText(cause) }),
    (fan, sender, packet) => tell({ type: 'probe', fan, sender, packet }),
    data.share,
    new SentSizes(data.sentSizes),
    data.inherited,
  );
  // While another process serves the devices it waits for nothing but messages.
  const quiet = Poller.open(data.wakeFd);
  const turn: Turn = { isOurs: data.inherited === undefined, isOver: false };
  const ready = new Int32Array(READY);
  const pace = new Pace();
  for (let running = true; running; ) {
    const count = (turn.isOurs ? poller : quiet).wait(ready, LONGEST_WAIT_MS);
    const nowMs = performance.now();
    let packets = 0;
    forwarder.tick(nowMs);
    for (let i = 0; i < count; i++) {
      if (ready[i] === Poller.WAKE) running = takeMessages(port, forwarder, turn) && running;
      else if (turn.isOurs) packets += forwarder.serve(ready[i]!, nowMs);
    }
    const pauseUs = pace.pauseUs(packets, nowMs);
    if (pauseUs > 0) poller.pause(pauseUs);
  }
  if (turn.isOver) return;
  forwarder.close();
  poller.close();
  quiet.close();
}

/** Returns false when told to stop. */
function takeMessages(port: MessagePort, forwarder: Forwarder, turn: Turn): boolean {
  let running = true;
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
    const message = next.message as ToWorker;
    if (message.type === 'leave') {
      turn.isOver = true;
      return false;
    }
    if (message.type === 'stop') running = false;
    port.postMessage(obey(message, forwarder, turn, port));
  }
  return running;
}

function obey(
  message: Exclude<ToWorker, { type: 'leave' }>,
  forwarder: Forwarder,
  turn: Turn,
  port: MessagePort,
): FromWorker {
  try {
    if (message.type === 'configure') forwarder.configure(message.fans, message.generation);
    else if (message.type === 'relays') forwarder.ports.underlay.useRelays(message.relays);
    else if (message.type === 'trace') trace(message, forwarder, port);
    else if (message.type === 'inspect') return inspect(message.id, forwarder);
    else if (message.type === 'mark') return { type: 'marked', id: message.id };
    else if (message.type === 'lend')
      return { type: 'lent', id: message.id, inherited: forwarder.ports.lent };
    else if (message.type === 'pause') {
      turn.isOurs = false;
      const state = { tid: threadId(), ...forwarder.inspect(performance.now()) };
      return { type: 'paused', id: message.id, atNs: process.hrtime.bigint(), state };
    } else if (message.type === 'begin') {
      forwarder.begin(message.known, performance.now());
      turn.isOurs = true;
      return { type: 'began', id: message.id, atNs: process.hrtime.bigint() };
    }
    return done(message.id, forwarder);
  } catch (error) {
    return { type: 'failed', id: message.id, message: errorText(error) };
  }
}

function trace(
  { sessions, generation }: Extract<ToWorker, { type: 'trace' }>,
  forwarder: Forwarder,
  port: MessagePort,
): void {
  const made = sessions.map(
    (spec) =>
      new TraceSession(spec, (session, records) => {
        port.postMessage({ type: 'traced', session, records } satisfies FromWorker);
      }),
  );
  forwarder.trace(made.length === 0 ? undefined : new Tracer(made, BATCH), generation);
}

function inspect(id: number, forwarder: Forwarder): FromWorker {
  return { type: 'inspected', id, tid: threadId(), ...forwarder.inspect(performance.now()) };
}

/** The kernel's number of this thread; Node's own threadId is another. */
function threadId(): number {
  return Number(basename(readlinkSync('/proc/thread-self')));
}

function linksOf({ underlay: { shimFd }, programs }: FanPort): Record<string, number> {
  const { decap, direct } = programs ?? {};
  return {
    ...(shimFd === undefined ? {} : { 'GSO shim': shimFd }),
    ...(programs ? { encap: programs.encap.linkFd } : {}),
    ...(decap ? { decap: decap.program.linkFd } : {}),
    ...(direct ? { witness: direct.witness.linkFd, 'direct decap': direct.decap.linkFd } : {}),
    ...(decap?.exit ? { 'bridge exit': decap.exit.linkFd } : {}),
  };
}

function done(id: number, { ports }: Forwarder): FromWorker {
  const ofPrograms = (fdOf: (program: FanProgram) => number): Record<string, ByDirection> =>
    Object.fromEntries(
      ports.fans.flatMap(({ id: fan, programs }) => {
        if (!programs) return [];
        const { encap, decap } = programs;
        return [[fan, { encap: fdOf(encap), decap: decap ? fdOf(decap.program) : -1 }]];
      }),
    );
  return {
    type: 'done',
    id,
    tunOffloads: Object.fromEntries(ports.fans.map(({ id: fan, tun }) => [fan, tun.offloads])),
    io: Object.fromEntries(ports.fans.map(({ id: fan, io }) => [fan, io])),
    kernelCounters: ofPrograms(({ countersFd }) => countersFd),
    kernelLinks: Object.fromEntries(ports.fans.map((fan) => [fan.id, linksOf(fan)])),
    kernelFlows: ofPrograms(({ flowsFd }) => flowsFd),
    kernelPeers: ofPrograms(({ peersFd }) => peersFd),
    receiverFds: ports.receiverFds,
  };
}

if (parentPort) run(parentPort, workerData as WorkerData);
