import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodePiece,
  embeddedText,
  encodePiece,
  indexedText,
  ownText,
  type Piece,
  sharedLines,
} from '../../../src/core/piece.js'

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
    added: fc.array(text, { minLength: 1, maxLength: 3 }),
  },
  { requiredKeys: ['id', 'span', 'headings'] },
)

describe('pieces', () => {
  it('come back from their bytes as they were', () => {
    const piece = fc.record(
      {
        firstOrdinal: fc.nat(),
        start: fc.nat(),
        text,
        chunks: fc.array(chunk, { maxLength: 10 }),
        above: fc.array(text, { minLength: 1, maxLength: 3 }),
        bare: fc.constant(true as const),
      },
      { requiredKeys: ['firstOrdinal', 'start', 'text', 'chunks'] },
    )
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

describe('what is embedded and indexed with a chunk', () => {
  const chunk = { id: 'x', span: { start: 10, end: 14 }, headings: ['A', 'B'] }
  const piece: Piece = { firstOrdinal: 0, start: 10, text: 'text and more', chunks: [chunk] }

  it('is the indexed text where nothing was added', () => {
    expect(embeddedText('T', piece, chunk, 0)).toBe(indexedText('T', ['A', 'B'], 'text'))
    expect(embeddedText('A', piece, chunk, 0)).toBe(indexedText('A', ['A', 'B'], 'text'))
    expect(embeddedText('T', piece, chunk, 5)).toBe('T\nA\nB')
  })

  it('has what was added between the headings and the text, and that does not count', () => {
    const rich = { ...piece, above: ['summary'] }
    const added = { ...chunk, added: ['one', 'two'] }
    expect(sharedLines('T', rich, added)).toEqual(['T', 'A', 'B', 'summary'])
    expect(ownText(rich, added)).toBe('one\ntwo\ntext')
    expect(embeddedText('T', rich, added, 0)).toBe('T\nA\nB\nsummary\none\ntwo\ntext')
    expect(embeddedText('T', rich, added, 8)).toBe('T\nA\nB\nsummary\none\ntwo\nte')
  })

  it('is without title and headings where they are left out', () => {
    expect(embeddedText('T', { ...piece, bare: true, above: ['summary'] }, chunk, 0)).toBe('summary\ntext')
  })
})
