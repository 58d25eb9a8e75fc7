import type { StoreNamespace } from '../store/types.js'
import type { Predicate } from '../util/filter.js'
import type { Bits } from './bits.js'
import { type Column, kinds } from './column.js'
import { type RowTable, rowsOf } from './rows.js'

/** Clears the rows that are gone and those a column knows too little of, and returns the latter, ascending. */
export function takeUnsure(bits: Bits, rows: RowTable, columns: readonly Column[]): number[] {
  const unsure = new Set<number>()
  for (const column of columns) {
    if (column.unknown === 0) continue
    for (let row = 0; row < bits.length; row++) {
      if (column.rows.kinds[row] === kinds.unknown && !rows.isGone(row)) unsure.add(row)
    }
  }
  for (const row of unsure) bits.clear(row)
  bits.without(rows.gone)
  return [...unsure].sort((a, b) => a - b)
}

/** Sets the bits of those rows whose metadata, read from the store, satisfy the filter. */
export async function testInStore(
  bits: Bits,
  unsure: readonly number[],
  tools: {
    readonly rows: RowTable
    readonly namespace: StoreNamespace
    readonly matches: Predicate
    readonly pause: () => Promise<void> | undefined
  },
): Promise<void> {
  const { rows, namespace, matches, pause } = tools
  const byBase = new Map(unsure.map((row) => [rows.bases[row] as number, row]))
  let tested = -1
  for (const base of byBase.keys()) {
    // All rows of a document are tested with the first of them.
    if (base < tested) continue
    await pause()
    const document = namespace.locate(base)
    if (document === undefined) continue
    tested = document.base + document.chunks
    for (const { base: own, read } of rowsOf(document, namespace)) {
      const row = byBase.get(own)
      if (row !== undefined && matches(read)) bits.set(row)
    }
  }
}
