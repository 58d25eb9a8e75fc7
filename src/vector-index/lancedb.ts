import { createLanceStorage } from './lance/lance-storage.js'
import type { TableIndex, TableSegment } from './lance/types.js'
import { openIndexOfSegments } from './segments/segmented-index.js'
import type { VectorIndex, VectorIndexOptions } from './types.js'
import { requirePackage } from './usearch.js'

/** How the tables of LanceDB are indexed and searched. */
interface LanceChoice {
  /** Neighbours of a vector in a graph, 4 to 64. Default 20. */
  readonly M?: number
  /** Candidates looked at when a vector is added to a graph, 8 to 1,024. Default 150. */
  readonly efConstruction?: number
  /** Candidates looked at by a search of a graph, 8 to 4,096. Default 100; never fewer than are scored. */
  readonly efSearch?: number
  /**
   * `'hnsw-sq'` (default): graphs over one byte per value. `'ivf-pq'`: a sixteenth of a byte per value, found in lists of near ones; it takes little
   * memory, and minutes to build where there are few cores.
   */
  readonly index?: 'hnsw-sq' | 'ivf-pq'
  /**
   * Lists of a table, 1 to 65,536. Default: 1 for `'hnsw-sq'`, a graph over all rows; for `'ivf-pq'` half the root of the number of rows.
   */
  readonly partitions?: number
  /** Lists a search looks at, 1 to 65,536. Default 20; more finds more, in proportion slower. Without effect on one list. */
  readonly nprobes?: number
  /** Bytes per vector of `'ivf-pq'`, a divisor of the dimensions. Default: a sixteenth of them, or 1 where that does not divide them. */
  readonly subVectors?: number
  /** Times `topK` that are found and scored with the full vectors, 1 to 100. Default 4, for `'ivf-pq'` 10. */
  readonly refineFactor?: number
}

/** Options of {@link createLancedbIndex}. */
export interface LancedbIndexOptions extends VectorIndexOptions, LanceChoice {
  /**
   * Where the tables lie, when it is not the folder: `s3://bucket/path`, `gs://…`, `az://…` or another folder, of this index alone. Like the folder it
   * begins with what is there.
   */
  readonly uri?: string
  /** Credentials and the like for `uri`, as LanceDB takes them. Never in an error or a log. */
  readonly storageOptions?: Readonly<Record<string, string>>
  readonly sizes?: Partial<{
    /** Rows in the memory of the calling thread, after which they become a table. Default 10,000. */
    readonly tailRows: number
    /** Rows from which a table is indexed. Default 10,000. */
    readonly indexRows: number
    /** Rows of a table at most. Default 262,144: building their index takes some 600 MB. */
    readonly maxRows: number
    /** Allowed rows of a table that are looked at one by one, index or not. Default 4,000. */
    readonly scannedRows: number
  }>
}

/** On latent semantic vectors 100 candidates of a graph, of which 40 are scored, find 0.986 of the ten nearest of 200,000. */
const defaults = { M: 20, efConstruction: 150, efSearch: 100, nprobes: 20 }
const defaultSizes = { tailRows: 10_000, indexRows: 10_000, maxRows: 1 << 18, scannedRows: 4_000 }

/**
 * Opens an approximate index in LanceDB, on disk or on object storage: for more vectors than fit into memory, as only codes and neighbours are held. The
 * latest vectors are in memory and searched exactly, the others in tables that are written once, joined as they become more, indexed from
 * 10,000 rows on, and searched exactly until then; all in worker threads. See {@link openIndexOfSegments}.
 *
 * Rejects with `MISSING_PEER` when the package is not installed. `persist()` rejects with `STORAGE` where the place cannot be written.
 */
export async function createLancedbIndex(options: LancedbIndexOptions): Promise<VectorIndex> {
  requirePackage('@lancedb/lancedb', 'npm i @lancedb/lancedb@0.37')
  const { uri, storageOptions, sizes, directory, ...rest } = options
  const complete = { ...defaultSizes, ...sizes }
  const { efSearch = defaults.efSearch, nprobes = defaults.nprobes } = rest
  const { refineFactor = rest.index === 'ivf-pq' ? 10 : 4 } = rest
  return openIndexOfSegments<TableSegment>({
    ...rest,
    id: 'lancedb',
    tailRows: complete.tailRows,
    storage: (host) =>
      createLanceStorage(
        {
          ...rest,
          ...(directory === undefined ? {} : { directory }),
          remote: uri === undefined ? undefined : { uri, ...(storageOptions === undefined ? {} : { storageOptions }) },
          indexFor: (rows) => indexFor(rows, rest),
          indexName: JSON.stringify(indexFor(complete.maxRows, rest)),
          searchOptions: { efSearch, nprobes, refineFactor, scannedRows: complete.scannedRows },
          sizes: complete,
        },
        host,
      ),
  })
}

function indexFor(rows: number, options: LanceChoice & { readonly dimensions: number }): TableIndex {
  const { dimensions, efConstruction = defaults.efConstruction, M = defaults.M } = options
  if (options.index !== 'ivf-pq') return { kind: 'hnsw-sq', partitions: options.partitions ?? 1, M, efConstruction }
  const { partitions = Math.max(1, Math.round(Math.sqrt(rows) / 2)) } = options
  const { subVectors = dimensions % 16 === 0 ? dimensions / 16 : 1 } = options
  return { kind: 'ivf-pq', partitions, subVectors }
}
