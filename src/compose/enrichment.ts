import type { ResolvedConfig } from '../config/resolve.js'
import type { ResolvedEnricher } from '../config/resolve-enrichment.js'
import type { InstructedLlm } from '../config/resolve-llm.js'
import { createCheckedEnricher } from '../enrich/checked.js'
import { createEnrichCalls, type EnrichCalls } from '../enrich/limited.js'
import { createThriftyEnricher } from '../enrich/thrifty.js'
import type { Enricher } from '../enrich/types.js'
import { buildPrompt } from '../llm/prompt.js'
import type { PerformanceTracker } from '../performance/tracker.js'
import { createEnrichTools, type EnrichTools } from '../pipelines/steps/enrich-pieces.js'
import { sha256Hex } from '../util/hash.js'
import type { Caches } from './caching.js'
import { catalogue } from './catalogue.js'
import { llmFingerprint, type OpenLlm, sourceHash } from './llms.js'

/** What is asked about passages before they are embedded. */
export interface Enrichment {
  /** Changes whenever the same passages would get something else. */
  readonly fingerprint: string
  readonly tools: EnrichTools
}

/** Attempts of a call, and the longest `Retry-After` that is obeyed: as of embedders that are services. */
const patience = { maxAttempts: 5, maxRetryAfterMs: 60_000 }

/** Opens the enrichers that are asked; `undefined` when there are none. */
export async function openEnrichment(
  { cache, enrichment }: ResolvedConfig,
  tools: { readonly caches: Caches; readonly tracker: PerformanceTracker; readonly openLlm: OpenLlm },
): Promise<Enrichment | undefined> {
  const { asked, limits } = enrichment
  if (asked.length === 0) return undefined
  const { requestsPerMinute = Number.POSITIVE_INFINITY, tokensPerMinute = Number.POSITIVE_INFINITY } = limits
  const calls = createEnrichCalls({ ...limits, requestsPerMinute, tokensPerMinute, ...patience })
  const { caches, openLlm, tracker } = tools
  tracker.watch('enrich', () => ({ ...calls.counts, concurrency: calls.width }))
  const kept = cache === false ? undefined : await caches.open('enrichments', { far: true })
  const enrichers = await Promise.all(
    asked.map(async (chosen, place) => {
      const checked = createCheckedEnricher(await openEnricher(chosen, place, openLlm))
      // One that computes by itself costs nothing to ask again; what it is given at a time holds for it, too.
      return checked.capabilities.local === true
        ? createThriftyEnricher(checked, { cache: undefined, onLookup: () => {} })
        : economical(checked, calls)
    }),
  )
  return {
    fingerprint: sha256Hex('enrichers', ...enrichers.map(({ fingerprint }) => fingerprint)),
    tools: createEnrichTools(enrichers),
  }

  function economical(enricher: Enricher, calls: EnrichCalls): Enricher {
    return createThriftyEnricher(calls.limit(enricher), {
      cache: kept,
      inTurn: calls.inTurn,
      onLookup: ({ hits, misses }) => {
        tracker.count('cache.enrichments.hit', hits)
        tracker.count('cache.enrichments.miss', misses)
      },
    })
  }
}

async function openEnricher(chosen: ResolvedEnricher, place: number, openLlm: OpenLlm): Promise<Enricher> {
  switch (chosen.kind) {
    case 'instance':
      return chosen.instance
    case 'function': {
      const { enrich, fingerprint, local = false } = chosen
      // Two functions are two, also where one text made both.
      return catalogue.enrichers.function({
        enrich,
        local,
        fingerprint: fingerprint ?? `${place}/${sourceHash(enrich)}`,
      })
    }
    case 'summary':
    case 'context':
      return catalogue.enrichers[chosen.kind](modelOf(chosen, openLlm))
    case 'questions': {
      const { maxQuestions } = chosen
      return catalogue.enrichers.questions({
        ...modelOf(chosen, openLlm),
        ...(maxQuestions === undefined ? {} : { maxQuestions }),
      })
    }
    default:
      return chosen satisfies never
  }
}

function modelOf(
  { fingerprint, llm }: { readonly llm: InstructedLlm; readonly fingerprint?: string },
  openLlm: OpenLlm,
) {
  return { llm: () => openLlm(llm), model: fingerprint ?? identityOf(llm), buildPrompt }
}

/** A change of it enriches all documents anew. */
function identityOf(llm: InstructedLlm): string {
  switch (llm.kind) {
    case 'instance':
      return llm.instance.fingerprint ?? llm.instance.id
    case 'function':
      return `function/${sourceHash(llm.generate)}`
    default:
      return `${llm.kind}/${llmFingerprint(llm)}`
  }
}
