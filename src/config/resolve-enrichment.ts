import type { Enricher, EnrichFunction } from '../enrich/types.js'
import { contradiction } from './contradiction.js'
import { defaults } from './defaults.js'
import type { Preset } from './presets.js'
import type { ResolvedConfig } from './resolve.js'
import { type InstructedLlm, type LlmContext, requireInstructed, toResolvedLlm } from './resolve-llm.js'
import type { GivenEnricher, GivenOptions, Instance } from './schema.js'

/** What is added to passages, complete. */
export interface ResolvedEnrichment {
  /** Title and heading path are embedded and indexed with each passage. */
  readonly headings: boolean
  readonly keywords: false | { readonly maxKeywords?: number }
  /** Enrichers that are asked about each passage, in their order. */
  readonly asked: readonly ResolvedEnricher[]
  readonly limits: {
    readonly maxConcurrency: number
    readonly delayMs: number
    /** Absent: any number. */
    readonly requestsPerMinute?: number
    readonly tokensPerMinute?: number
    readonly timeoutMs: number
  }
}

export type ResolvedEnricher =
  | {
      readonly kind: 'summary' | 'questions' | 'context'
      readonly llm: InstructedLlm
      readonly fingerprint?: string
      readonly maxQuestions?: number
    }
  | {
      readonly kind: 'function'
      readonly enrich: EnrichFunction
      readonly fingerprint?: string
      readonly local?: boolean
    }
  | Instance<Enricher>

/** The enrichers that were chosen, by the caller or by the preset. Throws `BAD_OPTION` where one needs a model and there is none. */
export function resolveEnrichment(given: GivenOptions, preset: Preset, context: LlmContext): ResolvedEnrichment {
  const chosen = chooseEnrichers(given, preset)
  refuseTwice(chosen)
  const keywords = chosen.find((one) => one.kind === 'keywords')
  const { apiRequestsPerMinute, apiTokensPerMinute } = given
  return {
    headings: chosen.some(({ kind }) => kind === 'headings'),
    keywords: keywords === undefined ? false : withoutKind(keywords),
    asked: chosen.flatMap((one) => resolveAsked(one, given, context) ?? []),
    limits: {
      maxConcurrency: given.maxConcurrentApiCalls ?? preset.maxConcurrentApiCalls,
      delayMs: given.apiRateLimitDelayMs ?? preset.apiRateLimitDelayMs,
      ...(apiRequestsPerMinute === undefined ? {} : { requestsPerMinute: apiRequestsPerMinute }),
      ...(apiTokensPerMinute === undefined ? {} : { tokensPerMinute: apiTokensPerMinute }),
      timeoutMs: given.apiTimeoutMs ?? defaults.apiTimeoutMs,
    },
  }
}

function chooseEnrichers(given: GivenOptions, preset: Preset): readonly GivenEnricher[] {
  if (given.keywordsOnly === true) return [{ kind: 'headings' }, { kind: 'keywords' }]
  const chosen = given.enrich ?? ofPreset(preset, given)
  if (chosen === false) return []
  // What a preset skips, somebody who names it does not.
  const skips = given.skipEnrichment ?? (given.enrich === undefined && preset.enrichment.skip)
  return skips ? chosen.filter(({ kind }) => kind === 'headings' || kind === 'keywords') : chosen
}

function ofPreset({ enrichment }: Preset, { enrichLlm }: GivenOptions): GivenEnricher[] {
  return [
    ...(enrichment.headings ? [{ kind: 'headings' } as const] : []),
    ...(enrichment.keywords ? [{ kind: 'keywords' } as const] : []),
    ...(enrichment.llm && enrichLlm !== undefined ? [{ kind: 'context' } as const] : []),
  ]
}

/** Twice the same would be paid twice. */
function refuseTwice(chosen: readonly GivenEnricher[]): void {
  const kinds = chosen.map(({ kind }) => kind).filter((kind) => kind !== 'function' && kind !== 'instance')
  const twice = kinds.find((kind, place) => kinds.indexOf(kind) !== place)
  if (twice !== undefined) contradiction('enrich', 'enrich', `"${twice}" is in the list twice.`)
}

function resolveAsked(chosen: GivenEnricher, given: GivenOptions, context: LlmContext): ResolvedEnricher | undefined {
  switch (chosen.kind) {
    case 'headings':
    case 'keywords':
      return undefined
    case 'function':
    case 'instance':
      return chosen
    case 'summary':
    case 'questions':
    case 'context': {
      const own = chosen.llm ?? given.enrichLlm
      const llm = own === undefined ? requireModel(chosen.kind, given.llm) : toResolvedLlm(own, context)
      return { ...chosen, llm }
    }
    default:
      return chosen satisfies never
  }
}

function requireModel(kind: string, llm: ResolvedConfig['llm']): InstructedLlm {
  return requireInstructed(llm, {
    what: `Enriching with "${kind}"`,
    option: 'enrich',
    hint: `Set the option "enrichLlm" or "llm", or pass enrich: { kind: "${kind}", llm }.`,
  })
}

function withoutKind<Options extends { readonly kind: string }>({
  kind: _kind,
  ...options
}: Options): Omit<Options, 'kind'> {
  return options
}
