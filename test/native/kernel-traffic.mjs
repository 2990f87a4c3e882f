/**
 * Traffic for the kernel test. `serve` echoes TCP streams and UDP datagrams on port 7; `send <address>` sends both
 * through it and exits 0 when all came back as sent.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';

const STREAM_BYTES = 20 << 20;
const DATAGRAMS = [0, 1, 2, 999, 1451, 1452, 1453, 2000, 9000, 65_507];

function serve() {
  createServer((socket) => socket.pipe(socket)).listen(7);
  const udp = createSocket('udp4', (data, from) => udp.send(data, from.port, from.address));
  udp.bind(7, () => process.stdout.write('ready\n'));
}

/** Both directions at once; compares digests. */
function stream(address) {
  const data = randomBytes(STREAM_BYTES);
  const hash = createHash('sha256');
  return new Promise((resolve, reject) => {
    const socket = connect(7, address, () => socket.end(data));
    socket.on('data', (chunk) => hash.update(chunk));
    socket.on('error', reject);
    socket.on('end', () => {
      const same = hash.digest('hex') === createHash('sha256').update(data).digest('hex');
      same ? resolve() : reject(new Error('the stream came back changed'));
    });
  });
}

async function datagram(address, length) {
  const data = randomBytes(length);
  const socket = createSocket('udp4');
  for (let attempt = 0; attempt < 5; attempt++) {
    socket.send(data, 7, address);
    const reply = await new Promise((resolve) => {
      const timer = setTimeout(resolve, 1000);
      socket.once('message', (message) => {
        clearTimeout(timer);
        resolve(message);
      });
    });
    if (reply?.equals(data)) return socket.close();
  }
  throw new Error(`a datagram of ${length} bytes did not come back`);
}

if (process.argv[2] === 'serve') serve();
else {
  await Promise.all([stream(process.argv[3]), stream(process.argv[3])]);
  for (const length of DATAGRAMS) await datagram(process.argv[3], length);
}
