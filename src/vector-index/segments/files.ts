import type { GraphOptions } from './graph.js'
import type { FileStamp } from './rows-file.js'
import type { SegmentRef } from './search.js'
import type { Segment, SegmentView } from './view.js'

/** A segment whose rows lie in a file; a graph over them comes when it is built. */
export interface FileSegment extends Segment {
  readonly rows: StoredFile
  readonly graph?: StoredGraph
}

interface StoredFile {
  readonly path: string
  readonly stamp: FileStamp
}

interface StoredGraph extends StoredFile {
  readonly options: GraphOptions
  /** What 127 stands for in a graph of bytes. */
  readonly largest: number
}

export function pathsOf({ rows, graph }: FileSegment): string[] {
  return graph === undefined ? [rows.path] : [rows.path, graph.path]
}

export function refOf({ segment, removed, alive }: SegmentView<FileSegment>): SegmentRef {
  const { id, count, dimensions, numbers, rows, graph } = segment
  return {
    id,
    path: rows.path,
    count,
    dimensions,
    numbers,
    alive,
    ...(removed === undefined ? {} : { removed }),
    ...(graph === undefined ? {} : { graph: { path: graph.path, options: graph.options } }),
  }
}
