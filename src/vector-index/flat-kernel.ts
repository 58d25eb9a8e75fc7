import { dot } from '../util/vector-math.js'
import { type WasmMemory, wasm, wasmKernel, wasmPageBytes } from '../util/wasm.js'

/** `flat-kernel.wat`, compiled. It needs WebAssembly SIMD, which every Node we support has on common machines. */
export const kernelBase64 =
  'AGFzbQEAAAABEgJgBX9/f39/AGAGf39/f39/AAIQAQRob3N0Bm1lbW9yeQIAAQMDAgABBxMCBHNjYW4AAAhzY2FuUm93cwABCocDArcBAgJ/AnsDQCABIANqIQUgACEG' +
  '/QwAAAAAAAAAAAAAAAAAAAAAIQf9DAAAAAAAAAAAAAAAAAAAAAAhCANAIAcgBv0ABAAgAf0BAwD9ugH9rgEhByAIIAb9AAQQIAH9AQMI/boB/a4BIQggBkEgaiEGIAFB' +
  'EGohASABIAVJDQALIAcgCP2uASEHIAQgB/0bACAH/RsBaiAH/RsCIAf9GwNqajYCACAEQQRqIQQgAkEBayECIAINAAsLywECA38CewNAIAEgBSgCACADbGohBiAGIANq' +
  'IQcgACEI/QwAAAAAAAAAAAAAAAAAAAAAIQn9DAAAAAAAAAAAAAAAAAAAAAAhCgNAIAkgCP0ABAAgBv0BAwD9ugH9rgEhCSAKIAj9AAQQIAb9AQMI/boB/a4BIQogCEEg' +
  'aiEIIAZBEGohBiAGIAdJDQALIAkgCv2uASEJIAQgCf0bACAJ/RsBaiAJ/RsCIAn9GwNqajYCACAEQQRqIQQgBUEEaiEFIAJBAWshAiACDQALCw=='

/** Rows of one call of the kernel, at most, and values: some 0.1 ms, and 4 KiB of results. */
const rowsPerScan = 1_024
const valuesPerScan = 2 ** 19

const kernel = wasmKernel<Kernel>(kernelBase64)

interface Kernel {
  scan(query: number, rows: number, count: number, stride: number, out: number): void
  scanRows(query: number, first: number, count: number, stride: number, out: number, list: number): void
}

/** One page less than 4 GiB, so that the address after the last row fits 32 bits. */
const maxPages = 65_535
const largestByte = 127
const int32Max = 2 ** 31 - 1

/**
 * A query as the kernel takes it: `vector` is about `values * step`, and what is missing has at most the length
 * `residual`.
 */
export interface QuantisedQuery {
  readonly values: Int16Array
  readonly step: number
  readonly residual: number
  readonly length: number
}

/** Bytes of a row in the coarse copy. */
export function coarseStride(dimensions: number): number {
  return Math.ceil(dimensions / 16) * 16
}

/** Rows as a file keeps them. The arrays are views that the next row overwrites, except when they were read. */
export interface CoarseRows {
  readonly steps: Float64Array
  readonly residuals: Float64Array
  /** {@link coarseStride} bytes a row. */
  readonly values: Uint8Array
}

/**
 * A coarse copy of vectors, one signed byte per value, in WebAssembly memory: a fourth of the size, and scanned some
 * fifteen times faster than single-precision rows in plain JavaScript (20,000 x 384: 1.4 ms against 28). Each row has a
 * step of its own (its largest value is 127 steps) and knows the length of its rounding error, so that a scan gives a
 * *proven interval* for every inner product (Cauchy and Schwarz): whoever rescores what the intervals cannot decide
 * gets the exact result.
 */
export class QuantisedRows {
  /** Values per row in memory: `dimensions` rounded up to 16. */
  readonly #stride: number
  /** Rows that one {@link scan} takes, at most. */
  readonly rowsPerScan: number
  readonly #dimensions: number
  readonly #memory: WasmMemory
  readonly #kernel: Kernel
  readonly #queryRange: number
  readonly #sumsStart: number
  readonly #listStart: number
  readonly #rowsStart: number
  #steps = new Float64Array(rowsPerScan)
  #residuals = new Float64Array(rowsPerScan)
  #count = 0

  /** `undefined` where WebAssembly or its SIMD instructions are missing or forbidden, or memory is refused. */
  static create(dimensions: number): QuantisedRows | undefined {
    try {
      return new QuantisedRows(dimensions)
    } catch {
      // The plain scan gives the same results, only slower: a machine without SIMD is no failure.
      return undefined
    }
  }

