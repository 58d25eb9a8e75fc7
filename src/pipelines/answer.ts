import type { CacheReport, Citation, QueryOptions, QueryResult, SemanticReport, Source } from '../core/answer.js'
import { RagError } from '../core/errors.js'
import type { AnswerEvent } from '../core/events.js'
import type { Question } from '../core/search.js'
import type { Llm, Prompt, PromptSource, PromptTerm } from '../llm/types.js'
import { findRanked, type RetrieveTools } from './retrieve.js'
import { findTwin, type SemanticCaching, type Twin } from './semantic.js'
import { type AnswerEnd, nothingWritten } from './steps/answer-end.js'
import {
  type AnswerAsked,
  type AnswerCaching,
  type AnswerPart,
  answerThroughCache,
  type KeptAnswer,
} from './steps/cached-answer.js'
import type { CitedPart } from './steps/cite.js'
import { askAhead } from './steps/direct-answer.js'
import type { GroundednessTools } from './steps/groundedness.js'
import { type PackTools, shownText } from './steps/pack.js'
import { textOf } from './steps/question-vector.js'
import { copySources, type RecalledAnswer, type RecentAnswers, recentKey } from './steps/recent-answers.js'
import type { Kept } from './steps/result-cache.js'
import { type ShowOptions, showSources } from './steps/show-sources.js'
import { StageClock } from './steps/stage-clock.js'
import { writeAnswer } from './steps/write-answer.js'
import { understandQuestion } from './understand.js'

/** What answering works with; `compose` provides it. */
export interface AnswerTools extends RetrieveTools, GroundednessTools, Pick<PackTools, 'countTokens'> {
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
export type AnswerOptions = QueryOptions & ShowOptions

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
  const sources = await showSources(ranked, options, tools)
  const isWhole = (tools.budget?.dropped.length ?? 0) === 0
  // The prompt, its key and what is kept must not change with what the reader does to his own.
  yield { type: 'sources', sources: copySources(sources) }

  yield clock.begin('generate')
  const progress: Progress = { answered: false, end: nothingWritten, answer: 'off', kept: undefined }
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
      estimates: tools.estimates,
      turn: tools.turn,
      analyzerFor: tools.analyzerFor,
      // What was found in less time must not take the place of what others find.
      ahead: isWhole ? ahead : undefined,
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
  if (progress.answered && isWhole) looked?.remember()
  const semantic = looked?.twin && shadowOf(looked.twin)
  const { answer } = progress
  if (isWhole && recentlyAsked !== undefined && kept !== undefined && progress.kept !== undefined) {
    const { state } = kept
    recent?.keep(recentlyAsked, { state, sources, hits: ranked.length, ranking: kept, answer: progress.kept }, clears)
  }
  yield await lastEvent(progress, ranked.length, { retrieval, answer, ...(semantic && { semantic }) }, clock, tools)
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
  const progress: Progress = { answered: false, end: nothingWritten, answer: 'hit', kept: undefined }
  yield* observed(parts, progress)
  yield await lastEvent(progress, hits, cache, clock, tools)
}

/** What is known of an answer when it is complete. */
interface Progress {
  answered: boolean
  end: AnswerEnd
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
      progress.end = part.end
      continue
    }
    if (part.type === 'answer-delta' && part.text.trim() !== '') progress.answered = true
    yield part
  }
}

async function lastEvent(
  { answered, end }: Progress,
  hits: number,
  cache: CacheReport,
  clock: StageClock,
  tools: AnswerTools,
): Promise<AnswerEvent> {
  const { finishReason, groundedness, invented, model, tokens } = end
  return {
    type: 'metadata',
    ...(answered ? { outcome: 'answered' } : { outcome: 'no-answer', reason: reasonFor(hits, tools) }),
    finishReason: answered ? finishReason : 'no-answer',
    timings: clock.end(),
    cache,
    model: model ?? (await tools.llm()).id,
    tokens,
    ...(answered && groundedness !== undefined ? { groundedness } : {}),
    inventedCitations: invented,
    ...(tools.understood && { understood: tools.understood }),
    ...(tools.budget && { dropped: tools.budget.dropped }),
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
        const { type: _type, ...metadata } = event
        const found =
          event.outcome === 'answered' ? { answer, sources, citations } : { answer: '', sources: [], citations: [] }
        return { ...found, ...metadata }
      }
      default:
        event satisfies never
    }
  }
  throw new RagError('CLOSED', 'The answer ended before its last event.')
}

function toPromptSource(source: Source): PromptSource {
  const { marker, score, chunk, passages = [source] } = source
  const { title, language } = chunk
  const { text, span } = shownText(source)
  const headings = commonBeginning(passages.map((passage) => passage.chunk.headings))
  return { marker, title, headings, language, score, text, ...(span.page === undefined ? {} : { page: span.page }) }
}

/** The headings that hold for all of several passages. */
function commonBeginning([first = [], ...others]: readonly (readonly string[])[]): readonly string[] {
  const length = first.findIndex((heading, level) => others.some((headings) => headings[level] !== heading))
  return length < 0 ? first : first.slice(0, length)
}

function reasonFor(hits: number, { namespace }: AnswerTools): string {
  const { chunks, documents } = namespace.counts()
  const searched = `${chunks} passages of ${documents} documents were searched`
  return hits === 0 ? `${searched}; none matched.` : `${searched}; the ${hits} best did not answer the question.`
}
