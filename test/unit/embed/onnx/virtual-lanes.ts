import { setImmediate as nextLoopTurn } from 'node:timers/promises'
import { RagError } from '../../../../src/core/errors.js'
import type { Lane, LaneReport, LaneVectors } from '../../../../src/embed/onnx/lane.js'
import type { EmbedOptions } from '../../../../src/embed/types.js'
import type { TokenizedTexts } from '../../../../src/models/types.js'

/** Time that passes only when everybody waits for it. */
export class VirtualTime {
  now = 0
  readonly #sleepers: { readonly at: number; readonly wake: () => void }[] = []

  sleep(ms: number): Promise<void> {
    return new Promise((wake) => {
      const at = this.now + ms
      const place = this.#sleepers.findLastIndex((other) => other.at <= at)
      this.#sleepers.splice(place + 1, 0, { at, wake })
    })
  }

  /** Lets time pass until nobody sleeps any more; `watch` is called before each step. */
  async pass(watch: () => void = () => {}): Promise<void> {
    for (;;) {
      for (let turn = 0; turn < 3; turn++) await nextLoopTurn()
      watch()
      const next = this.#sleepers.shift()
      if (next === undefined) return
      this.now = next.at
      next.wake()
    }
  }
}

/** What a virtual lane was asked to do. */
export interface LaneCall {
  readonly phase: 'tokenize' | 'run' | 'embed'
  readonly rows: number
  /** Rows times the longest. */
  readonly paddedTokens: number
  /** Texts of it, by their number. */
  readonly numbers: readonly number[]
}

export interface VirtualLaneOptions {
  readonly time: VirtualTime
  readonly device?: string
  /** Milliseconds per padded token, and beside them per pass. */
  readonly msPerToken?: number
  readonly msPerPass?: number
  readonly msPerLoad?: number
  /** Asked before every load, and when a call is about to be answered; what it returns is thrown. */
  readonly fail?: (call: LaneCall | 'load') => Error | undefined
  /** Texts for which the model gives nothing usable. */
  readonly isUnusable?: (number: number) => boolean
}

export const dimensions = 3

/** A text with a number, of so many tokens (at least 2). */
export function numberedText(number: number, tokens: number): string {
  return `${number}${' x'.repeat(tokens - 2)}`
}

/** The vector that every lane gives for a text. */
export function vectorOf(text: string, kind: EmbedOptions['kind']): number[] {
  const ids = encode(text, kind)
  return [ids[0] as number, ids[1] as number, ids.length]
}

/**
 * A lane on virtual time. It tokenizes a text into the kind, its number and one id for each further word, gives the vector
 * {@link vectorOf}, serves calls one after the other, and keeps what it did. Like a thread, it finishes what it has begun: a call that
 * is aborted rejects at once, its work is done all the same if it was at it.
 */
export class VirtualLane implements Lane {
  readonly device: string
  readonly #options: VirtualLaneOptions
  #thread: Promise<unknown> = Promise.resolve()
  #loaded = false
  /** Times it died. */
  #deaths = 0
  pending = 0
  mostPending = 0
  loads = 0
  /** Calls that were answered with a result. */
  readonly answered: LaneCall[] = []
  readonly failed: { readonly call: LaneCall; readonly error: Error }[] = []
  /** When it was last at work. */
  lastBusy = 0
  busyMs = 0

  constructor(options: VirtualLaneOptions) {
    this.#options = options
    this.device = options.device ?? 'cpu:0'
  }

  async load(): Promise<LaneReport> {
    this.loads++
    await this.#options.time.sleep(this.#options.msPerLoad ?? 0)
    const error = this.#options.fail?.('load')
    if (error !== undefined) throw error
    this.#loaded = true
    return { device: this.device, fallbacks: [] }
  }

  async tokenize(texts: readonly string[], { kind, signal }: EmbedOptions): Promise<TokenizedTexts> {
    const encoded = texts.map((text) => encode(text, kind))
    const call = callOf('tokenize', encoded)
    await this.#serve(call, { ms: texts.join('').length / 5_000, signal })
    return toTokenized(encoded)
  }

  async run({ ids, offsets }: TokenizedTexts, signal?: AbortSignal): Promise<LaneVectors> {
    const rows = Array.from({ length: offsets.length - 1 }, (_, row) => [
      ...ids.subarray(offsets[row], offsets[row + 1]),
    ])
    const call = callOf('run', rows)
    await this.#serve(call, { ms: this.#msOf(call), signal })
    return this.#vectors(rows)
  }

  async embed(
    texts: readonly string[],
    { kind, signal }: EmbedOptions,
  ): Promise<LaneVectors & { readonly tokens: number }> {
    const rows = texts.map((text) => encode(text, kind))
    const call = callOf('embed', rows)
    await this.#serve(call, { ms: this.#msOf(call), signal })
    return { ...this.#vectors(rows), tokens: rows.flat().length }
  }

  async close(): Promise<void> {}

  #msOf({ paddedTokens }: LaneCall): number {
    const { msPerPass = 2, msPerToken = 0.1 } = this.#options
    return msPerPass + paddedTokens * msPerToken
  }

  #vectors(rows: readonly (readonly number[])[]): LaneVectors {
    const unusable = rows.flatMap((ids, row) => (this.#options.isUnusable?.(ids[1] as number) ? [row] : []))
    const vectors = rows.map((ids, row) =>
      unusable.includes(row) ? [0, 0, 0] : [ids[0] as number, ids[1] as number, ids.length],
    )
    return { vectors: Float32Array.from(vectors.flat()), unusable }
  }

  async #serve(call: LaneCall, { ms, signal }: { readonly ms: number; readonly signal: AbortSignal | undefined }) {
    signal?.throwIfAborted()
    this.mostPending = Math.max(this.mostPending, ++this.pending)
    const { time, fail } = this.#options
    const before = this.#thread
    const deaths = this.#deaths
    const work = async () => {
      await before
      if (this.#deaths > deaths) {
        const error = new RagError('WORKER', 'The thread died before it came to this.')
        this.failed.push({ call, error })
        throw error
      }
      if (signal?.aborted) return
      if (!this.#loaded) await this.load()
      await time.sleep(ms)
      this.lastBusy = time.now
      this.busyMs += ms
      const error = fail?.(call)
      if (error === undefined) {
        if (signal?.aborted !== true) this.answered.push(call)
        return
      }
      if (RagError.isInstance(error, 'WORKER')) {
        this.#loaded = false
        this.#deaths++
      }
      this.failed.push({ call, error })
      throw error
    }
    const ended = work()
    this.#thread = ended.catch(() => {})
    try {
      await new Promise<void>((resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
        ended.then(resolve, reject)
      })
    } finally {
      this.pending--
    }
  }
}

function encode(text: string, kind: EmbedOptions['kind']): number[] {
  const [number, ...words] = text.split(' ')
  return [kind === 'query' ? 1 : 2, Number(number), ...words.map(() => 0)]
}

function callOf(phase: LaneCall['phase'], rows: readonly (readonly number[])[]): LaneCall {
  const longest = Math.max(...rows.map((ids) => ids.length))
  const numbers = rows.map((ids) => ids[1] as number)
  return { phase, rows: rows.length, paddedTokens: rows.length * longest, numbers }
}

function toTokenized(rows: readonly (readonly number[])[]): TokenizedTexts {
  const offsets = new Int32Array(rows.length + 1)
  for (const [row, ids] of rows.entries()) offsets[row + 1] = (offsets[row] as number) + ids.length
  return { ids: Int32Array.from(rows.flat()), offsets }
}
