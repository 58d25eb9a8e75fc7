import { describe, expect, it } from 'vitest'
import { findDisagreement, readFacts } from '../../../src/text/agreement/agreement.js'
import { randomNumbers } from '../../../src/util/random.js'
import { type QuestionPair, readQuestionPairs } from './question-pairs.js'

const pairs = readQuestionPairs()
const disagreement = (one: string, other: string) => findDisagreement(readFacts(one), readFacts(other))
const isBlocked = ({ questions: [one, other] }: QuestionPair) => disagreement(one, other) !== undefined
const share = (list: readonly QuestionPair[]) => list.filter(isBlocked).length / list.length

describe('guards of the semantic cache', () => {
  it('have 300 pairs to be measured with, half of them held back', () => {
    expect(pairs.length).toBeGreaterThanOrEqual(300)
    expect(pairs.filter(({ heldBack }) => heldBack).length).toBeGreaterThanOrEqual(148)
    for (const same of [true, false]) expect(pairs.filter((pair) => pair.same === same).length).toBeGreaterThan(149)
  })

  it.each([
    ['looked at', false],
    ['held back', true],
  ])('block 95% of the pairs that only look alike and pass 90% of the others, of those %s', (_, heldBack) => {
    const some = pairs.filter((pair) => pair.heldBack === heldBack)
    expect(share(some.filter(({ same }) => !same))).toBeGreaterThanOrEqual(0.95)
    expect(1 - share(some.filter(({ same }) => same))).toBeGreaterThanOrEqual(0.9)
  })

  it.each([...new Set(pairs.map(({ kind }) => kind).filter((kind) => kind !== ''))])(
    'block most pairs of the kind %s',
    (kind) => {
      expect(share(pairs.filter((pair) => pair.kind === kind))).toBeGreaterThanOrEqual(0.9)
    },
  )

  it('say the same whichever question came first, and nothing against a question itself', () => {
    for (const { questions } of pairs) {
      const [one, other] = questions
      expect(disagreement(other, one) === undefined).toBe(disagreement(one, other) === undefined)
      for (const question of questions) expect(disagreement(question, `  ${question} `)).toBeUndefined()
    }
  })

  it.each([
    ['What changed in 2.4?', 'What changed in 2.40?', 'numbers'],
    ['What is the limit of 1,000 files?', 'What is the limit of 1,00 files?', 'numbers'],
    ['Is it -5 outside?', 'Is it 5 outside?', 'numbers'],
    ['Who lives in house 7?', 'Who lives in houses?', 'numbers'],
    ['What happened in May 2020?', 'What happened in 2020?', 'dates'],
    ['what is the capital of france', 'what is the capital of spain', 'words'],
    ['does the dog chase the cat', 'does the cat chase the dog', 'order'],
    ['Was kostet es nicht?', 'Was kostet es?', 'negation'],
    ['Combien coûte 5 kg ?', 'Combien coûte 6 kg ?', 'numbers'],
    ['Where is Rome?', 'where is paris', 'names'],
    ['Kubernetes or docker?', 'Nomad or docker?', 'names'],
  ])('tell %j from %j: %s', (one, other, expected) => {
    expect(disagreement(one, other)).toBe(expected)
  })

  it.each([
    ['What happened on 2024-03-05?', 'What happened on 5 March 2024?'],
    ['How much is $1,000?', 'How much is 1000 dollars?'],
    ['When may I leave?', 'When am I allowed to leave?'],
    ['WHO IS THE OWNER?', 'Who is the owner?'],
    ["What's the tower's height?", 'What is the height of the tower?'],
  ])('take %j for %j', (one, other) => {
    expect(disagreement(one, other)).toBeUndefined()
  })

  it('find any number that was changed, in any question', () => {
    const random = randomNumbers(7)
    for (let i = 0; i < 300; i++) {
      const [a, b] = [Math.floor(random() * 1e6), Math.floor(random() * 1e6)]
      if (a === b) continue
      expect(disagreement(`What did order ${a} cost?`, `What did order ${b} cost?`)).toBe('numbers')
    }
  })

  it('read anything, of any length', () => {
    const random = randomNumbers(11)
    const odd = ['\ud800', '\0', '"', '“', "'", '`', '-', '½', '𝟚', '१२', 'é', '́', '日本', 'ﬁ', '%', '°', '1', 'a', ' ']
    for (let i = 0; i < 500; i++) {
      const text = Array.from({ length: 30 }, () => odd[Math.floor(random() * odd.length)]).join('')
      expect(disagreement(text, text)).toBeUndefined()
      expect(typeof disagreement(text, 'What is this?')).not.toBe('number')
    }
    expect(disagreement(`${'long '.repeat(1000)}one`, `${'long '.repeat(1000)}two`)).toBe('words')
    for (const part of ['"', "a'", '1,', 'a-', ' 1 ', '(-', 'non-']) {
      const long = part.repeat(100_000)
      expect(disagreement(long, long)).toBeUndefined()
    }
  })
})
