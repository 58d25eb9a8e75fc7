import { getEventListeners, setMaxListeners } from 'node:events'
import type { ServerResponse } from 'node:http'
import { expect } from 'vitest'
import { type AnswerEvent, type QueryOptions, RagError, type Reranker, UltraFastRAG } from '../../src/index.js'
import { randomNumbers } from '../../src/util/random.js'
import { modelFolder } from '../fixtures/models/model-folder.js'
import { cutConnection } from '../lib/api-server.js'
import { beginStream, type ChatReply, delta, sse, startChatCompletions } from '../lib/chat-completions.js'

export interface AbortAnswersOptions {
  readonly calls: number
  readonly seed: number
  /** Whether calls are ended by `close()` in the middle, after so many. Default: they all come to their own end. */
  readonly closeAfter?: number
  /** Reranks with a model in threads, instead of one in this thread that counts what it does. */
  readonly crossEncoder?: boolean
}

/** Calls at a time: more than there are places. */
const lanes = 16
const enough = new Error('enough')

const documents = Array.from({ length: 40 }, (_, i) => ({
  id: `d${i}`,
  chunks: [{ text: `The marmalade of town ${i} is in teapot ${i % 7}. Its mayor drinks tea.` }],
}))

type Ending = 'read' | 'abort' | 'deadline' | 'leave' | 'shared'
type Kind = 'query' | 'stream' | 'retrieve' | 'queryBatch' | 'retrieveBatch' | 'chat'

/**
 * Asks questions in every way, which are understood, embedded in threads, reranked, and answered by a service that fails and hangs, and ends each call as a seed
 * says. Afterwards no connection is open, nothing waits for the model of vectors, the reranker has nothing to do, every place is free, nobody listens to the
 * callers' signal, nothing was rejected unseen, and the next question is answered.
 */
export async function abortAnswers({
  calls,
  closeAfter = Number.POSITIVE_INFINITY,
  crossEncoder = false,
  seed,
}: AbortAnswersOptions): Promise<{ readonly outcomes: Record<string, number> }> {
  const random = randomNumbers(seed)
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item
  const unseen: unknown[] = []
  const onUnseen = (reason: unknown): void => void unseen.push(reason)
  process.on('unhandledRejection', onUnseen)
  const api = await startChatCompletions(() => pick(replies))
  const counting = createCountingReranker(random)
  const limits = { firstTokenTimeoutMs: 60, idleTimeoutMs: 60, maxAttempts: 1, maxAnswerChars: 200 }
  const rag = new UltraFastRAG({
    embedder: { kind: 'onnx', model: modelFolder({ weights: ['int8'] }) },
    quantization: 'int8',
    maxWorkers: 2,
    cacheEmbeddings: false,
    rerank: crossEncoder
      ? { kind: 'cross-encoder', model: modelFolder({ output: 'logit', weights: ['int8'] }) }
      : counting.reranker,
    llm: { kind: 'openai-compatible', model: 'm', baseURL: api.baseURL, ...limits },
    understand: { multiQuery: 1, hyde: true, timeoutMs: 60 },
    maxConcurrentQueries: 6,
    maxQueuedQueries: 8,
  })
  const shared = new AbortController()
  setMaxListeners(0, shared.signal)
  const signals = new Set<AbortSignal>()
  const outcomes: Record<string, number> = {}
  try {
    await rag.ingest(documents)
    await rag.retrieve('warm', { understand: false })
    let begun = 0
    let closing: Promise<void> | undefined
    const lane = async (): Promise<void> => {
      while (begun < calls) {
        if (begun++ === closeAfter) closing = rag.close()
        const outcome = await askOnce(rag, {
          kind: pick(kinds),
          ending: pick(endings),
          question: `Where is the marmalade of town ${Math.floor(random() * 12)}?`,
          patienceMs: random() * 30,
          events: 1 + Math.floor(random() * 5),
          budget: random() < 0.3 ? { budgetMs: 1 + Math.floor(random() * 40) } : {},
          shared: shared.signal,
          signals,
        })
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
      }
    }
    await Promise.all(Array.from({ length: lanes }, lane))
    await closing
    await api.whenIdle()
    const gauges = () => rag.tracker.summary().gauges
    await until(() => counting.counts.running === 0 && (closing !== undefined || gauges().embedder?.queued === 0))
    expect(gauges().queries).toMatchObject({ running: 0, waiting: 0 })
    // A call is told of its end before all that worked for it has heard.
    await until(() => [...signals, shared.signal].every((signal) => getEventListeners(signal, 'abort').length === 0))
    expect(Object.values(outcomes).reduce((sum, count) => sum + count, 0)).toBe(calls)
    if (closing === undefined) {
      api.reply = () => ['In teapot 1 [1].']
      // Fresh words: whatever is kept of earlier questions is no answer to it.
      const { outcome } = await rag.query('Who drinks tea in town 39?', { deadlineMs: 20_000 })
      expect(outcome).toBe('answered')
    }
    await rag.close()
    await api.whenIdle()
    await new Promise(setImmediate)
    expect(unseen).toEqual([])
    return { outcomes }
  } finally {
    process.off('unhandledRejection', onUnseen)
    await rag.close()
    await api.close()
  }
}

