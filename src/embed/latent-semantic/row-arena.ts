import { type WasmMemory, wasm, wasmKernel, wasmPageBytes } from '../../util/wasm.js'

/** `combine-kernel.wat`, compiled. It needs WebAssembly SIMD, which every Node we support has on common machines. */
export const kernelBase64 =
  'AGFzbQEAAAABCgFgBn9/f39/fwACEAEEaG9zdAZtZW1vcnkCAAEDAgEABwsBB2NvbWJpbmUAAAqhAgGeAgIFfwV7IAMgBGohBiAAIAJBAnRqIQcDQP0MAAAAAAAAAAAAAAAA' +
  'AAAAACEL/QwAAAAAAAAAAAAAAAAAAAAAIQz9DAAAAAAAAAAAAAAAAAAAAAAhDf0MAAAAAAAAAAAAAAAAAAAAACEOIAAhCCABIQkDQCADIAgoAgAgBGxqIQogCf0JAgAhDyAL' +
  'IA8gCv0ABAD95gH95AEhCyAMIA8gCv0ABBD95gH95AEhDCANIA8gCv0ABCD95gH95AEhDSAOIA8gCv0ABDD95gH95AEhDiAIQQRqIQggCUEEaiEJIAggB0kNAAsgBSAL/QsE' +
  'ACAFIAz9CwQQIAUgDf0LBCAgBSAO/QsEMCAFQcAAaiEFIANBwABqIQMgAyAGRw0ACws='

/** Columns of a matrix are filled up to a multiple of so many with zeros. */
export const columnStep = 16

const bind = wasmKernel<{ readonly combine: Combine }>(kernelBase64)

/** All arguments are addresses in bytes, but for `count`: see `combine-kernel.wat`. */
type Combine = (places: number, factors: number, count: number, rows: number, stride: number, sums: number) => void

/** Rows of single-precision values in an arena, one after the other. */
export interface RowMatrix {
  readonly address: number
  readonly rows: number
  /** A multiple of {@link columnStep}. */
  readonly columns: number
  readonly values: Float32Array
}

/** A list of numbers in an arena. */
export interface Placed<Values> {
  readonly address: number
  readonly values: Values
}

/**
 * One memory for the matrices of a computation, and weighted sums of their rows: some 4 billion multiplications per second, against
 * 0.8 in plain JavaScript, which takes over where there is no WebAssembly SIMD, with the same bits. What is allocated stays until
 * the arena goes.
 */
export class RowArena {
  readonly #buffer: ArrayBuffer
  readonly #combine: Combine
  #used = 0

  /** `kernel: false` computes in plain JavaScript. */
  constructor(bytes: number, { kernel = true }: { readonly kernel?: boolean } = {}) {
    const memory = kernel ? allocate(bytes) : undefined
    this.#buffer = memory?.buffer ?? new ArrayBuffer(bytes)
    this.#combine = memory === undefined ? plainCombine(this.#buffer) : bind(memory).combine
  }

  matrix(rows: number, columns: number): RowMatrix {
    return { ...this.#place(Float32Array, rows * columns), rows, columns }
  }

  floats(from: number | Float32Array): Placed<Float32Array> {
    return this.#place(Float32Array, from)
  }

  integers(from: number | Uint32Array): Placed<Uint32Array> {
    return this.#place(Uint32Array, from)
  }

  /** Overwrites the row of `columns` values at `target` with the sum of rows `places[i]`, each times `factors[i]`. */
  combine(options: {
    /** Address of the row numbers, and of as many factors. */
    readonly places: number
    readonly factors: number
    readonly count: number
    readonly rows: Pick<RowMatrix, 'address' | 'columns'>
    /** Address. */
    readonly target: number
  }): void {
    const { places, factors, count, rows, target } = options
    const stride = rows.columns * 4
    if (count === 0) new Float32Array(this.#buffer, target, rows.columns).fill(0)
    else this.#combine(places, factors, count, rows.address, stride, target)
  }

  #place<Values extends Float32Array | Uint32Array>(
    Type: { new (buffer: ArrayBuffer, start: number, length: number): Values },
    from: number | Values,
  ): Placed<Values> {
    const length = typeof from === 'number' ? from : from.length
    const values = new Type(this.#buffer, this.#used, length)
    if (typeof from !== 'number') values.set(from)
    const address = this.#used
    this.#used += aligned(length * 4)
    return { address, values }
  }
}

/** Bytes that so many numbers take in an arena. */
export function bytesOf(numbers: number): number {
  return aligned(numbers * 4)
}

/** Every list begins a cache line. */
function aligned(bytes: number): number {
  return Math.ceil(bytes / 64) * 64
}

function allocate(bytes: number): WasmMemory | undefined {
  const pages = Math.max(1, Math.ceil(bytes / wasmPageBytes))
  try {
    const memory = new wasm.Memory({ initial: pages, maximum: pages })
    bind(memory)
    return memory
  } catch {
    // Plain JavaScript gives the same results, only slower: a machine without SIMD is no failure.
    return undefined
  }
}

function plainCombine(buffer: ArrayBuffer): Combine {
  const floats = new Float32Array(buffer)
  const integers = new Uint32Array(buffer)
  return (places, factors, count, rows, stride, sums) => {
    const width = stride / 4
    const target = floats.subarray(sums / 4, sums / 4 + width)
    target.fill(0)
    for (let i = 0; i < count; i++) {
      const factor = floats[factors / 4 + i] as number
      const row = rows / 4 + (integers[places / 4 + i] as number) * width
      for (let c = 0; c < width; c++) {
        target[c] = (target[c] as number) + Math.fround(factor * (floats[row + c] as number))
      }
    }
  }
}
