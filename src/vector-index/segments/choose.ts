import type { FileSegment } from './files.js'
import { firstNumber, lastNumber, type SegmentView } from './view.js'

/** What is to be made of which segments. */
export interface Merge {
  /** In the order of their numbers. */
  readonly views: readonly SegmentView<FileSegment>[]
  readonly withGraph: boolean
  /** The graph of the first goes on: only the rows of the others are added. */
  readonly onBase: boolean
}

export interface MergeSizes {
  /** Rows from which a graph is worth its while. */
  readonly graphRows: number
  /** Rows of a segment at most: what building it holds in memory. */
  readonly maxRows: number
}

/** A graph is gone on with when there is so much to add, because all of its segment is written anew. */
const growth = 1 / 8
/** Share of removed rows above which a segment is written without them: they cost a search as much as the others. */
const maxRemovedShare = 0.3

/** The next thing worth doing, if any. */
export function chooseMerge(
  views: readonly SegmentView<FileSegment>[],
  { graphRows, maxRows, hasGraphs }: MergeSizes & { readonly hasGraphs: boolean },
): Merge | undefined {
  const sorted = views.toSorted((a, b) => firstNumber(a) - firstNumber(b))
  const holey = sorted.find(({ segment, alive }) => 1 - alive / segment.count > maxRemovedShare)
  if (holey !== undefined) {
    return { views: [holey], withGraph: hasGraphs && holey.alive >= graphRows, onBase: false }
  }
  if (!hasGraphs) return undefined
  for (const { before, run } of bareRuns(sorted, maxRows)) {
    const rows = run.reduce((sum, { alive }) => sum + alive, 0)
    const room = before !== undefined && before.segment.count + rows <= maxRows
    if (room && follows(before, run) && rows >= Math.max(graphRows / 2, before.segment.count * growth)) {
      return { views: [before, ...run], withGraph: true, onBase: true }
    }
    if (rows >= graphRows && !(room && follows(before, run))) return { views: run, withGraph: true, onBase: false }
  }
  return undefined
}

/** Segments without a graph that follow each other, as many as fit into one, and the one with a graph before them. */
function* bareRuns(sorted: readonly SegmentView<FileSegment>[], maxRows: number) {
  let before: SegmentView<FileSegment> | undefined
  let run: SegmentView<FileSegment>[] = []
  let rows = 0
  for (const view of sorted) {
    const isBare = view.segment.graph === undefined
    if (run.length > 0 && (!isBare || rows + view.alive > maxRows)) {
      yield { before, run }
      run = []
      rows = 0
    }
    if (isBare) {
      run.push(view)
      rows += view.alive
    } else before = view
  }
  if (run.length > 0) yield { before, run }
}

/** Whether all numbers come after those of the segment before: its rows stay where they are. */
function follows(before: SegmentView, run: readonly SegmentView[]): boolean {
  return run.every((view) => firstNumber(view) > lastNumber(before))
}
