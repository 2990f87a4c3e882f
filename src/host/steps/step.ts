/**
 * What `up` does to the host, as steps that can be undone, also by another process after a crash.
 *
 * A step is a record of plain JSON (it stands in the state file before it runs) and a kind that knows how to
 * apply and undo it. Both are idempotent: `apply` adopts what an earlier run of the same step left, `undo` bears
 * the absence of what it would remove. `up` applies in order, undoes in reverse; a failure undoes what was done.
 */
import { errorText, FanError } from '../../base/error.js';
import { rehearse } from '../rehearsal.js';

export interface StepRecord {
  readonly kind: string;
  /** What the step needs, and what it found before it changed anything. Plain JSON. */
  readonly data: Readonly<Record<string, unknown>>;
}

export interface StepKind<Data> {
  /** Words for "failed to …". */
  describe(data: Data): string;
  /** Looks at the host and returns the data to record: with what must be known to undo. Changes nothing. */
  prepare?(data: Data): Promise<Data>;
  apply(data: Data): Promise<void>;
  /** Once it stands: the data to record instead, with what only now is known. Changes nothing. */
  settle?(data: Data): Promise<Data>;
  /** Before a repair: looks at the host once more and returns the data to record instead. Changes nothing. */
  renew?(data: Data): Promise<Data>;
  /** Once it stands: what the operator should know of how. */
  remark?(data: Data): Promise<string | undefined>;
  /** Returns a note for the operator where something was left on purpose. */
  undo(data: Data): Promise<string | undefined>;
}

// biome-ignore lint/suspicious/noExplicitAny: each kind has data of its own, which the record's `kind` tells apart.
export type StepKinds = Readonly<Record<string, StepKind<any>>>;

/**
 * Applies `records` in order. `journal` is called with the records done so far, the one about to run included,
 * before each runs. On failure everything done is undone, in reverse, and FanError step-failed is thrown.
 */
export async function applySteps(
  kinds: StepKinds,
  records: readonly StepRecord[],
  journal: (done: readonly StepRecord[]) => Promise<void>,
): Promise<StepRecord[]> {
  const done: StepRecord[] = [];
  for (const record of records) {
    const kind = kindOf(kinds, record);
    try {
      const data = kind.prepare ? await kind.prepare(record.data) : record.data;
      done.push({ kind: record.kind, data: data as StepRecord['data'] });
      await journal(done);
      await kind.apply(data);
      if (kind.settle) {
        done[done.length - 1] = await settled(kind, { kind: record.kind, data });
        await journal(done);
      }
    } catch (cause) {
      const notes = await undoSteps(kinds, done);
      await journal([]);
      const left = notes.length > 0 ? ` (${notes.join('; ')})` : '';
      throw new FanError(
        'step-failed',
        `failed to ${kind.describe(record.data)}: ${errorText(cause)}${left}`,
        {
          cause,
        },
      );
    }
  }
  return done;
}

/**
 * Applies recorded steps again, as they were recorded, after a crash; returns what is to be recorded of them now. Throws
 * FanError step-failed, undoes nothing.
 */
export async function reapplySteps(kinds: StepKinds, records: readonly StepRecord[]): Promise<StepRecord[]> {
  const standing: StepRecord[] = [];
  for (const record of records) {
    const kind = kindOf(kinds, record);
    try {
      await kind.apply(record.data);
      standing.push(await settled(kind, record));
    } catch (cause) {
      throw new FanError('step-failed', `failed to ${kind.describe(record.data)}: ${errorText(cause)}`, {
        cause,
      });
    }
  }
  return standing;
}

async function settled(kind: StepKind<StepRecord['data']>, record: StepRecord): Promise<StepRecord> {
  return kind.settle ? { kind: record.kind, data: await kind.settle(record.data) } : record;
}

/**
 * Does those of `records` again whose kind is wanted, to put back what somebody else changed; returns what was done, in
 * words. `replace` is called with the new record before it runs, and once it stands. Throws FanError step-failed, undoes nothing.
 */
