import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodePiece, encodePiece, indexedText } from '../../../src/core/piece.js'

const text = fc.string({ unit: 'binary', maxLength: 200 }).map((value) => value.toWellFormed())
const chunk = fc.record(
  {
    id: fc.stringMatching(/^[0-9a-f]{32}$/),
    span: fc.oneof(
      fc.record({ start: fc.nat(), end: fc.nat() }),
      fc.record({ start: fc.nat(), end: fc.nat(), page: fc.integer({ min: 1, max: 9999 }) }),
    ),
    headings: fc.array(text, { maxLength: 3 }),
    metadata: fc.dictionary(
      fc.string({ maxLength: 5 }).filter((key) => key !== '__proto__'),
      fc.oneof(fc.integer(), fc.string()),
    ),
  },
  { requiredKeys: ['id', 'span', 'headings'] },
)

describe('pieces', () => {
  it('come back from their bytes as they were', () => {
    const piece = fc.record({
      firstOrdinal: fc.nat(),
      start: fc.nat(),
      text,
      chunks: fc.array(chunk, { maxLength: 10 }),
    })
    fc.assert(
      fc.property(piece, (value) => {
        expect(decodePiece(encodePiece(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
      { seed: 2 },
    )
  })

  it('refuse foreign bytes with an error, never with a wrong piece', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expect(() => decodePiece(bytes)).toThrow()
      }),
      { seed: 3 },
    )
  })
})

describe('indexedText', () => {
  it('puts title and headings on lines of their own, once', () => {
    expect(indexedText('T', ['A', 'B'], 'x')).toBe('T\nA\nB\nx')
    expect(indexedText('T', ['T', 'B'], 'x')).toBe('T\nB\nx')
    expect(indexedText('', [], 'x')).toBe('x')
    expect(indexedText('', ['A'], 'x')).toBe('A\nx')
  })
})
