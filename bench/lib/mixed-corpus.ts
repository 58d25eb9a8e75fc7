import { randomNumbers } from '../../src/testing/support.js'
import { createTextGenerator } from './corpus.js'

/** One passage of a made corpus: text as of prose, a vector as of an embedder, and metadata to filter by. */
export interface MixedPassage {
  readonly text: string
  readonly vector: Float32Array
}

/** A document of five passages. */
export interface MixedDocument {
  readonly id: string
  /** `bucket` is 0 to 999, at random, so that `{ bucket: { $lt: n } }` allows n in a thousand. */
  readonly metadata: {
    readonly bucket: number
    readonly language: string
    readonly tags: readonly string[]
    readonly date: string
  }
  readonly passages: readonly MixedPassage[]
}

/** A question to the corpus: words of a passage, and a vector near that of the passage. */
export interface MixedQuestion {
  readonly text: string
  readonly vector: Float32Array
}

export const passagesPerDocument = 5
const charactersPerPassage = 400

/** Seeded documents of about 400 characters a passage. Vectors lie in clusters, of unit length, as those of embedders do. */
export function* mixedDocuments(
  passages: number,
  { dimensions, seed }: { readonly dimensions: number; readonly seed: number },
): Generator<MixedDocument> {
  const random = randomNumbers(seed)
  const texts = createTextGenerator(seed)
  const vectors = clusteredVectors(dimensions, random)
  for (let document = 0; document * passagesPerDocument < passages; document++) {
    const text = texts.document(passagesPerDocument * charactersPerPassage)
    yield {
      id: `d${document}`,
      metadata: {
        bucket: Math.floor(random() * 1_000),
        language: random() < 0.8 ? 'en' : 'de',
        tags: [`a${Math.floor(random() * 10)}`, `b${Math.floor(random() * 1_000)}`],
        date: new Date(Date.UTC(2020, 0, 1) + Math.floor(random() * 2e11)).toISOString(),
      },
      passages: Array.from({ length: passagesPerDocument }, (_, i) => ({
        text: text.slice(i * charactersPerPassage, (i + 1) * charactersPerPassage).trim() || 'the end',
        vector: vectors(),
      })),
    }
  }
}

/** Short, middle and long questions in turn, of words that stand in the corpus. */
export function mixedQuestions(
  documents: readonly MixedDocument[],
  { count, seed }: { readonly count: number; readonly seed: number },
): MixedQuestion[] {
  const random = randomNumbers(seed)
  const lengths = [2, 8, 25]
  return Array.from({ length: count }, (_, i) => {
    const document = documents[Math.floor(random() * documents.length)] as MixedDocument
    const { text, vector } = document.passages[Math.floor(random() * passagesPerDocument)] as MixedPassage
    const words = text.split(/\s+/)
    const first = Math.floor(random() * Math.max(1, words.length - 25))
    return {
      text: words.slice(first, first + (lengths[i % lengths.length] as number)).join(' '),
      vector: unit(vector.map((value) => value + (random() - 0.5) * 0.06)),
    }
  })
}

function clusteredVectors(dimensions: number, random: () => number): () => Float32Array {
  const centre = () => Float32Array.from({ length: dimensions }, () => random() + random() + random() - 1.5)
  const centres = Array.from({ length: 400 }, centre)
  return () => {
    const [one, other] = [centres[Math.floor(random() * 400)], centres[Math.floor(random() * 400)]] as [
      Float32Array,
      Float32Array,
    ]
    const share = random()
    return unit(one.map((value, i) => share * value + (1 - share) * (other[i] as number) + (random() - 0.5)))
  }
}

function unit(vector: Float32Array): Float32Array {
  let square = 0
  for (const value of vector) square += value * value
  const length = Math.sqrt(square)
  return vector.map((value) => value / length)
}
