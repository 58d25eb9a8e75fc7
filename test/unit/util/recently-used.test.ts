import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RecentlyUsed } from '../../../src/util/recently-used.js'

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e')
const step = fc.oneof(
  fc.record({ do: fc.constant('set' as const), key, bytes: fc.nat(6) }),
  fc.record({ do: fc.constant('get' as const), key, bytes: fc.constant(0) }),
  fc.record({ do: fc.constant('delete' as const), key, bytes: fc.constant(0) }),
)

describe('RecentlyUsed', () => {
  it('holds what a list in the order of use would hold', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 1, max: 4 }),
        fc.nat(12),
        (steps, most, weight) => {
          const recent = new RecentlyUsed<number>({ maxEntries: most, maxBytes: weight })
          let list: { key: string; value: number; bytes: number }[] = []
          let evictions = 0
          for (const [value, { do: action, key, bytes }] of steps.entries()) {
            const known = list.find((entry) => entry.key === key)
            if (action === 'get') expect(recent.get(key)).toBe(known?.value)
            if (action === 'set') recent.set(key, value, bytes)
            if (action === 'delete') recent.delete(key)
            if (known !== undefined || action === 'set') list = list.filter((entry) => entry.key !== key)
            if (action === 'get' && known !== undefined) list.push(known)
            if (action === 'set') list.push({ key, value, bytes })
            const sum = () => list.reduce((total, entry) => total + entry.bytes, 0)
            while (list.length > 1 && action === 'set' && (list.length > most || sum() > weight)) {
              list.shift()
              evictions++
            }
            expect([recent.size, recent.bytes, recent.evictions]).toEqual([list.length, sum(), evictions])
          }
          for (const entry of list) expect(recent.get(entry.key)).toBe(entry.value)
        },
      ),
      { seed: 3, numRuns: 300 },
    )
  })

  it('forgets all, or what is not wanted', () => {
    const recent = new RecentlyUsed<number>({})
    for (let place = 0; place < 10; place++) recent.set(`${place}`, place, 1)
    recent.prune((value) => value % 2 === 0)
    expect([recent.size, recent.bytes, recent.get('2'), recent.get('3'), recent.evictions]).toEqual([
      5,
      5,
      2,
      undefined,
      0,
    ])
    recent.clear()
    expect([recent.size, recent.bytes]).toEqual([0, 0])
  })
})
