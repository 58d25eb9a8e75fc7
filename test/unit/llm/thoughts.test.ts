import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ThoughtFilter } from '../../../src/llm/thoughts.js'

function filtered(parts: readonly string[]): string {
  const filter = new ThoughtFilter()
  return parts.map((part) => filter.push(part)).join('') + filter.end()
}

/** The same of a whole text. */
function expected(text: string): string {
  const begun = /^\s*<think(?:ing)?>/i.exec(text)
  if (begun === null) return text
  const ended = /<\/think(?:ing)?>\s*/i.exec(text.slice(begun[0].length))
  return ended === null ? '' : text.slice(begun[0].length + ended.index + ended[0].length)
}

describe('thoughts before an answer', () => {
  it('are dropped, however they are cut into parts', () => {
    const piece = fc.constantFrom(
      '<think>',
      '</think>',
      '<thinking>',
      '</thinking>',
      '<',
      '/',
      'think',
      '>',
      ' ',
      '\n',
      'a',
      '[1]',
      '<THINK>',
    )
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 6 })),
        (pieces, lengths) => {
          const text = pieces.join('')
          const parts: string[] = []
          for (let at = 0; at < text.length; ) {
            const length = lengths.next().value as number
            parts.push(text.slice(at, at + length))
            at += length
          }
          expect(filtered(parts)).toBe(expected(text))
        },
      ),
      { seed: 3, numRuns: 2_000 },
    )
  })

  it('hold nothing back of a text that begins otherwise', () => {
    const filter = new ThoughtFilter()
    expect(['A', ' <think>', 'b'].map((part) => filter.push(part))).toEqual(['A', ' <think>', 'b'])
  })

  it('may be long without taking room', () => {
    const filter = new ThoughtFilter()
    filter.push('<think>')
    const shown = Array.from({ length: 100_000 }, () => filter.push('hmm '))
    expect(shown.join('')).toBe('')
    expect(filter.push('</think>Yes')).toBe('Yes')
  })
})
