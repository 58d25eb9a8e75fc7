import { describe, expect, it } from 'vitest'
import { fuseAdaptively } from '../../../src/fusion/adaptive.js'
import { fuseByScore } from '../../../src/fusion/weighted.js'

const list = (...entries: readonly (readonly [number: number, score: number])[]) =>
  entries.map(([number, score]) => ({ number, score }))

describe('adaptive fusion', () => {
  it('adds both legs in full where they name the same passage', () => {
    const words = list([1, 4], [2, 2])
    const vectors = list([1, 0.8], [3, 0.4])
    expect(fuseAdaptively(words, vectors, 1)).toEqual([
      { number: 1, score: 2 },
      { number: 2, score: 0.5 },
      { number: 3, score: 0.5 },
    ])
  })

  it('weighs the vectors by what each leg says of the best of the other', () => {
    const words = list([1, 4], [2, 2])
    const vectors = list([2, 0.8], [1, 0.6], [3, 0.4])
    const agreement = (2 / 4) * (0.6 / 0.8)
    expect(fuseAdaptively(words, vectors, 2)).toEqual(
      fuseByScore([
        { matches: words, weight: 1, lowest: 0 },
        { matches: vectors, weight: 2 * agreement, lowest: 0 },
      ]),
    )
  })

  it('keeps the order of the words where the legs have nothing to do with each other, and the rest behind', () => {
    const words = list([1, 4], [2, 3.9])
    const vectors = list([7, 0.9], [8, 0.8], [2, 0.1], [1, 0.0])
    expect(fuseAdaptively(words, vectors, 1).map(({ number }) => number)).toEqual([1, 2, 7, 8])
  })

  it('is the vectors alone where there are no words, and the other way round', () => {
    expect(fuseAdaptively([], list([5, 0.5], [6, 0.25]), 1)).toEqual([
      { number: 5, score: 1 },
      { number: 6, score: 0.5 },
    ])
    expect(fuseAdaptively(list([5, 3]), [], 1)).toEqual([{ number: 5, score: 1 }])
    expect(fuseAdaptively([], [], 1)).toEqual([])
  })

  it('takes vectors that point away for nothing', () => {
    const words = list([1, 4], [2, 2])
    expect(fuseAdaptively(words, list([1, -0.1], [2, -0.5]), 1)).toEqual([
      { number: 1, score: 1 },
      { number: 2, score: 0.5 },
    ])
  })
})
