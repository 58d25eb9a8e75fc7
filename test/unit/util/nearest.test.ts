import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nearest } from '../../../src/util/nearest.js'

describe('nearest', () => {
  it.each([
    ['chunkSiz', 'chunkSize'],
    ['topk', 'topK'],
    ['chunkOvelrap', 'chunkOverlap'],
    ['embeder', 'embedder'],
  ])('takes %s for %s', (word, meant) => {
    expect(nearest(word, ['chunkSize', 'chunkOverlap', 'topK', 'embedder'])).toBe(meant)
  })

  it('knows no word that is far from all', () => {
    expect(nearest('colour', ['chunkSize', 'topK'])).toBeUndefined()
    expect(nearest('x', [])).toBeUndefined()
    expect(nearest('a'.repeat(100_000), ['a'.repeat(100_001)])).toBeUndefined()
  })

  it('finds a word again after any single edit', () => {
    const words = ['documents', 'maxWorkers', 'perDocument', 'storage']
    fc.assert(
      fc.property(
        fc.constantFrom(...words),
        fc.nat(),
        fc.constantFrom('drop', 'double', 'swap'),
        (word, seed, edit) => {
          const at = seed % (word.length - 1)
          const edited = {
            drop: word.slice(0, at) + word.slice(at + 1),
            double: word.slice(0, at + 1) + word.slice(at),
            swap: word.slice(0, at) + word[at + 1] + word[at] + word.slice(at + 2),
          }[edit]
          expect(nearest(edited, words)).toBe(word)
        },
      ),
      { seed: 3 },
    )
  })
})
