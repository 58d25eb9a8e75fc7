import { type WasmMemory, wasm, wasmKernel, wasmPageBytes } from '../util/wasm.js'

/** `bound-kernel.wat`, compiled. It needs WebAssembly SIMD. */
export const kernelBase64 =
  'AGFzbQEAAAABGANgBH9/f30AYAZ/f39/fX0AYAN/f30BfwIQAQRob3N0Bm1lbW9yeQIAAQMEAwABAgcYAwNhZGQAAAdjb21iaW5lAAEEbmV4dAACCpIDA7IBAgF/BHsgA/0TIQUgASAC' +
  'aiEEA0AgAf0ABAAhBiAG/YkBIQcgBv2KASEIIAAgAP0ABAAgBSAH/akB/foB/eYB/eQB/QsEACAAIAD9AAQQIAUgB/2qAf36Af3mAf3kAf0LBBAgACAA/QAEICAFIAj9qQH9+gH95gH9' +
  '5AH9CwQgIAAgAP0ABDAgBSAI/aoB/foB/eYB/eQB/QsEMCAAQcAAaiEAIAFBEGohASABIARJDQALC14CAX8BfSAAIANBAnRqIQYCQANAIAAgBk8NASAAKgIAIQcgACAHIASUIAUgASAC' +
  'KAIAQQJ0aioCAJSSQwAAAAAgB0MAAAAAXhs4AgAgAEEEaiEAIAJBBGohAgwACwsLfQEBeyAC/RMhAwJAA0AgACABTw0BIAD9AAQAIAP9RiAA/QAEECAD/Ub9UCAA/QAEICAD/UYgAP0A' +
  'BDAgA/1G/VD9UP1TDQEgAEHAAGohAAwACwsCQANAIAAgAU8NASAAKgIAIAJgDQEgAEEEaiEADAALCyAAIAEgACABSRsL'

const kernel = wasmKernel<Kernel>(kernelBase64)

interface Kernel {
  add(bounds: number, impacts: number, count: number, scale: number): void
  combine(bounds: number, others: number, places: number, count: number, scale: number, otherScale: number): void
  next(bound: number, end: number, threshold: number): number
}

/** Elements that are worked on together; arrays begin at multiples of it. */
export const elementsTogether = 16

export interface Combination {
  /** Bounds of the other level, and the place there of each bound here. */
  readonly others: Float32Array
  readonly places: Uint32Array
  readonly scale: number
  readonly otherScale: number
}

/** What is done with bounds, in arrays that {@link BoundMemory} has lent. Results are rounded as those of float32 are. */
export interface BoundArithmetic {
  /** Adds `scale` times an impact to each bound. There are as many impacts, or up to 15 more. */
  add(bounds: Float32Array, impacts: Uint8Array, scale: number): void
  /** Scales each bound that is not zero and adds its scaled bound of the other level. */
  combine(bounds: Float32Array, combination: Combination): void
  /** The first from `from` on that is above zero and at least `threshold`, or how many there are. */
  next(bounds: Float32Array, from: number, threshold: number): number
}

/** Memory for bounds, of a fixed size. */
export interface BoundMemory extends BoundArithmetic {
  readonly bytes: number
  /** Arrays of zeros; those that were lent before are taken back. `undefined` when they do not fit. */
  lend(sizes: readonly number[]): readonly Float32Array[] | undefined
}

/** Fewer bounds are added up as fast without a kernel. */
const leastForKernel = 2_048

/** Memory for arrays of these sizes, and a fourth more. */
export function createBoundMemory(sizes: readonly number[]): BoundMemory {
  const elements = Math.ceil(1.25 * (paddedStarts(sizes).at(-1) as number))
  if (elements < leastForKernel) return new PlainMemory(elements)
  try {
    return new KernelMemory(elements, 1.25 * Math.max(...sizes))
  } catch {
    // WebAssembly or its SIMD instructions are missing: the same is done more slowly.
    return new PlainMemory(elements)
  }
}

/** Above nothing at all, and below any bound: the least idf of 2^24 passages is 3e-8. */
const leastBound = 1e-30

class KernelMemory implements BoundMemory {
  readonly #memory: WasmMemory
  readonly #kernel: Kernel
  readonly #elements: number
  readonly #stagedElements: number

