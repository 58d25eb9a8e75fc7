import type { Segment } from '../segments/view.js'

/** Where tables lie: a folder, or a place on object storage. */
export interface Database {
  readonly uri: string
  /** Credentials and the like, as LanceDB takes them. */
  readonly storageOptions?: Readonly<Record<string, string>>
}

/** Which index LanceDB builds over the rows of a table. */
export type TableIndex =
  | { readonly kind: 'hnsw-sq'; readonly partitions: number; readonly M: number; readonly efConstruction: number }
  | { readonly kind: 'ivf-pq'; readonly partitions: number; readonly subVectors: number }

/** How such an index is searched. */
export interface TableSearchOptions {
  readonly nprobes: number
  readonly efSearch: number
  readonly refineFactor: number
  /** Allowed rows up to which a scan of them takes no longer than a search of the index. */
  readonly scannedRows: number
}

/** A segment whose rows are a table, written once: only an index is added to it. */
export interface TableSegment extends Segment {
  readonly database: Database
  readonly table: string
  /** Absent: every row is looked at. */
  readonly index?: TableIndex
}

/** Rows that are to become a table. */
export interface SealTableTask {
  readonly database: Database
  readonly table: string
  readonly dimensions: number
  /** Ascending. */
  readonly numbers: Float64Array
  readonly rows: Float32Array
}

/** Tables that are to become one. */
export interface MergeTablesTask {
  readonly database: Database
  readonly table: string
  readonly dimensions: number
  readonly inputs: readonly {
    readonly database: Database
    readonly table: string
    readonly numbers: Float64Array
    /** Bit by place of what is left out. */
    readonly removed?: Uint8Array
  }[]
  readonly index?: TableIndex
}

export interface IndexTableTask {
  readonly database: Database
  readonly table: string
  readonly index: TableIndex
}

/** A segment as a search names it. */
export interface TableRef {
  readonly id: number
  readonly database: Database
  readonly table: string
  readonly count: number
  readonly numbers: Float64Array
  readonly removed?: Uint8Array
  readonly alive: number
  readonly indexed: boolean
}

export interface TableSearch {
  readonly tables: readonly TableRef[]
  readonly dimensions: number
  /** `count x dimensions` values. */
  readonly queries: Float32Array
  readonly topK: number
  /** Start and end of ranges, one after the other. */
  readonly allow?: Float64Array
  readonly exact: boolean
  readonly options: TableSearchOptions
}

/** The list of tables, as one text. */
export interface ManifestTask {
  readonly database: Database
  readonly table: string
  readonly text: string
  /** Tables that stay, whatever their age. */
  readonly keep: readonly string[]
}
