import { afterEach, describe, expect, it, vi } from 'vitest'
import { RangeSet } from '../../../src/core/range-set.js'
import { BoundArrays } from '../../../src/lexical-index/bound-arrays.js'
import { buildSegment } from '../../../src/lexical-index/build.js'
import { Level } from '../../../src/lexical-index/level.js'
import { searchViews } from '../../../src/lexical-index/search.js'
import { type SegmentView, viewOf, withoutRanges } from '../../../src/lexical-index/view.js'
import { createAnalyzers } from '../../../src/text/analyzers.js'
import { createTurns } from '../../../src/util/yield.js'
import { searchExhaustively } from './exhaustive.js'
import type { OracleDocument } from './oracle.js'
import { partsOf, seeded } from './support.js'

const analyzers = createAnalyzers()
const turns = createTurns()
const arrays = new BoundArrays()

afterEach(() => vi.restoreAllMocks())

describe('leaving out blocks of passages', () => {
  it.each([1, 2, 3, 4])(
    'changes no hit, no score and no order (seed %i)',
    async (seed) => {
      const random = seeded(seed)
      const { views, numbers } = await randomViews(random, seed)
      const looked = vi.spyOn(Level.prototype, 'score')
      let pruned = 0
      for (let i = 0; i < 60; i++) {
        const plan = randomPlan(random, { views, numbers })
        looked.mockClear()
        const also = Array.from(
          { length: 40 },
          () => numbers[Math.floor(random() * numbers.length)]! + (random() < 0.1 ? 0.5e6 : 0),
        )
        const { matches, also: scored } = await searchViews({ ...plan, alsoScore: async () => also }, turns, arrays)
        const all = searchExhaustively({ ...plan, topK: Number.POSITIVE_INFINITY, allow: undefined })
        expect(matches).toEqual(searchExhaustively(plan))
        const scores = new Map(all.map(({ number, score }) => [number, score]))
        expect(scored).toEqual(
          also.filter((number) => scores.has(number)).map((number) => ({ number, score: scores.get(number) })),
        )
        if (looked.mock.calls.length < numbers.length / 16) pruned++
      }
      // Otherwise this has tested nothing.
      expect(pruned).toBeGreaterThan(5)
    },
    30_000,
  )

  it('changes nothing while segments come and go that move the average length, or continue documents of many windows', async () => {
    const random = seeded(8)
    const { views, numbers } = await randomViews(random, 4)
    const others = [...(await longDocuments(random)), await tersePassages(random)]
    for (let i = 0; i < 60; i++) {
      // What was learnt of the first ones is used again beside any of the others.
      const present = [...views.slice(0, 2), ...others.filter(() => random() < 0.5)]
      const plan = { ...randomPlan(random, { views: present, numbers }), k1: 1.5, b: 0.75 }
      const { matches } = await searchViews(plan, turns, arrays)
      expect(matches).toEqual(searchExhaustively(plan))
    }
  }, 30_000)
})

/** Two documents of several windows, the second of which goes on in another segment. */
async function longDocuments(random: () => number): Promise<SegmentView[]> {
  const text = () => Array.from({ length: 300 }, () => `w${Math.floor(2_000 * random() ** 3)}x`).join(' ')
  const document = (base: number, chunks: number) => ({
    base,
    title: '',
    chunks: Array.from({ length: chunks }, () => ({ text: text(), headings: [] })),
  })
  const [whole, parted] = [document(2e6, 150), document(3e6, 160)]
  const parts = partsOf(parted)
  const batches = [[...partsOf(whole), ...parts.slice(0, 40)], parts.slice(40)]
  const segments = await Promise.all(
    batches.map((own) => buildSegment({ parts: own, partial: [parted.base] }, analyzers)),
  )
  return segments.map((segment) => viewOf(segment))
}

/** Passages of two words, so many that the average length is another. */
async function tersePassages(random: () => number): Promise<SegmentView> {
  const text = () => `w${Math.floor(40 * random())}x w${Math.floor(2_000 * random())}x`
  const documents = Array.from({ length: 3_000 }, (_, i) => ({
    base: 4e6 + i,
    title: '',
    chunks: [{ text: text(), headings: [] }],
  }))
  return viewOf(await buildSegment({ parts: documents.flatMap((one) => partsOf(one)), partial: [] }, analyzers))
}

/** Segments of very different sizes, some with removed chunks, one of them continued in another. */
async function randomViews(random: () => number, seed: number): Promise<{ views: SegmentView[]; numbers: number[] }> {
  const views: SegmentView[] = []
  const numbers: number[] = []
  let base = seed === 2 ? 2 ** 32 - 500 : 1
  for (const documents of [900, 300, 40, 3]) {
    const own = Array.from({ length: documents }, () => {
      const document = randomDocument(random, base)
      for (const place of document.chunks.keys()) numbers.push(base + place)
      base += document.chunks.length + Math.floor(random() * 3)
      return document
    })
    const segment = await buildSegment({ parts: own.flatMap((one) => partsOf(one)), partial: [] }, analyzers)
    const gone = own.filter(() => random() < 0.1).map((one) => [one.base, one.base + 2] as const)
    views.push(seed % 2 === 0 ? viewOf(segment) : withoutRanges(viewOf(segment), RangeSet.from(gone)))
  }
  return seed === 4 ? { views: [...views, ...(await continued(random, base))], numbers } : { views, numbers }
}

/** A document whose parts lie in two segments. */
async function continued(random: () => number, base: number): Promise<SegmentView[]> {
  const first = randomDocument(random, base)
  const second = { ...randomDocument(random, base), title: first.title }
  const parts = [partsOf(first), partsOf({ ...second, chunks: [...first.chunks, ...second.chunks] }).slice(-1)]
  const segments = await Promise.all(parts.map((own) => buildSegment({ parts: own, partial: [base] }, analyzers)))
  return segments.map((segment) => viewOf(segment))
}

/** Words of a few lengths of list, from those in every chunk to those in one; equal texts make equal scores. */
function randomText(random: () => number): string {
  const words = Array.from({ length: 1 + Math.floor(random() * 25) }, () => `w${Math.floor(2_000 * random() ** 6)}x`)
  return random() < 0.9 ? `every ${words.join(' ')}` : 'every w0x w1x'
}

function randomDocument(random: () => number, base: number): OracleDocument {
  const chunks = Array.from({ length: 1 + Math.floor(random() * 5) }, () => ({
    text: randomText(random),
    headings: [],
  }))
  return { base, title: random() < 0.3 ? 'every w1x' : '', chunks }
}

function randomPlan(
  random: () => number,
  { views, numbers }: { readonly views: readonly SegmentView[]; readonly numbers: readonly number[] },
) {
  const share = random() * random()
  const terms = new Map<string, number>()
  for (let i = 1 + Math.floor(random() * 12); i > 0; i--)
    terms.set(random() < 0.15 ? 'everi' : `w${Math.floor(2_000 * random() ** 3)}x`, 1 + Math.floor(random() ** 4 * 3))
  return {
    views,
    terms,
    topK: [0, 1, 3, 10, 50, 400, 1e9][Math.floor(random() * 7)]!,
    allow:
      random() < 0.3
        ? RangeSet.from(numbers.filter(() => random() < share).map((n) => [n, n + 1] as const))
        : undefined,
    k1: [1.5, 1.5, 0, 3][Math.floor(random() * 4)]!,
    b: [0.75, 0.75, 0, 1][Math.floor(random() * 4)]!,
    documentWeight: [0, 0.5, 0.5, 3][Math.floor(random() * 4)]!,
  }
}
