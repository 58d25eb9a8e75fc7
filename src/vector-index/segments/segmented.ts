import type { VectorIndex, VectorIndexOptions } from '../types.js'
import { createFileStorage, type FileStorageOptions } from './file-storage.js'
import type { FileSegment } from './files.js'
import type { GraphOptions } from './graph.js'
import { openIndexOfSegments } from './segmented-index.js'

/** Options of {@link openSegmentedIndex}. */
export interface SegmentedIndexOptions extends VectorIndexOptions {
  readonly id: string
  /** Built over segments that are large enough; absent: every search looks at every row. */
  readonly graph?: GraphOptions
  readonly sizes?: Partial<SegmentSizes>
}

export type SegmentSizes = FileStorageOptions['sizes'] & {
  /** Rows in the memory of the calling thread, after which they become a segment. */
  readonly tailRows: number
}

/**
 * Rows of 384 dimensions are looked at by the calling thread at 65 ns each, so 10,000 take it 0.7 ms (`bench/flat.ts`). From 20,000 rows on a graph is
 * several times faster than a scan: a candidate takes 5 µs. A graph of 262,144 rows takes 250 MB while it is built.
 */
const defaultSizes: SegmentSizes = { tailRows: 10_000, graphRows: 20_000, maxRows: 1 << 18, rowsPerCandidate: 80 }

/**
 * Opens an index of a tail in memory and segments in files, searched in a worker thread: by a graph where one is built and less work, else by looking
 * at every row. Both score with the full vectors. With a `directory` it begins with the snapshot there and `persist()` replaces that; without one (or
 * with `readOnly`) the files lie in the system's folder for temporary ones and go with `close()`. See {@link openIndexOfSegments}.
 */
export async function openSegmentedIndex(options: SegmentedIndexOptions): Promise<VectorIndex> {
  const { graph, sizes: given, ...rest } = options
  const { tailRows, ...sizes } = { ...defaultSizes, ...given }
  return openIndexOfSegments<FileSegment>({
    ...rest,
    tailRows,
    storage: (host) => createFileStorage({ ...rest, graph, sizes }, host),
  })
}
