/** Whether a UDP port of an address of this host is anybody's: a socket is bound to it, and closed. */
import { createSocket } from 'node:dgram';

/** False also where this process may not bind it. */
export function isPortFree(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => {
      socket.close();
      resolve(false);
    });
    socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve(true)));
  });
}
