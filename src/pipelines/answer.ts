import type {
  CacheReport,
  Citation,
  QueryOptions,
  QueryResult,
  SemanticReport,
  Source,
  Timings,
} from '../core/answer.js'
import { RagError } from '../core/errors.js'
import type { AnswerEvent, QueryStage } from '../core/events.js'
import type { Question } from '../core/search.js'
import type { Llm, Prompt, PromptSource, PromptTerm } from '../llm/types.js'
import { findRanked, type RetrieveTools } from './retrieve.js'
import { findTwin, type SemanticCaching, type Twin } from './semantic.js'
import {
  type AnswerAsked,
  type AnswerCaching,
  type AnswerPart,
  answerThroughCache,
  type KeptAnswer,
  writeAnswer,
} from './steps/cached-answer.js'
import type { CitedPart } from './steps/cite.js'
import { askAhead } from './steps/direct-answer.js'
import { expandHits } from './steps/expand.js'
import { packSources, shownText } from './steps/pack.js'
import { textOf } from './steps/question-vector.js'
import { copySources, type RecalledAnswer, type RecentAnswers, recentKey } from './steps/recent-answers.js'
import type { Kept } from './steps/result-cache.js'
import { understandQuestion } from './understand.js'

/** What answering works with; `compose` provides it. */
export interface AnswerTools extends RetrieveTools {
  readonly llm: () => Promise<Llm>
  readonly buildPrompt: (parts: {
    readonly question: string
    readonly sources: readonly PromptSource[]
    readonly terms: readonly PromptTerm[]
  }) => Prompt
  /** Absent: every answer is written. */
  readonly answers: AnswerCaching | undefined
  /** Absent: only the same question has the same answer. */
  readonly semantic: SemanticCaching | undefined
  /** Absent where ranking or answer are not kept. */
  readonly recent: RecentAnswers | undefined
}

/** Options of {@link answerQuestion}. */
export type AnswerOptions = QueryOptions & { readonly maxContextChars: number }

/** Retrieve → pack → generate → cite, as events. Failures throw from the iterator; abort the signal when ending it early. */
export async function* answerQuestion(
  given: Question,
  givenOptions: AnswerOptions,
  all: AnswerTools,
): AsyncGenerator<AnswerEvent, void, undefined> {
  if (textOf(given).trim() === '') {
    throw new RagError('BAD_INPUT', 'A question needs words.', { hint: 'Use retrieve() to search by a vector alone.' })
  }
  const clock = new StageClock(all)
  if (all.understanding !== undefined) yield clock.begin('understand')
  // From here on the question is the one that stands alone, for the search, the caches and the model.
  const { question, options, tools } = await understandQuestion(given, givenOptions, all)
  const text = textOf(question)
  yield clock.begin('retrieve')
  const { recent } = tools
  const recentlyAsked = typeof question === 'string' ? recentKey(text, options, tools) : undefined
  const clears = recent?.clears ?? 0
  const recalled = recentlyAsked === undefined ? undefined : await recent?.recall(recentlyAsked, tools)
  options.signal?.throwIfAborted()
  if (recalled !== undefined) {
    yield* replay({ ...recalled, cache: { retrieval: 'hit', answer: 'hit' } }, clock, tools)
    return
  }
  const looked = await findTwin(text, options, tools)
  if (looked?.twin !== undefined && looked.isServed) {
    yield* replay(toReplay(looked.twin), clock, tools)
    return
  }

  const ahead = recentlyAsked === undefined ? undefined : await askAhead(recentlyAsked, tools)
  let startReranking = () => {}
  const reranking = new Promise<'begins'>((resolve) => {
    startReranking = () => resolve('begins')
  })
  const ranking = findRanked(question, options, tools, startReranking)
  // Awaited below, unless the reader leaves at the stage in between.
  ranking.catch(() => {})
  if ((await Promise.race([ranking, reranking])) === 'begins') yield clock.begin('rerank')
  const { cache: retrieval, kept, ranked, terms } = await ranking

  yield clock.begin('pack')
  const hits = await expandHits(ranked, options.expand, tools)
  const sources = packSources(hits, options.maxContextChars)
  // The prompt, its key and what is kept must not change with what the reader does to his own.
  yield { type: 'sources', sources: copySources(sources) }

  yield clock.begin('generate')
  const progress: Progress = { answered: false, invented: 0, answer: 'off', kept: undefined }
  if (sources.length > 0) {
    const asked: AnswerAsked = {
      question: text,
      sources,
      terms,
      buildPrompt: () => tools.buildPrompt({ question: text, sources: sources.map(toPromptSource), terms }),
      namespace: tools.namespace.name,
      signal: options.signal,
      llm: async () => {
        const model = await tools.llm()
        await tools.turn()
        return model
      },
      now: tools.now,
      ahead,
      onLookup: (found) => {
        progress.answer = found === undefined ? 'miss' : 'hit'
        progress.kept = found
      },
    }
    const { answers } = tools
    yield* observed(
      answers === undefined ? writeAnswer(asked, options.signal) : answerThroughCache(asked, answers),
      progress,
    )
  }
  if (progress.answered) looked?.remember()
  const semantic = looked?.twin && shadowOf(looked.twin)
  const { answer } = progress
  if (recentlyAsked !== undefined && kept !== undefined && progress.kept !== undefined) {
    const { state } = kept
    recent?.keep(recentlyAsked, { state, sources, hits: hits.length, ranking: kept, answer: progress.kept }, clears)
  }
  yield await lastEvent(progress, hits.length, { retrieval, answer, ...(semantic && { semantic }) }, clock, tools)
}

