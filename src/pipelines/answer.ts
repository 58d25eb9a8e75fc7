import type { Citation, QueryOptions, QueryResult, Source, Timings } from '../core/answer.js'
import { RagError } from '../core/errors.js'
import type { AnswerEvent, QueryStage } from '../core/events.js'
import type { Question } from '../core/search.js'
import type { Llm, Prompt, PromptSource, PromptTerm } from '../llm/types.js'
import { findRanked, type RetrieveTools } from './retrieve.js'
import { type AnswerCaching, answerThroughCache, writeAnswer } from './steps/cached-answer.js'
import { expandHits } from './steps/expand.js'
import { packSources, shownText } from './steps/pack.js'

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
}

/** Options of {@link answerQuestion}. */
export type AnswerOptions = QueryOptions & { readonly maxContextChars: number }

/** Retrieve → pack → generate → cite, as events. Failures throw from the iterator; abort the signal when ending it early. */
export async function* answerQuestion(
  question: Question,
  options: AnswerOptions,
  tools: AnswerTools,
): AsyncGenerator<AnswerEvent, void, undefined> {
  const text = typeof question === 'string' ? question : question.text
  if (text === undefined || text.trim() === '') {
    throw new RagError('BAD_INPUT', 'A question needs words.', { hint: 'Use retrieve() to search by a vector alone.' })
  }
  const clock = new StageClock(tools)
  yield clock.begin('retrieve')
  let startReranking = () => {}
  const reranking = new Promise<'begins'>((resolve) => {
    startReranking = () => resolve('begins')
  })
  const ranking = findRanked(question, options, tools, startReranking)
  // Awaited below, unless the reader leaves at the stage in between.
  ranking.catch(() => {})
  if ((await Promise.race([ranking, reranking])) === 'begins') yield clock.begin('rerank')
  const { cache: retrieval, ranked, terms } = await ranking

  yield clock.begin('pack')
  const hits = await expandHits(ranked, options.expand, tools)
  const sources = packSources(hits, options.maxContextChars)
  const buildPrompt = () => tools.buildPrompt({ question: text, sources: sources.map(toPromptSource), terms })
  yield { type: 'sources', sources }

  yield clock.begin('generate')
  let answered = false
  let invented = 0
  let answer: 'hit' | 'miss' | 'off' = 'off'
  if (sources.length > 0) {
    const { namespace, now } = tools
    const llm = async () => {
      const model = await tools.llm()
      await tools.turn()
      return model
    }
    const onLookup = (found: 'hit' | 'miss') => {
      answer = found
    }
    const { signal } = options
    const asked = {
      question: text,
      sources,
      terms,
      buildPrompt,
      namespace: namespace.name,
      signal,
      llm,
      now,
      onLookup,
    }
    const parts = tools.answers === undefined ? writeAnswer(asked, signal) : answerThroughCache(asked, tools.answers)
    for await (const part of parts) {
      if (part.type === 'end') {
        invented = part.invented
        continue
      }
      if (part.type === 'answer-delta' && part.text.trim() !== '') answered = true
      yield part
    }
  }

  yield {
    type: 'metadata',
    ...(answered
      ? { outcome: 'answered' as const }
      : { outcome: 'no-answer' as const, reason: reasonFor(hits.length, tools) }),
    finishReason: answered ? 'stop' : 'no-answer',
    timings: clock.end(),
    cache: { retrieval, answer },
    model: (await tools.llm()).id,
    inventedCitations: invented,
  }
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
        const { outcome, reason, timings, cache } = event
        const found =
          outcome === 'answered' ? { answer, sources, citations } : { answer: '', sources: [], citations: [] }
        return { ...found, outcome, ...(reason === undefined ? {} : { reason }), timings, cache }
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
