import { RagError } from '../core/errors.js'
import type { FieldReader } from '../core/filter.js'
import { decodePiece } from '../core/piece.js'
import type { DocumentRecord, StoreNamespace } from '../store/types.js'
import { metadataReader } from '../util/filter.js'

/** Neighbouring chunks of one document that have the same metadata: all of them, unless chunks bring their own. */
export interface MetadataRow {
  /** Chunk numbers are `[base, base + chunks)`. */
  readonly base: number
  readonly chunks: number
  readonly read: FieldReader
}

/** The rows of a document, ascending. Ends early when the version vanishes while it is read: then nobody can find it any more. */
export function* rowsOf(document: DocumentRecord, namespace: StoreNamespace): Generator<MetadataRow> {
  if (document.chunks === 0) return
  const read = metadataReader(document, document.metadata)
  if (document.chunkMetadata !== true) yield { base: document.base, chunks: document.chunks, read }
  else {
    try {
      yield* chunkRows(document, namespace, read)
    } catch (error) {
      if (!RagError.isInstance(error, 'NOT_FOUND')) throw error
    }
  }
}

function* chunkRows(document: DocumentRecord, namespace: StoreNamespace, read: FieldReader): Generator<MetadataRow> {
  let plain = 0
  let number = document.base
  for (const bytes of namespace.pieces(document)) {
    for (const { metadata } of decodePiece(bytes).chunks) {
      if (metadata === undefined) plain++
      else {
        if (plain > 0) yield { base: number - plain, chunks: plain, read }
        plain = 0
        yield { base: number, chunks: 1, read: metadataReader(document, { ...document.metadata, ...metadata }) }
      }
      number++
    }
  }
  if (plain > 0) yield { base: number - plain, chunks: plain, read }
}

/** The numbers of rows, ascending, and which of them are gone. */
export class RowTable {
  bases = new Float64Array(0)
  chunks = new Uint32Array(0)
  /** A bit for each row. */
  gone = new Uint32Array(0)
  count = 0
  goneCount = 0

  /** Where the numbers of the last row end; 0 without one. */
  get end(): number {
    return this.count === 0 ? 0 : (this.bases[this.count - 1] as number) + (this.chunks[this.count - 1] as number)
  }

  get bytes(): number {
    return this.bases.byteLength + this.chunks.byteLength + this.gone.byteLength
  }

  push({ base, chunks }: { readonly base: number; readonly chunks: number }): void {
    if (this.count === this.bases.length) this.#grow(Math.ceil(this.count * 1.25) + 64)
    this.bases[this.count] = base
    this.chunks[this.count++] = chunks
  }

  /** The first row whose base is not below `number`. */
  from(number: number): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.bases[middle] as number) < number) low = middle + 1
      else high = middle
    }
    return low
  }

  isGone(row: number): boolean {
    return ((this.gone[row >>> 5] as number) & (1 << (row & 31))) !== 0
  }

  /** Takes the rows of `[start, end)` away. */
  remove(start: number, end: number): void {
    for (let row = this.from(start); row < this.count && (this.bases[row] as number) < end; row++) {
      if (this.isGone(row)) continue
      this.gone[row >>> 5] = (this.gone[row >>> 5] as number) | (1 << (row & 31))
      this.goneCount++
    }
  }

  /** The given rows of this table, in this order; none is gone. */
  picked(rows: Uint32Array): RowTable {
    const table = new RowTable()
    table.#grow(rows.length)
    for (const row of rows) table.push({ base: this.bases[row] as number, chunks: this.chunks[row] as number })
    return table
  }

  #grow(capacity: number): void {
    const [bases, chunks, gone] = [this.bases, this.chunks, this.gone]
    this.bases = new Float64Array(capacity)
    this.chunks = new Uint32Array(capacity)
    this.gone = new Uint32Array(Math.ceil(capacity / 32))
    this.bases.set(bases)
    this.chunks.set(chunks)
    this.gone.set(gone)
  }
}

const digitBits = 16
const digits = 2 ** digitBits

/**
 * The places of values in the order of the values: whole numbers from 0 below 2^48, sorted digit by digit (least significant first,
 * Knuth 5.2.5). A comparison sort of 100,000 holds the event loop for 40 ms, this for 2; `pause` is awaited between passes.
 */
export async function ascendingOrder(
  values: Float64Array,
  pause: () => Promise<void> | undefined,
): Promise<Uint32Array> {
  let order = new Uint32Array(values.length)
  let largest = 0
  for (let place = 0; place < values.length; place++) {
    order[place] = place
    largest = Math.max(largest, values[place] as number)
  }
  for (let unit = 1; unit <= largest; unit *= digits) {
    await pause()
    order = sortedByDigit(values, order, unit)
  }
  return order
}

function sortedByDigit(values: Float64Array, order: Uint32Array, unit: number): Uint32Array<ArrayBuffer> {
  const starts = new Uint32Array(digits + 1)
  const digitOf = (place: number) => Math.floor((values[place] as number) / unit) % digits
  for (const place of order) {
    const next = digitOf(place) + 1
    starts[next] = (starts[next] as number) + 1
  }
  for (let digit = 1; digit <= digits; digit++) {
    starts[digit] = (starts[digit] as number) + (starts[digit - 1] as number)
  }
  const sorted = new Uint32Array(order.length)
  for (const place of order) {
    const digit = digitOf(place)
    const to = starts[digit] as number
    sorted[to] = place
    starts[digit] = to + 1
  }
  return sorted
}
