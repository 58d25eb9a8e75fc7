import { encodePiece } from '../../src/core/piece.js'
import { createLatentSemanticFitter } from '../../src/embed/latent-semantic.js'
import type { SamplePart } from '../../src/embed/types.js'
import { randomNumbers } from '../../src/testing/support.js'
import { normalise } from '../../src/util/vector-math.js'
import { loadRetrievalSet, sentencePassages } from './retrieval.js'

/** Vectors as a bench searches them, and questions that were asked of their texts. */
export interface BenchVectors {
  readonly dimensions: number
  readonly passages: Float32Array
  readonly questions: Float32Array
  /** What they are, for a line of print. */
  readonly description: string
}

const sets = ['cranfield', 'cisi', 'med', 'time', 'nfcorpus', 'product-docs', 'covidqa', 'scifact']
const maxBase = 20_000
const maxQuestions = 400

/**
 * Latent semantic vectors of the retrieval sets' passages, 384 values each. Without the data: rows with a falling spectrum around topics, which
 * are easier to search.
 */
export async function benchVectors(data: string | undefined, dimensions = 384): Promise<BenchVectors> {
  const texts = data === undefined ? undefined : readTexts(data)
  if (texts === undefined || texts.passages.length < 2_000) return madeVectors(dimensions)
  const fitter = createLatentSemanticFitter({ dimensions })
  try {
    const sample = texts.passages.map((text, i) => ({
      base: i,
      title: '',
      language: 'english',
      pieces: [piece(text)],
      from: 0,
      to: 1,
    }))
    const embedder = await fitter.fit(inOneGroup(sample), {
      corpusChunks: sample.length,
      corpusDocuments: sample.length,
    })
    const embed = async (list: readonly string[], kind: 'passage' | 'query') =>
      nonZero((await embedder.embed(list, { kind })).vectors, dimensions)
    const passages = await embed(texts.passages, 'passage')
    const questions = await embed(texts.questions, 'query')
    const count = passages.length / dimensions
    return { dimensions, passages, questions, description: `latent semantic vectors of ${count} passages` }
  } finally {
    await fitter.close()
  }
}

/** So many rows: those there are, then points between two of them, chosen by seed. */
export function extended(vectors: BenchVectors, count: number): Float32Array {
  const rows = new Float32Array(count * vectors.dimensions)
  let start = 0
  for (const some of extendedBatches(vectors, count)) {
    rows.set(some, start)
    start += some.length
  }
  return rows
}

/** The same, a thousand at a time. */
export function* extendedBatches({ dimensions, passages }: BenchVectors, count: number): Generator<Float32Array> {
  const random = randomNumbers(11)
  const base = passages.length / dimensions
  for (let first = 0; first < count; first += 1_000) {
    const rows = new Float32Array(Math.min(1_000, count - first) * dimensions)
    for (let start = 0; start < rows.length; start += dimensions) {
      const row = first + start / dimensions
      if (row < base) {
        rows.set(passages.subarray(row * dimensions, (row + 1) * dimensions), start)
        continue
      }
      const [a, b] = [Math.floor(random() * base) * dimensions, Math.floor(random() * base) * dimensions]
      const share = 0.5 + random() / 2
      for (let i = 0; i < dimensions; i++) {
        rows[start + i] = (passages[a + i] as number) * share + (passages[b + i] as number) * (1 - share)
      }
      normalise(rows, start, dimensions)
    }
    yield rows
  }
}

function readTexts(data: string): { passages: string[]; questions: string[] } | undefined {
  const cut = sentencePassages()
  const passages: string[] = []
  const questions: string[] = []
  for (const name of sets) {
    const set = loadRetrievalSet(data, name)
    if (set === undefined) return undefined
    const share = Math.floor(maxBase / sets.length)
    const own = set.documents.flatMap(({ title, text }) =>
      cut(text).map(({ start, end }) => `${title}\n${text.slice(start, end)}`),
    )
    passages.push(...own.slice(0, share))
    questions.push(...set.queries.slice(0, maxQuestions / sets.length).map(({ text }) => text))
  }
  return { passages, questions }
}

function piece(text: string): Uint8Array {
  const chunks = [{ id: '0', span: { start: 0, end: text.length }, headings: [] }]
  return encodePiece({ firstOrdinal: 0, start: 0, text, chunks })
}

/** Rows of zeros stand for texts without a known word. */
function nonZero(vectors: Float32Array, dimensions: number): Float32Array {
  const rows: number[] = []
  for (let start = 0; start < vectors.length; start += dimensions) {
    if (vectors.subarray(start, start + dimensions).some((value) => value !== 0)) rows.push(start)
  }
  const kept = new Float32Array(rows.length * dimensions)
  for (const [i, start] of rows.entries()) kept.set(vectors.subarray(start, start + dimensions), i * dimensions)
  return kept
}

function madeVectors(dimensions: number): BenchVectors {
  const random = randomNumbers(3)
  const normal = () => random() + random() + random() + random() - 2
  const spectrum = Array.from({ length: dimensions }, (_, i) => (i + 2) ** -0.5)
  const topics = Float32Array.from(
    { length: 400 * dimensions },
    (_, i) => normal() * (spectrum[i % dimensions] as number),
  )
  const make = (count: number) => {
    const rows = new Float32Array(count * dimensions)
    for (let start = 0; start < rows.length; start += dimensions) {
      const [a, b, share] = [Math.floor(random() * 400), Math.floor(random() * 400), random()]
      for (let i = 0; i < dimensions; i++) {
        const topic =
          (topics[a * dimensions + i] as number) * share + (topics[b * dimensions + i] as number) * (1 - share)
        rows[start + i] = topic + 0.6 * normal() * (spectrum[i] as number)
      }
      normalise(rows, start, dimensions)
    }
    return rows
  }
  return { dimensions, passages: make(maxBase), questions: make(maxQuestions), description: 'made vectors' }
}

/** A sample that is there as a whole, as a fitter takes it. */
export async function* inOneGroup(sample: readonly SamplePart[]): AsyncGenerator<readonly SamplePart[]> {
  yield sample
}