const kinds: readonly Kind[] = ['query', 'query', 'stream', 'stream', 'retrieve', 'queryBatch', 'retrieveBatch', 'chat']
const endings: readonly Ending[] = ['read', 'abort', 'abort', 'deadline', 'leave', 'leave', 'shared']

interface Asking {
  readonly kind: Kind
  readonly ending: Ending
  readonly question: string
  readonly patienceMs: number
  /** Read before a stream is left. */
  readonly events: number
  readonly budget: QueryOptions
  readonly shared: AbortSignal
  /** Takes the signal of this call. */
  readonly signals: Set<AbortSignal>
}

/** One call to its end: how it ended. Fails for what no call may end with. */
async function askOnce(rag: UltraFastRAG, asking: Asking): Promise<string> {
  const { ending, patienceMs, shared, signals } = asking
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  signals.add(controller.signal)
  const timer = ending === 'abort' ? setTimeout(() => controller.abort(enough), patienceMs) : undefined
  const options: QueryOptions = {
    ...asking.budget,
    signal: ending === 'shared' ? shared : controller.signal,
    ...(ending === 'deadline' ? { deadlineMs: patienceMs } : {}),
  }
  try {
    await ask(rag, asking, options)
    return 'done'
  } catch (error) {
    if (error === enough) {
      expect(ending).toBe('abort')
      return 'aborted'
    }
    if (!RagError.isInstance(error)) throw error
    expect(allowed).toContain(error.code)
    if (error.code === 'DEADLINE') expect(ending).toBe('deadline')
    expect(error.message).not.toMatch(/marmalade|teapot/)
    return error.code
  } finally {
    clearTimeout(timer)
  }
}

const allowed: readonly string[] = ['DEADLINE', 'OVERLOADED', 'PROVIDER', 'TIMEOUT', 'CLOSED']

async function ask(rag: UltraFastRAG, asking: Asking, options: QueryOptions): Promise<unknown> {
  const { ending, events, kind, patienceMs, question } = asking
  const several = [question, `${question} And its mayor?`, question]
  switch (kind) {
    case 'query':
      return rag.query(question, options)
    case 'retrieve':
      return rag.retrieve(question, options)
    case 'queryBatch':
      return rag.queryBatch(several, { ...options, concurrency: 2 })
    case 'retrieveBatch':
      return rag.retrieveBatch(several, options)
    case 'stream':
      return read(rag.stream(question, options), { ending, events, patienceMs })
    case 'chat':
      return read(rag.chat().send(question, options), { ending, events, patienceMs })
    default:
      return kind satisfies never
  }
}

async function read(
  stream: AsyncGenerator<AnswerEvent, void, undefined>,
  { ending, events, patienceMs }: Pick<Asking, 'ending' | 'events' | 'patienceMs'>,
): Promise<void> {
  if (ending !== 'leave') {
    for await (const _event of stream);
    return
  }
  let read = 0
  // Some leave between two events, others while they wait for one.
  if (events > 3) {
    const leaving = new Promise<void>((resolve) => {
      setTimeout(() => resolve(stream.return(undefined).then(() => {})), patienceMs)
    })
    try {
      for await (const _event of stream);
    } finally {
      await leaving
    }
    return
  }
  for await (const _event of stream) if (++read === events) break
}

/** A reranker in this thread that takes its time and knows how many of its calls are under way. */
function createCountingReranker(random: () => number) {
  const counts = { running: 0 }
  const reranker: Reranker = {
    id: 'counting',
    fingerprint: 'counting/1',
    capabilities: { vectors: false },
    async rerank({ candidates }, { signal }) {
      counts.running++
      await new Promise<void>((resolve) => {
        const end = (): void => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', end)
          resolve()
        }
        const timer = setTimeout(end, random() * 10)
        signal?.addEventListener('abort', end, { once: true })
      })
      counts.running--
      signal?.throwIfAborted()
      return candidates.map(({ number }, place) => ({ number, score: -place }))
    },
    async close() {},
  }
  return { counts, reranker }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5))
}

const streaming =
  (then: (response: ServerResponse) => void): ChatReply =>
  (response) => {
    beginStream(response)
    response.write(sse(delta('It is ')), () => then(response))
  }

const sound: ChatReply = ['It is in ', 'the teapot [1]', '.']

const replies: readonly ChatReply[] = [
  sound,
  sound,
  sound,
  // Silent from the beginning, and after the first words.
  () => {},
  streaming(() => {}),
  streaming(cutConnection),
  cutConnection,
  { status: 500, body: { error: { message: 'The marmalade is gone.' } } },
  async (response) => {
    beginStream(response)
    while (response.writable) {
      response.write(sse(delta('more and more ')))
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  },
]
