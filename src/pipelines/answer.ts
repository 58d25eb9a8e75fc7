import type { CacheReport, Citation, QueryOptions, QueryResult, Source, Timings } from '../core/answer.js'
import { RagError } from '../core/errors.js'
import type { AnswerEvent, QueryStage } from '../core/events.js'
import type { Question } from '../core/search.js'
import type { Llm, Prompt, PromptSource, PromptTerm } from '../llm/types.js'
import { findHits, type RetrieveTools, rankHits } from './retrieve.js'
import { createCitationParser } from './steps/cite.js'
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
}

const cache: CacheReport = { retrieval: 'off', answer: 'off' }

/** Retrieve → pack → generate → cite, as events. Failures throw from the iterator; ending it early stops the model. */
export async function* answerQuestion(
  question: Question,
  options: QueryOptions & { readonly maxContextChars: number },
  tools: AnswerTools,
): AsyncGenerator<AnswerEvent, void, undefined> {
  const text = typeof question === 'string' ? question : question.text
  if (text === undefined || text.trim() === '') {
    throw new RagError('BAD_INPUT', 'A question needs words.', { hint: 'Use retrieve() to search by a vector alone.' })
  }
  const clock = new StageClock(tools)

  yield clock.begin('retrieve')
  const found = await findHits(question, options, tools)

  if (tools.reranking !== undefined) yield clock.begin('rerank')
  const ranked = await rankHits(found, question, options, tools)

  yield clock.begin('pack')
  const hits = await expandHits(ranked, options.expand, tools)
  const sources = packSources(hits, options.maxContextChars)
  const prompt = tools.buildPrompt({ question: text, sources: sources.map(toPromptSource), terms: found.terms })
  yield { type: 'sources', sources }

  yield clock.begin('generate')
  const llm = await tools.llm()
  const parser = createCitationParser(sources)
  let answered = false
  if (sources.length > 0) {
    await tools.turn()
    for await (const delta of llm.generate(prompt, options.signal === undefined ? {} : { signal: options.signal })) {
      options.signal?.throwIfAborted()
      for (const event of parser.push(delta)) {
        if (event.type === 'answer-delta' && event.text.trim() !== '') answered = true
        yield event
      }
    }
    yield* parser.end()
  }

  yield {
    type: 'metadata',
    ...(answered
      ? { outcome: 'answered' as const }
      : { outcome: 'no-answer' as const, reason: reasonFor(hits.length, tools) }),
    finishReason: answered ? 'stop' : 'no-answer',
    timings: clock.end(),
    cache,
    model: llm.id,
    inventedCitations: parser.invented,
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
