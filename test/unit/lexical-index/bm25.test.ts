import { describe, expect, it } from 'vitest'
import { type Bm25Index, createBm25Index } from '../../../src/lexical-index/bm25.js'
import { BoundArrays } from '../../../src/lexical-index/bound-arrays.js'
import { buildSegment } from '../../../src/lexical-index/build.js'
import { searchViews } from '../../../src/lexical-index/search.js'
import { viewOf } from '../../../src/lexical-index/view.js'
import { createAnalyzers } from '../../../src/text/analyzers.js'
import { createTurns } from '../../../src/util/yield.js'
import { documentOf, find, partsOf, publish, randomText, seeded } from './support.js'

async function withIndex(use: (index: Bm25Index) => Promise<void>): Promise<void> {
  const index = await createBm25Index()
  try {
    await use(index)
  } finally {
    await index.close()
  }
}

describe('searching', () => {
  it('finds nothing in an empty index and still tells the terms', () =>
    withIndex(async (index) => {
      const { matches, terms } = await index.search('running horses', { topK: 5 })
      expect(matches).toEqual([])
      expect(terms.map(({ term, documentFrequency }) => [term, documentFrequency])).toEqual([
        ['run', 0],
        ['hors', 0],
      ])
    }))

  it('leaves out function words unless nothing else was asked for', () =>
    withIndex(async (index) => {
      await publish(index, 1, [documentOf(1, '', 'to be or not to be'), documentOf(2, '', 'what is a zebra')])
      expect((await index.search('what is a zebra', { topK: 5 })).terms.map(({ term }) => term)).toEqual(['zebra'])
      expect((await find(index, 'to be or not to be'))[0]).toBe(1)
    }))

  it('stems a question for every language in the index', () =>
    withIndex(async (index) => {
      await publish(index, 1, [documentOf(1, '', 'running horses')])
      await publish(index, 2, [documentOf(2, '', 'Häuser und Gärten')], [], 'de')
      expect(await find(index, 'runs')).toEqual([1])
      expect(await find(index, 'Haus')).toEqual([2])
    }))

  it('reads only the beginning of a question of a million terms', () =>
    withIndex(async (index) => {
      await publish(index, 1, [documentOf(1, '', 'alpha beta')])
      const random = seeded(1)
      const noise = Array.from({ length: 1_000_000 }, () => random().toString(36).slice(2, 9)).join(' ')
      const { matches, terms } = await index.search(`alpha ${noise}`, { topK: 5 })
      expect(matches.map(({ number }) => number)).toEqual([1])
      expect(terms.length).toBeLessThanOrEqual(1_024)
    }))

  it('searches a document that lies in two segments by its best window', async () => {
    const analyzers = createAnalyzers()
    const strong = documentOf(1, '', 'zebra zebra zebra', 'filler')
    const weak = partsOf(documentOf(1, '', 'zebra among many other words of no use at all'))
    const single = documentOf(100, '', 'zebra among many other words of no use at all')
    const first = await buildSegment({ parts: partsOf(strong), partial: [1] }, analyzers)
    const second = await buildSegment({ parts: [...weak, ...partsOf(single)], partial: [1] }, analyzers)
    const views = [viewOf(first), viewOf(second)]
    const terms = new Map([['zebra', 1]])
    const plan = { views, terms, topK: 10, allow: undefined, k1: 1.5, b: 0.75 }
    const byChunk = await searchViews({ ...plan, documentWeight: 0 }, createTurns(), new BoundArrays())
    const twoLevel = await searchViews({ ...plan, documentWeight: 0.5 }, createTurns(), new BoundArrays())
    const score = (result: typeof byChunk, place: number) => result.matches[place]!.score
    // The continued document's best window counts for its chunk in the other segment too.
    expect(score(byChunk, 1)).toBe(score(byChunk, 2))
    expect(score(twoLevel, 1) - score(byChunk, 1)).toBeCloseTo(0.5, 5)
    expect(score(twoLevel, 2) - score(byChunk, 2)).toBeLessThan(0.5)
  })
})

describe('updating', () => {
  it('refuses a second update while one is open', () =>
    withIndex(async (index) => {
      const update = index.update()
      expect(() => index.update()).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }))
      await update.publish(1)
      index.update().abort()
    }))

  it('tells whether segments are merged in the background', () =>
    withIndex(async (index) => {
      for (const base of [1, 2, 3, 4]) await publish(index, base, [documentOf(base, '', 'zebra')])
      expect(index.stats()).toMatchObject({ building: true, segments: 4 })
      await index.settled?.()
      expect(index.stats()).toMatchObject({ building: false, segments: 1 })
    }))

  it('replaces a document that is added again under the same base', () =>
    withIndex(async (index) => {
      await publish(index, 1, [documentOf(5, '', 'zebra', 'horse'), documentOf(9, '', 'zebra')])
      await publish(index, 2, [documentOf(5, '', 'giraffe')])
      expect(await find(index, 'zebra')).toEqual([9])
      expect(await find(index, 'giraffe')).toEqual([5])
      expect(index.stats()).toMatchObject({ chunks: 2, documents: 2 })
    }))

  it('removes what was staged before the removal, not what comes after', () =>
    withIndex(async (index) => {
      const update = index.update()
      for (const part of partsOf(documentOf(1, '', 'zebra'))) await update.add(part)
      update.remove([[0, 100]])
      for (const part of partsOf(documentOf(50, '', 'zebra'))) await update.add(part)
      await update.publish(1)
      expect(await find(index, 'zebra')).toEqual([50])
    }))

  it('counts the bytes it holds and gives back those of removed chunks', () =>
    withIndex(async (index) => {
      const random = seeded(5)
      const document = documentOf(0, '', ...Array.from({ length: 300 }, () => randomText(random, 60)))
      await publish(index, 1, [document])
      const full = index.stats().bytes
      expect(full / 300).toBeLessThan(1_200)
      await publish(index, 2, [], [[0, 270]])
      await index.compact()
      expect(index.stats().bytes).toBeLessThan(full / 4)
    }))
})

describe('options and life', () => {
  it('refuses numbers out of range when it is made', async () => {
    for (const options of [{ k1: -1 }, { b: 1.5 }, { documentWeight: Number.NaN }])
      await expect(createBm25Index(options)).rejects.toMatchObject({ code: 'BAD_OPTION' })
  })
})
