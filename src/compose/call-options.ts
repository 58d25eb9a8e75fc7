import type { QueryOptions } from '../core/answer.js'
import type { BatchOptions } from '../core/batch.js'
import { RagError } from '../core/errors.js'
import type { WaitOptions } from '../core/lifecycle.js'
import type { ExpandOptions, Question, RerankCall, RerankerName, RetrieveOptions } from '../core/search.js'
import type { UnderstandOptions } from '../core/understanding.js'
import { expandLimits } from '../pipelines/steps/expand.js'
import { maxReranked } from '../pipelines/steps/rerank.js'
import type { TuneOptions } from '../pipelines/tune.js'
import type { WatchOptions } from '../pipelines/watch.js'
import { longestTimerMs } from '../util/abort.js'
import { checkKeys } from '../util/check-keys.js'
import { compileFilter } from '../util/filter.js'

/** The options each kind of call knows. Typed as records, so that a new option cannot be forgotten here. */
const waitKeys: Record<keyof WaitOptions, true> = { signal: true, deadlineMs: true }
const ingestKeys: Record<keyof IngestCall, true> = {
  ...waitKeys,
  onProgress: true,
  verify: true,
  retry: true,
  sync: true,
  beforeCommit: true,
}
const watchKeys: Record<keyof WatchOptions, true> = {
  signal: true,
  settleMs: true,
  rescanMs: true,
  pollMs: true,
  onEvent: true,
  onProgress: true,
}
const tuneKeys: Record<keyof TuneOptions, true> = { ...waitKeys, k: true, confidence: true, seed: true }
const listKeys: Record<'filter' | 'after', true> = { filter: true, after: true }
const queryKeys: Record<keyof QueryOptions, true> = {
  ...waitKeys,
  topK: true,
  filter: true,
  groupBy: true,
  perDocument: true,
  rerank: true,
  expand: true,
  maxContextChars: true,
  maxContextTokens: true,
  understand: true,
  history: true,
}

const maxTopK = 10_000
/** The least that the options of the same names of the constructor allow. */
const minContextChars = 100
const minContextTokens = 25

/** Throws `BAD_OPTION` for options of the wrong names or kinds, as do the others. `deadlineMs` is checked where the time begins. */
export function checkWaitOptions(options: WaitOptions, keys: Readonly<Record<string, true>> = waitKeys): void {
  checkKeys(options, keys)
  if (options.signal === undefined || options.signal instanceof AbortSignal) return
  throw new RagError('BAD_OPTION', 'signal is not an AbortSignal.', { hint: 'Pass controller.signal.' })
}

export function checkListOptions(options: { readonly filter?: unknown; readonly after?: unknown }): void {
  checkKeys(options, listKeys)
  if (options.after === undefined || typeof options.after === 'string') return
  throw new RagError('BAD_OPTION', 'after is the id of a document.', { data: { option: 'after' } })
}

/** Options of `ingest()`, before they were checked. */
interface IngestCall extends WaitOptions {
  readonly onProgress?: unknown
  readonly verify?: unknown
  readonly retry?: unknown
  readonly beforeCommit?: unknown
  readonly sync?: unknown
}

export function checkIngestOptions(options: IngestCall): void {
  checkWaitOptions(options, ingestKeys)
  const { verify } = options
  for (const flag of ['retry', 'sync'] as const) {
    if (options[flag] === undefined || typeof options[flag] === 'boolean') continue
    throw new RagError('BAD_OPTION', `${flag} is neither true nor false.`, { data: { option: flag } })
  }
  for (const option of ['onProgress', 'beforeCommit'] as const) {
    if (options[option] === undefined || typeof options[option] === 'function') continue
    throw new RagError('BAD_OPTION', `${option} is not a function.`, { data: { option } })
  }
  if (verify === undefined || verify === 'stamp' || verify === 'hash') return
  throw new RagError('BAD_OPTION', "verify is neither 'stamp' nor 'hash'.")
}

