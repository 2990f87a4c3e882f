/**
 * Named counters of nftables (nfnetlink, linux/netfilter/nf_tables.h), asked of the kernel: a monitor asks every second,
 * and nft would be a process each time. Numbers are in network byte order.
 */
import { askAll } from './ask.js';
import { decodeAttributes, encode, type Message, NLM_F_DUMP, NLM_F_REQUEST, textOf } from './rtnetlink.js';

const NETLINK_NETFILTER = 12;
/** NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_… */
const NEW_OBJECT = 0x0a12;
const GET_OBJECT = 0x0a13;
/** nfgenmsg: u8 family, u8 version, u16 resource. */
const BODY_LEN = 4;
const FAMILY = { ip: 2, bridge: 7 } as const;
const OBJECT = { table: 1, name: 2, type: 3, data: 4 } as const;
const TYPE_COUNTER = 1;
const COUNTER_PACKETS = 2;

/** Name → packets, of a table of the family; none where there is no such table. Throws an Error with {code, errno, syscall}. */
export function readNamedCounters(table: string, family: keyof typeof FAMILY = 'ip'): Map<string, number> {
  const counters = new Map<string, number>();
  try {
    askAll(NETLINK_NETFILTER, encodeGetCounters(table, family), (message) => {
      const counter = decodeCounter(message);
      if (counter) counters.set(...counter);
    });
  } catch (error) {
    if (
      !['ENOENT', 'EINVAL', 'EOPNOTSUPP', 'EPROTONOSUPPORT'].includes(
        (error as NodeJS.ErrnoException).code ?? '',
      )
    )
      throw error;
  }
  return counters;
}

export function encodeGetCounters(table: string, family: keyof typeof FAMILY = 'ip'): Uint8Array {
  const body = Uint8Array.of(FAMILY[family], 0, 0, 0);
  const attributes = [
    [OBJECT.table, new TextEncoder().encode(`${table}\0`)],
    [OBJECT.type, Uint8Array.of(0, 0, 0, TYPE_COUNTER)],
  ] as const;
  return encode(GET_OBJECT, body, attributes, NLM_F_REQUEST | NLM_F_DUMP);
}

/** [name, packets]; undefined where the message is of another kind. */
export function decodeCounter({ type, body }: Message): [string, number] | undefined {
  if (type !== NEW_OBJECT || body.byteLength < BODY_LEN) return undefined;
  const attributes = decodeAttributes(body, BODY_LEN);
  const data = attributes.get(OBJECT.data);
  if (attributes.get(OBJECT.type)?.getUint32(0) !== TYPE_COUNTER || !data) return undefined;
  const packets = decodeAttributes(data, 0).get(COUNTER_PACKETS);
  return [textOf(attributes.get(OBJECT.name)), Number(packets?.getBigUint64(0) ?? 0n)];
}