/** An answer that is there already. */
interface Replay extends RecalledAnswer {
  readonly cache: CacheReport
}

/** The answer to an earlier question that means the same. */
function toReplay({ parts, retrieval, similarity, sources }: Twin): Replay {
  const semantic = { similarity, served: true }
  return { sources, hits: sources.length, parts, cache: { retrieval, answer: 'hit', semantic } }
}

async function* replay(
  { cache, hits, parts, sources }: Replay,
  clock: StageClock,
  tools: AnswerTools,
): AsyncGenerator<AnswerEvent, void, undefined> {
  yield clock.begin('pack')
  yield { type: 'sources', sources }
  yield clock.begin('generate')
  const progress: Progress = { answered: false, invented: 0, answer: 'hit', kept: undefined }
  yield* observed(parts, progress)
  yield await lastEvent(progress, hits, cache, clock, tools)
}

/** What is known of an answer when it is complete. */
interface Progress {
  answered: boolean
  invented: number
  answer: CacheReport['answer']
  /** The answer as it was found in the cache. */
  kept: Kept<KeptAnswer> | undefined
}

async function* observed(
  parts: Iterable<AnswerPart> | AsyncIterable<AnswerPart>,
  progress: Progress,
): AsyncGenerator<CitedPart, void, undefined> {
  for await (const part of parts) {
    if (part.type === 'end') {
      progress.invented = part.invented
      continue
    }
    if (part.type === 'answer-delta' && part.text.trim() !== '') progress.answered = true
    yield part
  }
}

async function lastEvent(
  { answered, invented }: Progress,
  hits: number,
  cache: CacheReport,
  clock: StageClock,
  tools: AnswerTools,
): Promise<AnswerEvent> {
  return {
    type: 'metadata',
    ...(answered
      ? { outcome: 'answered' as const }
      : { outcome: 'no-answer' as const, reason: reasonFor(hits, tools) }),
    finishReason: answered ? 'stop' : 'no-answer',
    timings: clock.end(),
    cache,
    model: (await tools.llm()).id,
    inventedCitations: invented,
    ...(tools.understood && { understood: tools.understood }),
  }
}

function shadowOf({ parts, question, similarity }: Twin): SemanticReport {
  const answer = parts.map((part) => (part.type === 'answer-delta' ? part.text : '')).join('')
  return { similarity, served: false, question, answer }
}

/** Drains the events into one result. */
export async function collectAnswer(events: AsyncIterable<AnswerEvent>): Promise<QueryResult> {
  let answer = ''
  let sources: readonly Source[] = []
  const citations: Citation[] = []
  for await (const event of events) {
    switch (event.type) {
      case 'status':
        break
      case 'sources':
        sources = event.sources
        break
      case 'answer-delta':
        answer += event.text
        break
      case 'citation':
        citations.push(event.citation)
        break
      case 'metadata': {
        const { outcome, reason, timings, cache, understood } = event
        const found =
          outcome === 'answered' ? { answer, sources, citations } : { answer: '', sources: [], citations: [] }
        return {
          ...found,
          outcome,
          ...(reason === undefined ? {} : { reason }),
          timings,
          cache,
          ...(understood && { understood }),
        }
      }
      default:
        event satisfies never
    }
  }
  throw new RagError('CLOSED', 'The answer ended before its last event.')
}

function toPromptSource(source: Source): PromptSource {
  const { marker, score, chunk } = source
  const { title, headings, language } = chunk
  const { text, span } = shownText(source)
  return { marker, title, headings, language, score, text, ...(span.page === undefined ? {} : { page: span.page }) }
}

function reasonFor(hits: number, { namespace }: AnswerTools): string {
  const { chunks, documents } = namespace.counts()
  const searched = `${chunks} passages of ${documents} documents were searched`
  return hits === 0 ? `${searched}; none matched.` : `${searched}; the ${hits} best did not answer the question.`
}

/** Times the stages of one query, for the result and the recorder. */
class StageClock {
  readonly #tools: Pick<AnswerTools, 'recorder' | 'now'>
  readonly #timings: Record<string, number> = {}
  readonly #began: number
  #stage: QueryStage | undefined
  #stageBegan = 0

  constructor(tools: Pick<AnswerTools, 'recorder' | 'now'>) {
    this.#tools = tools
    this.#began = tools.now()
  }

  begin(stage: QueryStage): AnswerEvent {
    this.#finish()
    this.#stage = stage
    this.#stageBegan = this.#tools.now()
    return { type: 'status', stage }
  }

  end(): Timings {
    this.#finish()
    const total = this.#tools.now() - this.#began
    this.#tools.recorder.stage('query.total', total)
    return { ...this.#timings, total }
  }

  #finish(): void {
    if (this.#stage === undefined) return
    const durationMs = this.#tools.now() - this.#stageBegan
    this.#timings[this.#stage] = durationMs
    this.#tools.recorder.stage(`query.${this.#stage}`, durationMs)
    this.#stage = undefined
  }
}
