import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LengthWindow } from '../../../../src/embed/onnx/window.js'

interface Item {
  readonly length: number
  readonly age: number
}

const limits = fc.record({
  maxTokens: fc.integer({ min: 1, max: 200 }),
  maxRows: fc.integer({ min: 1, max: 8 }),
  passTokens: fc.integer({ min: 0, max: 40 }),
})
const step = fc.oneof(
  fc.record({
    add: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 20 }),
    age: fc.integer({ min: 0, max: 5 }),
  }),
  fc.record({ take: limits }),
  fc.record({ delete: fc.nat() }),
)

describe('LengthWindow', () => {
  it('gives what a plain list would: the longest of the oldest, then what follows in length while it is worth its row', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const window = new LengthWindow<Item>()
        let waiting: Item[] = []
        for (const [place, one] of steps.entries()) {
          if ('add' in one) {
            // Slices come back from tokenizers in any order, and no two are of one age.
            const age = one.age * 1_000 + place
            const items = one.add.map((length) => ({ length, age }))
            window.add(age, items)
            waiting.push(...items)
          } else if ('delete' in one) {
            const item = waiting[one.delete % Math.max(waiting.length, 1)]
            if (item === undefined) continue
            expect([window.delete(item), window.delete(item)]).toEqual([true, false])
            waiting = waiting.filter((other) => other !== item)
          } else {
            const batch = window.take(one.take)
            expect(batch.map(({ length }) => length)).toEqual(slowBatch(waiting, one.take))
            if (batch[0] !== undefined) expect(batch[0].age).toBe(Math.min(...waiting.map(({ age }) => age)))
            expect(batch.every((item) => waiting.includes(item))).toBe(true)
            waiting = waiting.filter((item) => !batch.includes(item))
          }
          expect(window.size).toBe(waiting.length)
          expect(window.tokens).toBe(waiting.reduce((sum, { length }) => sum + length, 0))
        }
      }),
      { seed: 1, numRuns: 500 },
    )
  })
})

/** Lengths of the next batch. */
function slowBatch(
  waiting: readonly Item[],
  { maxTokens, maxRows, passTokens }: { maxTokens: number; maxRows: number; passTokens: number },
): number[] {
  const oldest = Math.min(...waiting.map(({ age }) => age))
  const longest = Math.max(0, ...waiting.filter(({ age }) => age === oldest).map(({ length }) => length))
  if (longest === 0) return []
  const others = waiting.map(({ length }) => length).filter((length) => length <= longest)
  others.splice(others.indexOf(longest), 1)
  const batch = [longest]
  let costPerToken = Number.POSITIVE_INFINITY
  for (const length of others.toSorted((a, b) => b - a)) {
    if (batch.length >= maxRows || (batch.length + 1) * longest > maxTokens) break
    // Rows of one length are taken or left together: the price is that of the batch before the first of them.
    if (length !== batch.at(-1) || batch.length === 1) {
      costPerToken = (passTokens + batch.length * longest) / batch.reduce((sum, other) => sum + other)
    }
    if (longest / length > costPerToken) break
    batch.push(length)
  }
  return batch
}
