import { createRequire } from 'node:module'
import { RagError } from '../core/errors.js'
import type { GraphOptions } from './segments/graph.js'
import { openSegmentedIndex, type SegmentSizes } from './segments/segmented.js'
import type { VectorIndex, VectorIndexOptions } from './types.js'

/** How a graph is built and searched. HNSW: Malkov and Yashunin, https://arxiv.org/abs/1603.09320 */
export interface HnswOptions {
  /** Neighbours of a vector in each layer but the lowest, which has twice as many, 4 to 64. Default 16; more costs memory and time and finds more. */
  readonly M?: number
  /** Candidates looked at when a vector is added, 8 to 1,024. Default 96; more builds slower and finds more. */
  readonly efConstruction?: number
  /** Candidates looked at by a search, 8 to 4,096. Default: a 400th of the vectors of a graph, 64 to 512; more finds more, in proportion slower. */
  readonly efSearch?: number
}

/** Options of {@link createUsearchIndex}. */
export interface UsearchIndexOptions extends VectorIndexOptions, HnswOptions {
  /**
   * How the graph keeps its vectors: `'i8'` (default), a byte a value, scaled to what the vectors hold; `'f16'`, two, and `'f32'`, four, for
   * slower building and searching at the same recall. Whatever is found is scored with the full vectors, which lie in a file beside it.
   */
  readonly quantization?: GraphOptions['quantization']
  readonly sizes?: Partial<SegmentSizes>
}

/** The defaults of {@link HnswOptions}. */
export const hnswDefaults = { M: 16, efConstruction: 96 } as const

/**
 * Opens an approximate index whose graphs are those of usearch, built with all cores and mapped from files; see {@link openSegmentedIndex}. Rejects
 * with `MISSING_PEER` when the package is not installed.
 */
export async function createUsearchIndex(options: UsearchIndexOptions): Promise<VectorIndex> {
  requirePackage('usearch', 'npm i usearch@2.25')
  return openSegmentedIndex({ ...options, id: 'usearch', graph: usearchGraph(options) })
}

export function usearchGraph({
  quantization = 'i8',
  M = hnswDefaults.M,
  efConstruction = hnswDefaults.efConstruction,
  efSearch,
}: HnswOptions & Pick<UsearchIndexOptions, 'quantization'>): GraphOptions {
  return {
    engine: 'usearch',
    quantization,
    connectivity: M,
    expansionAdd: efConstruction,
    ...(efSearch === undefined ? {} : { expansionSearch: efSearch }),
  }
}

/** A worker thread loads the package when the first graph is built; whoever named it is told now when it is not there. */
export function requirePackage(name: string, install: string): void {
  try {
    createRequire(import.meta.url).resolve(name)
  } catch (cause) {
    throw new RagError('MISSING_PEER', `The optional package "${name}" is not installed.`, {
      cause,
      data: { package: name },
      hint: `Run: ${install}`,
    })
  }
}
