import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createSemanticChunker } from '../../../src/chunk/semantic.js'
import { neighbourSimilarities } from '../../../src/chunk/similarity.js'
import { sentenceSpans } from '../../../src/text/sentences.js'
import { countReads } from '../../lib/count-reads.js'
import { hostileTexts } from '../../lib/texts.js'
import { defaults, spansOf, textsWith } from './support.js'

const textsOf = textsWith(createSemanticChunker)

const cats = 'The cat sleeps on the mat. Cats like a warm mat. A sleeping cat dreams of mice.'
const taxes = 'The tax office wants letters. Taxes are due in May. Who pays no tax gets a letter.'

describe('createSemanticChunker', () => {
  it('cuts where the subject changes, though more would fit', () => {
    expect(textsOf(`${cats} ${taxes}`, { chunkSize: 140 })).toEqual([cats, taxes])
  })

  it('does the same in Chinese', () => {
    const weather = '今天天气很好。天气预报说明天天气也好。好天气适合散步。'
    const tax = '税务局寄来信件。税款五月到期。不交税款会收到税务局信件。'
    expect(textsOf(weather + tax, { chunkSize: 50 })).toEqual([weather, tax])
  })

  it('leaves together what fits, whatever it is about', () => {
    const text = `${cats} ${taxes}`
    expect(textsOf(text, { chunkSize: text.length })).toEqual([text])
  })

  it('finds the cuts that cost least of all', () => {
    const word = fc.constantFrom('apple', 'banana', 'cherry', 'damson', 'elder', 'lemon', 'grape')
    const sentence = fc
      .array(word, { minLength: 1, maxLength: 5 })
      .map((words) => `X${words.join(' ')}.`.replace('X', 'We '))
    fc.assert(
      fc.property(
        fc.array(sentence, { minLength: 1, maxLength: 14 }),
        fc.integer({ min: 45, max: 160 }),
        (all, size) => {
          const text = all.join(' ')
          const units = sentenceSpans(text)
          const costs = plainSimilarities(text, units).map((similarity) => 1 + similarity)
          const starts = spansOf(createSemanticChunker({ ...defaults, chunkSize: size }), { text, whole: [] }).map(
            ({ start }) => units.indexOf(start) / 2,
          )
          const cost = starts.slice(1).reduce((sum, unit) => sum + (costs[unit] as number), 0)
          expect(cost).toBeCloseTo(leastCost(units, costs, size), 9)
        },
      ),
      { seed: 1, numRuns: 200 },
    )
  })

  it('tells how much neighbours have in common as a plain computation does', () => {
    const text = `${cats} ${taxes} ${cats}`
    const units = sentenceSpans(text)
    const similarities = neighbourSimilarities(text, units)
    const expected = plainSimilarities(text, units)
    expect(similarities.length).toBe(9)
    for (const [border, similarity] of expected.entries()) expect(similarities[border]).toBeCloseTo(similarity, 9)
  })

  it.each(hostileTexts)('reads %s a bounded number of times, whatever the size', (_, repeat) => {
    for (const chunkSize of [20, 30_000]) {
      const chunker = createSemanticChunker({ ...defaults, chunkSize })
      const reads = (length: number): number => {
        const text = repeat(length)
        return countReads(() => spansOf(chunker, { text, whole: [] })) / text.length
      }
      expect(reads(8_000)).toBeLessThan(150)
      expect(reads(8_000)).toBeLessThan(1.2 * reads(2_000) + 10)
    }
  })
})

/** The least sum over all ways to cut. */
function leastCost(units: readonly number[], costs: readonly number[], size: number): number {
  const count = units.length / 2
  const best = [0]
  for (let end = 1; end <= count; end++) {
    let least = Number.POSITIVE_INFINITY
    for (let start = 0; start < end; start++) {
      const fits = (units[2 * end - 1] as number) - (units[2 * start] as number) <= size
      if (fits || start === end - 1) least = Math.min(least, best[start] as number)
    }
    best.push(least + (end < count ? (costs[end] as number) : 0))
  }
  return best[count] as number
}

function plainSimilarities(text: string, units: readonly number[]): number[] {
  const count = units.length / 2
  const wordsOf = Array.from({ length: count }, (_, unit) =>
    (
      text
        .slice(units[2 * unit], units[2 * unit + 1])
        .toLowerCase()
        .match(/[a-z]+/g) ?? []
    ).map((word) => word.slice(0, 6)),
  )
  const weight = (word: string) => Math.log((count + 1) / wordsOf.filter((words) => words.includes(word)).length)
  const vector = (from: number, to: number) => {
    const counts = new Map<string, number>()
    for (const word of wordsOf.slice(Math.max(0, from), to).flat()) counts.set(word, (counts.get(word) ?? 0) + 1)
    return new Map([...counts].map(([word, times]) => [word, times * weight(word)]))
  }
  return Array.from({ length: count }, (_, border) => {
    if (border === 0) return 0
    const left = vector(border - 3, border)
    const right = vector(border, border + 3)
    let product = 0
    for (const [word, value] of left) product += value * (right.get(word) ?? 0)
    const length = (values: ReadonlyMap<string, number>) => Math.hypot(...values.values())
    return product === 0 ? 0 : product / (length(left) * length(right))
  })
}
