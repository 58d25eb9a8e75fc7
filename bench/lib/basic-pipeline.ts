import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { createPdfExtractor } from '../../src/extract/pdf.js'
import { openTokenizer } from '../../src/models/tokenizer.js'
import type { FilledPassage } from './fill.js'

/** What a pipeline written by hand may have that the simplest has not. */
export interface BasicOptions {
  /** Folder of the model. */
  readonly model: string
  /** Texts of one pass of the model: one, 32 as they come, or texts of like length up to a number of tokens. */
  readonly batches: 'one' | 'fixed' | 'budget'
  readonly precision: 'fp32' | 'int8'
  /** The model runs in threads of its own, by this library's engine. */
  readonly workers: boolean
}

interface BasicPipeline {
  warmUp(): Promise<void>
  /** Reads, cuts and embeds files, all of it in memory. The number of chunks. */
  ingest(files: readonly string[]): Promise<number>
  /** Tokens of all chunks that were ingested. */
  tokens(): Promise<number>
  /** Keeps passages whose vectors are there already. */
  fill(passages: readonly FilledPassage[]): void
  /** The best chunks, each with the file it is from. */
  retrieve(question: string, topK: number): Promise<{ readonly source: string; readonly text: string }[]>
  close(): Promise<void>
}

const chunkCharacters = 400
const fixedBatch = 32
const budgetTokens = 1_024
const charactersPerToken = 4
/** That the model sees of a text. */
const maxTokens = 512

/**
 * The pipeline that people write first: files read whole, in the main thread, cut every 400 characters, embedded by transformers.js and
 * compared one by one.
 */
export async function createBasicPipeline({
  batches,
  model,
  precision,
  workers,
}: BasicOptions): Promise<BasicPipeline> {
  // What one of them loads is not held by the other.
  const engine = workers ? await openEngine({ model, precision }) : undefined
  const extract = workers ? undefined : await openTransformers({ model, precision })
  const chunks: { source: string; text: string; vector: Float32Array }[] = []

  async function embed(texts: readonly string[]): Promise<Float32Array[]> {
    if (engine !== undefined) {
      const { dimensions, vectors } = await engine.embedBatch(texts)
      return texts.map((_, row) => vectors.subarray(row * dimensions, (row + 1) * dimensions))
    }
    const output = await extract?.([...texts], { pooling: 'mean', normalize: true })
    return ((output?.tolist() ?? []) as number[][]).map((row) => Float32Array.from(row))
  }

  async function embedAll(texts: readonly string[]): Promise<Float32Array[]> {
    if (workers) return embed(texts)
    const vectors: Float32Array[] = []
    for (const places of cutIntoBatches(texts, batches)) {
      const found = await embed(places.map((place) => texts[place] as string))
      for (const [i, place] of places.entries()) vectors[place] = found[i] as Float32Array
    }
    return vectors
  }

  return {
    warmUp: async () => void (await embed(['A text, so that everything is loaded.'])),
    ingest: async (files) => {
      const found: { source: string; text: string }[] = []
      for (const file of files) {
        const text = await readText(file)
        for (let start = 0; start < text.length; start += chunkCharacters) {
          found.push({ source: file, text: text.slice(start, start + chunkCharacters) })
        }
      }
      const vectors = await embedAll(found.map(({ text }) => text))
      for (const [place, chunk] of found.entries()) chunks.push({ ...chunk, vector: vectors[place] as Float32Array })
      return found.length
    },
    tokens: async () => {
      const tokenizer = await openTokenizer(model)
      return tokenizer.encode(
        chunks.map(({ text }) => text),
        { maxTokens },
      ).ids.length
    },
    fill: (passages) => {
      for (const { source, text, vector } of passages) chunks.push({ source, text, vector })
    },
    retrieve: async (question, topK) => {
      const [asked] = await embed([question])
      const scored = chunks.map((chunk) => ({ chunk, score: dot(chunk.vector, asked as Float32Array) }))
      return scored
        .sort((one, other) => other.score - one.score)
        .slice(0, topK)
        .map(({ chunk }) => chunk)
    },
    close: async () => {
      await engine?.close()
      await extract?.dispose()
    },
  }
}

type Weights = Pick<BasicOptions, 'model' | 'precision'>

async function openEngine({ model, precision }: Weights) {
  const { AsyncEmbedding } = await import('ultrafast-rag')
  return new AsyncEmbedding({ embedder: { kind: 'onnx', model, quantization: precision } })
}

async function openTransformers({ model, precision }: Weights) {
  const { env, pipeline } = await import('@huggingface/transformers')
  env.allowRemoteModels = false
  return pipeline('feature-extraction', model, { dtype: precision === 'int8' ? 'q8' : 'fp32', device: 'cpu' })
}

/** The places of the texts that go into one pass. */
function cutIntoBatches(texts: readonly string[], batches: BasicOptions['batches']): number[][] {
  const places = texts.map((_, place) => place)
  if (batches === 'one') return places.map((place) => [place])
  const cut: number[][] = []
  if (batches === 'fixed') {
    for (let start = 0; start < places.length; start += fixedBatch) cut.push(places.slice(start, start + fixedBatch))
    return cut
  }
  const length = (place: number) => texts[place]?.length ?? 0
  let batch: number[] = []
  for (const place of places.sort((one, other) => length(one) - length(other))) {
    const tokens = (length(place) / charactersPerToken) * (batch.length + 1)
    if (tokens > budgetTokens && batch.length > 0) {
      cut.push(batch)
      batch = []
    }
    batch.push(place)
  }
  return batch.length === 0 ? cut : [...cut, batch]
}

function dot(one: Float32Array, other: Float32Array): number {
  let sum = 0
  for (let i = 0; i < one.length; i++) sum += (one[i] as number) * (other[i] as number)
  return sum
}

/** All text of a file. */
export async function readText(file: string): Promise<string> {
  const bytes = await readFile(file)
  if (extname(file) !== '.pdf') return bytes.toString('utf8')
  const { blocks } = await createPdfExtractor({ layout: 'raw' }).extract(
    {
      name: file,
      mediaType: 'application/pdf',
      size: bytes.length,
      bytes: async () => bytes,
      async *stream() {
        yield bytes
      },
    },
    { maxFileBytes: 1 << 30 },
  )
  let text = ''
  for await (const block of blocks) text += block.text
  return text
}
