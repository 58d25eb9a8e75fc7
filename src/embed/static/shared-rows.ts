import { type WasmMemory, wasm, wasmPageBytes } from '../../util/wasm.js'

/** How the values of rows are kept. `'int8'`: a fourth of the memory, with a step of its own for each row. */
export type RowPrecision = 'fp32' | 'int8'

/** A matrix that all threads read, one copy for the whole process. Plain data: it crosses threads by reference. */
export interface SharedRows {
  readonly count: number
  /** Values per row. */
  readonly dimensions: number
  readonly precision: RowPrecision
  /** Absent where WebAssembly is missing, or refuses so much: then rows are added in plain JavaScript, with the same results. */
  readonly memory: WasmMemory | undefined
  readonly buffer: SharedArrayBuffer
}

/** Where what lies in the buffer of {@link SharedRows}, in bytes. */
export interface RowsLayout {
  /** Bytes of a row: its values and zeros up to a cache line or, of int8 rows, a quarter of one. */
  readonly stride: number
  /** For each slot an int32: 1 while a thread uses it. */
  readonly flags: number
  /** Slots: row numbers, their scales, and sums. */
  readonly slots: number
  readonly slotBytes: number
  /** A float32 per row, of int8 rows only. */
  readonly scales: number
  readonly rows: number
  readonly end: number
}

/**
 * Places to compute in, which a kernel can have in its memory only. A thread takes one for the time of a sum; one that is ended in
 * the middle keeps it for ever, and when there are none left, sums are made without the kernel.
 */
export const slotCount = 64
/** Row numbers that fit a slot. */
export const slotIds = 512
/** Values are handled sixteen at a time. */
const valuesPerBlock = 16
const cacheLine = 64
/** Addresses have 32 bits. */
const maxPages = 65_535

/** Makes room for a matrix; all values are 0. Rejected memory is a `RangeError`, as everywhere in JavaScript. */
export function createSharedRows(shape: Pick<SharedRows, 'count' | 'dimensions' | 'precision'>): SharedRows {
  const { end } = layoutOf(shape)
  const pages = Math.ceil(end / wasmPageBytes)
  const memory = pages <= maxPages ? sharedMemory(pages) : undefined
  const buffer = (memory?.buffer ?? new SharedArrayBuffer(end)) as SharedArrayBuffer
  return { ...shape, memory, buffer }
}

export function layoutOf({
  count,
  dimensions,
  precision,
}: Pick<SharedRows, 'count' | 'dimensions' | 'precision'>): RowsLayout {
  const padded = Math.ceil(dimensions / valuesPerBlock) * valuesPerBlock
  const stride = precision === 'int8' ? padded : padded * 4
  const flags = 0
  const slots = slotCount * 4
  const slotBytes = slotIds * 8 + padded * 4
  const scales = slots + slotCount * slotBytes
  const rows = scales + (precision === 'int8' ? Math.ceil((count * 4) / cacheLine) * cacheLine : 0)
  return { stride, flags, slots, slotBytes, scales, rows, end: rows + count * stride }
}

/** Writes one row, `values[start]` and what follows, times `weight`. */
export function createRowWriter(
  table: SharedRows,
): (row: number, values: ArrayLike<number>, start: number, weight: number) => void {
  const { buffer, dimensions, precision } = table
  const { stride, rows, scales } = layoutOf(table)
  if (precision === 'fp32') {
    return (row, values, start, weight) => {
      const target = new Float32Array(buffer, rows + row * stride, dimensions)
      for (let i = 0; i < dimensions; i++) target[i] = (values[start + i] as number) * weight
    }
  }
  const steps = new Float32Array(buffer, scales, table.count)
  return (row, values, start, weight) => {
    let largest = 0
    for (let i = start; i < start + dimensions; i++) largest = Math.max(largest, Math.abs(values[i] as number))
    const target = new Int8Array(buffer, rows + row * stride, dimensions)
    steps[row] = (largest / largestByte) * weight
    for (let i = 0; i < dimensions; i++) {
      target[i] = largest === 0 ? 0 : Math.round(((values[start + i] as number) / largest) * largestByte)
    }
  }
}

const largestByte = 127

function sharedMemory(pages: number): WasmMemory | undefined {
  try {
    return new wasm.Memory({ initial: pages, maximum: pages, shared: true })
  } catch {
    // No WebAssembly here, or no address space for its guard regions: the plain way asks for the bytes alone.
    return undefined
  }
}
