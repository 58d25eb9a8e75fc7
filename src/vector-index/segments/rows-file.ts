import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { RagError } from '../../core/errors.js'
import { coarseStride, QuantisedRows } from '../flat-kernel.js'

/**
 * The rows of a segment lie in one file that is never changed: numbers, ascending (float64), then step and residual of each coarse
 * row (float64), then the rows (float32), then the coarse rows, which are missing where WebAssembly was. All in the byte order of the machine, which
 * the list of segments names.
 */
export interface RowsLayout {
  readonly count: number
  readonly dimensions: number
  readonly steps: number
  readonly residuals: number
  readonly rows: number
  readonly coarse: number
  /** With coarse rows, and without. */
  readonly bytes: number
  readonly plainBytes: number
}

/** What is known of a file that was written whole. A file of that size and time is it; one of another time must be read to tell. */
export interface FileStamp {
  readonly name: string
  readonly size: number
  readonly mtimeMs: number
  /** CRC-32 of each MiB, as little-endian words in base64. */
  readonly checksums: string
}

const blockBytes = 1 << 20
const rowsPerWrite = 1_024

export function rowsLayout(count: number, dimensions: number): RowsLayout {
  const steps = count * 8
  const residuals = steps * 2
  const rows = steps * 3
  const coarse = rows + count * dimensions * 4
  return {
    count,
    dimensions,
    steps,
    residuals,
    rows,
    coarse,
    bytes: coarse + count * coarseStride(dimensions),
    plainBytes: coarse,
  }
}

/** Writes rows in the order of their numbers. Blocks: for worker threads. */
export class RowsWriter {
  readonly #descriptor: number
  readonly #layout: RowsLayout
  readonly #coarse: QuantisedRows | undefined
  #written = 0

  constructor(path: string, count: number, dimensions: number) {
    this.#layout = rowsLayout(count, dimensions)
    this.#descriptor = openSync(path, 'wx+')
    this.#coarse = QuantisedRows.create(dimensions)
  }

  /** `numbers.length x dimensions` values. */
  append(numbers: Float64Array, rows: Float32Array): void {
    const { dimensions } = this.#layout
    for (let first = 0; first < numbers.length; first += rowsPerWrite) {
      const end = Math.min(numbers.length, first + rowsPerWrite)
      this.#write(numbers.subarray(first, end), rows.subarray(first * dimensions, end * dimensions))
    }
  }

  /** Closes the file. With `sync` it is on the disk then. */
  finish(options: { readonly sync: boolean }): void {
    if (options.sync) fsyncSync(this.#descriptor)
    closeSync(this.#descriptor)
  }

  #write(numbers: Float64Array, rows: Float32Array): void {
    const { dimensions, steps, residuals, rows: start, coarse } = this.#layout
    const place = this.#written
    this.#put(numbers, place * 8)
    this.#put(rows, start + place * dimensions * 4)
    this.#written += numbers.length
    if (this.#coarse === undefined) return
    this.#coarse.truncate(0)
    for (let i = 0; i < numbers.length; i++) {
      if (!this.#coarse.append(rows, i * dimensions)) throw new RangeError('The memory for coarse rows was refused.')
    }
    const exported = this.#coarse.export()
    this.#put(exported.steps, steps + place * 8)
    this.#put(exported.residuals, residuals + place * 8)
    this.#put(exported.values, coarse + place * coarseStride(dimensions))
  }

  #put(values: ArrayBufferView, position: number): void {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#descriptor, bytes, done, bytes.length - done, position + done)
    }
  }
}

/** Reads rows of a file. Blocks: for worker threads. */
export class RowsReader {
  readonly #descriptor: number
  readonly layout: RowsLayout
  /** Whether the file has coarse rows. */
  readonly hasCoarse: boolean
  readonly #row: Float32Array
  #closed = false

