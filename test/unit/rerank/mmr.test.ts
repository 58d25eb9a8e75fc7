import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createMmrReranker, selectDiverse } from '../../../src/rerank/mmr.js'
import type { RerankCandidate } from '../../../src/rerank/types.js'

/** The definition of the paper, word for word: argmax over what is left of λ·rel − (1 − λ)·max similarity to what is selected. */
function oracle(relevance: readonly number[], lambda: number, similarity: readonly (readonly number[])[]) {
  const selected: { place: number; score: number }[] = []
  while (selected.length < relevance.length) {
    let best = { place: -1, score: Number.NEGATIVE_INFINITY }
    for (const [place, rel] of relevance.entries()) {
      if (selected.some((one) => one.place === place)) continue
      const near = Math.max(0, ...selected.map((one) => similarity[one.place]?.[place] as number))
      const score = lambda * rel - (1 - lambda) * near
      if (score > best.score) best = { place, score }
    }
    selected.push(best)
  }
  return selected
}

const candidates = (texts: readonly string[], more: readonly Partial<RerankCandidate>[] = []): RerankCandidate[] =>
  texts.map((text, place) => ({ number: place + 1, text, language: 'en', score: 1 / (place + 1), ...more[place] }))
const order = async (lambda: number, given: readonly RerankCandidate[]) =>
  (await createMmrReranker({ lambda }).rerank({ question: 'x', candidates: given, topK: 2 }, {})).map(
    ({ number }) => number,
  )

describe('maximal marginal relevance', () => {
  it('selects as the paper says, whatever the relevance and the similarities', () => {
    const unit = fc.double({ min: 0, max: 1, noNaN: true })
    const setting = fc.integer({ min: 0, max: 9 }).chain((count) =>
      fc.record({
        relevance: fc.array(unit, { minLength: count, maxLength: count }),
        lambda: unit,
        rows: fc.array(fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: count, maxLength: count }), {
          minLength: count,
          maxLength: count,
        }),
      }),
    )
    fc.assert(
      fc.property(setting, ({ relevance, lambda, rows }) => {
        const similarity = (one: number, other: number) => rows[Math.min(one, other)]?.[Math.max(one, other)] as number
        const full = rows.map((_, one) => rows.map((_, other) => similarity(one, other)))
        const selection = [...selectDiverse(relevance, { lambda, similarity })]
        expect(selection.map(({ place }) => place)).toEqual(oracle(relevance, lambda, full).map(({ place }) => place))
        for (const [at, { score }] of selection.entries()) {
          if (at > 0) expect(score).toBeLessThanOrEqual(selection[at - 1]?.score as number)
        }
      }),
    )
  })

  it('compares each pair once at most', () => {
    let comparisons = 0
    const similarity = () => {
      comparisons++
      return 0.5
    }
    const relevance = Array.from({ length: 30 }, (_, place) => 1 / (place + 1))
    for (const _ of selectDiverse(relevance, { lambda: 0.5, similarity }));
    expect(comparisons).toBe((30 * 29) / 2)
  })
})

describe('the mmr reranker', () => {
  const repeated = ['the red fox runs', 'the red fox runs', 'bread needs flour', 'tides follow moons']

  it('puts a passage that repeats the first behind others that say something else', async () => {
    expect(await order(0.3, candidates(repeated))).toEqual([1, 3, 4, 2])
    expect(await order(1, candidates(repeated))).toEqual([1, 2, 3, 4])
  })

  it('compares vectors where all candidates have one', async () => {
    const [east, north] = [Float32Array.of(1, 0), Float32Array.of(0, 1)]
    const texts = ['a', 'b', 'c']
    // By their words all differ; by their vectors the first two are the same.
    expect(
      await order(
        0.3,
        candidates(
          texts,
          [east, east, north].map((vector) => ({ vector })),
        ),
      ),
    ).toEqual([1, 3, 2])
    expect(await order(0.3, candidates(texts, [{ vector: east }, { vector: east }, {}]))).toEqual([1, 2, 3])
  })

  it('sees the same word in another form, and no stop words', async () => {
    const texts = ['the foxes are running', 'a fox runs', 'the bread is in the oven']
    expect(await order(0.3, candidates(texts))).toEqual([1, 3, 2])
  })

  it('does not care how large scores are', async () => {
    const scaled = (by: number) => candidates(repeated).map((one) => ({ ...one, score: one.score * by }))
    expect(await order(0.5, scaled(1e-6))).toEqual(await order(0.5, scaled(1e6)))
  })

  it.each([-0.1, 1.1, Number.NaN])('refuses a lambda of %d', (lambda) => {
    expect(() => createMmrReranker({ lambda })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
  })
})
