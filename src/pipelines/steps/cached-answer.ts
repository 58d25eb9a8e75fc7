import type { Citation, Source } from '../../core/answer.js'
import type { Span } from '../../core/chunk.js'
import type { Llm, Prompt, PromptTerm } from '../../llm/types.js'
import { sha256Hex } from '../../util/hash.js'
import type { SharedIteration } from '../../util/shared-iteration.js'
import { type AnswerEnd, copyEnd, isAnswerEnd, isCount } from './answer-end.js'
import { type CitedPart, citationOf } from './cite.js'
import type { AskedAhead, DirectAnswers } from './direct-answer.js'
import type { GroundednessTools } from './groundedness.js'
import { shownText } from './pack.js'
import type { Kept, ResultCache } from './result-cache.js'
import type { StageEstimates } from './stage-estimates.js'
import { writeAnswer } from './write-answer.js'

/** What answering looks answers up with; `compose` provides it. */
export interface AnswerCaching {
  readonly results: ResultCache<KeptAnswer>
  /** Of the whole application. */
  readonly sharing: SharedIteration<AnswerPart>
  readonly storeId: string
  /** The model and whatever shapes what it writes, the instructions and the form of the prompt among them. */
  readonly fingerprint: string
  /** Whether the model reads the prompt's text alone; else an answer holds for the same scores and words only. */
  readonly textOnly: boolean
  /** Milliseconds what is found now is kept. Absent: as usual. */
  readonly ttlMs?: number
  /** Absent where it costs little to ask one thing after the other. */
  readonly direct?: DirectAnswers
}

/** A part of an answer; the last one tells how it ended. */
export type AnswerPart = CitedPart | { readonly type: 'end'; readonly end: AnswerEnd }

/** An answer as it was streamed: text, and after each marker what it cites. */
export interface KeptAnswer {
  readonly parts: readonly (string | KeptCitation)[]
  readonly end: AnswerEnd
}

/** Places in the answer, and in what the source shows; the rest of a citation is the source's own. */
type KeptCitation = readonly [marker: number, from: number, to: number, start: number, end: number]

/** What an answer is written from. */
export interface AnswerAsked extends GroundednessTools {
  readonly question: string
  readonly sources: readonly Source[]
  readonly terms: readonly PromptTerm[]
  /** Makes the prompt of the three. */
  readonly buildPrompt: () => Prompt
  readonly namespace: string
  readonly signal: AbortSignal | undefined
  /** Gives the model, and waits for its turn. */
  readonly llm: () => Promise<Llm>
  readonly now: () => number
  readonly estimates: StageEstimates
  /** Absent: it was not asked for before its sources were known. */
  readonly ahead: AskedAhead | undefined
  /** Told before the first part of the answer where it comes from: what was found in the cache, or `undefined`. */
  readonly onLookup: (found: Kept<KeptAnswer> | undefined) => void
}

/** Raised when answers are kept, or citations found, otherwise. */
const version = 'answer/2'

/**
 * The answer to a prompt from the cache, part by part as it was streamed, else written once for all who ask for it at the same time. An
 * answer is found as long as prompt, sources and model are the same, whatever else happened to the documents.
 */
export async function* answerThroughCache(
  asked: AnswerAsked,
  caching: AnswerCaching,
): AsyncGenerator<AnswerPart, void, undefined> {
  const { ahead, now, onLookup, signal } = asked
  const key = answerKey(asked, caching)
  const found = await readKept(key, asked.sources, caching, ahead)
  signal?.throwIfAborted()
  onLookup(found?.kept)
  if (found !== undefined) {
    yield* found.parts
    return
  }
  async function* writeAndKeep(stop: AbortSignal): AsyncGenerator<AnswerPart, void, undefined> {
    const began = now()
    const parts: (string | KeptCitation)[] = []
    for await (const part of writeAnswer(asked, stop)) {
      if (part.type === 'answer-delta') parts.push(part.text)
      else if (part.type === 'citation') parts.push(toKept(part.citation, asked.sources))
      else if (isWorthKeeping(part.end)) {
        const { results, ttlMs } = caching
        const lifetime = { costMs: now() - began, ...(ttlMs === undefined ? {} : { ttlMs }) }
        const answer = { parts, end: copyEnd(part.end) }
        results.keep(key, answer, lifetime)
        ahead?.keep(key, answer, lifetime)
      }
      yield part
    }
  }
  for await (const part of caching.sharing.read(key, writeAndKeep, signal)) {
    yield copyPart(part)
  }
}

