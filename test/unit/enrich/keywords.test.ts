import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createKeywordEnricher } from '../../../src/enrich/keywords.js'
import { enrichPassage } from '../../../src/testing/index.js'
import { createAnalyzer } from '../../../src/text/analyzer.js'
import { stopWords } from '../../../src/text/stop-words.js'

async function keywordsOf(texts: readonly string[], options: { maxKeywords?: number; language?: string } = {}) {
  const { language = 'english', ...own } = options
  const { lines } = await createKeywordEnricher(own).enrich(
    texts.map((text) => enrichPassage({ text, language })),
    {},
  )
  return lines.map(([line]) => line?.split(', ') ?? [])
}

describe('keywords', () => {
  it('are what other passages speak of and this one does not, the most frequent first', async () => {
    const found = await keywordsOf([
      'The Iron Bridge was built of iron. Coalbrookdale is near.',
      'It was closed in 1934.',
      'The Iron Bridge is a monument of Coalbrookdale, and the bridge is old.',
    ])
    expect(found).toEqual([[], ['Iron Bridge', 'Coalbrookdale'], []])
  })

  it('are runs of words between stop words and punctuation, as they first stand in the text', async () => {
    const text = 'Steam (engine) of Newcomen. STEAM; Engine, newcomen pumps water, deep mine shaft walls.'
    const [, found] = await keywordsOf([text, 'x', text], { maxKeywords: 20 })
    expect(found).toEqual(['Steam', 'engine', 'Newcomen', 'newcomen pumps water', 'deep mine shaft', 'walls'])
  })

  it('say no word twice, in whatever form', async () => {
    const text = 'Lighthouse keepers wait. A lighthouse keeper waits. The keeper is waiting.'
    const [, found] = await keywordsOf([text, 'x', text])
    expect(found).toEqual(['Lighthouse keepers wait'])
  })

  it('are found in other languages, and in scripts without spaces', async () => {
    const german = 'Der Leuchtturm und die Möwe.'
    expect((await keywordsOf([german, 'x', german], { language: 'german' }))[1]).toEqual(['Leuchtturm', 'Möwe'])
    expect((await keywordsOf(['灯塔很高。', 'x', '灯塔很旧。'], { language: 'zh', maxKeywords: 1 }))[1]).toEqual([
      '灯塔',
    ])
  })

  it('are none where there are no words', async () => {
    expect(await keywordsOf(['', '… – …', '12 345 6', 'the of and', '\uD800'])).toEqual([[], [], [], [], []])
  })

  it('stand in two other passages, have no word of this one, and are no more than asked for', async () => {
    const analyzer = await createAnalyzer('english')
    const words = ['tower', 'Towers', 'the', 'of', 'granary', 'is', 'B', 'iron', 'and', ...(stopWords.english ?? [])]
    const gaps = [' ', ' ', ' ', '. ', ', ', '\n', '\n\n']
    const text = fc
      .array(fc.tuple(fc.constantFrom('tower', 'granary', 'iron', ...words), fc.constantFrom(...gaps)), {
        maxLength: 30,
      })
      .map((parts) => parts.flat().join(''))
    const stemsOf = (text: string) => new Set(analyzer.terms(text).filter((term) => !analyzer.isStopWord(term)))
    let seen = 0
    const check = async (texts: readonly string[], most: number) => {
      const flat = texts.map((one) => one.replace(/\s+/g, ' '))
      const passages = texts.map(stemsOf)
      for (const [place, keywords] of (await keywordsOf(texts, { maxKeywords: most })).entries()) {
        expect(keywords.length).toBeLessThanOrEqual(most)
        for (const keyword of keywords) {
          seen++
          expect(flat.some((one) => one.includes(keyword))).toBe(true)
          for (const word of keyword.split(' ')) {
            const stem = analyzer.terms(word)[0] as string
            expect(analyzer.isStopWord(stem)).toBe(false)
            expect(passages[place]?.has(stem)).toBe(false)
            expect(passages.filter((stems) => stems.has(stem)).length).toBeGreaterThanOrEqual(2)
          }
        }
      }
    }
    const texts = fc.array(text, { minLength: 3, maxLength: 6 })
    await fc.assert(fc.asyncProperty(texts, fc.integer({ min: 1, max: 8 }), check), { seed: 3, numRuns: 60 })
    expect(seen).toBeGreaterThan(10)
  })

  it.each([0, 21, 1.5, Number.NaN])('are not %d', (maxKeywords) => {
    expect(() => createKeywordEnricher({ maxKeywords })).toThrow(/1 to 20/)
  })
})
