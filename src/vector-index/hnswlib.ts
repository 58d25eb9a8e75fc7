import { openSegmentedIndex, type SegmentSizes } from './segments/segmented.js'
import type { VectorIndex, VectorIndexOptions } from './types.js'
import { type HnswOptions, hnswDefaults, requirePackage } from './usearch.js'

/** Options of {@link createHnswlibIndex}. */
export interface HnswlibIndexOptions extends VectorIndexOptions, HnswOptions {
  readonly sizes?: Partial<SegmentSizes>
}

/**
 * Opens an approximate index whose graphs are those of hnswlib-node, for machines usearch has no binary for: built by one core and held in memory
 * in full; see {@link openSegmentedIndex}. Rejects with `MISSING_PEER` when the package is not installed.
 */
export async function createHnswlibIndex(options: HnswlibIndexOptions): Promise<VectorIndex> {
  requirePackage('hnswlib-node', 'npm i hnswlib-node@3')
  const { M = hnswDefaults.M, efConstruction = hnswDefaults.efConstruction, efSearch, ...rest } = options
  return openSegmentedIndex({
    ...rest,
    id: 'hnswlib',
    graph: {
      engine: 'hnswlib',
      quantization: 'f32',
      connectivity: M,
      expansionAdd: efConstruction,
      ...(efSearch === undefined ? {} : { expansionSearch: efSearch }),
    },
  })
}
