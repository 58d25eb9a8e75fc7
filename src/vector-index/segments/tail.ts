import { TopK } from '../../util/top-k.js'
import type { FlatView, NumberedRows } from '../flat-view.js'
import type { RowTable } from '../row-table.js'
import type { Stretches } from '../stretches.js'
import type { VectorMatch } from '../types.js'
import type { NumberedVectors, SegmentMatches } from './storage.js'
import { isRemoved, type SegmentView, shared } from './view.js'

const rowsPerLook = 64

/** The rows of a view, one after the other. */
export async function gathered(
  { count, numbers, rows, table }: FlatView,
  dimensions: number,
  stretches: Stretches,
): Promise<NumberedVectors> {
  const vectors = new Float32Array(count * dimensions)
  for (let i = 0; i < count; i++) {
    const [block, start] = table.row(rows[i] as number)
    vectors.set(block.subarray(start, start + dimensions), i * dimensions)
    if (i % rowsPerLook === 0) await stretches.pause()
  }
  const own = new Float64Array(shared(count * 8).buffer)
  own.set(numbers.subarray(0, count))
  return { numbers: own, rows: vectors }
}

/** Appends the rows of a segment that are not removed to a table. */
export async function appendRows(
  table: RowTable,
  { segment: { count, dimensions, numbers }, removed }: SegmentView,
  { rows, stretches }: { readonly rows: Float32Array; readonly stretches: Stretches },
): Promise<NumberedRows> {
  const kept: number[] = []
  const first = table.count
  for (let place = 0; place < count; place++) {
    if (isRemoved(removed, place)) continue
    table.append(rows, place * dimensions)
    kept.push(numbers[place] as number)
    if (place % rowsPerLook === 0) await stretches.pause()
  }
  return {
    numbers: Float64Array.from(kept),
    rows: Uint32Array.from(kept, (_, i) => first + i),
    count: kept.length,
  }
}

/** What of a later view of the same table is not in an earlier one, and which numbers of the earlier one are gone or have another row. */
export function changesSince(before: FlatView, now: FlatView): { left: FlatView; gone: [number, number][] } {
  const gone: [number, number][] = []
  const numbers = new Float64Array(now.count)
  const rows = new Uint32Array(now.count)
  let count = 0
  let place = 0
  for (let i = 0; i < before.count; i++) {
    const number = before.numbers[i] as number
    for (; place < now.count && (now.numbers[place] as number) < number; place++) keep()
    if (now.numbers[place] === number && place < now.count && now.rows[place] === before.rows[i]) place++
    else gone.push([number, number + 1])
  }
  for (; place < now.count; place++) keep()
  return { left: { numbers, rows, count, table: now.table }, gone }

  function keep(): void {
    numbers[count] = now.numbers[place] as number
    rows[count++] = now.rows[place] as number
  }
}

/** Joins what the tail has found with what the segments have; no number is in both. */
export function merged(
  here: readonly (readonly VectorMatch[])[],
  { numbers, scores, counts }: SegmentMatches,
  topK: number,
): VectorMatch[][] {
  let place = 0
  return here.map((matches, query) => {
    const end = place + (counts[query] as number)
    const best = new TopK(topK)
    for (; place < end; place++) best.push(scores[place] as number, numbers[place] as number)
    for (const { number, score } of matches) best.push(score, number)
    return best.drain()
  })
}
