import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { maxWordLength, WordMemo } from '../../../src/text/word-memo.js'

const unitsOf = (word: string) => Uint16Array.from(word, (_, i) => word.charCodeAt(i))

/** What a memo says of words that stand in one text, and how often it had to ask. */
function ask(memo: WordMemo<string>, words: readonly string[]): string[] {
  const units = Uint16Array.from(words.flatMap((word) => [...unitsOf(word), 0x20]))
  let start = 0
  return words.map((word) => {
    const value = memo.get(units, start, start + word.length)
    start += word.length + 1
    return value
  })
}

describe('WordMemo', () => {
  it('gives for each word what it stands for, however many there are', () => {
    // Few letters, so that words repeat and begin alike.
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '日', '\ud800'), minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(fc.array(word, { maxLength: 200 }), fc.integer({ min: 1, max: 50 }), (words, most) => {
        const short = words.map((word) => word.slice(0, maxWordLength))
        const memo = new WordMemo((word) => `<${word}>`, most)
        expect(ask(memo, short)).toEqual(short.map((word) => `<${word}>`))
      }),
    )
  })

  it('asks once for a word that is known, and forgets what two generations have not asked for', () => {
    const asked: string[] = []
    const memo = new WordMemo((word) => {
      asked.push(word)
      return word
    }, 100)
    const words = Array.from({ length: 100 }, (_, i) => `w${i}`)
    ask(memo, [...words, ...words, ...words])
    expect(asked).toEqual(words)
    // The next generation: what is asked for again is carried over.
    ask(memo, ['new', 'w7', ...Array.from({ length: 98 }, (_, i) => `x${i}`)])
    expect(asked.filter((word) => word === 'w7')).toHaveLength(1)
    ask(memo, ['newer', 'w7', 'w8'])
    expect(asked.filter((word) => word === 'w7')).toHaveLength(1)
    expect(asked.filter((word) => word === 'w8')).toHaveLength(2)
  })

  it('holds tens of thousands of words of any length', () => {
    let asked = 0
    const memo = new WordMemo((word) => {
      asked++
      return word.length
    }, 32_768)
    const words = Array.from({ length: 30_000 }, (_, i) => `${i}`.padEnd((i % maxWordLength) + 1, 'ab'))
    const distinct = new Set(words)
    for (let round = 0; round < 2; round++) {
      for (const word of words) expect(memo.get(unitsOf(word), 0, word.length)).toBe(word.length)
    }
    expect(asked).toBe(distinct.size)
  })
})
