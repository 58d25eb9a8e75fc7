import { CallFailure } from '../../util/fault.js'
import { allFinite, normalise } from '../../util/vector-math.js'
import type { EndpointAnswer } from './endpoint.js'

/** Vectors longer than this are no vectors. */
const maxDimensions = 65_536

/**
 * Believes nothing of an answer: it holds a vector for every text, all of the same width, that of `dimensions` where it is known, of
 * finite numbers, none of them all zero. Returns them row by row, scaled to length 1. Anything else is a {@link CallFailure}.
 */
export function readAnswer({ rows }: EndpointAnswer, texts: number, dimensions: number | undefined): Float32Array {
  if (!Array.isArray(rows) || rows.length !== texts) throw unusable('wrong_count')
  const width = dimensions ?? widthOf(rows[0])
  if (width < 1 || width > maxDimensions) throw unusable('no_vectors')
  if (rows.every((row) => widthOf(row) > 0 && widthOf(row) !== width)) throw wrongDimensions(widthOf(rows[0]), width)

  const vectors = new Float32Array(texts * width)
  for (const [index, row] of rows.entries()) {
    if (widthOf(row) !== width) throw unusable('wrong_dimensions')
    // `set` would take '0.5' for a number and null for 0.
    if (!(row instanceof Float32Array) && !row.every(isNumber)) throw unusable('not_numbers')
    vectors.set(row, index * width)
    if (!allFinite(vectors, index * width, (index + 1) * width)) throw unusable('not_finite')
    if (normalise(vectors, index * width, width) === 0) throw unusable('zero_vector')
  }
  return vectors
}

function widthOf(row: unknown): number {
  return row instanceof Float32Array || Array.isArray(row) ? row.length : 0
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number'
}

function unusable(reason: string): CallFailure {
  return new CallFailure({ kind: 'answer', again: true, reason, afterMs: 0 })
}

/** No accident: the model makes other vectors than was said. */
function wrongDimensions(actual: number, expected: number): CallFailure {
  return new CallFailure({
    kind: 'denied',
    again: false,
    reason: 'wrong_dimensions',
    afterMs: 0,
    hint: `The model makes vectors of ${actual} values, not ${expected}: set dimensions to ${actual}, or leave it out.`,
  })
}
