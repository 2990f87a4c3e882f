/** The part of the npm module raw-socket that probes use; it has no types of its own. */
declare module 'raw-socket' {
  import type { EventEmitter } from 'node:events';

  export interface Socket extends EventEmitter {
    /** `done` has an error or null; it is called when the kernel has taken or refused the packet. */
    send(
      buffer: Buffer,
      offset: number,
      length: number,
      address: string,
      done: (error: Error | null, bytes: number) => void,
    ): Socket;
    setOption(level: number, option: number, value: number): void;
    close(): Socket;
  }

  const rawSocket: {
    /** Throws where we may not. Emits "message" (bytes with the IPv4 header, source) and "error". */
    createSocket(options: { protocol: number; bufferSize: number }): Socket;
    readonly Protocol: { readonly ICMP: number };
    readonly SocketLevel: { readonly IPPROTO_IP: number };
    readonly SocketOption: { readonly IP_HDRINCL: number };
  };
  export default rawSocket;
}
