import { describe, expect, it } from 'vitest'
import { createMemoryCache } from '../../../src/cache/memory.js'
import type { Cache } from '../../../src/cache/types.js'
import { createThriftyEnricher } from '../../../src/enrich/thrifty.js'
import type { EnrichContext, Enricher, EnrichPassage } from '../../../src/enrich/types.js'
import { enrichPassage } from '../../../src/testing/index.js'

interface Counting extends Enricher {
  readonly calls: (readonly EnrichPassage[])[]
}

function counting(options: {
  readonly batchSize?: number
  readonly reads?: readonly EnrichContext[]
  readonly answer?: (text: string) => Promise<void> | void
}): Counting {
  const calls: (readonly EnrichPassage[])[] = []
  return {
    id: 'counting',
    fingerprint: 'counting/1',
    capabilities: { scope: 'passage', reads: options.reads ?? [], batchSize: options.batchSize ?? 1 },
    calls,
    async enrich(passages, { signal }) {
      calls.push(passages)
      for (const { text } of passages) await options.answer?.(text)
      signal?.throwIfAborted()
      return { lines: passages.map(({ text }) => [`about ${text}`]), failed: [] }
    },
    async close() {},
  }
}

const passages = (...texts: readonly string[]) => texts.map((text) => enrichPassage({ text }))
const textsOf = ({ calls }: Counting) => calls.map((call) => call.map(({ text }) => text).join('+'))

describe('a thrifty enricher', () => {
  it('asks once about passages that are the same, in batches, and gives each its lines in order', async () => {
    const inner = counting({ batchSize: 2 })
    const enricher = createThriftyEnricher(inner, { cache: undefined })
    const { lines, failed } = await enricher.enrich(passages('a', 'b', 'a', 'c', 'b'), {})
    expect(lines.flat()).toEqual(['about a', 'about b', 'about a', 'about c', 'about b'])
    expect(failed).toEqual([])
    expect(textsOf(inner)).toEqual(['a+b', 'c'])
  })

  it('uses what a stand-in made and does not keep it', async () => {
    const inner = counting({ batchSize: 2 })
    const passing: Enricher = {
      ...inner,
      enrich: async (...call) => ({ ...(await inner.enrich(...call)), passing: [1] }),
    }
    const enricher = createThriftyEnricher(passing, { cache: createMemoryCache() })
    for (let time = 0; time < 2; time++) {
      const { lines } = await enricher.enrich(passages('a', 'b'), {})
      expect(lines.flat()).toEqual(['about a', 'about b'])
    }
    expect(inner.calls).toHaveLength(2)
    expect(textsOf(inner)).toEqual(['a+b', 'b'])
  })

  it('shares an answer that is under way, and finds it afterwards', async () => {
    const inner = counting({ answer: () => new Promise((resolve) => setTimeout(resolve, 5)) })
    const enricher = createThriftyEnricher(inner, { cache: createMemoryCache() })
    const both = await Promise.all([enricher.enrich(passages('a'), {}), enricher.enrich(passages('a', 'b'), {})])
    expect(both.map(({ lines }) => lines.flat())).toEqual([['about a'], ['about a', 'about b']])
    const counts: object[] = []
    const other = createThriftyEnricher(inner, { cache: createMemoryCache(), onLookup: (one) => counts.push(one) })
    await other.enrich(passages('a'), {})
    await other.enrich(passages('a'), {})
    expect(textsOf(inner).sort()).toEqual(['a', 'a', 'b'])
    expect(counts).toEqual([
      { hits: 0, misses: 1 },
      { hits: 1, misses: 0 },
    ])
  })

  it('tells passages apart by what is read of them, and shows nothing else', async () => {
    const inner = counting({ reads: ['headings'] })
    const enricher = createThriftyEnricher(inner, { cache: createMemoryCache() })
    await enricher.enrich(
      [enrichPassage({ title: 'A' }), enrichPassage({ title: 'B', before: 'x', language: 'y' })],
      {},
    )
    expect(inner.calls).toHaveLength(1)
    expect(inner.calls[0]?.[0]).toMatchObject({ title: '', language: '', before: '', after: '', beginning: '' })
    await enricher.enrich([enrichPassage({ headings: ['Else'] })], {})
    expect(inner.calls).toHaveLength(2)
  })

  it('lets a call that fails fail for its passages alone, keeps the others, and asks again about it', async () => {
    let isDown = true
    const inner = counting({
      answer: (text) => {
        if (isDown && text === 'b') throw new Error('down')
      },
    })
    const enricher = createThriftyEnricher(inner, { cache: createMemoryCache() })
    const { failed, lines } = await enricher.enrich(passages('a', 'b', 'c'), {})
    expect(lines).toEqual([['about a'], [], ['about c']])
    expect(failed).toMatchObject([{ index: 1, error: { message: 'down' } }])
    isDown = false
    expect((await enricher.enrich(passages('a', 'b', 'c'), {})).failed).toEqual([])
    expect(textsOf(inner)).toEqual(['a', 'b', 'c', 'b'])
  })

  it('keeps what was made before the call was aborted', async () => {
    const controller = new AbortController()
    const cache = createMemoryCache()
    const stuck = counting({
      answer: async (text) => {
        if (text === 'c') await new Promise(() => {})
        if (text === 'b') setTimeout(() => controller.abort(new Error('enough')), 5)
      },
    })
    const first = createThriftyEnricher(stuck, { cache })
    await expect(first.enrich(passages('a', 'b', 'c'), { signal: controller.signal })).rejects.toThrow('enough')
    const inner = counting({})
    await createThriftyEnricher(inner, { cache }).enrich(passages('a', 'b', 'c'), {})
    expect(textsOf(inner)).toEqual(['c'])
  })

  it('goes on with a cache that fails, or holds what somebody else wrote', async () => {
    const bad = (value: Uint8Array | undefined): Cache => ({
      ...createMemoryCache(),
      get: async (keys) => {
        if (value === undefined) throw new Error('sick')
        return keys.map(() => ({ value }))
      },
      set: async () => Promise.reject(new Error('sick')),
    })
    const bytes = (text: string) => new TextEncoder().encode(text)
    for (const value of [
      undefined,
      bytes(''),
      bytes('{'),
      bytes('{"a":1}'),
      bytes('[1]'),
      bytes('null'),
      Uint8Array.of(255),
    ]) {
      const enricher = createThriftyEnricher(counting({}), { cache: bad(value) })
      expect((await enricher.enrich(passages('a'), {})).lines).toEqual([['about a']])
    }
  })
})
