import { RagError } from '../../core/errors.js'
import { abortable } from '../../util/abort.js'
import { sha256Hex } from '../../util/hash.js'
import { memoizeAsync } from '../../util/memoize-async.js'
import { stableJson } from '../../util/stable-json.js'
import type { Embedder, EmbedderCapabilities, EmbedderStats, Embeddings, EmbedOptions } from '../types.js'
import { allowListeners, Connection, type ConnectionOptions } from './connection.js'
import { groupTexts } from './groups.js'
import { Halving, type Order } from './halving.js'

export interface RemoteEmbedderParts extends ConnectionOptions {
  /** Kind of embedder. */
  readonly id: string
  /** What the model is called in the fingerprint. */
  readonly identity: string
  /** Whatever else changes the vectors, as JSON values. */
  readonly shaping: unknown
}

/** Raised when the code below changes the vectors. */
const version = 1

/**
 * Opens an embedder over a service. Where the dimensions are not given it asks the service for one vector, and rejects with `PROVIDER`
 * or `TIMEOUT` when there is none to be had.
 */
export async function openRemoteEmbedder(parts: RemoteEmbedderParts): Promise<Embedder> {
  const connection = new Connection(parts)
  const dimensions = parts.settings.dimensions ?? (await connection.open(undefined))
  return new RemoteEmbedder(parts, connection, dimensions)
}

class RemoteEmbedder implements Embedder {
  readonly id: string
  readonly fingerprint: string
  readonly dimensions: number
  readonly capabilities: EmbedderCapabilities
  readonly #parts: RemoteEmbedderParts
  readonly #connection: Connection
  readonly #halving: Halving
  readonly #counts = { texts: 0, tokens: 0, failed: 0, queued: 0 }
  readonly #warmUp: () => Promise<unknown>

  constructor(parts: RemoteEmbedderParts, connection: Connection, dimensions: number) {
    const { id, endpoint, settings, identity, shaping } = parts
    this.id = id
    this.dimensions = dimensions
    const settled = sha256Hex(stableJson([settings.prefixes, shaping])).slice(0, 16)
    this.fingerprint = `${id}/${version}/${identity}/${dimensions}/${settled}`
    this.#parts = parts
    this.#connection = connection
    this.#halving = new Halving({ connection, endpoint, settings, dimensions })
    this.capabilities = { fitted: false, batchSize: this.#halving.itemsPerCall, concurrency: settings.maxConcurrency }
    // Where the dimensions were learnt the service has answered already.
    this.#warmUp = memoizeAsync(async () => settings.dimensions !== undefined && connection.open(dimensions))
  }

  async warmUp({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#connection.closing.signal.throwIfAborted()
    await abortable(this.#warmUp(), signal)
  }

  async embed(texts: readonly string[], { kind, signal }: EmbedOptions): Promise<Embeddings> {
    const closing = this.#connection.closing.signal
    closing.throwIfAborted()
    signal?.throwIfAborted()
    const ending = new AbortController()
    allowListeners(ending.signal)
    const endByCaller = (): void => ending.abort(signal?.reason)
    const endByClose = (): void => ending.abort(closing.reason)
    signal?.addEventListener('abort', endByCaller, { once: true })
    closing.addEventListener('abort', endByClose, { once: true })
    try {
      return await this.#order(texts, kind, ending)
    } finally {
      signal?.removeEventListener('abort', endByCaller)
      closing.removeEventListener('abort', endByClose)
    }
  }

  stats(): EmbedderStats {
    const { caller } = this.#connection
    return {
      ...this.#counts,
      batches: caller.counts.calls,
      paddingWaste: 0,
      busyMs: caller.busyMs,
      devices: { [this.#parts.endpoint.name]: 1 },
      fallbacks: 0,
      retries: caller.counts.retries,
    }
  }

  async close(): Promise<void> {
    this.#connection.closing.abort(new RagError('CLOSED', 'The embedder was closed.'))
  }

  async #order(texts: readonly string[], kind: EmbedOptions['kind'], ending: AbortController): Promise<Embeddings> {
    const prefix = this.#parts.settings.prefixes[kind]
    const failed: Order['failed'] = []
    const places: number[] = []
    const sent: string[] = []
    for (const [index, text] of texts.entries()) {
      if (!/\S/.test(text)) failed.push({ index, error: nothingToEmbed() })
      else {
        places.push(index)
        // Half a surrogate pair is no character: some services refuse the whole call, some fail.
        sent.push((prefix + text).toWellFormed())
      }
    }
    const order: Order = {
      texts: sent,
      kind,
      signal: ending.signal,
      vectors: new Float32Array(sent.length * this.dimensions),
      failed: [],
      tokens: 0,
    }
    await this.#serve(order, ending)

    for (const { index, error } of order.failed) failed.push({ index: places[index] as number, error })
    this.#counts.texts += texts.length - failed.length
    this.#counts.failed += failed.length
    this.#counts.tokens += order.tokens
    return { vectors: this.#spread(order.vectors, places, texts.length), failed, tokens: order.tokens }
  }

  /** Runs the calls of an order. The first that fails for all of them ends the others. */
  async #serve(order: Order, ending: AbortController): Promise<void> {
    const { texts, kind, signal } = order
    const queue = this.#connection.window.open({ isUrgent: kind === 'query' })
    let queued = texts.length
    this.#counts.queued += queued
    const groups = groupTexts(texts, {
      items: this.#halving.itemsPerCall,
      tokens: this.#parts.settings.maxTokensPerCall,
      bytes: this.#parts.settings.maxBytesPerCall,
    })
    const calls = groups.map((group) =>
      queue.run(() => {
        queued -= group.end - group.start
        this.#counts.queued -= group.end - group.start
        return this.#halving.embedGroup(order, group)
      }),
    )
    try {
      await abortable(Promise.all(calls), signal)
    } catch (error) {
      queue.drop()
      ending.abort(error)
      throw this.#connection.shown(error)
    } finally {
      this.#counts.queued -= queued
    }
  }

  /** The texts that were sent are not all there were. */
  #spread(vectors: Float32Array, places: readonly number[], texts: number): Float32Array {
    if (places.length === texts) return vectors
    const { dimensions } = this
    const spread = new Float32Array(texts * dimensions)
    for (const [row, place] of places.entries()) {
      spread.set(vectors.subarray(row * dimensions, (row + 1) * dimensions), place * dimensions)
    }
    return spread
  }
}

function nothingToEmbed(): RagError {
  return new RagError('EMPTY', 'The text holds nothing but white space.')
}
