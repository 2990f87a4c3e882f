/** Reports of sockperf and iperf 2 as they print them, and as they print when they failed. */
import { describe, expect, it } from 'vitest';
import { parseIperf2 } from '../../../bench/workloads/iperf2.js';
import { parseSockperf } from '../../../bench/workloads/round-trip.js';

const SOCKPERF = `
sockperf: [Total Run] RunTime=1.005 sec; Warm up time=400 msec; SentMessages=56514; ReceivedMessages=56513
sockperf: ========= Printing statistics for Server No: 0
sockperf: [Valid Duration] RunTime=0.550 sec; SentMessages=31322; ReceivedMessages=31322
sockperf: \u001b[2;35m====> avg-rtt=17.536 (std-dev=38.729)\u001b[0m
sockperf: ---> <MAX> observation = 3274.873
sockperf: ---> percentile 99.990 = 1348.684
sockperf: ---> percentile 99.900 =  393.552
sockperf: ---> percentile 99.000 =  120.588
sockperf: ---> percentile 50.000 =   11.907
`;

describe('sockperf', () => {
  it('gives percentiles and the rate of its valid part', () => {
    expect(parseSockperf(SOCKPERF)).toEqual({
      p50: 11.907,
      p99: 120.588,
      p999: 393.552,
      perSecond: 31322 / 0.55,
    });
  });

  it('gives nothing where it received nothing', () => {
    expect(parseSockperf('sockperf: No messages were received from the server.')).toBeUndefined();
  });
});

describe('iperf 2', () => {
  it('gives bytes and rate of its last line', () => {
    const line = '19700101000000,99.0.0.1,39102,99.0.0.1,5001,1,0.0-1.0,2340814908,18686101227';
    expect(parseIperf2(`${line}\n`)).toEqual({ bytes: 2340814908, bitsPerSecond: 18686101227 });
  });

  it.each(['', 'connect failed: Connection refused\n'])('gives nothing of %j', (text) => {
    expect(parseIperf2(text)).toBeUndefined();
  });
});