  constructor(path: string, count: number, dimensions: number) {
    this.layout = rowsLayout(count, dimensions)
    this.#descriptor = openSync(path, 'r')
    const { size } = fstatSync(this.#descriptor)
    this.hasCoarse = size === this.layout.bytes
    if (!this.hasCoarse && size !== this.layout.plainBytes) {
      closeSync(this.#descriptor)
      throw new RagError('INTEGRITY', 'A file of vectors is not as long as it should be.', { data: { size } })
    }
    this.#row = new Float32Array(dimensions)
  }

  /** One row; the next call overwrites it. */
  row(place: number): Float32Array {
    const { rows, dimensions } = this.layout
    this.#read(this.#row, rows + place * dimensions * 4)
    return this.#row
  }

  rows(first: number, target: Float32Array): void {
    const { rows, dimensions } = this.layout
    this.#read(target, rows + first * dimensions * 4)
  }

  numbers(target: Float64Array): void {
    this.#read(target, 0)
  }

  /** The coarse rows; `undefined` when there are none, or no memory for them. */
  coarse(): QuantisedRows | undefined {
    const { count, dimensions, steps, residuals, coarse } = this.layout
    const quantised = this.hasCoarse ? QuantisedRows.create(dimensions) : undefined
    const filled = quantised?.import(count, (target) => {
      this.#read(target.steps, steps)
      this.#read(target.residuals, residuals)
      this.#read(target.values, coarse)
    })
    return filled === true ? quantised : undefined
  }

  close(): void {
    if (!this.#closed) closeSync(this.#descriptor)
    this.#closed = true
  }

  #read(target: ArrayBufferView, position: number): void {
    const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength)
    for (let done = 0; done < bytes.length; ) {
      const read = readSync(this.#descriptor, bytes, done, Math.min(bytes.length - done, maxReadBytes), position + done)
      if (read === 0) throw new RagError('INTEGRITY', 'A file of vectors ends too early.')
      done += read
    }
  }
}

/** One call of the system reads less than 2 GiB. */
const maxReadBytes = 1 << 28

/** What a file is now; with `sync` it is on the disk then, too. Reads all of it. Blocks: for worker threads. */
export function stampOf(path: string, name: string, options: { readonly sync?: boolean } = {}): FileStamp {
  const descriptor = openSync(path, options.sync === true ? 'r+' : 'r')
  try {
    if (options.sync === true) fsyncSync(descriptor)
    const { size, mtimeMs } = fstatSync(descriptor)
    const checksums = Buffer.alloc(Math.ceil(size / blockBytes) * 4)
    const block = Buffer.alloc(blockBytes)
    for (let place = 0; place * 4 < checksums.length; place++) {
      const start = place * blockBytes
      const wanted = Math.min(blockBytes, size - start)
      for (let done = 0; done < wanted; ) {
        const read = readSync(descriptor, block, done, wanted - done, start + done)
        if (read === 0) throw new RagError('INTEGRITY', 'A file of vectors ends too early.', { data: { name } })
        done += read
      }
      checksums.writeUInt32LE(crc32(block.subarray(0, wanted)), place * 4)
    }
    return { name, size, mtimeMs, checksums: checksums.toString('base64') }
  } finally {
    closeSync(descriptor)
  }
}

/** Whether these first bytes of a file are what they should be; the last block counts only if it is whole or ends the file. */
export function startIsSound(bytes: Uint8Array, { checksums }: FileStamp): boolean {
  const expected = Buffer.from(checksums, 'base64')
  for (let start = 0; start < bytes.length; start += blockBytes) {
    const place = (start / blockBytes) * 4
    if (place >= expected.length) return false
    if (crc32(bytes.subarray(start, start + blockBytes)) !== expected.readUInt32LE(place)) return false
  }
  return true
}

/** Bytes from the beginning of a file that must be read to check its first `bytes`. */
export function wholeBlocks(bytes: number, { size }: FileStamp): number {
  return Math.min(size, Math.ceil(bytes / blockBytes) * blockBytes)
}
