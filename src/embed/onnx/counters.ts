import { Distribution } from '../../util/distribution.js'
import type { EmbedderStats } from '../types.js'

/** What one pass of the model did. */
export interface Pass {
  readonly device: string
  /** Texts that got a vector, and tokens of them. */
  readonly texts: number
  readonly tokens: number
  /** Rows times the longest row. */
  readonly paddedTokens: number
  /** How long it ran; unknown when it had to wait for another. */
  readonly durationMs: number | undefined
}

/** Counts what the lanes of one embedder do, all of them together. */
export class EmbeddingCounters {
  readonly #now: () => number
  readonly #durations = new Distribution()
  readonly #textsByDevice = new Map<string, number>()
  readonly #sums = { texts: 0, tokens: 0, failed: 0, batches: 0, paddedTokens: 0, fallbacks: 0, retries: 0 }
  #running = 0
  #busySince = 0
  #busyMs = 0

  /** `now`: milliseconds of a clock that never goes back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** A pass was handed to a lane. */
  begin(): void {
    if (this.#running++ === 0) this.#busySince = this.#now()
  }

  /** It is answered, one way or the other. */
  end(): void {
    if (--this.#running === 0) this.#busyMs += this.#now() - this.#busySince
  }

  /** What it gave. */
  count(pass: Pass): void {
    this.#sums.batches++
    if (pass.durationMs !== undefined) this.#durations.add(pass.durationMs)
    this.#sums.texts += pass.texts
    this.#sums.tokens += pass.tokens
    this.#sums.paddedTokens += pass.paddedTokens
    this.#textsByDevice.set(pass.device, (this.#textsByDevice.get(pass.device) ?? 0) + pass.texts)
  }

  add(what: 'failed' | 'fallbacks' | 'retries', count = 1): void {
    this.#sums[what] += count
  }

  stats(queued: number): EmbedderStats {
    const { texts, tokens, paddedTokens, failed, batches, fallbacks, retries } = this.#sums
    const { p50, p95 } = this.#durations.summary()
    return {
      texts,
      tokens,
      failed,
      batches,
      paddingWaste: paddedTokens === 0 ? 0 : 1 - tokens / paddedTokens,
      queued,
      busyMs: this.#busyMs + (this.#running > 0 ? this.#now() - this.#busySince : 0),
      batchMs: { p50, p95 },
      devices: Object.fromEntries(
        [...this.#textsByDevice].map(([device, count]) => [device, count / Math.max(texts, 1)]),
      ),
      fallbacks,
      retries,
    }
  }
}
