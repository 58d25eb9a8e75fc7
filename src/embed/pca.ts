import { RagError } from '../core/errors.js'
import type { PrincipalComponents, Rows } from '../util/principal-components.js'
import { allFinite } from '../util/vector-math.js'
import { WorkerPool } from '../util/worker-pool.js'
import type { PcaBasis } from './types.js'

/** Options of {@link fitPca}. */
export interface PcaOptions {
  /** Values of each vector. */
  readonly from: number
  /** Values wanted, 1 to `from`. */
  readonly dimensions: number
  readonly signal?: AbortSignal
}

/** A {@link PcaBasis}, and how much it leaves. */
export interface FittedPca {
  readonly basis: PcaBasis
  /** Share of the variance of the sample that is left, 0 to 1. */
  readonly explainedVariance: number
}

/**
 * Fits principal components to a sample of vectors (`count x from` values), in a worker thread: a second for 30,000 of 384 values, a
 * minute for 30,000 of 3,072. Take at least ten times as many vectors as `from`; those of your own passages serve best. The result is
 * the same every time. Rejects with `BAD_OPTION`, and with `BAD_INPUT` for vectors that cannot be used.
 *
 * @example
 * const { vectors } = await embedding.embedBatch(sample)
 * const { basis } = await fitPca(vectors, { from: 384, dimensions: 128 })
 * const rag = new UltraFastRAG({ preset: 'production', reduction: { kind: 'pca', basis } })
 */
export async function fitPca(vectors: Float32Array, { dimensions, from, signal }: PcaOptions): Promise<FittedPca> {
  checkSizes(from, dimensions)
  const count = vectors instanceof Float32Array ? vectors.length / from : 0
  if (!Number.isInteger(count) || count < 2 || !allFinite(vectors, 0, vectors.length)) {
    throw new RagError('BAD_INPUT', `The sample is no Float32Array of at least two vectors of ${from} finite values.`, {
      data: { from, values: vectors?.length ?? null },
    })
  }
  const pool = new WorkerPool({ worker: 'distill', size: 1 })
  try {
    const rows: Rows = { values: vectors, count, dimensions: from }
    const payload = { rows, count: dimensions }
    const found = await pool.run<PrincipalComponents>({ type: 'components', payload }, { signal })
    const values = new Float32Array((dimensions + 1) * from)
    values.set(found.mean)
    values.set(found.components.subarray(0, dimensions * from), from)
    return { basis: { from, dimensions, values }, explainedVariance: found.explainedVariance }
  } finally {
    await pool.close()
  }
}

function checkSizes(from: number, dimensions: number): void {
  if (!Number.isInteger(from) || from < 1 || from > 65_536) {
    throw new RagError('BAD_OPTION', 'from is a whole number from 1 to 65,536.', { data: { from } })
  }
  if (!Number.isInteger(dimensions) || dimensions < 1 || dimensions > from) {
    throw new RagError('BAD_OPTION', `dimensions is a whole number from 1 to ${from}.`, { data: { dimensions, from } })
  }
}
