import type { Embedder } from '../../src/embed/types.js'

/** How much vectors depend on what else was embedded in the same call. */
export interface Drift {
  readonly texts: number
  /** The least cosine between a text embedded alone and among the others. */
  readonly minCosine: number
  /** Share of the texts whose two vectors are the same to the last bit, 0 to 1. */
  readonly bitEqual: number
}

/** Embeds each text alone and all of them in one call, and compares. Texts that fail either way are left out. */
export async function measureDrift(embedder: Embedder, texts: readonly string[]): Promise<Drift> {
  const { dimensions } = embedder
  const together = await embedder.embed(texts, { kind: 'passage' })
  const failed = new Set(together.failed.map(({ index }) => index))
  let compared = 0
  let equal = 0
  let minCosine = 1
  for (const [index, text] of texts.entries()) {
    const alone = await embedder.embed([text], { kind: 'passage' })
    if (failed.has(index) || alone.failed.length > 0) continue
    const row = together.vectors.subarray(index * dimensions, (index + 1) * dimensions)
    compared++
    if (row.every((value, place) => value === alone.vectors[place])) equal++
    else minCosine = Math.min(minCosine, cosine(row, alone.vectors))
  }
  return { texts: compared, minCosine, bitEqual: compared === 0 ? 1 : equal / compared }
}

/** Of unit vectors, in double precision. */
function cosine(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, place) => sum + value * (b[place] as number), 0)
}
