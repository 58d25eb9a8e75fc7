import { RagError } from '../core/errors.js'
import type { Hit, Question, RetrieveOptions } from '../core/search.js'
import { mergeSources, type SourceHit, type SourceHits, type SourceRanking } from '../pipelines/merge-sources.js'
import { abortable, withDeadline } from '../util/abort.js'
import { inLanes } from '../util/in-lanes.js'

/** Something that is searched: an `UltraFastRAG`, a namespace of one, or anything with the same method. */
export interface Retrievable {
  retrieve(question: Question, options?: RetrieveOptions): Promise<Hit[]>
}

/** A source that could not be searched. */
export interface SourceFailure {
  readonly source: string
  readonly error: unknown
}

/** What {@link searchSources} finds. */
export interface ParallelResult {
  /** Best first. */
  readonly hits: readonly SourceHit[]
  /** Sources whose hits are missing, and why; empty when all were searched. */
  readonly failed: readonly SourceFailure[]
}

export interface ParallelSearchOptions {
  readonly sources: readonly { readonly name: string; readonly weight: number; readonly source: Retrievable }[]
  readonly ranking: SourceRanking
  /** Whether a source that fails is reported, or fails the search. */
  readonly onFailure: 'report' | 'throw'
  /** Milliseconds a source may take; absent: as long as the call. */
  readonly sourceDeadlineMs: number | undefined
}

const sourcesAtOnce = 16
const maxTopK = 10_000

/**
 * Searches all sources at once and merges what they find. Equal texts may leave too few hits: then the sources that have more are
 * asked for twice as many.
 */
export async function searchSources(
  question: Question,
  { topK, ...options }: RetrieveOptions & { readonly topK: number },
  search: ParallelSearchOptions,
): Promise<ParallelResult> {
  const { signal, dispose } = withDeadline(options)
  try {
    for (let asked = topK; ; asked = Math.min(asked * 2, maxTopK)) {
      const { found, failed } = await askAll(question, { ...options, topK: asked, signal }, search)
      const hits = mergeSources(found, search.ranking)
      const exhausted = asked === maxTopK || found.every((list) => list.hits.length < asked)
      if (hits.length >= topK || exhausted) return { hits: hits.slice(0, topK), failed }
    }
  } finally {
    dispose()
  }
}

type Asked = Omit<RetrieveOptions, 'signal' | 'topK'> & {
  readonly topK: number
  readonly signal: AbortSignal | undefined
}

async function askAll(
  question: Question,
  options: Asked,
  { sources, onFailure, sourceDeadlineMs }: ParallelSearchOptions,
): Promise<{ found: SourceHits[]; failed: SourceFailure[] }> {
  const lists = new Map<string, SourceHits>()
  const failed: SourceFailure[] = []
  await inLanes(sources, { lanes: sourcesAtOnce, signal: options.signal }, async ({ name, weight, source }, signal) => {
    try {
      const hits = await ask(source, question, { ...options, signal }, sourceDeadlineMs)
      lists.set(name, { source: name, weight, hits })
    } catch (error) {
      signal.throwIfAborted()
      if (onFailure === 'throw') throw error
      failed.push({ source: name, error })
    }
  })
  if (failed.length === sources.length) throw allFailed(failed)
  // In the order of the sources, not of their answers.
  const found = sources.flatMap(({ name }) => lists.get(name) ?? [])
  return { found, failed: sources.flatMap(({ name }) => failed.filter(({ source }) => source === name)) }
}

/** A source may ignore its signal: it is not waited for. */
async function ask(
  source: Retrievable,
  question: Question,
  { deadlineMs: _whole, signal: outer, ...options }: Asked & { readonly signal: AbortSignal },
  deadlineMs: number | undefined,
): Promise<Hit[]> {
  const { signal, dispose } = withDeadline({ signal: outer, ...(deadlineMs === undefined ? {} : { deadlineMs }) })
  try {
    const call = async () => source.retrieve(question, signal === undefined ? options : { ...options, signal })
    return await abortable(call(), signal)
  } finally {
    dispose()
  }
}

function allFailed(failed: readonly SourceFailure[]): unknown {
  const [first] = failed
  // One source, or a mistake of the caller that all of them see: its own error says more.
  if (failed.length === 1 || isCallersMistake(first?.error)) return first?.error
  return new RagError('PROVIDER', `None of ${failed.length} sources could be searched.`, {
    data: { sources: failed.map(({ source }) => source) },
    cause: new AggregateError(failed.map(({ error }) => error)),
    hint: 'The cause holds the error of each source.',
  })
}

function isCallersMistake(error: unknown): boolean {
  return RagError.isInstance(error) && ['BAD_OPTION', 'BAD_FILTER', 'BAD_INPUT', 'LIMIT'].includes(error.code)
}
