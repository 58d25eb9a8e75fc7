import type { RangeSet } from '../core/range-set.js'
import { TopK } from '../util/top-k.js'
import { BlockScan } from './block-scan.js'
import { blocksOf, unitsPerBlock } from './blocks.js'
import type { BoundArithmetic } from './bound-kernel.js'
import { DocumentCursor } from './document-cursor.js'
import { costOfLookingUp, type DocumentScores } from './documents.js'
import type { Level } from './level.js'
import type { Pace } from './pace.js'
import { RangeCursor } from './range-cursor.js'
import type { LexicalResult } from './types.js'
import type { SegmentView } from './view.js'

/** What makes one score of those of both levels. */
export interface Scales {
  readonly chunk: number
  readonly window: number
}

export interface Selection {
  readonly views: readonly SegmentView[]
  readonly topK: number
  readonly allow: RangeSet | undefined
  readonly chunks: Level
  /** Absent when documents do not count. */
  readonly documents: DocumentScores | undefined
  readonly scales: Scales
  /** By view and block of chunks: what a chunk scores at most, its document's score included; 0 where none holds a term. */
  readonly bounds: readonly Float32Array[]
  readonly arithmetic: BoundArithmetic
  /** By view and block of windows: what a window scores at most, not scaled; zeros when documents do not count. */
  readonly windowBounds: readonly Float32Array[]
}

/** Where more chunks are wanted, looking for the most promising blocks first does not pay. */
const mostPromising = 512

/**
 * The best chunks. The most promising blocks are scored first (the order of BMP: Mallia, Suel and Tonellotto, SIGIR 2024); what it then takes to be
 * among the best keeps nearly all others from being looked at.
 */
export async function selectBest(selection: Selection, pace: Pace): Promise<LexicalResult['matches']> {
  if (selection.topK === 0) return []
  const best = new TopK(selection.topK)
  const promising = await promisingBlocks(selection, pace)
  for (const [view, blocks] of promising.entries()) await offerBlocks(selection, { view, blocks, best }, pace)
  for (const [view, seen] of promising.entries()) {
    const scan = scanOf(selection, view)
    await offerBlocks(selection, { view, blocks: blocksInReach(scan, best, seen), best }, pace)
    if (pace.spend(scan.count)) await pace.turn()
  }
  return best.drain()
}

/** The blocks of the highest bounds, by view, ascending: as many as chunks are wanted. */
async function promisingBlocks(selection: Selection, pace: Pace): Promise<readonly (readonly number[])[]> {
  const blocks = selection.views.map((): number[] => [])
  if (selection.topK > mostPromising) return blocks
  const highest = new TopK(selection.topK)
  for (const view of blocks.keys()) {
    const scan = scanOf(selection, view)
    for (
      let block = scan.next(0, highest.threshold);
      block < scan.count;
      block = scan.next(block + 1, highest.threshold)
    )
      highest.push(selection.bounds[view]?.[block] as number, view * blocksPerView + block)
    if (pace.spend(scan.count)) await pace.turn()
  }
  for (const { number } of highest.drain()) blocks[Math.floor(number / blocksPerView)]?.push(number % blocksPerView)
  return blocks.map((own) => own.sort((a, b) => a - b))
}

/** More than a view can have, for numbers of blocks of all views. */
const blocksPerView = 2 ** 32

/** The blocks that may hold a chunk which is good enough, as `best` fills up, less those that were seen. */
function* blocksInReach(scan: BlockScan, best: TopK, seen: readonly number[]): Generator<number> {
  let place = 0
  for (let block = scan.next(0, best.threshold); block < scan.count; block = scan.next(block + 1, best.threshold)) {
    while (place < seen.length && (seen[place] as number) < block) place++
    if (seen[place] !== block) yield block
  }
}

interface Offering {
  readonly view: number
  /** Ascending. */
  readonly blocks: Iterable<number>
  readonly best: TopK
}

/** Scores the chunks of blocks and offers them to `best`. */
async function offerBlocks(selection: Selection, { view, blocks, best }: Offering, pace: Pace): Promise<void> {
  const { chunks, documents, scales, allow } = selection
  const { segment } = selection.views[view] as SegmentView
  const { chunks: blocksOfChunks, windowsOfChunks } = blocksOf(segment)
  const windowBounds = selection.windowBounds[view] as Float32Array
  const cursor = new DocumentCursor(segment)
  const allowed = cursorOf(allow, segment)
  const scores = new Float32Array(unitsPerBlock)
  for (const block of blocks) {
    const start = blocksOfChunks.starts[block] as number
    const end = blocksOfChunks.starts[block + 1] as number
    const greatest = chunks.score(view, start, end, scores)
    if (pace.spend(chunks.terms * costOfLookingUp)) await pace.turn()
    const documentBound = (windowBounds[windowsOfChunks[block] as number] as number) * scales.window
    if (greatest * scales.chunk + documentBound < best.threshold) continue
    let document = -1
    let documentScore = 0
    for (let chunk = start; chunk < end; chunk++) {
      const score = (scores[chunk - start] as number) * scales.chunk
      if (score === 0 || score + documentBound < best.threshold) continue
      const number = cursor.numberOf(chunk)
      if (allowed?.has(number) === false) continue
      if (documents !== undefined && cursor.documentOf(chunk) !== document) {
        document = cursor.documentOf(chunk)
        documentScore = documents.score(view, document) ?? (await documents.scoreScattered(view, document))
        if (pace.spend(chunks.terms * costOfLookingUp)) await pace.turn()
      }
      if (documents === undefined || documentScore > 0) best.push(score + documentScore * scales.window, number)
    }
  }
}

function scanOf({ views, bounds, arithmetic, allow }: Selection, view: number): BlockScan {
  const { segment } = views[view] as SegmentView
  return new BlockScan(segment, { bounds: bounds[view] as Float32Array, arithmetic, allow: cursorOf(allow, segment) })
}

function cursorOf(allow: RangeSet | undefined, segment: SegmentView['segment']): RangeCursor | undefined {
  return allow && new RangeCursor(allow, segment.bases[0] ?? 0)
}
