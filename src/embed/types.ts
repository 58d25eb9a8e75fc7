import type { Closable } from '../core/lifecycle.js'

/** Turns texts into unit-length vectors. */
export interface Embedder extends Closable {
  readonly id: string
  /** Model, revision, precision, pooling, prefix, padding policy and dimensions: whatever changes the vectors changes this. */
  readonly fingerprint: string
  readonly dimensions: number
  readonly capabilities: EmbedderCapabilities
  embed(texts: readonly string[], options: EmbedOptions): Promise<Embeddings>
}

export interface EmbedderCapabilities {
  /** It is fitted on the corpus: its vectors are derived data and never stored. */
  readonly fitted: boolean
  /** Texts per call that it likes best. */
  readonly batchSize: number
}

export interface EmbedOptions {
  /** Some models treat questions and passages differently. */
  readonly kind: 'query' | 'passage'
  readonly signal?: AbortSignal
}

/** What an embedder returns. */
export interface Embeddings {
  /** `texts.length x dimensions`, row by row, unit length; a failed row is all zero and never stored. */
  readonly vectors: Float32Array
  readonly failed: readonly { readonly index: number; readonly error: unknown }[]
  /** Tokens seen by the model; 0 when it has none. */
  readonly tokens: number
}