export function checkWatchOptions(folder: unknown, options: WatchOptions): void {
  if (typeof folder !== 'string' || folder === '') {
    throw new RagError('BAD_INPUT', 'watch() takes the path of a folder; "." is the whole root folder.')
  }
  checkWaitOptions(options, watchKeys)
  const { onEvent, onProgress, pollMs, rescanMs, settleMs } = options
  checkCount('settleMs', settleMs, 100, 3_600_000)
  checkCount('rescanMs', rescanMs, 0, longestTimerMs)
  checkCount('pollMs', pollMs, 0, 3_600_000)
  for (const [option, value] of Object.entries({ onEvent, onProgress })) {
    if (value === undefined || typeof value === 'function') continue
    throw new RagError('BAD_OPTION', `${option} is not a function.`, { data: { option } })
  }
}

export function checkTuneOptions(options: TuneOptions): void {
  checkWaitOptions(options, tuneKeys)
}

/** Throws `BAD_OPTION` for values out of range, `BAD_FILTER` and `LIMIT` for what is wrong with the filter. */
export function checkQueryOptions(options: QueryOptions): void {
  checkWaitOptions(options, queryKeys)
  const { expand, filter, groupBy, history, maxContextChars, maxContextTokens, perDocument, rerank, topK, understand } =
    options
  checkCount('topK', topK, 1, maxTopK)
  checkCount('perDocument', perDocument, 1, maxTopK)
  checkCount('maxContextChars', maxContextChars, minContextChars, Number.MAX_SAFE_INTEGER)
  checkCount('maxContextTokens', maxContextTokens, minContextTokens, Number.MAX_SAFE_INTEGER)
  if (groupBy !== undefined && groupBy !== 'document') {
    throw new RagError('BAD_OPTION', 'groupBy can only be "document".', { data: { option: 'groupBy' } })
  }
  checkRerank(rerank)
  checkExpand(expand)
  checkUnderstand(understand)
  checkHistory(history)
  compileFilter(filter)
}

/** What `precompute()` takes beside the options of a query. */
export function checkPrecomputeOptions({
  concurrency,
  onProgress,
  ttlMs,
}: {
  readonly concurrency: number
  readonly onProgress: unknown
  readonly ttlMs: number | undefined
}): void {
  checkCount('concurrency', concurrency, 1, 64)
  checkCount('ttlMs', ttlMs, 0, Number.MAX_SAFE_INTEGER)
  if (onProgress === undefined || typeof onProgress === 'function') return
  throw new RagError('BAD_OPTION', 'onProgress is not a function.')
}

/** What `queryBatch()` takes beside the options of a query. */
export function checkBatchOptions(options: BatchOptions): void {
  checkKeys(options, { ...queryKeys, concurrency: true, onFailure: true })
  checkCount('concurrency', options.concurrency, 1, 64)
  checkOneOf('onFailure', options.onFailure, ['report', 'throw'])
}

/** What `chat()` takes beside the options of a query. */
export function checkChatOptions({
  maxHistoryChars,
  maxTurns,
}: {
  readonly maxTurns: number | undefined
  readonly maxHistoryChars: number | undefined
}): void {
  checkCount('maxTurns', maxTurns, 1, 1_000)
  checkCount('maxHistoryChars', maxHistoryChars, 1_000, 10_000_000)
}

const expandKeys: Record<keyof ExpandOptions, true> = { before: true, after: true, maxChars: true }

function checkExpand(expand: RetrieveOptions['expand']): void {
  if (expand === undefined || expand === 'neighbours' || expand === 'section') return
  if (typeof expand === 'string') {
    throw new RagError('BAD_OPTION', 'expand must be "neighbours", "section", or { before, after, maxChars }.', {
      data: { option: 'expand' },
    })
  }
  checkKeys(expand, expandKeys)
  checkCount('expand.before', expand.before, 0, expandLimits.passages)
  checkCount('expand.after', expand.after, 0, expandLimits.passages)
  checkCount('expand.maxChars', expand.maxChars, 1, expandLimits.maxChars)
}

const rerankKeys: Record<keyof RerankCall, true> = { kind: true, candidates: true, lambda: true }
const rerankers: Record<RerankerName, true> = { mmr: true, 'cross-encoder': true, llm: true }

