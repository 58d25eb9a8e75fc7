import type { CacheStats } from '../../cache/types.js'
import type { Source } from '../../core/answer.js'
import type { Hit, HitContext } from '../../core/search.js'
import type { Recorder } from '../../performance/types.js'
import { copyJson } from '../../util/copy-json.js'
import { RecentlyUsed } from '../../util/recently-used.js'
import type { AnswerOptions, AnswerTools } from '../answer.js'
import { type AnswerPart, type KeptAnswer, partsOf } from './cached-answer.js'
import { readState, searchScope } from './cached-retrieval.js'
import { countHit, type Kept, type Lifetime } from './result-cache.js'
import { contextScope } from './show-sources.js'
import type { SearchOptions } from './widen.js'

export interface RecentAnswersOptions {
  readonly maxEntries: number
  readonly maxBytes: number
  readonly recorder: Recorder
  readonly now: () => number
  readonly date: () => number
  /** Told of every look-up. */
  readonly onLookup: (lookup: { readonly found: boolean; readonly tookMs: number }) => void
}

/** A whole answer, with what tells whether it still holds. */
interface RecentAnswer {
  /** What documents and indexes were at when it was found. */
  readonly state: string
  readonly sources: readonly Source[]
  /** How many hits the sources were packed of. */
  readonly hits: number
  readonly ranking: Lifetime
  readonly answer: Kept<KeptAnswer>
}

/** A {@link RecentAnswer} that is the caller's to change. */
export interface RecalledAnswer {
  readonly sources: readonly Source[]
  readonly hits: number
  readonly parts: readonly AnswerPart[]
}

type RecallTools = Pick<AnswerTools, 'namespace' | 'useIndexes' | 'turn'>

/** An entry that weighs more than this share of all is not kept: it would drive the others out. */
const largestShare = 1 / 16
/** What an entry, and each of its sources, costs beside its texts: objects, scores, places. Measured, Node 20. */
const objectBytes = 800

/**
 * Answers whose ranking and words were found in the caches, as they are given: whoever asks the same again, while the documents are the
 * same, needs neither the caches nor the store. They lie in the memory of this process, and hold no longer than what they were made from.
 */
export class RecentAnswers {
  readonly #options: RecentAnswersOptions
  readonly #entries: RecentlyUsed<RecentAnswer>
  #clears = 0

  constructor(options: RecentAnswersOptions) {
    this.#options = options
    this.#entries = new RecentlyUsed(options)
  }

  /** What the question was answered before, if that is what it would be answered now. Counts what it saves. */
  async recall(key: string, tools: RecallTools): Promise<RecalledAnswer | undefined> {
    const { now, onLookup } = this.#options
    const began = now()
    const found = await this.#find(key, tools)
    onLookup({ found: found !== undefined, tookMs: now() - began })
    return found
  }

  async #find(key: string, tools: RecallTools): Promise<RecalledAnswer | undefined> {
    const { date, recorder } = this.#options
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    await tools.turn()
    const { answer, hits, ranking, state } = entry
    if (expiryOf(entry) <= date() || (await readState(tools)) !== state) {
      this.#entries.delete(key)
      return undefined
    }
    const sources = copySources(entry.sources)
    const parts = partsOf(answer.value, sources)
    if (parts === undefined) return undefined
    countHit(recorder, 'retrieval', ranking.costMs)
    countHit(recorder, 'answers', answer.costMs)
    return { sources, hits, parts }
  }

  /** How often it was cleared. */
  get clears(): number {
    return this.#clears
  }

  /** Keeps an answer. Nobody else may change its sources. `clears` is as it was when the question was asked: what was cleared stays so. */
  keep(key: string, entry: RecentAnswer, clears: number): void {
    if (clears !== this.#clears) return
    const bytes = objectBytes + 2 * key.length + weigh(entry)
    if (bytes <= this.#options.maxBytes * largestShare) this.#entries.set(key, entry, bytes)
  }

  clear(): void {
    this.#clears++
    this.#entries.clear()
  }

  /** Removes what has expired. */
  prune(): void {
    const now = this.#options.date()
    this.#entries.prune((entry) => expiryOf(entry) > now)
  }

  stats(): CacheStats {
    const { bytes, evictions, size } = this.#entries
    return { entries: size, bytes, evictions }
  }
}

/** All that an answer depends on, beside the documents and what is the same for the whole application. */
export function recentKey(
  question: string,
  options: AnswerOptions & SearchOptions,
  { namespace, reranking }: Pick<AnswerTools, 'namespace' | 'reranking'>,
): string {
  return JSON.stringify([namespace.name, question, contextScope(options), searchScope(options, reranking)])
}

/** Sources that share nothing with these. */
export function copySources(sources: readonly Source[]): Source[] {
  return sources.map(({ marker, passages, ...hit }) => ({
    ...copyHit(hit),
    ...(passages === undefined ? {} : { passages: passages.map(copyHit) }),
    marker,
  }))
}

function copyHit({ chunk, context, score, scores }: Hit): Hit {
  return {
    chunk: { ...chunk, span: { ...chunk.span }, headings: [...chunk.headings], metadata: copyJson(chunk.metadata) },
    score,
    scores: { ...scores },
    ...(context === undefined ? {} : { context: copyContext(context) }),
  }
}

function copyContext({ span, text }: HitContext): HitContext {
  return { text, span: { ...span } }
}

function expiryOf({ answer, ranking }: RecentAnswer): number {
  return Math.min(answer.expiresAt ?? Number.POSITIVE_INFINITY, ranking.expiresAt ?? Number.POSITIVE_INFINITY)
}

/** Bytes, roughly: a character counts two, though many a text has one of each. */
function weigh({ answer, sources }: RecentAnswer): number {
  let characters = 0
  const hits = sources.flatMap((source) => [source, ...(source.passages ?? [])])
  for (const { chunk, context } of hits) {
    const { documentId, headings, metadata, text, title } = chunk
    characters += text.length + (context?.text.length ?? 0) + title.length + documentId.length
    characters += JSON.stringify([headings, metadata]).length
  }
  for (const part of answer.value.parts) characters += typeof part === 'string' ? part.length : 40
  characters += 60 * (answer.value.end.groundedness?.sentences.length ?? 0)
  return 2 * characters + objectBytes * hits.length
}
