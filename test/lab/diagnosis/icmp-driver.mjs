/**
 * icmp-driver.mjs ROOT library|native FROM TO: in a host of the lab, echo requests and an ICMP error by one of the two
 * transports of a probe; what came of them as JSON.
 */
import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';

const [root, kind, from, to] = process.argv.slice(2);
const at = (file) => import(`${root}/dist/src/${file}.js`);
const { NativeTransport, openLibraryTransport } = await at('diagnosis/probe/icmp-transport');
const { IcmpSocket } = await at('diagnosis/probe/icmp-socket');
const { parseAddress } = await at('addr/ipv4-address');

const transport = kind === 'native' ? new NativeTransport() : await openLibraryTransport();
const socket = new IcmpSocket(transport);
const echo = () => socket.echo(parseAddress(from), parseAddress(to), 5000);
await echo();
const times = [];
for (let i = 0; i < 20; i++) times.push(await echo());
const nobody = await socket.echo(parseAddress(from), parseAddress('172.30.77.7'), 300);
const udp = createSocket('udp4');
udp.send('x', 9, to);
for (let i = 0; i < 1000 && !socket.notices.some(({ type }) => type === 3); i++) await sleep(10);
udp.close();
socket.close();
const notices = socket.notices.map(({ type, code, reporter }) => ({ type, code, reporter }));
console.log(JSON.stringify({ times, nobody: nobody ?? null, notices }));
