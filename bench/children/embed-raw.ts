import { quantile } from '../lib/measure.js'
import { type RawBatch, runBatches, startRawWorkers } from '../lib/raw-workers.js'

export interface RawTask {
  /** Folder of the model, for its tokenizer. */
  readonly directory: string
  readonly weights: string
  readonly texts: readonly string[]
  readonly maxTokens: number
  readonly rounds: number
  /** Texts, the longest ones, that are run before the clock does. */
  readonly warmUp: number
}

export interface RawResult {
  /** The best of what was tried. */
  readonly tokensPerSecond: number
  readonly shape: string
  /** Tokens per second by shape. */
  readonly tried: Readonly<Record<string, number>>
}

const budgets = [512, 1024, 2048]
const topologies = [
  { workers: 2, threads: 1 },
  { workers: 1, threads: 2 },
]

/**
 * What onnxruntime itself does with the same texts: tokenized before, sorted by length, cut into batches of a fixed budget, run in
 * bare worker threads without pooling. Every shape and topology has its turns, forth and back; the best counts.
 */
export default async function runRaw({
  directory,
  weights,
  texts,
  maxTokens,
  rounds,
  warmUp,
}: RawTask): Promise<RawResult> {
  const sequences = await tokenize(directory, texts, maxTokens)
  const tokens = sequences.reduce((sum, { length }) => sum + length, 0)
  const rates = new Map<string, number[]>()
  for (const { workers, threads } of topologies) {
    const pool = await startRawWorkers({ weights, workers, threads })
    const order = Array.from({ length: rounds }, (_, round) =>
      round % 2 === 0 ? budgets : budgets.toReversed(),
    ).flat()
    await runBatches(pool, toBatches(sequences.slice(0, warmUp), 1024))
    for (const budget of order) {
      const shape = `${workers} x ${threads} threads, ${budget} tokens`
      const durationMs = await runBatches(pool, toBatches(sequences, budget))
      rates.set(shape, [...(rates.get(shape) ?? []), (tokens * 1000) / durationMs])
    }
    await Promise.all(pool.map((worker) => worker.terminate()))
  }
  const tried = Object.fromEntries([...rates].map(([shape, values]) => [shape, quantile(values, 0.5)]))
  const [shape, tokensPerSecond] = Object.entries(tried).toSorted((a, b) => b[1] - a[1])[0] as [string, number]
  return { tokensPerSecond, shape, tried }
}

async function tokenize(directory: string, texts: readonly string[], maxTokens: number): Promise<number[][]> {
  const { AutoTokenizer, env } = await import('@huggingface/transformers')
  env.allowRemoteModels = false
  const tokenizer = await AutoTokenizer.from_pretrained(directory)
  const encode = (text: string): number[] => tokenizer.encode(text).slice(0, maxTokens)
  return texts.map(encode).toSorted((a, b) => b.length - a.length)
}

function toBatches(sequences: readonly (readonly number[])[], budget: number): RawBatch[] {
  const batches: RawBatch[] = []
  for (let start = 0; start < sequences.length; ) {
    const width = sequences[start]!.length
    const rows = Math.min(sequences.length - start, Math.max(1, Math.floor(budget / width)))
    const ids = new BigInt64Array(rows * width)
    const mask = new BigInt64Array(rows * width)
    for (let row = 0; row < rows; row++) {
      for (const [place, id] of sequences[start + row]!.entries()) {
        ids[row * width + place] = BigInt(id)
        mask[row * width + place] = 1n
      }
    }
    batches.push({ ids, mask, rows, width })
    start += rows
  }
  return batches
}
