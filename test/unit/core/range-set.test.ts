import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RangeSet } from '../../../src/core/range-set.js'

const range = fc
  .tuple(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 30 }))
  .map(([start, size]) => [start, start + size] as const)

describe('RangeSet', () => {
  it('holds exactly the numbers of its ranges, joined and in order', () => {
    fc.assert(
      fc.property(fc.array(range, { maxLength: 30 }), (ranges) => {
        const set = RangeSet.from(ranges)
        const expected = new Set(
          ranges.flatMap(([start, end]) => Array.from({ length: end - start }, (_, i) => start + i)),
        )
        for (let value = -1; value <= 260; value++) expect(set.has(value)).toBe(expected.has(value))
        expect(set.size).toBe(expected.size)
        const list = [...set]
        expect(list).toHaveLength(set.length)
        for (let i = 1; i < list.length; i++) expect(list[i]?.[0]).toBeGreaterThan(list[i - 1]?.[1] as number)
      }),
      { seed: 1 },
    )
  })

  it('takes numbers beyond 32 bits', () => {
    const set = RangeSet.from([[2 ** 40, 2 ** 40 + 2]])
    expect([set.has(2 ** 40 - 1), set.has(2 ** 40), set.has(2 ** 40 + 1), set.has(2 ** 40 + 2)]).toEqual([
      false,
      true,
      true,
      false,
    ])
    expect(RangeSet.empty.has(0)).toBe(false)
  })
})
