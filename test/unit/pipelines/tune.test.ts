import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Embedder, type LabelledQuestion, UltraFastRAG } from '../../../src/index.js'
import { createFakeEmbedder } from '../../../src/testing/index.js'
import { randomNumbers, shuffled } from '../../../src/testing/support.js'

/**
 * Words say nothing here: every document holds the same ones, and a mark that nobody asks for (the same text is embedded once). The embedder knows the answer: a question's vector is that of its
 * document, or, for the other embedder, always that of another.
 */
const topics = Array.from({ length: 24 }, (_, place) => `topic${place}`)
const documents = topics.map((topic, place) => ({
  id: topic,
  text: `${'filler '.repeat(1 + (place % 5))}question of a document, with mark${place}`,
}))
const labelled: LabelledQuestion[] = topics.map((topic) => ({ question: `question of ${topic}`, relevant: [topic] }))

function knowing(offset: number): Embedder {
  const dimensions = topics.length
  return {
    ...createFakeEmbedder({ dimensions }),
    fingerprint: `knowing/${offset}`,
    async embed(texts, { kind }) {
      const vectors = new Float32Array(texts.length * dimensions)
      for (const [row, text] of texts.entries()) {
        const place = kind === 'query' ? topics.indexOf(text.split(' ').at(-1) as string) + offset : seen++
        vectors[row * dimensions + (((place % dimensions) + dimensions) % dimensions)] = 1
      }
      return { vectors, failed: [], tokens: 0 }
    },
  }
}
let seen = 0

async function open(embedder: Embedder | false, texts = documents) {
  seen = 0
  const rag = new UltraFastRAG({ embedder, cache: false })
  // One after the other, so that the embedder can count.
  for (const document of texts) await rag.ingestDocument(document)
  return rag
}

describe('tune', () => {
  let right: UltraFastRAG
  let wrong: UltraFastRAG
  beforeAll(async () => {
    right = await open(knowing(0))
    // Words find the document, vectors another.
    wrong = await open(
      knowing(5),
      topics.map((topic) => ({ id: topic, text: `This is the question of ${topic}.` })),
    )
  })
  afterAll(() => Promise.all([right.close(), wrong.close()]))

  it('gives the weight to the leg that finds the answers', async () => {
    const tuned = await right.tune(labelled)
    expect(tuned.fusion.weights.vector).toBeGreaterThan(0.5)
    expect(tuned.after).toBeGreaterThan(tuned.before)
    expect(tuned.gain.low).toBeGreaterThan(0)
    const other = await wrong.tune(labelled)
    expect(other.fusion.weights.vector).toBeLessThan(0.5)
    expect(other.curve[0]?.ndcg).toBe(1)
  })

  it('gives an option that does what was measured', async () => {
    const tuned = await right.tune(labelled)
    const { lexical, vector } = tuned.fusion.weights
    expect(lexical + vector).toBeCloseTo(1, 12)
    const better = new UltraFastRAG({ embedder: knowing(0), fusion: tuned.fusion, cache: false })
    seen = 0
    for (const document of documents) await better.ingestDocument(document)
    const firsts = await Promise.all(labelled.map(async ({ question }) => (await better.retrieve(question))[0]))
    expect(firsts.map((hit) => hit?.chunk.documentId)).toEqual(topics)
    expect(tuned.curve.find((one) => one.vector === vector)?.ndcg).toBe(1)
    await better.close()
  })

  it('tells what can be expected of new questions, not of those it learnt from', async () => {
    // Answers drawn at random: no weight is better than another, but some always looks so.
    const random = randomNumbers(1)
    let [after, best] = [0, 0]
    for (let run = 0; run < 6; run++) {
      const answers = shuffled(topics, Math.floor(random() * 1e6))
      const noise = labelled.map(({ question }, place) => ({ question, relevant: [answers[place] as string] }))
      const tuned = await wrong.tune(noise)
      expect(tuned.gain.low).toBeLessThanOrEqual(1e-9)
      after += tuned.after
      best += Math.max(...tuned.curve.map(({ ndcg }) => ndcg))
    }
    expect(after).toBeLessThan(best)
  })

  it('takes ids, grades and maps, and is the same every time', async () => {
    const grades = labelled.map(({ question, relevant }) => ({
      question,
      relevant: { [(relevant as string[])[0] as string]: 1 },
    }))
    const maps = grades.map(({ question, relevant }) => ({ question, relevant: new Map(Object.entries(relevant)) }))
    const once = await wrong.tune(labelled)
    expect(await wrong.tune(grades)).toEqual(once)
    expect(await wrong.tune(maps)).toEqual(once)
    expect(once.summary).toMatch(
      /^vector weight 0\.\d+: nDCG@10 \d\.\d{4} to \d\.\d{4} \(.* 24 questions, leave-one-out$/,
    )
  })

  it('refuses what it cannot learn from', async () => {
    const code = (given: unknown, options = {}) => right.tune(given as never, options).catch((error) => error.code)
    expect(await code(labelled.slice(0, 4))).toBe('BAD_INPUT')
    expect(await code('questions')).toBe('BAD_INPUT')
    expect(await code([...labelled, { question: 'x', relevant: [] }])).toBe('BAD_INPUT')
    expect(await code([...labelled, { question: 3, relevant: ['x'] }])).toBe('BAD_INPUT')
    expect(await code([...labelled, null])).toBe('BAD_INPUT')
    expect(await code(labelled, { k: 0 })).toBe('BAD_OPTION')
    expect(await code(labelled, { kk: 1 })).toBe('BAD_OPTION')
    expect(await code(labelled, { confidence: 95 })).toBe('BAD_OPTION')
    const lexical = await open(false)
    await expect(lexical.tune(labelled)).rejects.toMatchObject({ code: 'BAD_OPTION' })
    await lexical.close()
  })

  it('ends with its signal', async () => {
    const reason = new Error('enough')
    await expect(right.tune(labelled, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})