export async function repairSteps(
  kinds: StepKinds,
  records: readonly StepRecord[],
  wanted: ReadonlySet<string>,
  replace: (index: number, record: StepRecord) => Promise<void>,
): Promise<string[]> {
  const done: string[] = [];
  for (const [index, old] of records.entries()) {
    if (!wanted.has(old.kind)) continue;
    const kind = kindOf(kinds, old);
    const data = kind.renew ? await kind.renew(old.data) : old.data;
    const record = { kind: old.kind, data: data as StepRecord['data'] };
    await replace(index, record);
    const [standing = record] = await reapplySteps(kinds, [record]);
    if (standing !== record) await replace(index, standing);
    done.push(kind.describe(record.data));
  }
  return done;
}

/** What the operator should know of steps that stand, in their order. */
export async function remarksOf(kinds: StepKinds, records: readonly StepRecord[]): Promise<string[]> {
  const remarks = await Promise.all(records.map((record) => kindOf(kinds, record).remark?.(record.data)));
  return remarks.filter((remark) => remark !== undefined);
}

/** Undoes in reverse order, whatever fails on the way; returns what the operator should know. */
export async function undoSteps(kinds: StepKinds, records: readonly StepRecord[]): Promise<string[]> {
  const notes: string[] = [];
  for (const record of [...records].reverse()) {
    const kind = kindOf(kinds, record);
    try {
      const note = await kind.undo(record.data);
      if (note !== undefined) notes.push(note);
    } catch (error) {
      notes.push(`could not undo "${kind.describe(record.data)}": ${errorText(error)}`);
    }
  }
  return notes;
}

/** A step in words, and the commands that it stands for, word by word. */
export interface RehearsedStep {
  readonly what: string;
  readonly commands: readonly (readonly string[])[];
}

/** What applySteps would do, in order. Changes nothing; throws FanError step-failed where it surely would. */
export function rehearseSteps(kinds: StepKinds, records: readonly StepRecord[]): Promise<RehearsedStep[]> {
  return rehearseEach(kinds, records, async (kind, data) =>
    kind.apply(kind.prepare ? await kind.prepare(data) : data),
  );
}

/** What reapplySteps would do. */
export function rehearseAgain(kinds: StepKinds, records: readonly StepRecord[]): Promise<RehearsedStep[]> {
  return rehearseEach(kinds, records, (kind, data) => kind.apply(data));
}

/** What undoSteps would do. */
export function rehearseUndo(kinds: StepKinds, records: readonly StepRecord[]): Promise<RehearsedStep[]> {
  return rehearseEach(kinds, [...records].reverse(), (kind, data) => kind.undo(data));
}

async function rehearseEach(
  kinds: StepKinds,
  records: readonly StepRecord[],
  act: (kind: StepKind<StepRecord['data']>, data: StepRecord['data']) => Promise<unknown>,
): Promise<RehearsedStep[]> {
  const steps: RehearsedStep[] = [];
  for (const record of records) {
    const kind = kindOf(kinds, record);
    const what = kind.describe(record.data);
    const commands = await rehearse(async (sofar) => {
      try {
        await act(kind, record.data);
      } catch (cause) {
        // A step looks at last whether all is as it was set, which here it is not.
        if (sofar.length > 0 && cause instanceof FanError && cause.code === 'step-failed') return;
        throw new FanError('step-failed', `would fail to ${what}: ${errorText(cause)}`, { cause });
      }
    });
    steps.push({ what, commands });
  }
  return steps;
}

function kindOf(kinds: StepKinds, record: StepRecord): StepKind<StepRecord['data']> {
  const kind = Object.hasOwn(kinds, record.kind) ? kinds[record.kind] : undefined;
  if (!kind) throw new FanError('daemon', `the state file names an unknown step: ${record.kind}`);
  return kind;
}
