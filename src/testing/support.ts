import assert from 'node:assert/strict'
import { RagError, type RagErrorCode } from '../core/errors.js'
import { randomNumbers } from '../util/random.js'

export { randomNumbers }

/**
 * Registers one test, as `it` of vitest, Jest, Mocha and `node:test` does; `skip` registers one that does not apply to the adapter,
 * with the reason in its name.
 */
export interface RegisterTest {
  (name: string, run: () => Promise<void>): unknown
  /** Lists a test without running it. */
  readonly skip: (name: string, run: () => Promise<void>) => unknown
}

/** Says why a part of the contract cannot be asked of an adapter. The test is then listed as skipped, with the reason. */
export interface NotApplicable {
  /** Why, as half a sentence: "every file is a text file". */
  readonly skip: string
}

/** Registers a test that needs `sample`, or a skipped one with the reason where there is none. */
export function itWith<Sample extends object>(
  it: RegisterTest,
  name: string,
  sample: Sample | NotApplicable,
  run: (sample: Sample) => Promise<void>,
): void {
  if (isNotApplicable(sample)) it.skip(`${name} (skipped: ${sample.skip})`, async () => {})
  else it(name, () => run(sample))
}

/** Whether a sample is the reason for its absence. */
export function isNotApplicable(sample: object): sample is NotApplicable {
  return 'skip' in sample && typeof sample.skip === 'string'
}

/** Holds for a `RagError` of this code, made by any copy of the package. */
export function hasCode(code: RagErrorCode): (error: unknown) => boolean {
  return (error) => RagError.isInstance(error, code)
}

/** Fails unless the promise rejects with a `RagError` of this code. */
export async function rejectsWith(promise: Promise<unknown>, code: RagErrorCode): Promise<void> {
  await assert.rejects(promise, hasCode(code))
}

/** Fails unless `run` rejects with exactly this value. */
export async function rejectsWithReason(run: () => Promise<unknown>, reason: unknown): Promise<void> {
  await assert.rejects(run, (error) => error === reason)
}

/** Lets timers, I/O and everything that waits for its turn go on. */
export function nextLoopTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** The same list in an order that a seed repeats. */
export function shuffled<Item>(items: readonly Item[], seed: number): Item[] {
  const random = randomNumbers(seed)
  return items
    .map((item) => ({ item, place: random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item)
}
