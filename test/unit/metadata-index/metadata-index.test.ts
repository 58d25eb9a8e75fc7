import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import type { Filter } from '../../../src/core/filter.js'
import { createMemoryStore } from '../../../src/store/memory.js'
import type { DocumentRecord } from '../../../src/store/types.js'
import { anyFilter, bothWays, follow, put, type Sample, sample } from './support.js'

type Step =
  | { readonly kind: 'put'; readonly id: string; readonly sample: Sample }
  | { readonly kind: 'remove'; readonly id: string }
  | { readonly kind: 'ask'; readonly filters: readonly Record<string, unknown>[] }
  | { readonly kind: 'forget' }

const id = fc.constantFrom('a', 'b', 'c', 'd', 'e')
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('put' as const), id, sample }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), id }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('ask' as const),
      filters: fc.array(anyFilter, { minLength: 3, maxLength: 6 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'forget' as const }) },
)

/** Lets every stretch of work be over as soon as it is asked for, so that whatever can come between does. */
function hurry(): void {
  let time = 0
  vi.spyOn(performance, 'now').mockImplementation(() => (time += 2))
}
afterEach(() => vi.restoreAllMocks())

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
            for (const filter of one.filters) {
              const { columns, scan } = await bothWays(filter, tools)
              expect(columns).toEqual(scan)
            }
          }
        }
      }),
      { numRuns: 200, seed: 4 },
    )
  })

  it('agrees once it is quiet with filters that came while documents came and went', async () => {
    hurry()
    const filters = fc.array(anyFilter, { minLength: 3, maxLength: 3 })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), filters, async (steps, filters) => {
        const namespace = createMemoryStore().namespace('')
        for (let i = 0; i < 12; i++) await put(namespace, `many${i}`, { metadata: { x: i % 3 }, chunks: [undefined] })
        const tools = { namespace, ...follow(namespace) }
        const going: Promise<unknown>[] = []
        let following = Promise.resolve()
        for (const [place, one] of steps.entries()) {
          if (one.kind === 'put') await put(namespace, one.id, one.sample)
          else if (one.kind === 'remove') await namespace.remove([one.id, `many${place}`])
          else if (one.kind === 'ask')
            going.push(...one.filters.map((filter) => tools.metadata.prepare(filter as never)))
          else following = following.then(tools.freshen)
          if (place % 3 === 0) await new Promise(setImmediate)
        }
        await Promise.all([...going, following])
        for (const filter of filters) {
          const { columns, scan } = await bothWays(filter, tools)
          expect(columns).toEqual(scan)
        }
      }),
      { numRuns: 150, seed: 8 },
    )
  })

  it('goes on where an update failed half way', async () => {
    const store = createMemoryStore().namespace('')
    let failing = false
    const namespace = Object.assign(Object.create(store) as typeof store, {
      epoch: () => store.epoch(),
      nextNumber: () => store.nextNumber(),
      list: () => store.list(),
      changes: (since: number) => store.changes(since),
      pieces: (document: DocumentRecord) => {
        if (failing) throw new RagError('STORAGE', 'The disk is gone.')
        return store.pieces(document)
      },
    })
    const tools = { namespace, ...follow(namespace) }
    await tools.metadata.prepare({ x: 1 })
    await put(store, 'a', { metadata: { x: 1 }, chunks: [undefined] })
    await put(store, 'b', { metadata: { x: 1 }, chunks: [{ x: 2 }, undefined] })
    failing = true
    await expect(tools.freshen()).rejects.toMatchObject({ code: 'STORAGE' })
    failing = false
    const { columns, scan } = await bothWays({ x: 1 }, tools)
    expect(columns).toEqual(scan)
    expect(tools.metadata.stats().rows).toBe(3)
  })

  it('holds no row of a version that came and went while the store was read', async () => {
    const store = createMemoryStore().namespace('')
    for (const id of ['b', 'c', 'd']) await put(store, id, { metadata: { x: 1 }, chunks: [undefined] })
    const { metadata, freshen } = follow(store)
    hurry()
    const opening = metadata.prepare({ x: 1 })
    await put(store, 'd', { metadata: { x: 1 }, chunks: [undefined, undefined] })
    await opening
    await store.remove(['d'])
    await freshen()
    expect(metadata.stats().rows).toBe(2)
    expect((await metadata.match({ x: 1 }))?.size).toBe(2)
  })

  it('adds what is committed while a column is filled to that column', async () => {
    const store = createMemoryStore().namespace('')
    for (const id of ['b', 'c', 'd']) await put(store, id, { metadata: { x: 1, y: 1 }, chunks: [undefined] })
    const { metadata, freshen } = follow(store)
    await metadata.prepare({ x: 1 })
    hurry()
    const filling = metadata.prepare({ y: 1 })
    await put(store, 'a', { metadata: { x: 1, y: 1 }, chunks: [undefined] })
    await put(store, 'd', { metadata: { x: 1, y: 2 }, chunks: [undefined] })
    await Promise.all([filling, freshen()])
    expect((await metadata.match({ y: 1 }))?.size).toBe(3)
    expect((await metadata.match({ y: 2 }))?.size).toBe(1)
  })

  it('lets go of rows that are gone, and stays right', async () => {
    const namespace = createMemoryStore().namespace('')
    const tools = { namespace, ...follow(namespace) }
    for (let i = 0; i < 3_000; i++) {
      const tags = [`t${i % 7}`, i % 5]
      await put(namespace, `d${i}`, { metadata: { i, name: `name ${i}`, tags }, chunks: [undefined] })
    }
    const filters = [{ i: { $lt: 2_500 } }, { tags: 't3' }, { tags: 4, name: { $contains: '9' } }]
    const check = async () => {
      for (const filter of filters) {
        const { columns, scan } = await bothWays(filter, tools)
        expect(columns).toEqual(scan)
      }
    }
    await check()
    const { bytes } = tools.metadata.stats()
    await namespace.remove(Array.from({ length: 2_800 }, (_, i) => `d${i}`))
    await check()
    expect(tools.metadata.stats().rows).toBe(200)
    expect(tools.metadata.stats().bytes).toBeLessThan(bytes / 5)
  })

  it('gives the same result again without looking, until something changes', async () => {
    const namespace = createMemoryStore().namespace('')
    const tools = { namespace, ...follow(namespace) }
    await put(namespace, 'a', { metadata: { x: 1 }, chunks: [undefined] })
    await tools.metadata.prepare({ x: 1 })
    const first = await tools.metadata.match({ x: 1 })
    expect(await tools.metadata.match({ x: 1 })).toBe(first)
    // Infinity is no null, a number no text.
    await put(namespace, 'b', { metadata: { x: null, y: '1' }, chunks: [undefined] })
    await tools.freshen()
    const sizes = async (filter: Filter) => {
      await tools.metadata.prepare(filter)
      return (await tools.metadata.match(filter))?.size
    }
    expect(await sizes({ x: 1 })).toBe(1)
    expect([await sizes({ x: null }), await sizes({ x: Number.POSITIVE_INFINITY })]).toEqual([1, 0])
    expect([await sizes({ y: 1 }), await sizes({ y: '1' })]).toEqual([0, 1])
  })

  it('reads the store once for filters that come together, and not at all for paths it holds', async () => {
    const store = createMemoryStore().namespace('')
    for (const id of ['a', 'b', 'c']) await put(store, id, { metadata: { x: 1, y: 2, z: 3 }, chunks: [undefined] })
    let listed = 0
    const namespace = Object.assign(Object.create(store) as typeof store, {
      epoch: () => store.epoch(),
      nextNumber: () => store.nextNumber(),
      list: () => {
        listed++
        return store.list()
      },
    })
    const { metadata } = follow(namespace)
    await Promise.all([metadata.prepare({ x: 1, y: 1 }), metadata.prepare({ y: 2, x: 3 }), metadata.prepare({ x: 5 })])
    expect(listed).toBe(1)
    await Promise.all([metadata.prepare({ z: 1 }), metadata.prepare({ z: 2, x: 1 })])
    expect(listed).toBe(2)
    expect((await metadata.match({ z: 3 }))?.size).toBe(3)
  })

  it('ends with CLOSED, and with the reason of a signal', async () => {
    const namespace = createMemoryStore().namespace('')
    for (let i = 0; i < 2_000; i++) await put(namespace, `d${i}`, { metadata: { i }, chunks: [undefined] })
    const { metadata } = follow(namespace)
    await metadata.prepare({ i: 1 })
    const reason = new Error('enough')
    const many = { $or: Array.from({ length: 1_000 }, (_, i) => ({ i })) }
    await expect(metadata.match(many, AbortSignal.abort(reason))).rejects.toBe(reason)
    const waiting = metadata.prepare({ j: 1 })
    await metadata.close()
    await metadata.close()
    await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(metadata.prepare({ i: 1 })).rejects.toMatchObject({ code: 'CLOSED' })
    expect(metadata.stats()).toEqual({ rows: 0, columns: 0, bytes: 0 })
  })
})
