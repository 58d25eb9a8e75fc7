import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createAnalyzer } from '../../../src/text/analyzer.js'

const english = await createAnalyzer('en')
const unique = (text: string) => [...new Set(english.terms(text))]

describe('words', () => {
  it.each([
    ['Running RUNS run', ['run', 'run', 'run']],
    ["don't O’Reilly's", ["don't", "o'reilli"]],
    ['naïve naive Über', ['naiv', 'naiv', 'uber']],
    ['ﬁne ｆｕｌｌ', ['fine', 'full']],
    ['soft\u00adhyphen', ['softhyphen']],
    ['3.14 x86 2024', ['3', '14', 'x86', '2024']],
    ['', []],
    [' \n…!?“”', []],
  ])('%j yields %j', (text, terms) => {
    expect(english.terms(text)).toEqual(terms)
  })

  it('are the same however their accents are encoded', () => {
    expect(english.terms('cafe\u0301')).toEqual(english.terms('caf\u00e9'))
  })

  it('named like members of objects are words', () => {
    expect(english.terms('__proto__ constructor toString')).toEqual(['proto', 'constructor', 'tostr', 'to', 'string'])
  })
})

describe('identifiers', () => {
  it.each([
    ['parseHttpHeader', ['parsehttphead', 'pars', 'http', 'header']],
    ['HTTPServer', ['httpserver', 'http', 'server']],
    ['run_target', ['run_target', 'run', 'target']],
    ['_private', ['privat']],
    ['MAX', ['max']],
  ])('%s yields itself and its parts', (text, terms) => {
    expect(unique(text)).toEqual(terms)
  })
})

describe('scripts', () => {
  it.each([
    ['猫が好き', ['猫が', 'が好', '好き']],
    ['猫', ['猫']],
    ['2018年', ['2018', '年']],
    ['ｶﾞﾗｽ', ['ガラ', 'ラス']],
    ['한국어', ['한국', '국어']],
    ['красивыми городов', ['красив', 'город']],
    ['المدارس', ['مدارس']],
    ['𠮷野家', ['𠮷野', '野家']],
  ])('%s yields %j', (text, terms) => {
    expect(english.terms(text)).toEqual(terms)
  })

  it('without spaces are cut into bigrams, vowel signs included', () => {
    expect(english.terms('ไทย')).toEqual(['ไท', 'ทย'])
  })
})

describe('languages', () => {
  it.each([
    ['de', 'Häuser', ['haus']],
    ['German', 'Häuser', ['haus']],
    ['fr-CA', "l'avion élèves", ['l', 'avion', 'elev']],
    ['sv', 'bär', ['bär']],
    ['uk', 'красивыми', ['красивыми']],
    ['tlh', 'running', ['running']],
  ])('%s: %s yields %j', async (language, text, terms) => {
    expect((await createAnalyzer(language)).terms(text)).toEqual(terms)
  })

  it.each(['zh', 'ja', 'ru', 'english', 'en-GB', 'ar'])('%s shares the English profile', async (language) => {
    expect((await createAnalyzer(language)).language).toBe('english')
  })

  it('know their function words', async () => {
    expect(english.terms('what does this do').every((term) => english.isStopWord(term))).toBe(true)
    expect(english.isStopWord('zebra')).toBe(false)
    const german = await createAnalyzer('de')
    expect(german.terms('was ist das').every((term) => german.isStopWord(term))).toBe(true)
  })
})

describe('any text at all', () => {
  it('yields short, well-formed, non-empty terms, the same each time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), fc.nat(0xffff), (text, unit) => {
        const hostile = `${text}${String.fromCharCode(unit)}a${text.slice(1)}`
        const terms = english.terms(hostile)
        expect(english.terms(hostile)).toEqual(terms)
        for (const term of terms) {
          expect(term).not.toBe('')
          expect(term.isWellFormed()).toBe(true)
        }
      }),
      { seed: 1, numRuns: 500 },
    )
  })

  it('yields the terms of its words, one after the other, however long it is', () => {
    const word = fc.string({
      unit: fc.constantFrom('a', 'B', 'é', '_', '7', "'", '\u00ad', '𝒳', '猫', '\ud835'),
      minLength: 1,
      maxLength: 9,
    })
    fc.assert(
      fc.property(fc.array(word, { maxLength: 40 }), fc.constantFrom(1, 3_000), (words, times) => {
        const text = Array.from({ length: times }, () => words.join(' ')).join(' ')
        const own = words.flatMap((word) => english.terms(word))
        expect(english.terms(text)).toEqual(Array.from({ length: times }, () => own).flat())
      }),
      { seed: 2, numRuns: 60 },
    )
  })

  it.each(['a', 'aB', 'a_', "a'", '猫', '\u0301', '\u200d', '𝒳', 'é'])(
    'is read in linear time when %j is repeated',
    (part) => {
      // Quadratic behaviour would take hours, not the test's time limit.
      const terms = english.terms(part.repeat(200_000))
      for (const term of terms.slice(0, 100)) expect(term.length).toBeLessThanOrEqual(130)
    },
  )
})
