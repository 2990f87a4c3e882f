/**
 * TCP's congestion control in a container. By its routes, since they decide before a connection begins: iperf asks only
 * once it is connected, and then a stream that began as BBR (a machine's default) keeps BBR's pacing, a timer for each
 * super-packet, under cubic's name. A namespace's own default may be only what its machine allows.
 */
import type { Namespace } from './namespace.js';

/** Of every connection that begins from now on, in either direction. Throws where the kernel has no such control. */
export async function useCongestionControl(container: Namespace, control: string): Promise<void> {
  const { stdout } = await container.exec(['ip', 'route', 'show']);
  const routes = stdout.trim().split('\n');
  await container.ip(
    ...routes.map((route) => `route replace ${route.replace(/ congctl \S+/, '')} congctl ${control}`),
  );
}
