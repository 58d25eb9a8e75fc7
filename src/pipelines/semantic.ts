import type { CacheReport, Source } from '../core/answer.js'
import { findDisagreement, type QuestionFacts, readFacts } from '../text/agreement/agreement.js'
import { sha256Hex } from '../util/hash.js'
import type { AnswerOptions, AnswerTools } from './answer.js'
import { findRanked } from './retrieve.js'
import { type AnswerPart, findKeptAnswer } from './steps/cached-answer.js'
import { searchScope } from './steps/cached-retrieval.js'
import type { KnownQuestion, QuestionMemory } from './steps/question-memory.js'
import { embedTexts } from './steps/question-vector.js'
import { contextScope, showSources } from './steps/show-sources.js'
import type { SearchOptions } from './steps/widen.js'
import { wayOf } from './understand.js'

/** What looks for earlier questions that mean the same; `compose` provides it. */
export interface SemanticCaching {
  /** Of the whole application. */
  readonly questions: QuestionMemory
  /** Similarity from which on two questions may mean the same. */
  readonly threshold: number
  /** Whether what is found is reported instead of served. */
  readonly shadow: boolean
  /** Asked about questions that are a little less similar; absent: they are no twins. */
  readonly check: SemanticCheck | undefined
}

/** A second opinion. */
export interface SemanticCheck {
  /** Similarity from which on it is asked. */
  readonly from: number
  /** Whether two questions mean the same. What it throws means no. */
  readonly confirms: (question: string, other: string, signal: AbortSignal | undefined) => Promise<boolean>
}

/** An earlier question with its answer, which was found in the cache. */
export interface Twin {
  readonly question: string
  readonly similarity: number
  readonly sources: readonly Source[]
  readonly parts: readonly AnswerPart[]
  readonly retrieval: CacheReport['retrieval']
}

/** What came of looking for a twin. */
export interface SemanticLookup {
  readonly twin: Twin | undefined
  readonly isServed: boolean
  /** Call it when the question has an answer of its own. */
  remember(): void
}

/**
 * Looks for an earlier question of the same namespace, filter, options, embedder and model whose vector is near, that agrees in numbers,
 * dates, units, negation, quotations, comparatives and names, and whose answer would still be found in the cache: nothing that has
 * outlived its passages is served. `undefined` where there is nothing to compare by.
 */
export async function findTwin(
  question: string,
  options: AnswerOptions & SearchOptions,
  tools: AnswerTools,
): Promise<SemanticLookup | undefined> {
  const { answers, caching, recorder, semantic } = tools
  if (semantic === undefined || answers === undefined || caching === undefined || !isWhole(tools)) return undefined
  const { questions, shadow, threshold, check } = semantic
  const { signal } = options
  await tools.freshen()
  const described = await describe(question, options, tools)
  signal?.throwIfAborted()
  if (described === undefined) return undefined
  const { scope, vector } = described
  // Asked word for word before: no answer is nearer than its own.
  if (vector === undefined) return undefined
  const facts = readFacts(question)
  const lookup = (twin: Twin | undefined): SemanticLookup => ({
    twin,
    isServed: !shadow,
    remember: () => questions.add(scope, { question, facts, vector, widened: options.widened }),
  })
  for (const { known, similarity } of questions.near(scope, vector, check?.from ?? threshold)) {
    if (!agrees(known.facts, facts, tools)) continue
    if (similarity < threshold && (await check?.confirms(question, known.question, signal)) !== true) continue
    const twin = await answerOf(known, similarity, options, tools)
    signal?.throwIfAborted()
    // There was no time to find out what it would be answered.
    if (twin === 'unknown') continue
    if (twin === undefined) {
      questions.forget(scope, known)
      continue
    }
    recorder.count(shadow ? 'cache.semantic.shadow' : 'cache.semantic.hit')
    return lookup(twin)
  }
  if (!shadow) recorder.count('cache.semantic.miss')
  return lookup(undefined)
}

/**
 * Whether the question is all that its answer depends on: not one to which words of a conversation were only added, nor one of which a part
 * could not be understood this time.
 */
function isWhole({ understood }: AnswerTools): boolean {
  return understood === undefined || (understood.condensed !== 'terms' && understood.skipped.length === 0)
}

/** The vector of a question, unless it is known, and everything that must be equal beside it. */
async function describe(
  question: string,
  options: AnswerOptions,
  { answers, caching, namespace, reranking, semantic, understanding, useIndexes }: AnswerTools,
): Promise<{ readonly scope: string; readonly vector: Float32Array | undefined } | undefined> {
  return useIndexes(async ({ vector: leg, vectorsPending }) => {
    if (leg === undefined || vectorsPending || caching === undefined || answers === undefined) return undefined
    const scope = sha256Hex(
      caching.storeId,
      namespace.name,
      caching.fingerprint,
      answers.fingerprint,
      leg.embedder.fingerprint,
      searchScope(withoutTexts(options), reranking),
      contextScope(options),
      understanding === undefined ? '' : wayOf(understanding),
    )
    if (semantic?.questions.has(scope, question)) return { scope, vector: undefined }
    const [vector] = await embedTexts([question], 'query', leg, options.signal)
    return vector && { scope, vector }
  })
}

/** What is searched beside a question is the question's own; another one of the same scope has others. */
function withoutTexts({ widened: _widened, ...options }: AnswerOptions & SearchOptions): AnswerOptions {
  return options
}

function agrees(known: QuestionFacts, asked: QuestionFacts, { recorder }: AnswerTools): boolean {
  const reason = findDisagreement(known, asked)
  if (reason === undefined) return true
  recorder.count(`cache.semantic.blocked.${reason}`)
  return false
}

/** What the earlier question would be answered now, without asking the model. */
async function answerOf(
  { question, widened }: KnownQuestion,
  similarity: number,
  options: AnswerOptions,
  tools: AnswerTools,
): Promise<Twin | 'unknown' | undefined> {
  const { embedded: _own, ...own } = tools
  const budget = tools.budget?.apart()
  const others = { ...own, budget }
  const { cache, ranked, terms } = await findRanked(
    question,
    { ...withoutTexts(options), ...(widened && { widened }) },
    others,
  )
  const sources = await showSources(ranked, options, others)
  if (budget !== undefined && budget.dropped.length > 0) return 'unknown'
  const asked = { question, sources, terms, namespace: tools.namespace.name }
  const parts = tools.answers && (await findKeptAnswer(asked, tools.answers))
  return parts && { question, similarity, sources, parts, retrieval: cache }
}
