import { RagError } from '../core/errors.js'
import { sha256Hex } from '../util/hash.js'
import { createProjection, type Project } from '../util/principal-components.js'
import { normalise } from '../util/vector-math.js'
import type { Embedder, Embeddings, PcaBasis, Reduction } from './types.js'

/**
 * An embedder whose vectors are those of another one, reduced and scaled to length 1 again. Its fingerprint says so: the two never mix.
 * A vector of which nothing is left is a failed text (`EMPTY`). Throws `BAD_OPTION` for more values than there are. Belongs around
 * whatever caches vectors, so that one cache serves every reduction; closes nothing.
 */
export function createReducedEmbedder(embedder: Embedder, reduction: Reduction): Embedder {
  const { dimensions, label, reduce } = reducer(reduction, embedder)
  return {
    ...embedder,
    dimensions,
    fingerprint: `${embedder.fingerprint}|${label}`,
    async embed(texts, options) {
      const { failed, tokens, vectors } = await embedder.embed(texts, options)
      const reduced = new Float32Array(texts.length * dimensions)
      const lost: Embeddings['failed'][number][] = []
      const failedBefore = new Set(failed.map(({ index }) => index))
      for (let row = 0; row < texts.length; row++) {
        if (failedBefore.has(row)) continue
        reduce(vectors, row * embedder.dimensions, reduced, row * dimensions)
        if (normalise(reduced, row * dimensions, dimensions) === 0) lost.push({ index: row, error: nothingLeft() })
      }
      return { vectors: reduced, failed: [...failed, ...lost], tokens }
    },
    async close() {},
  }
}

interface Reducer {
  readonly dimensions: number
  /** Whatever changes the vectors. */
  readonly label: string
  readonly reduce: Project
}

function reducer(reduction: Reduction, { dimensions, id }: Embedder): Reducer {
  switch (reduction.kind) {
    case 'cut': {
      const kept = checkCount('reduction.dimensions', reduction.dimensions, { dimensions, id })
      return {
        dimensions: kept,
        label: `cut/${kept}`,
        reduce: (values, start, target, place) => target.set(values.subarray(start, start + kept), place),
      }
    }
    case 'sparsify': {
      const kept = checkCount('reduction.topK', reduction.topK, { dimensions, id })
      return { dimensions, label: `sparsify/${kept}`, reduce: keepLargest(kept, dimensions) }
    }
    case 'pca': {
      const { basis } = reduction
      if (basis.from !== dimensions) {
        throw new RagError(
          'BAD_OPTION',
          `The basis was fitted to ${basis.from} values, the embedder has ${dimensions}.`,
          {
            data: { embedder: id, from: basis.from, dimensions },
            hint: 'Fit it to vectors of this embedder with fitPca().',
          },
        )
      }
      return { dimensions: basis.dimensions, label: `pca/${hashOf(basis)}`, reduce: project(basis) }
    }
    default:
      return reduction satisfies never
  }
}

function checkCount(option: string, value: number, { dimensions, id }: Pick<Embedder, 'dimensions' | 'id'>): number {
  if (Number.isInteger(value) && value >= 1 && value <= dimensions) return value
  throw new RagError('BAD_OPTION', `${option} is a whole number from 1 to ${dimensions}, the values of "${id}".`, {
    data: { option, value, dimensions },
  })
}

/** Ties are kept from the left, so that the same vector always gives the same. */
function keepLargest(count: number, dimensions: number): Project {
  const sizes = new Float32Array(dimensions)
  return (values, start, target, place) => {
    for (let i = 0; i < dimensions; i++) sizes[i] = Math.abs(values[start + i] as number)
    const threshold = sizes.toSorted()[dimensions - count] as number
    let room = count
    for (let i = 0; i < dimensions; i++) if ((sizes[i] as number) > threshold) room--
    for (let i = 0; i < dimensions; i++) {
      const size = Math.abs(values[start + i] as number)
      const isKept = size > threshold || (size === threshold && room-- > 0)
      target[place + i] = isKept ? (values[start + i] as number) : 0
    }
  }
}

function project({ dimensions, from, values }: PcaBasis): Project {
  const mean = Float64Array.from(values.subarray(0, from))
  return createProjection({
    mean,
    components: Float64Array.from(values.subarray(from)),
    count: dimensions,
    explainedVariance: 1,
  })
}

function hashOf({ values }: PcaBasis): string {
  return sha256Hex(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)).slice(0, 16)
}

function nothingLeft(): RagError {
  return new RagError('EMPTY', 'Nothing is left of the vector when it is reduced.', {
    hint: 'Keep more of its values.',
  })
}
