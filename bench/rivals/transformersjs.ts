import type { PeerPassage } from '../lib/peer-corpus.js'
import { anyText, type Contender, createTunedEmbedding, loadModel, passagesOf, topK, type Usage } from './contender.js'

export const transformersjsPackages = ['@huggingface/transformers']

/** Texts per pass of those who batch without having measured. */
const usualBatch = 32

/**
 * The pipeline `feature-extraction` and a list of vectors that is gone through, as one writes it by hand: batches of 32. Tuned: one text per
 * pass or few of like length, vectors in one typed array.
 */
export async function createTransformersjs(usage: Usage): Promise<Contender> {
  const embed = await loadModel(usage)
  const tuned = createTunedEmbedding(embed)
  const passages: PeerPassage[] = []
  const list: number[][] = []
  let rows = new Float32Array(0)

  function keep(more: readonly PeerPassage[], vectors: readonly ArrayLike<number>[]): void {
    passages.push(...more)
    if (usage.style === 'docs') {
      for (const vector of vectors) list.push(Array.from(vector))
      return
    }
    const dimensions = vectors[0]?.length ?? 0
    const grown = new Float32Array(rows.length + vectors.length * dimensions)
    grown.set(rows)
    for (const [place, vector] of vectors.entries()) grown.set(vector, rows.length + place * dimensions)
    rows = grown
  }

  function score(question: readonly number[]): number[] {
    if (usage.style === 'docs') {
      return list.map((vector) => vector.reduce((sum, value, i) => sum + value * (question[i] ?? 0), 0))
    }
    const asked = Float32Array.from(question)
    const scores: number[] = []
    for (let start = 0; start < rows.length; start += asked.length) {
      let sum = 0
      for (let i = 0; i < asked.length; i++) sum += (rows[start + i] as number) * (asked[i] as number)
      scores.push(sum)
    }
    return scores
  }

  return {
    warmUp: async (sample) => {
      await embed([anyText])
      if (usage.style === 'tuned') await tuned.tune(sample)
    },
    ingest: async (corpus) => {
      const given = passagesOf(corpus)
      const texts = given.map(({ text }) => text)
      if (usage.style === 'tuned') keep(given, await tuned.embed(texts))
      else {
        for (let start = 0; start < texts.length; start += usualBatch) {
          const end = start + usualBatch
          keep(given.slice(start, end), await embed(texts.slice(start, end)))
        }
      }
      return { pages: 0, embedded: () => texts }
    },
    fill: async (filled) => {
      // In one go: to grow an array for each would be another bench.
      keep(
        filled.map(({ text }) => ({ documentId: 'filled', text })),
        filled.map(({ vector }) => vector),
      )
    },
    ask: async (question) => {
      const [vector = []] = await embed([question])
      const scores = score(vector)
      const best = scores
        .map((value, place) => ({ value, place }))
        .sort((one, other) => other.value - one.value)
        .slice(0, topK)
      return best.map(({ place }) => ({
        source: passages[place]?.documentId ?? '',
        text: passages[place]?.text ?? '',
      }))
    },
    close: async () => {},
  }
}
