import type { CallWindow } from '../../util/call-window.js'
import type { Clock } from '../../util/clock.js'
import { describeFault, type Fault } from '../../util/fault.js'
import { RemoteCaller } from '../../util/remote-caller.js'
import type { EmbedOptions } from '../types.js'
import { readAnswer } from './answer.js'
import type { EmbeddingEndpoint } from './endpoint.js'
import type { RemoteSettings } from './settings.js'

/** Attempts of a call that is part of one that failed already, unless the service only says that there are too many. */
const attemptsOfPart = 2

export interface CallerOptions {
  readonly endpoint: EmbeddingEndpoint
  readonly settings: RemoteSettings
  /** Made narrower and wider by what the service says. */
  readonly window: CallWindow
  readonly clock: Clock
  readonly random: () => number
}

/** One call and its repetitions. */
export interface Call {
  readonly texts: readonly string[]
  /** Estimate. */
  readonly tokens: number
  readonly kind: EmbedOptions['kind']
  readonly signal: AbortSignal
  /** Values per vector. Absent: whatever comes. */
  readonly dimensions: number | undefined
  /** `'whole'` is tried as often as the settings say, `'part'` twice, `'once'` once. Default `'whole'`. */
  readonly patience?: 'whole' | 'part' | 'once'
  /** Whether the texts are our own, so that an error may say what the service said. Default `false`. */
  readonly quote?: boolean
}

/** Makes calls of an endpoint and checks what comes. */
export class EndpointCaller {
  readonly #endpoint: EmbeddingEndpoint
  readonly #caller: RemoteCaller

  constructor({ endpoint, settings, ...tools }: CallerOptions) {
    this.#endpoint = endpoint
    this.#caller = new RemoteCaller({ limits: settings, ...tools })
  }

  /** Attempts made so far, and how many of them were repetitions. */
  get counts(): RemoteCaller['counts'] {
    return this.#caller.counts
  }

  /** Milliseconds in which at least one call ran. */
  get busyMs(): number {
    return this.#caller.busyMs
  }

  /** Vectors row by row, of unit length, and the tokens the service counted. Rejects with `CallFailure` or `signal.reason`. */
  call(call: Call): Promise<{ readonly vectors: Float32Array; readonly tokens: number }> {
    const { dimensions, kind, patience = 'whole', quote = false, signal, texts, tokens } = call
    const endpoint = this.#endpoint
    let failures = 0
    return this.#caller.call({
      tokens,
      isUrgent: kind === 'query',
      signal,
      run: async (signal) => {
        const answer = await endpoint.embed(texts, { kind, signal })
        const vectors = readAnswer(answer, texts.length, dimensions)
        const counted = isCount(answer.tokens) ? answer.tokens : undefined
        return { result: { vectors, tokens: counted ?? 0 }, tokens: counted }
      },
      describe: (error, date) => describeFault(error, { endpoint, texts, quote, date }),
      ...(patience === 'once' ? { attempts: 1 } : {}),
      repeats: ({ kind }: Fault) => {
        if (kind === 'limited') return true
        // What took too long will again; in halves it may not.
        if (kind === 'timeout' && texts.length > 1) return false
        return patience === 'whole' || ++failures < attemptsOfPart
      },
    })
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
