import { setMaxListeners } from 'node:events'
import { CallWindow } from '../../util/call-window.js'
import { type Clock, systemClock } from '../../util/clock.js'
import { CallFailure } from '../../util/fault.js'
import { type Call, EndpointCaller } from './caller.js'
import type { EmbeddingEndpoint } from './endpoint.js'
import { faultError } from './fault.js'
import type { RemoteSettings } from './settings.js'

/** What tests replace. */
export interface RemoteTools {
  readonly clock?: Clock
  /** Numbers in [0, 1). Default `Math.random`. */
  readonly random?: () => number
}

export interface ConnectionOptions {
  readonly endpoint: EmbeddingEndpoint
  readonly settings: RemoteSettings
  readonly tools: RemoteTools
}

/** Embedded to learn what a service can do, and to tell a service that is down from a text it cannot read. */
const probeText = 'The quick brown fox jumps over the lazy dog.'
const probeTokens = 16

/** What the calls of one embedder share. */
export class Connection {
  readonly window: CallWindow
  readonly caller: EndpointCaller
  /** Aborts with `CLOSED` when the embedder is closed. */
  readonly closing = new AbortController()
  readonly #endpoint: EmbeddingEndpoint
  readonly #prefixes: RemoteSettings['prefixes']

  constructor({ endpoint, settings, tools: { clock = systemClock, random = Math.random } }: ConnectionOptions) {
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

/** Every call of an order listens to the end of it, and there may be more than the ten that Node takes for a leak. */
export function allowListeners(signal: AbortSignal): void {
  setMaxListeners(0, signal)
}
