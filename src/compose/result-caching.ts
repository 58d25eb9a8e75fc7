import { randomUUID } from 'node:crypto'
import type { ResolvedConfig } from '../config/resolve.js'
import { buildPrompt } from '../llm/prompt.js'
import type { Recorder } from '../performance/types.js'
import type { SemanticCaching, SemanticCheck } from '../pipelines/semantic.js'
import { type AnswerCaching, type AnswerPart, decodeAnswer } from '../pipelines/steps/cached-answer.js'
import { decodeRanking, type KeptRanking, type RetrievalCaching } from '../pipelines/steps/cached-retrieval.js'
import { decodeDirectAnswer } from '../pipelines/steps/direct-answer.js'
import { QuestionMemory } from '../pipelines/steps/question-memory.js'
import { RecentAnswers } from '../pipelines/steps/recent-answers.js'
import { canNeverWork } from '../pipelines/steps/rerank.js'
import { createResultCache } from '../pipelines/steps/result-cache.js'
import type { Store } from '../store/types.js'
import { sha256Hex } from '../util/hash.js'
import { memoizeAsync } from '../util/memoize-async.js'
import { SharedIteration } from '../util/shared-iteration.js'
import { SingleFlight } from '../util/single-flight.js'
import { stableJson } from '../util/stable-json.js'
import { type Caches, searchesDearly } from './caching.js'
import { isKnownElsewhere, llmFingerprint, readsTextOnly } from './llms.js'
import type { ChooseReranking } from './reranking.js'

/** The caches of questions, each absent where it is not wanted. */
export interface ResultCaching {
  readonly retrieval: () => Promise<Omit<RetrievalCaching, 'alone'> | undefined>
  readonly answers: () => Promise<AnswerCaching | undefined>
  readonly semantic: SemanticCaching | undefined
  /** Stands before the two of them; absent where one of them is not wanted. */
  readonly recent: RecentAnswers | undefined
}

interface ResultCachingTools {
  readonly caches: Caches
  readonly store: () => Promise<Store>
  readonly recorder: Recorder
  readonly reranking: ChooseReranking
}

export function createResultCaching(
  config: ResolvedConfig,
  { caches, store, recorder, reranking }: ResultCachingTools,
): ResultCaching {
  const { cacheTtlMs: ttlMs } = config
  const common = { ttlMs, recorder, date: Date.now }
  return {
    retrieval: memoizeAsync(async () => {
      if (config.cache === false || !config.cacheQueries) return undefined
      const cache = await caches.open('retrieval', { far: searchesDearly(config) })
      return {
        results: createResultCache({ ...common, name: 'retrieval', cache, decode: decodeRanking }),
        flights: new SingleFlight<KeptRanking>(),
        storeId: (await store()).id,
        fingerprint: searchFingerprint(config),
      }
    }),
    answers: memoizeAsync(async () => {
      if (config.cache === false || !config.cacheAnswers) return undefined
      const { llm } = config
      // A quotation is found faster than it is fetched; of a function nobody else knows what it is.
      const isFar = llm.kind !== 'extractive' && isKnownElsewhere(llm)
      const cache = await caches.open('answers', { far: isFar })
      return {
        results: createResultCache({ ...common, name: 'answers', cache, decode: decodeAnswer }),
        sharing: new SharedIteration<AnswerPart>(),
        storeId: (await store()).id,
        fingerprint: sha256Hex(
          llmFingerprint(llm, () => randomUUID()),
          // Of a function nobody knows what else it looks at.
          config.prompt === undefined ? buildPrompt(samplePrompt).text : randomUUID(),
        ),
        // A prompt of the caller's may look at scores.
        textOnly: config.prompt === undefined && readsTextOnly(llm),
        ...(isRemote(config) && isFar
          ? { direct: { recorder, results: createResultCache({ ...common, cache, decode: decodeDirectAnswer }) } }
          : {}),
      }
    }),
    semantic: createSemanticCaching(config, { recorder, reranking }),
    recent: createRecentAnswers(config, { caches, recorder }),
  }
}

/** Whether to ask the cache takes a round trip to somebody else. */
function isRemote({ cache }: ResolvedConfig): boolean {
  return cache !== false && cache.kind !== 'memory' && cache.kind !== 'disk'
}

/** Answers kept as they are given: what a process is asked again and again. */
const recentAnswers = { maxEntries: 1_000, maxBytes: 16 << 20 }

function createRecentAnswers(
  { cache, cacheAnswers, cacheMaxEntries, cacheQueries }: ResolvedConfig,
  { caches, recorder }: Pick<ResultCachingTools, 'caches' | 'recorder'>,
): RecentAnswers | undefined {
  if (cache === false || !cacheAnswers || !cacheQueries) return undefined
  const { maxBytes, maxEntries: most } = recentAnswers
  const recent: RecentAnswers = new RecentAnswers({
    maxBytes,
    maxEntries: cacheMaxEntries === 0 ? most : Math.min(most, cacheMaxEntries),
    recorder,
    now: () => performance.now(),
    date: Date.now,
    onLookup: (lookup) => onLookup(lookup),
  })
  const onLookup = caches.addRecent('answers', recent)
  return recent
}

function createSemanticCaching(
  { semanticCache }: ResolvedConfig,
  { recorder, reranking }: Pick<ResultCachingTools, 'recorder' | 'reranking'>,
): SemanticCaching | undefined {
  if (semanticCache === false) return undefined
  const { check, maxQuestions, shadow, threshold } = semanticCache
  return {
    questions: new QuestionMemory({ maxQuestions }),
    threshold,
    shadow,
    check: check === false ? undefined : { from: check.from, confirms: createCheck(check.least, reranking, recorder) },
  }
}

/** Milliseconds in which a check that failed is not tried again: to find out that a model cannot be fetched takes seconds. */
const restMs = 60_000

/** Has the cross-encoder compare two questions. One that fails confirms nothing. */
function createCheck(least: number, reranking: ChooseReranking, recorder: Recorder): SemanticCheck['confirms'] {
  let restsUntil = Number.NEGATIVE_INFINITY
  return async (question, other, signal) => {
    if (performance.now() < restsUntil) return false
    try {
      const reranker = await reranking({ kind: 'cross-encoder' })?.open()
      const candidates = [{ number: 0, text: other, language: 'english', score: 1 }]
      const options = signal === undefined ? {} : { signal }
      const scores = await reranker?.rerank({ question, candidates, topK: 1 }, options)
      return (scores?.[0]?.score ?? Number.NEGATIVE_INFINITY) >= least
    } catch (error) {
      signal?.throwIfAborted()
      // A model that is missing will be missing next time, too: whoever asked for the check must learn of it.
      if (canNeverWork(error)) throw error
      restsUntil = performance.now() + restMs
      recorder.count('cache.semantic.checkFailed')
      return false
    }
  }
}

/** Whoever changes the instructions, or how sources are shown, changes what is made of this. */
const samplePrompt = {
  question: 'Question?',
  sources: [
    { marker: 1, title: 'Title', headings: ['Heading'], page: 1, language: 'english', score: 1, text: '<source> [1]' },
  ],
  terms: [],
}

/** Of indexes, beside the documents and the vectors: what they are asked and how it is joined. */
function searchFingerprint({ fusion, lexicalIndex, vectorIndex }: ResolvedConfig): string {
  return stableJson({ fusion, lexicalIndex, vectorIndex })
}
