import type { Closable } from '../../core/lifecycle.js'
import type { TokenizedTexts } from '../../models/types.js'

/**
 * One worker thread with one model on one device. Calls are served in their order; up to two are handed to the thread at once, so
 * that it never waits for the main thread between them. A thread that dies is replaced; its calls reject with `WORKER` and may be
 * tried again. An aborted call rejects at once; the thread drops its work, or its answer if it is at it already.
 */
export interface Lane extends Closable {
  /** `'cpu:0'`, `'cuda:1'`: the device it really runs on; the one it was asked for until it has loaded. */
  readonly device: string
  /** Calls it was given and has not answered. */
  readonly pending: number
  /**
   * Loads model and tokenizer, and tells where they run. Every other call does so first; concurrent loads share one, a failed load
   * is forgotten.
   */
  load(signal?: AbortSignal): Promise<LaneReport>
  /** Token ids of some texts, prefix and special tokens included. */
  tokenize(
    texts: readonly string[],
    options: { readonly kind: 'query' | 'passage'; readonly signal?: AbortSignal },
  ): Promise<TokenizedTexts>
  /**
   * One pass of the model over one padded batch. Rejects with `LIMIT` (`data.reason: 'memory'`) when the device has not the memory
   * for a batch of this shape; a smaller one may succeed.
   */
  run(batch: TokenizedTexts, signal?: AbortSignal): Promise<LaneVectors>
  /** Tokenizes and runs in one hop, as one batch: for questions. */
  embed(
    texts: readonly string[],
    options: { readonly kind: 'query' | 'passage'; readonly signal?: AbortSignal },
  ): Promise<LaneVectors & { readonly tokens: number }>
}

/** Where a lane runs after {@link Lane.load}, and what it tried in vain before. */
export interface LaneReport {
  /** `'cpu:0'`, `'cuda:1'`. */
  readonly device: string
  /** Devices that failed, in the order they were tried, and why. */
  readonly fallbacks: readonly { readonly device: string; readonly reason: string }[]
}

/** What one pass gave. */
export interface LaneVectors {
  /** `rows x dimensions`, row by row, unit length; unusable rows are all zero. */
  readonly vectors: Float32Array
  /** Rows for which the model gave zeros or values that are not finite, ascending: their texts fail, the others are sound. */
  readonly unusable: readonly number[]
}
