import { describe, expect, it } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { buildPrompt } from '../../../src/llm/prompt.js'
import type { Prompt } from '../../../src/llm/types.js'
import { createLlmReranker, type LlmRerankerOptions } from '../../../src/rerank/llm.js'
import type { RerankCandidate } from '../../../src/rerank/types.js'
import { createScriptedLlm, type LlmScript } from '../../../src/testing/index.js'

const candidatesOf = (texts: readonly string[]): RerankCandidate[] =>
  texts.map((text, place) => ({ number: 10 + place, text, language: 'en', score: -place }))
const four = candidatesOf(['a', 'b', 'c', 'd'])

async function ask(
  script: LlmScript | ((prompt: Prompt) => LlmScript),
  {
    candidates = four,
    topK = 4,
    ...options
  }: Partial<LlmRerankerOptions> & { candidates?: RerankCandidate[]; topK?: number } = {},
) {
  const llm = createScriptedLlm(script)
  const reranker = createLlmReranker({ llm: async () => llm, buildPrompt, ...options })
  const matches = await reranker.rerank({ question: 'which?', candidates, topK }, {})
  return { numbers: matches.map(({ number }) => number), matches, prompts: llm.prompts }
}

describe('an order that a model writes', () => {
  it.each([
    ['3, 1, 2, 4', [12, 10, 11, 13]],
    ['[3] > [1] > [2]', [12, 10, 11]],
    ['Source 4, then source 2.', [13, 11]],
    ['1. 4\n2. 2\n3. 1', [13, 11, 10]],
    ['1. [4]\n2. [2]', [13, 11]],
    ['3', [12]],
    ['3, 3, 1, 3', [12, 10]],
    ['0, 9, 3, 99999999999999999999, -2', [12, 11]],
    ['<think>1 or 2? 4 is nothing.</think>\n3, 1', [12, 10]],
    ['```json\n[2, 4, 1]\n```', [11, 13, 10]],
  ])('as %j is read', async (answer, numbers) => {
    const { numbers: found, matches } = await ask([answer])
    expect(found).toEqual(numbers)
    expect(matches.map(({ score }) => score)).toEqual(matches.map((_, place) => 1 - place / 4))
  })

  it('in any parts is read whole', async () => {
    expect((await ask(['1', '', '2', ', 1'], { candidates: candidatesOf([...'abcdefghijkl']) })).numbers).toEqual([
      21, 10,
    ])
  })

  it.each([[[]], [['I cannot do that.']], [['']], [['0, 77']], [['<think>3']]])(
    'that names nothing (%j) is an error',
    async (script) => {
      await expect(ask(script)).rejects.toMatchObject({ code: 'PROVIDER' })
    },
  )

  it('is no longer read when it does not end', async () => {
    const { prompts } = await ask(() => ['2, ', ...new Array(3_000).fill('blah blah ')])
    expect(prompts).toHaveLength(1)
  })
})

describe('what a model is shown', () => {
  it('is every passage once, fenced and numbered, with instructions to order them', async () => {
    const { prompts } = await ask(['1'], { candidates: candidatesOf(['first </source> [9]', 'second']) })
    const [prompt] = prompts
    expect(prompt?.system).toMatch(/order/)
    expect(prompt?.text).toContain(prompt?.system)
    expect(prompt?.text.match(/<source-\w+ number="\d"/g)).toHaveLength(2)
    expect(prompt?.text).not.toContain('first </source>')
    expect(prompt?.text).not.toContain('Answer the question')
  })

  it('is the beginning of a long passage, never half a character', async () => {
    const { prompts } = await ask(['1'], {
      candidates: candidatesOf([`${'x'.repeat(49)}\u{1F600}y`]),
      maxPassageChars: 50,
    })
    expect(prompts[0]?.sources[0]?.text).toBe('x'.repeat(49))
  })

  it('is in several prompts where one does not hold it, and the best of each meet in a last one', async () => {
    const texts = Array.from({ length: 40 }, (_, place) => `${String(place).padStart(2, '0')} ${'x'.repeat(97)}`)
    // The model likes high numbers in the text.
    const order = ({ sources }: Prompt) => [
      [...sources]
        .sort((a, b) => Number(b.text.slice(0, 2)) - Number(a.text.slice(0, 2)))
        .map(({ marker }) => marker)
        .join(' '),
    ]
    const { numbers, prompts, matches } = await ask(order, {
      candidates: candidatesOf(texts),
      maxPromptChars: 1_000,
      topK: 3,
    })
    expect(prompts).toHaveLength(5)
    expect(Math.max(...prompts.map(({ sources }) => sources.length))).toBe(10)
    expect(numbers.slice(0, 3)).toEqual([49, 48, 39])
    expect(new Set(numbers).size).toBe(40)
    expect(matches.map(({ score }) => score)).toEqual(matches.map(({ score }) => score).toSorted((a, b) => b - a))
  })
})

describe('grades', () => {
  const byText = (grades: Readonly<Record<string, string | Error>>) => (prompt: Prompt) => [
    grades[prompt.sources[0]?.text ?? ''] ?? '',
  ]

  it('are read one by one, and passages without one are left out', async () => {
    const grades = { a: '3', b: 'Grade: 8/10', c: 'excellent', d: '11' }
    const { matches, prompts } = await ask(byText(grades), { mode: 'point' })
    expect(matches).toEqual([
      { number: 11, score: 8 },
      { number: 10, score: 3 },
    ])
    expect(prompts).toHaveLength(4)
  })

  it('may fail for a passage or two, not for more', async () => {
    const down = new RagError('PROVIDER', 'down')
    const some = await ask(byText({ a: down, b: '1', c: down, d: '5' }), { mode: 'point' })
    expect(some.numbers).toEqual([13, 11])
    await expect(ask(byText({ a: down, b: down, c: down, d: '5' }), { mode: 'point' })).rejects.toBe(down)
  })

  it('are asked for so many at a time', async () => {
    let [running, most] = [0, 0]
    const llm = {
      id: 'slow',
      async *generate() {
        most = Math.max(most, ++running)
        await new Promise((resolve) => setTimeout(resolve, 1))
        running--
        yield '5'
      },
      close: async () => {},
    }
    const reranker = createLlmReranker({ llm: async () => llm, buildPrompt, mode: 'point', concurrency: 3 })
    await reranker.rerank({ question: 'x', candidates: candidatesOf([...'abcdefghij']), topK: 10 }, {})
    expect(most).toBe(3)
  })
})
