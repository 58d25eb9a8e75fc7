import { openFlatIndex } from '../../src/vector-index/flat.js'
import { createLancedbIndex, type LancedbIndexOptions } from '../../src/vector-index/lancedb.js'
import type { VectorIndex } from '../../src/vector-index/types.js'
import { createUsearchIndex, type UsearchIndexOptions } from '../../src/vector-index/usearch.js'

/** An index that a child process makes. */
export type IndexChoice =
  | { readonly kind: 'flat' }
  | ({ readonly kind: 'usearch' } & Pick<UsearchIndexOptions, 'quantization' | 'M' | 'efConstruction'>)
  | ({ readonly kind: 'lancedb' } & Pick<LancedbIndexOptions, 'index'>)

export function openIndexOf(
  { kind, ...options }: IndexChoice,
  place: { readonly directory: string; readonly dimensions: number },
): Promise<VectorIndex> {
  const all = {
    ...place,
    ...options,
    fingerprint: 'bench',
    warn: (problem: Error) => console.error(problem.message, problem.cause),
  }
  if (kind === 'lancedb') return createLancedbIndex(all)
  return kind === 'usearch' ? createUsearchIndex(all) : openFlatIndex(all)
}

/** The share of the true nearest that was found. */
export function recallOf(found: readonly (readonly number[])[], truth: readonly (readonly number[])[]): number {
  const hits = found.map((numbers, i) => numbers.filter((number) => truth[i]?.includes(number)).length)
  return hits.reduce((sum, count) => sum + count, 0) / truth.reduce((sum, numbers) => sum + numbers.length, 0)
}

export function bytesOf(rows: Float32Array): Uint8Array {
  return new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength)
}
