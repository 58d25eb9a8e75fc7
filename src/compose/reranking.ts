import { randomUUID } from 'node:crypto'
import type { RerankOptions } from '../config/options.js'
import type { ResolvedConfig } from '../config/resolve.js'
import { completeReranker, type ResolvedReranker } from '../config/resolve-reranker.js'
import { RagError } from '../core/errors.js'
import type { Closable } from '../core/lifecycle.js'
import type { RerankCall, RerankerName, RetrieveOptions } from '../core/search.js'
import { buildPrompt } from '../llm/prompt.js'
import type { Reranking } from '../pipelines/steps/rerank.js'
import type { Reranker } from '../rerank/types.js'
import { memoizeAsync } from '../util/memoize-async.js'
import { stableJson } from '../util/stable-json.js'
import { catalogue } from './catalogue.js'
import { llmFingerprint, type OpenLlm } from './llms.js'

/** Chooses the reranker of a call; each is opened by the first call that needs it. */
export type ChooseReranking = (choice: RetrieveOptions['rerank']) => Reranking | undefined

/** Hits a reranker of the caller's own is given, where the call does not say. */
const usualCandidates = 20

interface RerankingTools {
  /** Keeps what it opens, to close it with everything else. */
  readonly part: (open: () => Promise<Reranker & Closable>) => () => Promise<Reranker>
  readonly openLlm: OpenLlm
}

export function createReranking(config: ResolvedConfig, { openLlm, part }: RerankingTools): ChooseReranking {
  const { rerank } = config
  const byKind = new Map<string, Reranking>()
  const opened = (options: ResolvedReranker): Reranking => {
    const { candidates, kind } = options
    return {
      id: kind,
      fingerprint: fingerprintOf(options),
      open: part(() => openReranker(options, config, openLlm)),
      candidates,
    }
  }
  const own = rerank === false ? undefined : rerank.kind === 'instance' ? brought(rerank.instance) : opened(rerank)
  if (own !== undefined && rerank !== false && rerank.kind !== 'instance') byKind.set(rerank.kind, own)
  const ofKind = (kind: RerankerName): Reranking => {
    const known = byKind.get(kind) ?? opened(completeReranker({ kind } as RerankOptions, config, catalogue))
    byKind.set(kind, known)
    return known
  }
  /** Its options, checked once: a weight of its own comes with each call. */
  let mmr: ResolvedReranker | undefined
  /** Not a part: it holds nothing to close, and a value that a call asked for once need not be remembered. */
  const withLambda = (lambda: number): Reranking => {
    mmr ??= completeReranker({ kind: 'mmr' }, config, catalogue)
    const options = { ...mmr, lambda } as ResolvedReranker
    return { ...ofKind('mmr'), fingerprint: fingerprintOf(options), open: () => openReranker(options, config, openLlm) }
  }
  return (choice) => {
    if (choice === undefined) return own
    if (choice === false) return undefined
    const { kind, candidates, lambda }: RerankCall =
      typeof choice === 'string' ? { kind: choice } : choice === true ? {} : choice
    const chosen = kind === undefined ? own : lambda === undefined ? ofKind(kind) : withLambda(lambda)
    if (chosen === undefined) throw nothingToRerankWith()
    return candidates === undefined ? chosen : { ...chosen, candidates }
  }
}

function brought(reranker: Reranker): Reranking {
  const { id, capabilities, fingerprint = randomUUID() } = reranker
  // It may be JavaScript and leave them out.
  const vectors = (capabilities as Partial<Reranker['capabilities']> | undefined)?.vectors === true
  const checked: Reranker = {
    id,
    capabilities: { vectors },
    rerank: (request, options) => reranker.rerank(request, options),
    warmUp: async (options) => reranker.warmUp?.(options),
    close: async () => {},
  }
  const open = memoizeAsync(async () => checked)
  return { id, fingerprint: `${id} ${fingerprint}`, open, candidates: usualCandidates }
}

/** How many candidates there are is said beside it. */
function fingerprintOf({ candidates: _candidates, ...options }: ResolvedReranker): string {
  if (options.kind !== 'llm') return stableJson(options)
  const { llm, ...own } = options
  // Nobody can tell what a function does.
  return stableJson({ ...own, model: llmFingerprint(llm, () => randomUUID()) })
}

async function openReranker(
  reranker: ResolvedReranker,
  { logger }: ResolvedConfig,
  openLlm: OpenLlm,
): Promise<Reranker> {
  const { candidates: _candidates, ...options } = reranker
  switch (options.kind) {
    case 'mmr': {
      const { kind, ...own } = options
      return catalogue.rerankers[kind](own)
    }
    case 'cross-encoder': {
      const { kind, ...own } = options
      return catalogue.rerankers[kind]({ ...own, logger })
    }
    case 'llm': {
      const { kind, llm, ...own } = options
      return catalogue.rerankers[kind]({ ...own, llm: () => openLlm(llm), buildPrompt })
    }
    default:
      return options satisfies never
  }
}

function nothingToRerankWith(): RagError {
  return new RagError('BAD_OPTION', 'This call asks for a reranker, but none is configured.', {
    data: { option: 'rerank', available: Object.keys(catalogue.rerankers) },
    hint: 'Name one (rerank: "mmr"), or set the option "rerank" of the constructor.',
  })
}
