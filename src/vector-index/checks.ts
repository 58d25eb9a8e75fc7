import { RagError } from '../core/errors.js'
import { allFinite } from '../util/vector-math.js'
import type { Stretches } from './stretches.js'

const maxDimensions = 65_536
/** Rows handled between two looks at the clock. */
const rowsPerLook = 64

/** Throws `BAD_OPTION` for dimensions out of range. */
export function checkDimensions(dimensions: number): void {
  if (Number.isInteger(dimensions) && dimensions >= 1 && dimensions <= maxDimensions) return
  throw new RagError('BAD_OPTION', `dimensions is a whole number from 1 to ${maxDimensions}.`, { data: { dimensions } })
}

/** Rejects with `BAD_INPUT` unless these are numbers of chunks and as many finite vectors. */
export async function checkBatch(
  numbers: readonly number[],
  vectors: Float32Array,
  dimensions: number,
  stretches: Stretches,
): Promise<void> {
  if (vectors.length !== numbers.length * dimensions) {
    throw new RagError('BAD_INPUT', 'The vectors have the wrong length.', {
      data: { numbers: numbers.length, dimensions, values: vectors.length },
      hint: 'Give numbers.length x dimensions values.',
    })
  }
  for (let i = 0; i < numbers.length; i++) {
    const number = numbers[i] as number
    if (!Number.isSafeInteger(number) || number < 0) {
      throw new RagError('BAD_INPUT', 'A chunk number is a whole number from 0.', { data: { number } })
    }
    if (!allFinite(vectors, i * dimensions, (i + 1) * dimensions)) throw notFinite({ number })
    if (i % rowsPerLook === 0) await stretches.pause()
  }
}

/**
 * Throws `BAD_INPUT` for vectors that cannot be searched with (`count` of them, or any number), `BAD_OPTION` for a `topK` that is no
 * count.
 */
export function checkQueries(vectors: Float32Array, topK: number, dimensions: number, count?: number): void {
  const rows = vectors.length / dimensions
  if (count === undefined ? !Number.isInteger(rows) : rows !== count) {
    throw new RagError('BAD_INPUT', 'The query vector has the wrong length.', {
      data: { dimensions, values: vectors.length },
    })
  }
  if (!allFinite(vectors, 0, vectors.length)) throw notFinite({})
  if (!Number.isInteger(topK) || topK < 0) {
    throw new RagError('BAD_OPTION', 'topK is a whole number from 0.', { data: { topK } })
  }
}

/** Memory that was refused as `LIMIT`; any other error as it is. */
export function refusedMemory(cause: unknown): unknown {
  if (!(cause instanceof RangeError)) return cause
  return new RagError('LIMIT', 'The memory for more vectors was refused.', {
    cause,
    hint: 'Nothing was changed. Use an approximate index on disk, or give the process more memory.',
  })
}

function notFinite(data: Readonly<Record<string, unknown>>): RagError {
  return new RagError('BAD_INPUT', 'A vector holds NaN or infinity.', {
    data,
    hint: 'Check the embedder: nothing was changed.',
  })
}
