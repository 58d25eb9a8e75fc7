import { createProjection, principalComponents, type Rows } from '../../util/principal-components.js'

/** Rows to be reduced. Plain data: it crosses threads. */
export interface ReduceRequest {
  /** A row per token; what is done here overwrites it. */
  readonly values: Float32Array
  /** Tokens with a row, ascending; the others get a row of zeros. */
  readonly taught: Int32Array
  readonly dimensions: number
  /** Values per row of the result. */
  readonly components: number
  /** A factor per token. */
  readonly weights: Float64Array
}

export interface ReducedRows {
  /** A row of `components` values per token. */
  readonly values: Float32Array<ArrayBuffer>
  /** Share of the variance that is left. */
  readonly explainedVariance: number
}

/** Brings rows down to their principal components, and weights them. Minutes of work for wide rows: it belongs in a thread. */
export function reduceRows({ values, taught, dimensions, components, weights }: ReduceRequest): ReducedRows {
  const rows = gathered(values, taught, dimensions)
  const found = principalComponents(rows, components)
  const project = createProjection(found)
  const target = new Float32Array(weights.length * components)
  for (const [row, token] of taught.entries()) {
    const place = token * components
    project(values, row * dimensions, target, place)
    const weight = weights[token] as number
    for (let i = place; i < place + components; i++) target[i] = (target[i] as number) * weight
  }
  return { values: target, explainedVariance: found.explainedVariance }
}

/** Moves the rows that are there together, so that nothing else weighs in their mean and variance. */
function gathered(values: Float32Array, taught: Int32Array, dimensions: number): Rows {
  for (const [row, token] of taught.entries()) {
    // Ascending, so that no row is overwritten before it has moved.
    if (row !== token) values.copyWithin(row * dimensions, token * dimensions, (token + 1) * dimensions)
  }
  return { values, count: taught.length, dimensions }
}
