import { setMaxListeners } from 'node:events'
import { RagError } from '../core/errors.js'
import { abortable } from '../util/abort.js'
import { Breaker } from '../util/breaker.js'
import { CallWindow } from '../util/call-window.js'
import { type Clock, systemClock } from '../util/clock.js'
import { estimateTokens } from '../util/estimate-tokens.js'
import { CallFailure, describeFault, type Fault, type FaultKind, faultError } from '../util/fault.js'
import { LatencyWatch } from '../util/latency-watch.js'
import { type CallLimits, RemoteCaller } from '../util/remote-caller.js'
import type { Enricher, Enrichments, EnrichPassage } from './types.js'

/** What enrichers may ask of services, all together. */
export interface EnrichLimits extends CallLimits {
  /** Calls at once: fewer while the service says that there are too many, or answers slower than it did. */
  readonly maxConcurrency: number
}

/** Shared by enrichers that ask the same services. */
export interface EnrichCalls {
  /** Attempts so far, and how many of them were repetitions. */
  readonly counts: { readonly calls: number; readonly retries: number }
  /** Calls at once now. */
  readonly width: number
  /** The enricher, its calls kept within the limits of time, and tried again where that may help. */
  limit(enricher: Enricher): Enricher
  /** Does work that makes a call, when one of the places for calls at once is free; it holds the place until the work is done. */
  inTurn<Result>(work: () => Promise<Result>, signal: AbortSignal): Promise<Result>
}

/** What tests replace. */
export interface EnrichCallTools {
  readonly clock?: Clock
  /** Numbers in [0, 1). Default `Math.random`. */
  readonly random?: () => number
}

/** Failures in a row after which calls wait: two seconds at first, then longer, up to half a minute. */
const circuit = { failures: 5, leastMs: 2_000, mostMs: 30_000 }
/** An outage is waited for so long. Then passages stay as they are, until the next ingest. */
const patienceMs = 60_000
/** Tokens of an answer, about. */
const answerTokens = 150

/**
 * Keeps calls of enrichers within limits: so many at once, so many starts and tokens a minute, a least distance between starts. What a
 * service failed at is tried again after a random time that doubles, and not before it said; when it fails again and again, all calls
 * wait for one of them to succeed, up to a minute.
 */
export function createEnrichCalls(limits: EnrichLimits, tools: EnrichCallTools = {}): EnrichCalls {
  const { clock = systemClock, random = Math.random } = tools
  const window = new CallWindow(limits.maxConcurrency)
  const caller = new RemoteCaller({
    limits,
    window,
    latency: new LatencyWatch(),
    circuit: { breaker: new Breaker(circuit, clock), patienceMs },
    clock,
    random,
  })
  return {
    counts: caller.counts,
    get width() {
      return window.width
    },
    limit(enricher) {
      const { capabilities, fingerprint, id } = enricher
      return {
        id,
        fingerprint,
        capabilities,
        enrich: (passages, { signal = new AbortController().signal }) => callOnce(enricher, passages, signal, caller),
        close: () => enricher.close(),
      }
    },
    async inTurn(work, signal) {
      signal.throwIfAborted()
      const queue = window.open({ isUrgent: false })
      try {
        return await abortable(queue.run(work), signal)
      } finally {
        // What still waits for its turn is forgotten.
        queue.drop()
      }
    },
  }
}

async function callOnce(
  enricher: Enricher,
  passages: readonly EnrichPassage[],
  signal: AbortSignal,
  caller: RemoteCaller,
): Promise<Enrichments> {
  signal.throwIfAborted()
  // Each attempt listens to it.
  setMaxListeners(0, signal)
  const texts = passages.flatMap(({ after, before, beginning, text }) => [text, before, after, beginning])
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  return caller
    .call({
      tokens: estimateTokens(bytes) + passages.length * answerTokens,
      isUrgent: false,
      signal,
      run: async (signal) => ({ result: await enricher.enrich(passages, { signal }), tokens: undefined }),
      describe: (error, date) => describe(error, texts, date),
    })
    .catch((error) => {
      if (!(error instanceof CallFailure)) throw error
      throw faultError(error.fault, { noun: 'enricher', name: enricher.id, data: { enricher: enricher.id }, hints })
    })
}

function describe(error: unknown, texts: readonly string[], date: number): Fault {
  const fault = describeFault(error, { endpoint: { secrets: [] }, texts, quote: false, date })
  // What an error of ours says is to be done is more than a service could say.
  if (!RagError.isInstance(error) || error.retryable || error.hint === undefined) return fault
  return { ...fault, hint: error.hint }
}

const hints: Readonly<Record<FaultKind, string>> = {
  refused: 'The passage may be longer than the model reads, or against its rules; it stays as it is.',
  denied: 'Check the address, the key, the account and the name of the model.',
  limited:
    'Lower maxConcurrentApiCalls, or set apiRequestsPerMinute and apiTokensPerMinute to what the account allows.',
  unavailable: 'Check that the service can be reached from here, then ingest again: what was made is kept.',
  answer: 'Use a model that follows instructions.',
  timeout: 'Use a faster model, lower maxConcurrentApiCalls, or raise apiTimeoutMs.',
  broken: 'The enricher itself failed; "reason" names the error.',
}