  constructor(elements: number, largest: number) {
    this.#elements = Math.ceil(elements / elementsTogether) * elementsTogether
    this.#stagedElements = Math.ceil(largest / elementsTogether + 1) * elementsTogether
    const pages = Math.ceil(((this.#elements + this.#stagedElements) * 4) / wasmPageBytes)
    this.#memory = new wasm.Memory({ initial: pages, maximum: pages })
    this.#kernel = kernel(this.#memory)
  }

  get bytes(): number {
    return this.#memory.buffer.byteLength
  }

  lend(sizes: readonly number[]): readonly Float32Array[] | undefined {
    const starts = paddedStarts(sizes)
    const end = starts.at(-1) as number
    if (end > this.#elements || Math.max(0, ...sizes) > this.#stagedElements) return undefined
    const whole = new Float32Array(this.#memory.buffer, 0, end).fill(0)
    return sizes.map((size, i) => whole.subarray(starts[i], (starts[i] as number) + size))
  }

  add(bounds: Float32Array, impacts: Uint8Array, scale: number): void {
    const count = Math.ceil(bounds.length / elementsTogether) * elementsTogether
    if (count > 0) this.#kernel.add(bounds.byteOffset, this.#stage(impacts), count, scale)
  }

  combine(bounds: Float32Array, { others, places, scale, otherScale }: Combination): void {
    const staged = this.#stage(new Uint8Array(places.buffer, places.byteOffset, places.byteLength))
    this.#kernel.combine(bounds.byteOffset, others.byteOffset, staged, bounds.length, scale, otherScale)
  }

  next(bounds: Float32Array, from: number, threshold: number): number {
    const { byteOffset, length } = bounds
    const found = this.#kernel.next(byteOffset + from * 4, byteOffset + length * 4, Math.max(threshold, leastBound))
    return (found - byteOffset) / 4
  }

  /** Copies what lies elsewhere behind the bounds; returns its address. */
  #stage(bytes: Uint8Array): number {
    const address = this.#elements * 4
    new Uint8Array(this.#memory.buffer, address, bytes.length).set(bytes)
    return address
  }
}

/** For few bounds, and where there is no kernel: the same in plain loops. */
class PlainMemory implements BoundMemory {
  readonly #whole: Float32Array

  constructor(elements: number) {
    this.#whole = new Float32Array(elements)
  }

  get bytes(): number {
    return this.#whole.byteLength
  }

  lend(sizes: readonly number[]): readonly Float32Array[] | undefined {
    const starts = paddedStarts(sizes)
    const end = starts.at(-1) as number
    if (end > this.#whole.length) return undefined
    this.#whole.fill(0, 0, end)
    return sizes.map((size, i) => this.#whole.subarray(starts[i], (starts[i] as number) + size))
  }

  add(bounds: Float32Array, impacts: Uint8Array, scale: number): void {
    for (let from = 0; from < bounds.length; from += elementsPerStep)
      addImpacts(bounds, impacts, { scale, from, to: Math.min(bounds.length, from + elementsPerStep) })
  }

  combine(bounds: Float32Array, { others, places, scale, otherScale }: Combination): void {
    for (let i = 0; i < bounds.length; i++) {
      const bound = bounds[i] as number
      if (bound > 0) bounds[i] = bound * scale + (others[places[i] as number] as number) * otherScale
    }
  }

  next(bounds: Float32Array, from: number, threshold: number): number {
    const least = Math.max(threshold, leastBound)
    for (let i = from; i < bounds.length; i++) if ((bounds[i] as number) >= least) return i
    return bounds.length
  }
}

/**
 * Elements that are added by one call. V8 compiles a function that is called often as a whole; one long loop it replaces while that runs, and then,
 * in Node 20, leaves the replacement at the end of each loop for the interpreter: ten times slower.
 */
const elementsPerStep = 4_096

function addImpacts(
  bounds: Float32Array,
  impacts: Uint8Array,
  { scale, from, to }: { readonly scale: number; readonly from: number; readonly to: number },
): void {
  for (let i = from; i < to; i++) bounds[i] = (bounds[i] as number) + scale * (impacts[i] as number)
}

/** Where arrays of these sizes begin when they follow each other, and where the last ends. What the kernel reads beyond lies before the end. */
function paddedStarts(sizes: readonly number[]): number[] {
  let end = 0
  const starts = sizes.map((size) => {
    const start = end
    end += (Math.ceil(size / elementsTogether) + 1) * elementsTogether
    return start
  })
  return [...starts, end]
}
