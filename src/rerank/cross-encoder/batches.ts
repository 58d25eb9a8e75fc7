import { RagError } from '../../core/errors.js'
import type { TokenizedPairs } from '../../models/types.js'

/** What one pass of the model may cost. */
export interface BatchLimits {
  /** Rows times the longest row. One row may exceed it, alone. */
  readonly maxTokens: number
  /** Fires between two passes, not within one. */
  readonly signal: AbortSignal
}

/** Runs one pass of the model: a value per row. */
export type RunBatch = (batch: TokenizedPairs) => Promise<Float32Array>

/**
 * Runs all rows, the longest first and rows of like length together, so that little of a pass is padding; a value for each row, in
 * their order. A pass that is too large for the memory (`LIMIT`, `data.reason` `'memory'`) is halved until it is not, and later ones with it.
 */
export async function runInBatches(
  pairs: TokenizedPairs,
  { maxTokens, signal }: BatchLimits,
  run: RunBatch,
): Promise<Float32Array<ArrayBuffer>> {
  const lengthOf = (row: number) => (pairs.offsets[row + 1] as number) - (pairs.offsets[row] as number)
  const rows = Array.from(pairs.seconds, (_, row) => row).sort((a, b) => lengthOf(b) - lengthOf(a))
  const values = new Float32Array(rows.length)
  let most = maxTokens
  for (let from = 0; from < rows.length; ) {
    signal.throwIfAborted()
    const longest = Math.max(1, lengthOf(rows[from] as number))
    const batch = rows.slice(from, from + Math.max(1, Math.floor(most / longest)))
    try {
      const found = await run(rowsOf(pairs, batch))
      for (const [place, row] of batch.entries()) values[row] = found[place] as number
      from += batch.length
    } catch (error) {
      const isTooLarge = RagError.isInstance(error, 'LIMIT') && error.data.reason === 'memory'
      if (!isTooLarge || batch.length === 1) throw error
      most = (batch.length * longest) / 2
    }
  }
  return values
}

/** Some rows as a batch of their own. */
function rowsOf({ ids, offsets, seconds }: TokenizedPairs, rows: readonly number[]): TokenizedPairs {
  const parts = rows.map((row) => ids.subarray(offsets[row], offsets[row + 1]))
  const batch = {
    ids: new Int32Array(parts.reduce((sum, { length }) => sum + length, 0)),
    offsets: new Int32Array(rows.length + 1),
    seconds: Int32Array.from(rows, (row) => seconds[row] as number),
  }
  let end = 0
  for (const [place, part] of parts.entries()) {
    batch.ids.set(part, end)
    end += part.length
    batch.offsets[place + 1] = end
  }
  return batch
}
