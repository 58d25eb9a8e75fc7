import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { groupTexts } from '../../../../src/embed/remote/groups.js'

const limit = fc.integer({ min: 1, max: 40 })

describe('texts of one call', () => {
  it('are all texts in their order, within every limit unless a text alone is over it, and as many as fit', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme', maxLength: 12 }), { maxLength: 60 }),
        fc.record({ items: limit, tokens: limit, bytes: limit }),
        (texts, limits) => {
          const fits = (start: number, end: number): boolean => {
            const sizes = texts.slice(start, end).map((text) => Buffer.byteLength(text))
            const bytes = sizes.reduce((sum, size) => sum + size, 0)
            const tokens = sizes.reduce((sum, size) => sum + Math.ceil(size / 3), 0)
            return end - start <= limits.items && bytes <= limits.bytes && tokens <= limits.tokens
          }
          const groups = groupTexts(texts, limits)
          let next = 0
          for (const { start, end, tokens } of groups) {
            expect(start).toBe(next)
            expect(end).toBeGreaterThan(start)
            expect(end - start === 1 || fits(start, end)).toBe(true)
            expect(end === texts.length || !fits(start, end + 1)).toBe(true)
            expect(tokens).toBe(
              texts.slice(start, end).reduce((sum, text) => sum + Math.ceil(Buffer.byteLength(text) / 3), 0),
            )
            next = end
          }
          expect(next).toBe(texts.length)
        },
      ),
      { seed: 1, numRuns: 200 },
    )
  })
})
