import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createExtractiveLlm, type ExtractiveOptions } from '../../../src/llm/extractive.js'
import { buildPrompt } from '../../../src/llm/prompt.js'
import type { PromptSource, PromptTerm } from '../../../src/llm/types.js'

const source = (marker: number, text: string, more: Partial<PromptSource> = {}): PromptSource => ({
  marker,
  title: '',
  headings: [],
  language: 'en',
  score: 1 / marker,
  text,
  ...more,
})

const tower =
  'The Eiffel Tower is 330 metres tall. It was designed by Maurice Koechlin and Emile Nouguier. Is it the tallest tower of all? ' +
  'The tower was opened in March 1889. Paint is renewed every seven years because iron rusts.'
const bread =
  'Bread is made of flour, water and yeast. The dough rests for two hours. Bake it until the crust is brown.'

async function answer(
  question: string,
  texts: readonly (string | PromptSource)[],
  options?: ExtractiveOptions,
  terms: readonly PromptTerm[] = [],
): Promise<string> {
  const sources = texts.map((text, i) => (typeof text === 'string' ? source(i + 1, text) : text))
  let text = ''
  for await (const delta of createExtractiveLlm(options).generate(buildPrompt({ question, sources, terms }), {}))
    text += delta
  return text
}

describe('the extractive answerer', () => {
  it.each([
    ['How tall is the Eiffel Tower?', 'The Eiffel Tower is 330 metres tall. [1]'],
    ['When was the tower opened?', 'The tower was opened in March 1889. [1]'],
    ['Why is the paint renewed?', 'Paint is renewed every seven years because iron rusts. [1]'],
    ['How long does the dough rest?', 'The dough rests for two hours. [2]'],
    ['What is bread made of?', 'Bread is made of flour, water and yeast. [2]'],
  ])('answers %j with %j first', async (question, expected) => {
    expect(await answer(question, [tower, bread], { maxSentences: 1 })).toBe(expected)
  })

  it('does not say one thing twice that stands in two documents in another dress', async () => {
    const markdown =
      'To add an adapter, read the `types.ts` of its port, copy the smallest one, add one line to the catalogue.'
    const pdf =
      'To add an adapter, read the types.ts of its port, copy the smallest one, add\none line to the catalogue.'
    const other = 'An adapter of yours needs no entry in the catalogue.'
    const said = await answer('How do I add an adapter?', [markdown, pdf, other])
    expect(said.match(/copy the smallest one/g)).toHaveLength(1)
  })

  it('quotes whole sentences word for word, each with its source, at most as many as allowed', async () => {
    const word = fc.constantFrom(
      'tower',
      'tall',
      'eiffel',
      'is',
      'the',
      'paint',
      'iron',
      '[3]',
      '3.5',
      'Dr.',
      '\n',
      '日本',
    )
    const text = fc
      .array(
        fc.array(word, { minLength: 1, maxLength: 12 }).map((words) => `${words.join(' ')}.`),
        { minLength: 1, maxLength: 6 },
      )
      .map((all) => all.join(' '))
    await fc.assert(
      fc.asyncProperty(
        fc.array(text, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 4 }),
        async (texts, maxSentences) => {
          const given = await answer('How tall is the Eiffel tower of iron?', texts, { maxSentences })
          const parts = given === '' ? [] : given.split(/(?<= (?<!\\)\[\d\]) /)
          expect(parts.length).toBeLessThanOrEqual(maxSentences)
          for (const part of parts) {
            const [, quote, marker] = /^([\s\S]*) \[(\d)\]$/.exec(part) ?? []
            expect(texts[Number(marker) - 1]).toContain(quote?.replaceAll('\\[', '['))
          }
        },
      ),
      { numRuns: 200, seed: 6 },
    )
  })

  it('marks bracketed numbers of the text as no citations', async () => {
    expect(await answer('How tall is the tower?', ['The tower is 330 m tall, see [12] and [1, 2].'])).toBe(
      'The tower is 330 m tall, see \\[12] and \\[1, 2]. [1]',
    )
  })

  it('does not say the same twice', async () => {
    const given = await answer('How tall is the Eiffel Tower?', [tower, tower, tower])
    expect(given.match(/330 metres/g)).toHaveLength(1)
  })

  it.each(['What is the boiling point of mercury?', 'Who won the football match yesterday?', '', '?!', '\u0000'])(
    'says nothing when the sources do not answer %j',
    async (question) => {
      expect(await answer(question, [tower, bread])).toBe('')
      expect(await answer(question, [])).toBe('')
      expect(await answer(question, ['', ' \n'])).toBe('')
    },
  )

  it('takes rare words of the index as decisive: what the corpus does not know is not answered', async () => {
    const term = (term: string, documentFrequency: number): PromptTerm => ({
      term,
      documentFrequency,
      idf: Math.log(1 + (10_000 - documentFrequency + 0.5) / (documentFrequency + 0.5)),
    })
    const terms = [term('melt', 0), term('tungsten', 0), term('kelvin', 0), term('tower', 4_000)]
    expect(await answer('Tower of tungsten: melting in kelvin?', [tower], {}, terms)).toBe('')
  })

  it('reads other languages by their own stems, and scripts without spaces', async () => {
    const german = source(1, 'Die Brücken wurden 1901 gebaut. Der Fluss ist breit.', { language: 'de' })
    expect(await answer('Wann wurde die Brücke gebaut?', [german], { maxSentences: 1 })).toBe(
      'Die Brücken wurden 1901 gebaut. [1]',
    )
    const japanese = source(1, '富士山は高い山です。東京は日本の首都です。', { language: 'ja' })
    expect(await answer('日本の首都はどこですか', [japanese], { maxSentences: 1 })).toBe('東京は日本の首都です。 [1]')
  })

  it('refuses impossible options', () => {
    for (const maxSentences of [0, 21, 1.5, Number.NaN]) {
      expect(() => createExtractiveLlm({ maxSentences })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
    }
  })
})
