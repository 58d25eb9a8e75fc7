import type { Pooling } from '../../models/types.js'
import { normalise } from '../../util/vector-math.js'

/** What a pass of the model gave. */
export interface ModelOutput {
  /** `rows x sequence x hidden` values, row by row; `rows x hidden` when `pooling` is `'none'`. */
  readonly values: Float32Array
  readonly sequence: number
  readonly hidden: number
}

/** How to make sentence vectors of it. */
export interface PoolingOptions {
  readonly pooling: Pooling
  /** Tokens of row `i`: `offsets[i + 1] - offsets[i]`; what comes after them in a row is filling. */
  readonly offsets: Int32Array
  /** Values per vector, at most `hidden`: the first ones are kept. */
  readonly dimensions: number
}

/**
 * Makes one vector of unit length per row, and lists the rows for which that is impossible: their values are not finite, or all zero,
 * or they have no tokens. The vector of a row does not depend on its batch mates beyond what the model made of them. Runs over the
 * values in the order in which they lie.
 */
export function poolRows(
  { values, sequence, hidden }: ModelOutput,
  { pooling, offsets, dimensions }: PoolingOptions,
): { readonly vectors: Float32Array<ArrayBuffer>; readonly unusable: number[] } {
  const rows = offsets.length - 1
  const vectors = new Float32Array(rows * dimensions)
  const unusable: number[] = []
  const sums = new Float64Array(dimensions)
  for (let row = 0; row < rows; row++) {
    const tokens = (offsets[row + 1] as number) - (offsets[row] as number)
    const vector = vectors.subarray(row * dimensions, (row + 1) * dimensions)
    if (tokens > 0) {
      if (pooling === 'mean') mean(values, { start: row * sequence * hidden, tokens, hidden, sums, vector })
      else {
        const place = { none: row, cls: row * sequence, 'last-token': row * sequence + tokens - 1 }[pooling]
        vector.set(values.subarray(place * hidden, place * hidden + dimensions))
      }
    }
    const length = normalise(vector, 0, dimensions)
    if (length > 0 && Number.isFinite(length)) continue
    vector.fill(0)
    unusable.push(row)
  }
  return { vectors, unusable }
}

interface MeanOptions {
  readonly start: number
  readonly tokens: number
  readonly hidden: number
  /** As long as `vector`; overwritten. */
  readonly sums: Float64Array
  readonly vector: Float32Array
}

/** Four tokens at a time: 0.8 ms instead of 2.5 ms for 1,024 x 384, of some 100 ms that the model takes for them. */
function mean(values: Float32Array, { start, tokens, hidden, sums, vector }: MeanOptions): void {
  const { length } = sums
  sums.fill(0)
  let token = 0
  for (; token + 3 < tokens; token += 4) {
    const first = start + token * hidden
    const second = first + hidden
    const third = second + hidden
    const fourth = third + hidden
    for (let i = 0; i < length; i++) {
      sums[i] =
        (sums[i] as number) +
        (values[first + i] as number) +
        (values[second + i] as number) +
        (values[third + i] as number) +
        (values[fourth + i] as number)
    }
  }
  for (; token < tokens; token++) {
    const from = start + token * hidden
    for (let i = 0; i < length; i++) sums[i] = (sums[i] as number) + (values[from + i] as number)
  }
  for (let i = 0; i < length; i++) vector[i] = (sums[i] as number) / tokens
}
