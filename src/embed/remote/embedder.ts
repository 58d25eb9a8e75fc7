import { setMaxListeners } from 'node:events'
import { RagError } from '../../core/errors.js'
import { abortable } from '../../util/abort.js'
import { type Clock, systemClock } from '../../util/clock.js'
import { sha256Hex } from '../../util/hash.js'
import { memoizeAsync } from '../../util/memoize-async.js'
import { stableJson } from '../../util/stable-json.js'
import type { Embedder, EmbedderCapabilities, EmbedderStats, Embeddings, EmbedOptions } from '../types.js'
import { type Call, EndpointCaller } from './caller.js'
import type { EmbeddingEndpoint } from './endpoint.js'
import { CallFailure, faultError } from './fault.js'
import { groupTexts, type TextGroup } from './groups.js'
import type { RemoteSettings } from './settings.js'
import { CallWindow } from './window.js'

export interface RemoteEmbedderParts {
  /** Kind of embedder. */
  readonly id: string
  readonly endpoint: EmbeddingEndpoint
  readonly settings: RemoteSettings
  /** What the model is called in the fingerprint. */
  readonly identity: string
  /** Whatever else changes the vectors, as JSON values. */
  readonly shaping: unknown
  readonly tools: RemoteTools
}

/** What tests replace. */
export interface RemoteTools {
  readonly clock?: Clock
  /** Numbers in [0, 1). Default `Math.random`. */
  readonly random?: () => number
}

/** Raised when the code below changes the vectors. */
const version = 1
/** Embedded to learn what a service can do, and to tell a service that is down from a text it cannot read. */
const probeText = 'The quick brown fox jumps over the lazy dog.'
const probeTokens = 16

/**
 * Opens an embedder over a service. Where the dimensions are not given it asks the service for one vector, and rejects with `PROVIDER`
 * or `TIMEOUT` when there is none to be had.
 */
export async function openRemoteEmbedder(parts: RemoteEmbedderParts): Promise<Embedder> {
  const connection = new Connection(parts)
  const dimensions = parts.settings.dimensions ?? (await connection.open(undefined))
  return new RemoteEmbedder(parts, connection, dimensions)
}

/** What the calls of one embedder share. */
class Connection {
  readonly window: CallWindow
  readonly caller: EndpointCaller
  /** Aborts with `CLOSED` when the embedder is closed. */
  readonly closing = new AbortController()
  readonly #endpoint: EmbeddingEndpoint
  readonly #prefixes: RemoteSettings['prefixes']

  constructor({ endpoint, settings, tools: { clock = systemClock, random = Math.random } }: RemoteEmbedderParts) {
    this.#endpoint = endpoint
    this.#prefixes = settings.prefixes
    allowListeners(this.closing.signal)
    this.window = new CallWindow(settings.maxConcurrency)
    this.caller = new EndpointCaller({ endpoint, settings, window: this.window, clock, random })
  }

  /** Embeds a text of ours and returns the width of its vector. The error users see says what the service said. */
  async open(dimensions: number | undefined): Promise<number> {
    try {
      return await this.probe({ kind: 'passage', dimensions, patience: 'whole', quote: true })
    } catch (error) {
      throw this.shown(error)
    }
  }