function checkRerank(rerank: RetrieveOptions['rerank']): void {
  if (rerank === undefined || typeof rerank === 'boolean') return
  if (typeof rerank !== 'string') checkKeys(rerank, rerankKeys)
  const { kind, candidates, lambda }: RerankCall = typeof rerank === 'string' ? { kind: rerank } : rerank
  checkCount('rerank.candidates', candidates, 1, maxReranked)
  if (lambda !== undefined && (kind !== 'mmr' || !(lambda >= 0 && lambda <= 1))) {
    throw new RagError('BAD_OPTION', 'rerank.lambda is a number from 0 to 1, beside kind: "mmr".', {
      data: { option: 'rerank.lambda' },
    })
  }
  if (kind === undefined || Object.hasOwn(rerankers, kind)) return
  throw new RagError('BAD_OPTION', `rerank must be one of "${Object.keys(rerankers).join('", "')}".`, {
    data: { option: 'rerank' },
  })
}

const understandKeys: Record<keyof UnderstandOptions, true> = {
  multiQuery: true,
  hyde: true,
  decompose: true,
  condense: true,
  language: true,
  timeoutMs: true,
}

function checkUnderstand(understand: RetrieveOptions['understand']): void {
  if (understand === undefined || understand === false) return
  checkKeys(understand, understandKeys)
  const { condense, decompose, hyde, language, multiQuery, timeoutMs } = understand
  if (typeof multiQuery !== 'boolean') checkCount('understand.multiQuery', multiQuery, 1, 8)
  checkCount('understand.timeoutMs', timeoutMs, 1, 600_000)
  checkOneOf('understand.hyde', hyde, [true, false])
  checkOneOf('understand.language', language, [true, false])
  checkOneOf('understand.decompose', decompose, [true, false, 'conjunctions'])
  checkOneOf('understand.condense', condense, [true, false, 'terms'])
}

function checkOneOf<Value>(option: string, value: Value | undefined, allowed: readonly Value[]): void {
  if (value === undefined || allowed.includes(value)) return
  throw new RagError(
    'BAD_OPTION',
    `${option} must be one of ${allowed.map((one) => JSON.stringify(one)).join(', ')}.`,
    {
      data: { option },
    },
  )
}

const maxTurns = 10_000

/** Throws `BAD_OPTION` for what is no list of turns. */
export function checkHistory(history: unknown): void {
  if (history === undefined) return
  if (!Array.isArray(history) || history.length > maxTurns) {
    throw new RagError('BAD_OPTION', `history is a list of at most ${maxTurns} turns.`, { data: { option: 'history' } })
  }
  const place = history.findIndex((turn) => !isTurn(turn))
  if (place === -1) return
  throw new RagError(
    'BAD_OPTION',
    `Turn ${place} of the history is not { role: "user" | "assistant", content: string }.`,
    {
      data: { option: 'history', place },
      hint: 'Leave out instructions and tool calls: what was asked and what was answered is enough.',
    },
  )
}

function isTurn(turn: unknown): boolean {
  const { content, role } = (turn ?? {}) as { readonly content?: unknown; readonly role?: unknown }
  return typeof content === 'string' && (role === 'user' || role === 'assistant')
}

/** Throws `BAD_INPUT` for what is no question, `LIMIT` for one that is too long. */
export function checkQuestion(question: Question, maxQueryChars: number): void {
  const { vector, text } =
    typeof question === 'string' ? { text: question } : ((question ?? {}) as { [key: string]: unknown })
  const isVector = vector instanceof Float32Array || Array.isArray(vector)
  if ((typeof question !== 'string' && !isVector) || (text !== undefined && typeof text !== 'string')) {
    throw new RagError('BAD_INPUT', 'A question is text, or { vector, text? }.')
  }
  if (text === undefined || text.length <= maxQueryChars) return
  throw new RagError('LIMIT', `The question has ${text.length} characters; ${maxQueryChars} are allowed.`, {
    data: { length: text.length, limit: maxQueryChars },
    hint: 'Shorten it, or raise limits.maxQueryChars.',
  })
}

function checkCount(option: string, value: number | undefined, least: number, most: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) return
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`
  throw new RagError('BAD_OPTION', `${option} must be a whole number ${range}.`, { data: { option, value } })
}
