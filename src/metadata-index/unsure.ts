import type { StoreNamespace } from '../store/types.js'
import type { Predicate } from '../util/filter.js'
import { Bits } from './bits.js'
import { type Column, kinds } from './column.js'
import { type RowTable, rowsOf } from './rows.js'

type Pause = () => Promise<void> | undefined

/** Rows looked at between two looks at the clock. */
const rowsPerLook = 16_384

/** Clears the rows that are gone and those a column knows too little of, and returns the latter. */
export async function takeUnsure(bits: Bits, rows: RowTable, columns: readonly Column[], pause: Pause): Promise<Bits> {
  const unsure = new Bits(bits.length)
  for (const column of columns) {
    if (column.unknown === 0) continue
    for (let row = 0; row < bits.length; row++) {
      if (row % rowsPerLook === 0) await pause()
      if (column.rows.kinds[row] === kinds.unknown) unsure.set(row)
    }
  }
  unsure.without(rows.gone)
  bits.without(unsure.words)
  bits.without(rows.gone)
  return unsure
}

/** Sets the bits of those rows whose metadata, read from the store, satisfy the filter. */
export async function testInStore(
  bits: Bits,
  unsure: Bits,
  tools: {
    readonly rows: RowTable
    readonly namespace: StoreNamespace
    readonly matches: Predicate
    readonly pause: Pause
  },
): Promise<void> {
  const { rows, namespace, matches, pause } = tools
  let tested = -1
  for (const row of unsure) {
    await pause()
    const base = rows.bases[row] as number
    // All rows of a document are tested with the first of them.
    if (base < tested) continue
    const document = namespace.locate(base)
    if (document === undefined) continue
    tested = document.base + document.chunks
    for (const { base: own, read } of rowsOf(document, namespace)) {
      await pause()
      const place = rows.from(own)
      if (place < unsure.length && rows.bases[place] === own && unsure.has(place) && matches(read)) bits.set(place)
    }
  }
}
