import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createMemoryStore } from '../../../src/store/memory.js'
import { anyFilter, bothWays, follow, put, type Sample, sample } from './support.js'

type Step =
  | { readonly kind: 'put'; readonly id: string; readonly sample: Sample }
  | { readonly kind: 'remove'; readonly id: string }
  | { readonly kind: 'ask'; readonly filter: Record<string, unknown> }
  | { readonly kind: 'forget' }

const id = fc.constantFrom('a', 'b', 'c', 'd', 'e')
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('put' as const), id, sample }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), id }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('ask' as const), filter: anyFilter }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'forget' as const }) },
)

describe('metadata in columns', () => {
  it('allows what testing every document allows, whatever was put, removed and asked before', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 24 }), async (steps) => {
        const namespace = createMemoryStore().namespace('')
        const tools = { namespace, ...follow(namespace) }
        for (const one of steps) {
          if (one.kind === 'put') await put(namespace, one.id, one.sample)
          else if (one.kind === 'remove') await namespace.remove([one.id])
          else if (one.kind === 'forget') tools.metadata.forget()
          else {
            const { columns, scan } = await bothWays(one.filter, tools)
            expect(columns).toEqual(scan)
          }
        }
      }),
      { numRuns: 200, seed: 4 },
    )
  })
})
