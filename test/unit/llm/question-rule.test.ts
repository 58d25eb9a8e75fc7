import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { buildPrompt } from '../../../src/llm/prompt.js'
import { simpleOrStrong } from '../../../src/llm/question-rule.js'

const ruleFor = (question: string) => simpleOrStrong({ question })

describe('the rule for simple questions', () => {
  it.each([
    'When was the Eiffel Tower opened?',
    'how tall is it',
    'Who is the author of the report?',
    'What is the boiling point of mercury in degrees Celsius?',
    'Which port does the server listen on by default? I use version 3.',
    'Wie hoch ist der Eiffelturm?',
    'Quelle est la hauteur de la tour Eiffel ?',
    '¿Cuándo se inauguró la torre?',
    'Quanto è alta la torre?',
    'エッフェル塔の高さは？',
    'What does ERR_CONFLICT mean?',
    'Who founded the band and the orchestra?',
    '',
  ])('calls it simple: %s', (question) => {
    expect(ruleFor(question)).toBe('simple')
  })

  it.each([
    'Why was the Eiffel Tower painted red?',
    'Compare the two contracts.',
    'What is the difference between HNSW and IVF?',
    'What are the advantages of the first plan?',
    'Explain the decision of the board.',
    'Summarise the report.',
    'When was it opened and who built it?',
    'What is a monad? How is it used?',
    'Should I choose the larger plan?',
    'Is plan A better than plan B?',
    'Here is my situation.\nWe have three servers.\nWhich one fails?',
    'Warum wurde der Turm rot gestrichen?',
    'Erkläre den Unterschied.',
    'Pourquoi la tour est-elle rouge ?',
    '¿Por qué es roja la torre?',
    'Perché la torre è rossa?',
    'We have a cluster of nine machines in three places with two networks each, and since last Tuesday one of the places cannot reach the others after the nightly restart of the gateway.',
  ])('calls it strong: %s', (question) => {
    expect(ruleFor(question)).toBe('strong')
  })

  it('calls every turn of a conversation strong that answers came before', () => {
    const { messages = [] } = buildPrompt({ question: 'And when?', sources: [], terms: [] })
    expect(simpleOrStrong({ question: 'And when?', messages })).toBe('simple')
    expect(
      simpleOrStrong({ question: 'And when?', messages: [...messages, { role: 'assistant', content: 'A tower.' }] }),
    ).toBe('strong')
  })

  it('is pure, gives one of two words whatever it is asked, and takes linear time', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (question) => {
        expect(['simple', 'strong']).toContain(ruleFor(question))
        expect(ruleFor(question)).toBe(ruleFor(question))
      }),
      { seed: 7 },
    )
    for (const unit of ['and ', 'a', '.', ' ', '?', 'wh', 'sollte ', 'e\u0301'])
      expect(ruleFor(unit.repeat(20_000))).toBeDefined()
  })

  it('finds most questions that people look things up with simple', () => {
    const pairs = readFileSync(new URL('../../data/question-pairs.txt', import.meta.url), 'utf8').split('\n')
    const questions = pairs.flatMap((line) => line.split(' | ')).filter((text) => text.endsWith('?'))
    const simple = questions.filter((question) => ruleFor(question) === 'simple')
    expect(questions.length).toBeGreaterThan(100)
    expect(simple.length / questions.length).toBeGreaterThan(0.6)
  })
})
