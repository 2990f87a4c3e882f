// Brings a fan up, asks about it, and takes it down again. As root, on a host with an address on eth0.
import { FanError, Fans } from 'ufan/client';

const fans = new Fans();
try {
  const { bridge } = await fans.up('250.0.0.0/8', 'eth0/16', { hostReserve: 10 });
  const [fan] = await fans.show();
  console.log(`${bridge}: ${fan?.slice} on ${fan?.device}, MTU ${fan?.mtu}, ${fan?.state}`);

  const { verdict, host } = await fans.explain('250.0.27.2');
  console.log(`250.0.27.2: host ${host}, ${verdict}`);

  const stats = await fans.stats();
  console.log(`sent: ${stats.fans[0]?.counters['encap-tx-packets']} packets`);

  await fans.down('250.0.0.0/8', 'eth0/16');
  await fans.down('250.0.0.0/8', 'eth0/16');
} catch (error) {
  if (!(error instanceof FanError)) throw error;
  console.log(`${error.code}: ${error.message}`);
}
