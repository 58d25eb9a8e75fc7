import { RagError } from '../core/errors.js'
import { abortable } from '../util/abort.js'
import { allFinite, dot, normalise } from '../util/vector-math.js'
import type { Embedder, EmbedderCapabilities, Embeddings } from './types.js'

/** How far the squared length of a row may be from 1 before it is scaled: what single precision leaves of a unit vector is closer. */
const unitTolerance = 1e-4
/** Texts per call for an embedder that does not say. */
const defaultBatchSize = 32

/**
 * Believes nothing of an embedder: what it returns is checked before anybody stores or compares it. Vectors of another number or
 * with values that are not finite are `BAD_INPUT`; rows are scaled to length 1, rows of failed texts are zero, a row of zeros is a
 * failed text. What the embedder throws becomes `PROVIDER` with the error as its cause, unless it is a `RagError`. An abort ends
 * the call at once, even when the embedder does not listen. `close()` does nothing: the embedder belongs to whoever made it.
 */
export function createCheckedEmbedder(embedder: Embedder): Embedder {
  const { autoTune, id, dimensions, fingerprint, stats } = embedder
  const guarded = <Result>(work: () => Promise<Result>, signal: AbortSignal | undefined): Promise<Result> =>
    abortable(invoke(work), signal).catch((error) => {
      if (signal?.aborted || RagError.isInstance(error)) throw error
      throw new RagError('PROVIDER', `The embedder "${id}" failed.`, { data: { embedder: id }, cause: error })
    })
  return {
    id,
    dimensions,
    fingerprint,
    capabilities: checkedCapabilities(embedder.capabilities),
    async embed(texts, options) {
      return checked(await guarded(() => embedder.embed(texts, options), options.signal), texts.length, embedder)
    },
    warmUp: async (options = {}) => guarded(async () => embedder.warmUp?.(options), options.signal),
    ...(stats === undefined ? {} : { stats: stats.bind(embedder) }),
    ...(autoTune === undefined ? {} : { autoTune: autoTune.bind(embedder) }),
    async close() {},
  }
}

/** Turns what is thrown at once into a rejection. */
async function invoke<Result>(work: () => Promise<Result>): Promise<Result> {
  return work()
}

/** The caller's may be JavaScript and leave them out, or say nonsense. */
function checkedCapabilities(given: Partial<EmbedderCapabilities> | undefined): EmbedderCapabilities {
  const { batchSize, concurrency, fitted } = given ?? {}
  return {
    fitted: fitted === true,
    batchSize: isCount(batchSize) ? batchSize : defaultBatchSize,
    ...(isCount(concurrency) ? { concurrency } : {}),
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0
}

function checked(result: Embeddings, texts: number, { id, dimensions }: Embedder): Embeddings {
  const { vectors, failed = [], tokens = 0 } = result ?? {}
  if (!(vectors instanceof Float32Array) || vectors.length !== texts * dimensions) {
    const length = vectors instanceof Float32Array ? vectors.length : null
    throw new RagError('BAD_INPUT', `The embedder "${id}" did not return ${texts} vectors of ${dimensions} values.`, {
      data: { embedder: id, texts, dimensions, length },
      hint: 'embed() resolves with { vectors: Float32Array (texts x dimensions), failed, tokens }.',
    })
  }
  const problems = new Map(failed.map(({ index, error }) => [index, error]))
  // A copy only where something has to be mended: the array is the embedder's.
  let mended = vectors
  const mend = () => {
    if (mended === vectors) mended = vectors.slice()
    return mended
  }
  for (let row = 0; row < texts; row++) {
    const start = row * dimensions
    if (problems.has(row)) {
      mend().fill(0, start, start + dimensions)
      continue
    }
    if (!allFinite(vectors, start, start + dimensions)) {
      throw new RagError('BAD_INPUT', `The embedder "${id}" returned values that are not finite numbers.`, {
        data: { embedder: id, row },
      })
    }
    const squares = dot(vectors, start, vectors, start, dimensions)
    if (squares === 0) problems.set(row, new RagError('PROVIDER', `The embedder "${id}" returned a vector of zeros.`))
    else if (Math.abs(squares - 1) > unitTolerance) normalise(mend(), start, dimensions)
  }
  return { vectors: mended, failed: [...problems].map(([index, error]) => ({ index, error })), tokens }
}
