import type { SegmentView } from '../segments/view.js'
import type { TableSegment } from './types.js'

/** What is to be made of which tables. */
export interface TableMerge {
  readonly views: readonly SegmentView<TableSegment>[]
  readonly withIndex: boolean
  /** The rows stay where they are. */
  readonly indexOnly: boolean
}

export interface TableSizes {
  /** Rows that come into being together. */
  readonly tailRows: number
  /** Rows from which an index is built. */
  readonly indexRows: number
  /** Rows of a table at most: what building its index holds in memory. */
  readonly maxRows: number
}

/** Tables of about one size that make it worth while to join them: each row is written once per size. */
const fanIn = 4
/** Share of removed rows above which a table is written without them: they cost a search as much as the others. */
const maxRemovedShare = 0.3

/** The next thing worth doing, if any. */
export function chooseTables(
  views: readonly SegmentView<TableSegment>[],
  { indexRows, maxRows, tailRows }: TableSizes,
): TableMerge | undefined {
  const joined = tablesToJoin(views, { tailRows, maxRows })
  if (joined !== undefined) {
    const rows = joined.reduce((sum, { alive }) => sum + alive, 0)
    return { views: joined, withIndex: rows >= indexRows, indexOnly: false }
  }
  const holey = views.find(({ segment, alive }) => 1 - alive / segment.count > maxRemovedShare)
  if (holey !== undefined) return { views: [holey], withIndex: holey.alive >= indexRows, indexOnly: false }
  const bare = views.find(({ segment, alive }) => segment.index === undefined && alive >= indexRows)
  return bare && { views: [bare], withIndex: true, indexOnly: true }
}

/** Where there are enough tables of a size, these and all smaller ones, as far as they fit into one. */
function tablesToJoin(
  views: readonly SegmentView<TableSegment>[],
  { tailRows, maxRows }: Pick<TableSizes, 'tailRows' | 'maxRows'>,
): readonly SegmentView<TableSegment>[] | undefined {
  const sizeOf = ({ alive }: SegmentView) => Math.max(0, Math.floor(Math.log(alive / tailRows) / Math.log(fanIn)))
  const ascending = views.toSorted((a, b) => a.alive - b.alive)
  for (let size = 0; size <= sizeOf(ascending.at(-1) ?? ({ alive: 0 } as SegmentView)); size++) {
    const candidates = ascending.filter((view) => sizeOf(view) <= size)
    if (candidates.length < fanIn) continue
    let rows = 0
    const fitting = candidates.filter(({ alive }) => (rows += alive) <= maxRows)
    if (fitting.length >= 2) return fitting
  }
  return undefined
}
