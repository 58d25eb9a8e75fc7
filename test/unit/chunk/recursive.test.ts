import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRecursiveChunker } from '../../../src/chunk/recursive.js'
import { countReads } from '../../lib/count-reads.js'
import { hostileTexts } from '../../lib/texts.js'
import { defaults, spansOf, textsWith } from './support.js'

const textsOf = textsWith(createRecursiveChunker)

describe('createRecursiveChunker', () => {
  it('cuts at paragraphs where they fit, else at lines, else between sentences', () => {
    const text = 'First one.\n\nLine two here.\nLine three here.\n\nA sentence of four. And of five. And six.'
    expect(textsOf(text, { chunkSize: 100 })).toEqual([text])
    expect(textsOf(text, { chunkSize: 45 })).toEqual([
      'First one.\n\nLine two here.\nLine three here.',
      'A sentence of four. And of five. And six.',
    ])
    expect(textsOf(text, { chunkSize: 32 })).toEqual([
      'First one.',
      'Line two here.\nLine three here.',
      'A sentence of four. And of five.',
      'And six.',
    ])
  })

  it('agrees with splitting again and again by a list of separators', () => {
    const sentence = fc.integer({ min: 3, max: 30 }).map((length) => `X${'y'.repeat(length)}.`)
    const separator = fc.constantFrom(' ', ' ', '\n', '\n\n')
    fc.assert(
      fc.property(
        fc.array(fc.tuple(sentence, separator), { maxLength: 60 }),
        fc.integer({ min: 35, max: 200 }),
        (parts, chunkSize) => {
          const text = parts.flat().join('').trim()
          expect(textsOf(text, { chunkSize })).toEqual(
            text === '' ? [] : splitPlainly(text, ['\n\n', '\n', ' '], chunkSize),
          )
        },
      ),
      { seed: 1, numRuns: 300 },
    )
  })

  it('repeats whole sentences, and keeps the size', () => {
    const text = 'Alpha one. Beta two. Gamma three. Delta four. Epsilon five.'
    expect(textsOf(text, { chunkSize: 40, chunkOverlap: 15 })).toEqual([
      'Alpha one. Beta two.',
      'Beta two. Gamma three. Delta four.',
      'Delta four. Epsilon five.',
    ])
  })

  it.each(hostileTexts)('reads %s a bounded number of times, whatever the size', (_, repeat) => {
    for (const chunkSize of [20, 30_000]) {
      const chunker = createRecursiveChunker({ ...defaults, chunkSize })
      const reads = (length: number): number => {
        const text = repeat(length)
        return countReads(() => spansOf(chunker, { text, whole: [] })) / text.length
      }
      expect(reads(8_000)).toBeLessThan(150)
      expect(reads(8_000)).toBeLessThan(1.2 * reads(2_000) + 10)
    }
  })
})

/** Splits by the first separator, joins neighbours that fit, and splits what does not fit by the next. */
function splitPlainly(text: string, [separator = ' ', ...others]: readonly string[], size: number): string[] {
  if (text.length <= size) return [text]
  const chunks: string[] = []
  let pending: string | undefined
  for (const part of text.split(separator)) {
    const longer = pending === undefined ? part : `${pending}${separator}${part}`
    if (longer.length <= size) {
      pending = longer
      continue
    }
    if (pending !== undefined) chunks.push(pending)
    pending = undefined
    if (part.length <= size) pending = part
    else chunks.push(...splitPlainly(part, others, size))
  }
  return pending === undefined ? chunks : [...chunks, pending]
}