  private constructor(dimensions: number) {
    this.#dimensions = dimensions
    this.#stride = coarseStride(dimensions)
    this.rowsPerScan = Math.min(rowsPerScan, Math.ceil(valuesPerScan / this.#stride))
    this.#queryRange = Math.min(32_767, Math.floor(int32Max / (largestByte * this.#stride)))
    this.#sumsStart = this.#stride * 2
    this.#listStart = this.#sumsStart + rowsPerScan * 4
    this.#rowsStart = this.#listStart + rowsPerScan * 4
    this.#memory = new wasm.Memory({ initial: Math.ceil(this.#rowsStart / wasmPageBytes), maximum: maxPages })
    this.#kernel = kernel(this.#memory)
  }

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#memory.buffer.byteLength + this.#steps.byteLength + this.#residuals.byteLength
  }

  /** Adds a row. False when memory cannot grow. */
  append(vectors: Float32Array, start: number): boolean {
    if (!this.#reserve()) return false
    const end = start + this.#dimensions
    let largest = 0
    for (let i = start; i < end; i++) largest = Math.max(largest, Math.abs(vectors[i] as number))

    const step = largest / largestByte
    const row = new Int8Array(this.#memory.buffer, this.#rowsStart + this.#count * this.#stride, this.#stride)
    let residual = 0
    for (let i = start; i < end; i++) {
      const value = vectors[i] as number
      const rounded = step === 0 ? 0 : Math.round(value / step)
      row[i - start] = rounded
      residual += (value - rounded * step) ** 2
    }
    this.#steps[this.#count] = step
    this.#residuals[this.#count] = Math.sqrt(residual) + roundingSlack(step, this.#dimensions)
    this.#count++
    return true
  }

  /** Forgets the rows from `count` on. */
  truncate(count: number): void {
    this.#count = Math.min(this.#count, count)
  }

  /** All rows, for a file. */
  export(): CoarseRows {
    return {
      steps: this.#steps.subarray(0, this.#count),
      residuals: this.#residuals.subarray(0, this.#count),
      values: new Uint8Array(this.#memory.buffer, this.#rowsStart, this.#count * this.#stride),
    }
  }

  /** Takes `count` rows that were exported: `read` fills the arrays it is given. False when memory cannot grow. */
  import(count: number, read: (rows: CoarseRows) => void): boolean {
    if (!this.#reserve(count - this.#count)) return false
    this.#count = count
    read(this.export())
    return true
  }

  quantise(vector: Float32Array): QuantisedQuery {
    let largest = 0
    for (const value of vector) largest = Math.max(largest, Math.abs(value))
    const step = largest / this.#queryRange
    const values = new Int16Array(this.#stride)
    let residual = 0
    for (let i = 0; i < vector.length; i++) {
      const value = vector[i] as number
      const rounded = step === 0 ? 0 : Math.round(value / step)
      values[i] = rounded
      residual += (value - rounded * step) ** 2
    }
    const length = Math.sqrt(dot(vector, 0, vector, 0, vector.length))
    return { values, step, residual: Math.sqrt(residual), length }
  }

  /**
   * Inner products, in steps of both sides, of at most `rowsPerScan` rows from `first`. The result is a view on memory
   * that the next call overwrites; {@link estimate} and {@link uncertainty} turn it into an interval.
   */
  scan(query: QuantisedQuery, first: number, count: number): Int32Array {
    const { buffer } = this.#memory
    new Int16Array(buffer, 0, this.#stride).set(query.values)
    this.#kernel.scan(0, this.#rowsStart + first * this.#stride, count, this.#stride, this.#sumsStart)
    return new Int32Array(buffer, this.#sumsStart, count)
  }

  /** The same of at most `rowsPerScan` rows that need not follow each other. */
  scanRows(query: QuantisedQuery, rows: Uint32Array): Int32Array {
    const { buffer } = this.#memory
    new Int16Array(buffer, 0, this.#stride).set(query.values)
    new Uint32Array(buffer, this.#listStart, rows.length).set(rows)
    this.#kernel.scanRows(0, this.#rowsStart, rows.length, this.#stride, this.#sumsStart, this.#listStart)
    return new Int32Array(buffer, this.#sumsStart, rows.length)
  }

  /** The inner product that a sum of {@link scan} stands for. */
  estimate(query: QuantisedQuery, row: number, sum: number): number {
    return sum * query.step * (this.#steps[row] as number)
  }

  /** How far the true inner product can be from the estimate: |q·r - q'·r'| <= |q| |r - r'| + |q - q'| |r'|. */
  uncertainty(query: QuantisedQuery, row: number): number {
    const longest = (this.#steps[row] as number) * largestByte * Math.sqrt(this.#dimensions)
    return query.length * (this.#residuals[row] as number) + query.residual * longest
  }

  #reserve(more = 1): boolean {
    const needed = this.#rowsStart + (this.#count + more) * this.#stride
    const missing = Math.ceil((needed - this.#memory.buffer.byteLength) / wasmPageBytes)
    try {
      // An eighth more than is needed: each growth makes new views, and untouched pages cost nothing but address space.
      if (missing > 0) this.#memory.grow(Math.min(missing + (this.#memory.buffer.byteLength >>> 19), maxPages))
      if (this.#count + more > this.#steps.length) {
        this.#steps = grown(this.#steps, this.#count + more)
        this.#residuals = grown(this.#residuals, this.#count + more)
      }
      return true
    } catch {
      // Refused memory: the caller goes on without the coarse copy.
      return false
    }
  }
}

/** What double precision itself may lose in the sums above and in the exact product, generously. */
function roundingSlack(step: number, dimensions: number): number {
  return step * largestByte * dimensions * 1e-13
}

function grown(values: Float64Array<ArrayBuffer>, least: number): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(Math.max(least, Math.ceil(values.length * 1.5)))
  larger.set(values)
  return larger
}