  async probe(how: Pick<Call, 'kind' | 'dimensions' | 'patience' | 'quote'>): Promise<number> {
    const texts = [this.#prefixes[how.kind] + probeText]
    const call: Call = { ...how, texts, tokens: probeTokens, signal: this.closing.signal }
    return (await this.caller.call(call)).vectors.length
  }

  /** What users see of an error. */
  shown(error: unknown): unknown {
    return error instanceof CallFailure ? faultError(error.fault, this.#endpoint) : error
  }
}

/** One `embed()`: what came so far. */
interface Order {
  readonly texts: readonly string[]
  readonly kind: EmbedOptions['kind']
  readonly signal: AbortSignal
  /** By place in `texts`. */
  readonly vectors: Float32Array
  readonly failed: { readonly index: number; readonly error: unknown }[]
  tokens: number
}

/** Texts `start` to `end` (exclusive) of an order. */
interface Part extends TextGroup {
  /** Whether the service was seen to work since the call that this is a part of failed. */
  readonly isPart: boolean
}

class RemoteEmbedder implements Embedder {
  readonly id: string
  readonly fingerprint: string
  readonly dimensions: number
  readonly capabilities: EmbedderCapabilities
  readonly #endpoint: EmbeddingEndpoint
  readonly #settings: RemoteSettings
  readonly #connection: Connection
  readonly #counts = { texts: 0, tokens: 0, failed: 0, queued: 0 }
  readonly #warmUp: () => Promise<unknown>
  /** One check of a kind at a time, whoever asks for it. */
  readonly #checks = new Map<EmbedOptions['kind'], Promise<unknown>>()
  /** The service refused more at once. */
  #mostItems = Number.POSITIVE_INFINITY

  constructor(parts: RemoteEmbedderParts, connection: Connection, dimensions: number) {
    const { id, endpoint, settings, identity, shaping } = parts
    this.id = id
    this.dimensions = dimensions
    const settled = sha256Hex(stableJson([settings.prefixes, shaping])).slice(0, 16)
    this.fingerprint = `${id}/${version}/${identity}/${dimensions}/${settled}`
    this.#endpoint = endpoint
    this.#settings = settings
    this.#connection = connection
    this.capabilities = { fitted: false, batchSize: this.#itemsPerCall(), concurrency: settings.maxConcurrency }
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
      devices: { [this.#endpoint.name]: 1 },
      fallbacks: 0,
      retries: caller.counts.retries,
    }
  }

  async close(): Promise<void> {
    this.#connection.closing.abort(new RagError('CLOSED', 'The embedder was closed.'))
  }

  async #order(texts: readonly string[], kind: EmbedOptions['kind'], ending: AbortController): Promise<Embeddings> {
    const prefix = this.#settings.prefixes[kind]
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
      items: this.#itemsPerCall(),
      tokens: this.#settings.maxTokensPerCall,
      bytes: this.#settings.maxBytesPerCall,
    })
    const calls = groups.map((group) =>
      queue.run(() => {
        queued -= group.end - group.start
        this.#counts.queued -= group.end - group.start
        return this.#embedGroup(order, group)
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

  /** In smaller calls, when the service has meanwhile been seen to refuse as many. */
  async #embedGroup(order: Order, group: TextGroup): Promise<void> {
    const items = this.#itemsPerCall()
    if (group.end - group.start <= items) return void (await this.#embedPart(order, { ...group, isPart: false }))
    for (const part of cut(group, items)) await this.#embedPart(order, { ...part, isPart: false })
  }

  /**
   * Embeds a part of an order. What a service refuses, or keeps failing on while it does answer others, is cut in two until the texts
   * that are the reason are alone; those fail, the others do not. Returns the texts of the largest call that succeeded.
   */
  async #embedPart(order: Order, part: Part): Promise<number> {
    const { signal, kind } = order
    const texts = order.texts.slice(part.start, part.end)
    const patience = part.isPart ? 'part' : 'whole'
    try {
      const call = { texts, tokens: part.tokens, kind, signal, dimensions: this.dimensions, patience } as const
      const { vectors, tokens } = await this.#connection.caller.call(call)
      order.vectors.set(vectors, part.start * this.dimensions)
      order.tokens += tokens
      return texts.length
    } catch (error) {
      if (!(error instanceof CallFailure) || !blamesTexts(error)) throw error
      const { fault } = error
      const isAlone = texts.length === 1
      // A refusal is about what was sent; anything else may be the service itself, which may have gone since it was last asked.
      if (!part.isPart || (isAlone && fault.kind !== 'refused')) await this.#checkService(error, order)
      if (!isAlone) return this.#embedHalves(order, part, error)
      if (!part.isPart && fault.kind !== 'refused') return this.#embedPart(order, { ...part, isPart: true })
      order.failed.push({ index: part.start, error: faultError(fault, this.#endpoint) })
      return 0
    }
  }

  async #embedHalves(order: Order, part: Part, { fault }: CallFailure): Promise<number> {
    const { failed } = order
    const failedBefore = failed.length
    let largest = 0
    for (const half of cut(part, Math.ceil((part.end - part.start) / 2))) {
      largest = Math.max(largest, await this.#embedPart(order, { ...half, isPart: true }))
    }
    // Nothing was wrong with any text: there were too many of them.
    const tooMany = failed.length === failedBefore && (fault.kind === 'refused' || fault.kind === 'timeout')
    if (tooMany) this.#mostItems = Math.min(this.#mostItems, largest)
    return largest
  }

  /** Rejects with the failure that raised the doubt unless the service embeds a text that is known to be sound. */
  async #checkService({ fault }: CallFailure, { kind, signal }: Order): Promise<void> {
    const { dimensions } = this
    const running = this.#checks.get(kind)
    const check =
      running ??
      this.#connection.probe({ kind, dimensions, patience: 'once' }).finally(() => {
        this.#checks.delete(kind)
      })
    this.#checks.set(kind, check)
    await abortable(check, signal).catch(() => {
      signal.throwIfAborted()
      throw new CallFailure(fault.kind === 'refused' ? { ...fault, hint: refusesEverything } : fault)
    })
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

  #itemsPerCall(): number {
    const { maxItemsPerCall, hasOwnMaxItems } = this.#settings
    const readable = Math.max(1, Math.floor(this.#endpoint.valuesPerCall / this.dimensions))
    return Math.min(this.#mostItems, hasOwnMaxItems ? maxItemsPerCall : Math.min(maxItemsPerCall, readable))
  }
}

const refusesEverything =
  'The service refuses any text: check model, dimensions and parameters. warmUp() shows what it says about one.'

/** Every call of an order listens to the end of it, and there may be more than the ten that Node takes for a leak. */
function allowListeners(signal: AbortSignal): void {
  setMaxListeners(0, signal)
}

/** Whether smaller calls may fare better. */
function blamesTexts({ fault: { kind } }: CallFailure): boolean {
  return kind === 'refused' || kind === 'unavailable' || kind === 'answer' || kind === 'timeout'
}

/** Parts of so many texts; what they weigh is shared out evenly. */
function cut({ start, end, tokens }: TextGroup, items: number): TextGroup[] {
  const parts: TextGroup[] = []
  for (let from = start; from < end; from += items) {
    const to = Math.min(end, from + items)
    parts.push({ start: from, end: to, tokens: Math.ceil((tokens * (to - from)) / (end - start)) })
  }
  return parts
}

function nothingToEmbed(): RagError {
  return new RagError('EMPTY', 'The text holds nothing but white space.')
}
