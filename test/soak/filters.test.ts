import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createMemoryStore } from '../../src/store/memory.js'
import { anyFilter, bothWays, follow, put, sample } from '../unit/metadata-index/support.js'

/** A long history of one namespace, asked any filter after each step; `npm test` runs short ones of another seed. */
describe('metadata in columns', () => {
  it('allows what testing every document allows, through ten thousand changes', async () => {
    const namespace = createMemoryStore().namespace('')
    const tools = { namespace, ...follow(namespace) }
    const steps = fc.sample(
      fc.record({ id: fc.integer({ min: 0, max: 400 }), sample, filter: anyFilter, removes: fc.nat(4) }),
      {
        numRuns: 10_000,
        seed: 11,
      },
    )
    let allowed = 0
    for (const { id, sample, filter, removes } of steps) {
      if (removes === 0) await namespace.remove([`d${id}`, `d${id + 1}`])
      else await put(namespace, `d${id}`, sample)
      const { columns, scan } = await bothWays(filter, tools)
      expect(columns).toEqual(scan)
      allowed += columns.length
    }
    expect(allowed).toBeGreaterThan(100_000)
  })
})
