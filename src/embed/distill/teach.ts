import { inLanes } from '../../util/in-lanes.js'
import { createCheckedEmbedder } from '../checked.js'
import type { Embedder } from '../types.js'

/** What a teacher said of each token. */
export interface Lessons {
  /** A row per token, in shared memory; rows of tokens that were not taught are zero. */
  readonly values: Float32Array<SharedArrayBuffer>
  /** Tokens with a row, ascending. */
  readonly taught: Int32Array
  /** Texts that the teacher could not embed, and why the first could not. */
  readonly failed: number
  readonly error: unknown
}

export interface TeachOptions {
  readonly signal?: AbortSignal | undefined
  /** Told after each batch. */
  readonly onTokens?: (done: number, total: number) => void
}

/**
 * Asks the teacher for the vector of each text, as a passage; a text that several tokens share is asked once. As many calls at once,
 * and texts in each, as the teacher likes best.
 */
export async function teach(
  teacher: Embedder,
  texts: readonly (string | undefined)[],
  { signal, onTokens }: TeachOptions,
): Promise<Lessons> {
  const { dimensions, capabilities } = teacher
  const { embed } = createCheckedEmbedder(teacher)
  const values = new Float32Array(new SharedArrayBuffer(texts.length * dimensions * 4))
  const tokensOf = groupByText(texts)
  const questions = [...tokensOf.keys()]
  const taught: number[] = []
  let failed = 0
  let error: unknown
  let done = 0
  const lanes = { lanes: capabilities.concurrency ?? 1, signal }
  await inLanes(batches(questions, capabilities.batchSize), lanes, async (batch, sharedSignal) => {
    const result = await embed(batch, { kind: 'passage', signal: sharedSignal })
    const missing = new Set(result.failed.map(({ index }) => index))
    error ??= result.failed[0]?.error
    failed += missing.size
    for (const [place, text] of batch.entries()) {
      if (missing.has(place)) continue
      const row = result.vectors.subarray(place * dimensions, (place + 1) * dimensions)
      for (const token of tokensOf.get(text) ?? []) {
        values.set(row, token * dimensions)
        taught.push(token)
      }
    }
    done += batch.length
    onTokens?.(done, questions.length)
  })
  return { values, taught: Int32Array.from(taught).sort(), failed, error }
}

function groupByText(texts: readonly (string | undefined)[]): Map<string, number[]> {
  const tokensOf = new Map<string, number[]>()
  for (const [token, text] of texts.entries()) {
    if (text === undefined) continue
    const tokens = tokensOf.get(text)
    if (tokens === undefined) tokensOf.set(text, [token])
    else tokens.push(token)
  }
  return tokensOf
}

function* batches(texts: readonly string[], size: number): Generator<string[]> {
  for (let start = 0; start < texts.length; start += size) yield texts.slice(start, start + size)
}