/** What a filter or a failure has cut off may be whole the next time, and a model that failed may be back. */
function isWorthKeeping({ finishReason, isSubstitute = false }: AnswerEnd): boolean {
  return (finishReason === 'stop' || finishReason === 'length') && !isSubstitute
}

/** One reader may change what it got; the others must not see it. */
function copyPart(part: AnswerPart): AnswerPart {
  switch (part.type) {
    case 'answer-delta':
      return part
    case 'citation':
      return { ...part, citation: structuredClone(part.citation) }
    case 'end':
      return { ...part, end: copyEnd(part.end) }
    default:
      return part satisfies never
  }
}

/** The parts of the answer to a prompt that would be made of these, where there is one; nothing is written. */
export async function findKeptAnswer(
  asked: Pick<AnswerAsked, 'namespace' | 'question' | 'sources' | 'terms'>,
  caching: AnswerCaching,
): Promise<AnswerPart[] | undefined> {
  return (await readKept(answerKey(asked, caching), asked.sources, caching))?.parts
}

async function readKept(
  key: string,
  sources: readonly Source[],
  { results }: AnswerCaching,
  ahead?: AskedAhead,
): Promise<{ readonly kept: Kept<KeptAnswer>; readonly parts: AnswerPart[] } | undefined> {
  const direct = await ahead?.find(key)
  const kept = direct ?? (await results.get(key))
  if (kept === undefined) return undefined
  const parts = partsOf(kept.value, sources)
  if (parts === undefined) {
    results.drop(key)
    return undefined
  }
  if (direct === undefined) ahead?.keep(key, kept.value, kept)
  return { kept, parts }
}

/**
 * Of all that the prompt is made of, which is faster than to make it: an id stands for document, title, headings and passage. The
 * places are there because citations name them.
 */
function answerKey(
  { namespace, question, sources, terms }: Pick<AnswerAsked, 'namespace' | 'question' | 'sources' | 'terms'>,
  { fingerprint, storeId, textOnly }: AnswerCaching,
): string {
  // Arrays of plain values: equal ones give equal JSON, which tells lone surrogates apart, too.
  const shown = sources.map((source) => {
    const { id, language, span } = source.chunk
    const { text, span: around } = source.context === undefined ? { text: '', span } : shownText(source)
    const passages = (source.passages ?? []).flatMap(({ chunk }) => [chunk.id, ...placeOf(chunk.span)])
    return [id, language, ...placeOf(span), ...placeOf(around), text, ...passages]
  })
  // Numbers as bytes: to write them as text takes longer than all the rest.
  const scored = [...sources.map(({ score }) => score), ...terms.flatMap(({ idf, documentFrequency: df }) => [idf, df])]
  return sha256Hex(
    version,
    storeId,
    namespace,
    fingerprint,
    JSON.stringify([question, shown, textOnly ? [] : terms.map(({ term }) => term)]),
    textOnly ? '' : new Uint8Array(Float64Array.from(scored).buffer),
  )
}

function placeOf({ start, end, page = 0 }: Span): readonly number[] {
  return [start, end, page]
}

function toKept({ marker, position, span }: Citation, sources: readonly Source[]): KeptCitation {
  const from = shownText(sources[marker - 1] as Source).span.start
  return [marker, position.start, position.end, span.start - from, span.end - from]
}

/** The parts of an answer; `undefined` where it cites what its sources do not have. */
export function partsOf({ parts, end: kept }: KeptAnswer, sources: readonly Source[]): AnswerPart[] | undefined {
  const read: AnswerPart[] = []
  for (const part of parts) {
    if (typeof part === 'string') {
      read.push({ type: 'answer-delta', text: part })
      continue
    }
    const [marker, from, to, start, end] = part
    const source = sources[marker - 1]
    if (source === undefined || start > end || end > shownText(source).text.length) return undefined
    read.push({ type: 'citation', citation: citationOf(source, { start: from, end: to }, { start, end }) })
  }
  read.push({ type: 'end', end: copyEnd(kept) })
  return read
}

/** What somebody else wrote under the key of an answer is none. */
export function decodeAnswer(data: unknown): KeptAnswer | undefined {
  const { parts, end } = (data ?? {}) as { readonly parts?: unknown; readonly end?: unknown }
  if (!Array.isArray(parts) || !isAnswerEnd(end)) return undefined
  return parts.every((part) => typeof part === 'string' || isKeptCitation(part)) ? { parts, end } : undefined
}

function isKeptCitation(value: unknown): value is KeptCitation {
  return Array.isArray(value) && value.length === 5 && value.every(isCount)
}
