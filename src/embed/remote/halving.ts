import { abortable } from '../../util/abort.js'
import { CallFailure } from '../../util/fault.js'
import type { EmbedOptions } from '../types.js'
import type { Connection } from './connection.js'
import type { EmbeddingEndpoint } from './endpoint.js'
import { faultError } from './fault.js'
import type { TextGroup } from './groups.js'
import type { RemoteSettings } from './settings.js'

/** One `embed()`: what came so far. */
export interface Order {
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

export interface HalvingOptions {
  readonly connection: Connection
  readonly endpoint: EmbeddingEndpoint
  readonly settings: RemoteSettings
  readonly dimensions: number
}

/** Embeds groups of texts, with one call each if all goes well, and finds the texts that are the reason where it does not. */
export class Halving {
  readonly #connection: Connection
  readonly #endpoint: EmbeddingEndpoint
  readonly #settings: RemoteSettings
  readonly #dimensions: number
  /** One check of a kind at a time, whoever asks for it. */
  readonly #checks = new Map<EmbedOptions['kind'], Promise<unknown>>()
  /** The service refused more at once. */
  #mostItems = Number.POSITIVE_INFINITY

  constructor({ connection, endpoint, settings, dimensions }: HalvingOptions) {
    this.#connection = connection
    this.#endpoint = endpoint
    this.#settings = settings
    this.#dimensions = dimensions
  }

  /** Texts of one call, as far as is known now. */
  get itemsPerCall(): number {
    const { maxItemsPerCall, hasOwnMaxItems } = this.#settings
    const readable = Math.max(1, Math.floor(this.#endpoint.valuesPerCall / this.#dimensions))
    return Math.min(this.#mostItems, hasOwnMaxItems ? maxItemsPerCall : Math.min(maxItemsPerCall, readable))
  }

  /** In smaller calls, when the service has meanwhile been seen to refuse as many. */
  async embedGroup(order: Order, group: TextGroup): Promise<void> {
    const items = this.itemsPerCall
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
      const call = { texts, tokens: part.tokens, kind, signal, dimensions: this.#dimensions, patience } as const
      const { vectors, tokens } = await this.#connection.caller.call(call)
      order.vectors.set(vectors, part.start * this.#dimensions)
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
    const dimensions = this.#dimensions
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
}

const refusesEverything =
  'The service refuses any text: check model, dimensions and parameters. warmUp() shows what it says about one.'

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
