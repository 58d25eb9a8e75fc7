import type { EmbedOptions } from '../types.js'

/** A service that embeds texts, reached over the network. What a failed call deserves is for the caller to decide: it is tried once. */
export interface EmbeddingEndpoint {
  /** Short name for errors and statistics, without credentials: `'api.openai.com'`. */
  readonly name: string
  /** Name of the model there. */
  readonly model: string
  /** Values (texts x dimensions) that one answer may hold for the main thread to read it within 5 to 10 ms. It may change. */
  readonly valuesPerCall: number
  /** What must never be shown: keys, values of headers. */
  readonly secrets: readonly string[]
  /** Embeds the texts with one call, or throws whatever the client of the service throws. Stops when `signal` fires. */
  embed(texts: readonly string[], options: EndpointCallOptions): Promise<EndpointAnswer>
}

export interface EndpointCallOptions {
  readonly kind: EmbedOptions['kind']
  readonly signal: AbortSignal
}

/** What an endpoint answered, in the order of the texts and otherwise unchecked. */
export interface EndpointAnswer {
  /** One vector per text: a `Float32Array` or a list of numbers, if the service keeps its word. */
  readonly rows: readonly unknown[]
  /** Tokens it counted. Absent when it does not say. */
  readonly tokens?: unknown
}
