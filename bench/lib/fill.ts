import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AsyncEmbedding } from 'ultrafast-rag'
import { createTextGenerator } from './corpus.js'
import { extended } from './vectors.js'

/** Made passages that stand in a corpus beside the documents that were ingested. Can be sent to another process. */
export interface Fill {
  readonly passages: number
  /** File of their vectors, one after the other. */
  readonly vectors: string
  readonly dimensions: number
}

export interface FilledPassage {
  readonly source: string
  readonly text: string
  readonly vector: Float32Array
}

const embedded = 1_500
/** Short, since they are embedded for their place among vectors alone. */
const embeddedCharacters = 80
const charactersEach = 400

/**
 * Makes the vectors of a fill, once for all who are filled: the model's own of some made texts, and points between two of those. They lie where the
 * vectors of documents lie, as a graph over them expects it.
 */
export async function makeFill({
  folder,
  model,
  passages,
}: {
  readonly folder: string
  readonly model: string
  readonly passages: number
}): Promise<Fill> {
  const generator = createTextGenerator(23)
  const texts = Array.from({ length: embedded }, () =>
    cutAt(generator.document(embeddedCharacters), embeddedCharacters),
  )
  const engine = new AsyncEmbedding({ embedder: { kind: 'onnx', model, quantization: 'int8' } })
  try {
    const { dimensions, vectors } = await engine.embedBatch(texts)
    const made = { dimensions, passages: vectors, questions: new Float32Array(0), description: '' }
    const path = join(folder, 'fill.f32')
    writeFileSync(path, extended(made, passages))
    return { passages, vectors: path, dimensions }
  } finally {
    await engine.close()
  }
}

/** The passages of a fill, as many at a time as one document has. */
export function* filledDocuments({ dimensions, passages, vectors }: Fill): Generator<readonly FilledPassage[]> {
  const bytes = readFileSync(vectors)
  const rows = new Float32Array(bytes.buffer, bytes.byteOffset, passages * dimensions)
  const generator = createTextGenerator(29)
  for (let first = 0; first < passages; first += passagesPerDocument) {
    const source = `filled-${first / passagesPerDocument}`
    yield Array.from({ length: Math.min(passagesPerDocument, passages - first) }, (_, i) => ({
      source,
      text: cutAt(generator.document(charactersEach), charactersEach),
      vector: rows.slice((first + i) * dimensions, (first + i + 1) * dimensions),
    }))
  }
}

const passagesPerDocument = 50

function cutAt(text: string, characters: number): string {
  return text.slice(0, characters).trim()
}
