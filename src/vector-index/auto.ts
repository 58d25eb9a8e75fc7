import { openSegmentedIndex } from './segments/segmented.js'
import type { VectorIndex } from './types.js'
import { type UsearchIndexOptions, usearchGraph } from './usearch.js'

/**
 * Opens an index that is exact while it is small, and where a filter leaves few, and searches graphs beyond: the calling thread looks at up to 10,000
 * vectors, a worker thread at more, and from 20,000 on a graph of usearch is built over them in the background. Each search goes the way that is
 * less work (`segments/search.ts`). Where usearch cannot be loaded every search stays exact, and a warning says so.
 */
export async function createAutoIndex(options: UsearchIndexOptions): Promise<VectorIndex> {
  return openSegmentedIndex({ ...options, id: 'auto', graph: usearchGraph(options) })
}
