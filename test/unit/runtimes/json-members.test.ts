/** Members set and removed in the text of a JSON object: all else stays to the byte, and what comes out says the same. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseObject, removeMember, setMembers } from '../../../src/runtimes/json-members.js';

describe('setMembers', () => {
  it.each([
    ['', '{\n    "bridge": "b"\n}\n'],
    ['{}', '{\n    "bridge": "b"\n}'],
    ['{ "mtu": 1 }', '{ "mtu": 1, "bridge": "b" }'],
    [
      '{\n  "mtu": 1,\n  "dns": ["1", "}"]\n}\n',
      '{\n  "mtu": 1,\n  "dns": ["1", "}"],\n  "bridge": "b"\n}\n',
    ],
    ['{"x":{"bridge":"no"}, "bridge" : "a"  }', '{"x":{"bridge":"no"}, "bridge" : "b"  }'],
    ['{"a\\"b{": "\\\\", "c": true}', '{"a\\"b{": "\\\\", "c": true, "bridge": "b"}'],
  ])('%j becomes %j', (text, changed) => {
    expect(setMembers(text, { bridge: 'b' })).toBe(changed);
  });
});

describe('removeMember', () => {
  it.each([
    ['{"bridge": "b"}', '{}'],
    ['{\n  "bridge": "b",\n  "mtu": 1\n}', '{\n  "mtu": 1\n}'],
    ['{\n  "mtu": 1,\n  "bridge": "b"\n}', '{\n  "mtu": 1\n}'],
    ['{"mtu": 1}', '{"mtu": 1}'],
  ])('%j becomes %j', (text, changed) => {
    expect(removeMember(text, 'bridge')).toBe(changed);
  });
});

it('keeps what any object says, whatever its blanks, and removing undoes adding', () => {
  const object = fc.dictionary(fc.string(), fc.jsonValue());
  fc.assert(
    fc.property(object, fc.constantFrom(undefined, 2, '\t'), fc.string(), (had, indent, key) => {
      const text = JSON.stringify(had, undefined, indent);
      // JSON.parse makes -0 of "-0", and a key "__proto__" is none of ours.
      const before = JSON.parse(text) as Record<string, unknown>;
      const changed = setMembers(text, { [key]: 1 });
      expect(parseObject(changed, 'x')).toEqual({ ...before, [key]: 1 });
      const removed = parseObject(removeMember(changed, key), 'x');
      const { [key]: _, ...rest } = before;
      expect(removed).toEqual(rest);
      if (!(key in before) && Object.keys(before).length > 0) expect(removeMember(changed, key)).toBe(text);
    }),
  );
});
