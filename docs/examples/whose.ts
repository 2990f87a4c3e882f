// Which host has an overlay address, and what every host of the underlay owns? Arithmetic alone.
import { FanError, formatAddress, formatPrefix, parseAddress, parseFan, sliceOf, underlayHostOf } from 'ufan/mapping';

try {
  const fan = parseFan('250.0.0.0/8', '172.30.0.28/16');
  console.log(`here: ${formatPrefix(fan.slice)}, gateway ${formatAddress(fan.gateway)}`);

  const host = underlayHostOf(fan, parseAddress('250.0.27.2'));
  console.log(`250.0.27.2 is on ${formatAddress(host)}, which owns ${formatPrefix(sliceOf(fan, host))}`);

  parseFan('250.0.0.0/8', '172.30.0.0/16');
} catch (error) {
  if (!(error instanceof FanError)) throw error;
  console.log(`${error.code}: ${error.message}`);
}
