import type { Logger } from '../core/lifecycle.js'
import type { PullProgress } from './hub.js'
import type { Quantization } from './types.js'

/** Options of {@link pullModel}. */
export interface PullOptions {
  /** Precision of the weights of a transformer. Default `'fp32'`. */
  readonly quantization?: Quantization
  /** Branch, tag or commit. Default `'main'`. */
  readonly revision?: string
  /** Told how the download goes on, as bytes arrive. */
  readonly onProgress?: (progress: PullProgress) => void
  /** Told when another precision or a cached copy is used, and when another process is at it already. Default: nobody. */
  readonly logger?: Logger
  /** Stops the download, which a later call continues; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** A model that is on this machine now. */
export interface PulledModel {
  /** Hub id. */
  readonly model: string
  readonly kind: 'embedding' | 'static' | 'reranker'
  /** Absolute folder of its files: may be given as `model` of an embedder. */
  readonly directory: string
  /** Absolute path of its weights. */
  readonly weights: string
  /** Precision of the weights, which may be another than was asked for. Absent for static models. */
  readonly quantization?: Quantization
  /** Size of the weights. */
  readonly bytes: number
}

/**
 * Fetches a model from the hub into the hub cache (`HF_HOME`, else `~/.cache/huggingface`), so that it is found there without network:
 * only the files that are needed, each checked by size and hash, continued where an earlier call broke off. Files that are here already
 * are checked, too, and fetched again if they are damaged. With `HF_HUB_OFFLINE`, or when the hub is out of reach, a copy in the cache
 * will do. Needs the optional package `@huggingface/hub`.
 *
 * Rejects with `MISSING_PEER`, `BAD_OPTION` (not a hub id), `NOT_FOUND`, `PROVIDER`, `INTEGRITY`, `STORAGE_FULL` or `STORAGE`.
 */
export async function pullModel(model: string, options: PullOptions = {}): Promise<PulledModel> {
  // Whoever imports the library to search does not load what fetches.
  const { pull } = await import('./pull-model.js')
  return pull(model, options)
}
