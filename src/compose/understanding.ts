import { randomUUID } from 'node:crypto'
import type { ResolvedConfig } from '../config/resolve.js'
import { stepsOfCall } from '../config/resolve-understanding.js'
import type { RetrieveOptions } from '../core/search.js'
import { buildPrompt } from '../llm/prompt.js'
import type { Recorder } from '../performance/types.js'
import { createResultCache } from '../pipelines/steps/result-cache.js'
import { decodeTexts, type Understanding, type UnderstandingModel } from '../pipelines/understand.js'
import { createAnalyzers } from '../text/analyzers.js'
import { Breaker } from '../util/breaker.js'
import { systemClock } from '../util/clock.js'
import { memoizeAsync } from '../util/memoize-async.js'
import { SingleFlight } from '../util/single-flight.js'
import type { Caches } from './caching.js'
import { isKnownElsewhere, llmFingerprint, type OpenLlm } from './llms.js'

/** Tells how the question of a call is to be understood; `undefined` where there is nothing to do. */
export type ChooseUnderstanding = (
  options: Pick<RetrieveOptions, 'history' | 'understand'>,
) => Promise<Understanding | undefined>

interface UnderstandingTools {
  readonly caches: Caches
  readonly openLlm: OpenLlm
  readonly recorder: Recorder
}

/** Failures in a row after which the model is not asked: for two seconds at first, then longer, up to half a minute. */
const circuit = { failures: 5, leastMs: 2_000, mostMs: 30_000 }

export function createUnderstanding(config: ResolvedConfig, tools: UnderstandingTools): ChooseUnderstanding {
  const analyzerFor = createAnalyzers()
  const openModel = memoizeAsync(() => openUnderstandingModel(config, tools))
  return async (options) => {
    const steps = stepsOfCall(config.understanding, options)
    if (steps === undefined) return undefined
    return { ...steps, model: await openModel(), analyzerFor, defaultLanguage: config.language }
  }
}

/** Opens what is known of the model, not the model: the first question that it is asked about does. */
async function openUnderstandingModel(
  { cache, cacheQueries, cacheTtlMs: ttlMs, understanding }: ResolvedConfig,
  { caches, openLlm, recorder }: UnderstandingTools,
): Promise<UnderstandingModel | undefined> {
  const { model } = understanding
  if (model === undefined) return undefined
  const isKept = cache !== false && cacheQueries
  return {
    llm: () => openLlm(model),
    buildPrompt,
    // Nobody can tell what a function does.
    fingerprint: llmFingerprint(model, () => randomUUID()),
    breaker: new Breaker(circuit, systemClock),
    cache: isKept
      ? {
          results: createResultCache({
            name: 'understanding',
            cache: await caches.open('understanding', { far: isKnownElsewhere(model) }),
            ttlMs,
            decode: decodeTexts,
            recorder,
            date: Date.now,
          }),
          flights: new SingleFlight(),
        }
      : undefined,
  }
}
