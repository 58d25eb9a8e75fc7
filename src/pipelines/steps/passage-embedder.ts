import { RagError, type RagErrorCode } from '../../core/errors.js'
import type { Embedder } from '../../embed/types.js'
import type { Recorder } from '../../performance/types.js'
import { Gate } from '../../util/gate.js'
import type { MemoryBudget } from '../../util/memory-budget.js'

/** An embedder as everything that writes documents uses it, all together: it is given as much as keeps it busy, and no more. */
export interface PassageEmbedder {
  readonly embedder: Embedder
  /** Texts that are under way or wait for the next call, about. */
  readonly window: number
  /**
   * Hands the texts of one piece over. Resolves when there is room for them, which may be a while, with their vectors to come:
   * whoever has given so far has reason to prepare the next piece. Rejects only with `signal.reason`.
   */
  submit(texts: readonly string[], signal: AbortSignal): Promise<{ readonly embedded: Promise<EmbeddedTexts> }>
  /** Whether an error says that the embedder itself cannot work: then no other document can be embedded either. */
  isUnusable(error: unknown): boolean
}

/** Rows in the order of the texts, zero for those that failed, and why these did. */
export interface EmbeddedTexts {
  readonly vectors: Float32Array
  readonly failures: readonly unknown[]
  /** That the model read for them; a share of its call's by their characters. */
  readonly tokens: number
}

export interface PassageEmbedderOptions {
  /** Calls at once for an embedder that does not say how many it wants. */
  readonly defaultCalls: number
  readonly recorder: Recorder
  readonly now: () => number
  /** When memory is short, calls are made of fewer texts. */
  readonly memory: MemoryBudget
}

/** Failures that are not about the texts of one call: a package, a file or a setting is wrong, and stays so. */
const unusable: ReadonlySet<RagErrorCode> = new Set([
  'BAD_OPTION',
  'CLOSED',
  'INTEGRITY',
  'MISSING_PEER',
  'NOT_FOUND',
  'UNSUPPORTED',
  'UNSUPPORTED_VERSION',
])

/**
 * Makes a {@link PassageEmbedder}. Pieces of many small documents are embedded by one call, of up to `batchSize` texts: where a call
 * costs as much as a hundred texts, as with a service, one for each document would cost a hundred times as much. A call that fails
 * is repeated piece by piece, so that no document fails for another.
 */
export function createPassageEmbedder(embedder: Embedder, options: PassageEmbedderOptions): PassageEmbedder {
  const { defaultCalls, memory, now, recorder } = options
  const { batchSize, concurrency = defaultCalls } = embedder.capabilities
  // One batch more than is under way, so that the next call finds its texts there.
  const window = (concurrency + 1) * batchSize
  const room = new Gate(window, () => memory.share())
  const textsPerCall = () => Math.max(1, Math.floor(batchSize * memory.share()))
  const waiting: Submission[] = []
  const loadFailures = new WeakSet<object>()
  let calls = 0
  let loading: Promise<void> | undefined
  let isScheduled = false

  const isUnusable = (error: unknown) =>
    RagError.isInstance(error) && (unusable.has(error.code) || loadFailures.has(error))

  /** Makes as many calls as the embedder wants. */
  function makeCalls(): void {
    isScheduled = false
    while (calls < concurrency) {
      const submissions = takeTogether(waiting, textsPerCall())
      if (submissions.length === 0) return
      calls++
      embed(submissions).finally(() => {
        calls--
        makeCalls()
      })
    }
  }

  async function embed(submissions: readonly Submission[]): Promise<void> {
    const call = new AbortController()
    for (const submission of submissions) {
      submission.onAbort = () => {
        if (submissions.every(({ settled }) => settled)) call.abort(submission.signal.reason)
      }
    }
    const texts = submissions.flatMap((submission) => submission.texts)
    try {
      await load()
      call.signal.throwIfAborted()
      const began = now()
      const { vectors, failed, tokens } = await embedder.embed(texts, { kind: 'passage', signal: call.signal })
      recorder.stage('ingest.embed', now() - began)
      recorder.count('embed.passages', texts.length)
      recorder.count('embed.failed', failed.length)
      const errors = new Map(failed.map(({ index, error }) => [index, error]))
      const characters = countCharacters(texts)
      let first = 0
      for (const submission of submissions) {
        const end = first + submission.texts.length
        const failures = [...errors].flatMap(([index, error]) => (index >= first && index < end ? [error] : []))
        submission.succeed({
          vectors: vectors.subarray(first * embedder.dimensions, end * embedder.dimensions),
          failures,
          tokens: characters === 0 ? 0 : Math.round((tokens * countCharacters(submission.texts)) / characters),
        })
        first = end
      }
    } catch (error) {
      if (submissions.length > 1 && !isUnusable(error)) waiting.unshift(...submissions.map(alone))
      else for (const submission of submissions) submission.fail(error)
    }
  }

  /**
   * Loads ahead of the first call, so that a model which cannot be loaded is told from a text which cannot be embedded. The load is
   * everybody's: no caller's signal ends it.
   */
  function load(): Promise<void> {
    loading ??= (async () => embedder.warmUp?.({ kind: 'passage' }))().catch((error) => {
      loadFailures.add(error)
      // Forgotten only when the run has ended of it: the next one tries again, not the next document.
      setImmediate(() => {
        loading = undefined
      })
      throw error
    })
    return loading
  }

  return {
    embedder,
    window,
    isUnusable,
    async submit(texts, signal) {
      const weight = Math.min(texts.length, batchSize)
      await room.enter(weight, signal)
      const submission = new Submission(texts, signal, () => room.leave(weight))
      waiting.push(submission)
      // What comes in the same turn of the loop shares a call.
      if (!isScheduled) setImmediate(makeCalls)
      isScheduled = true
      return { embedded: submission.result }
    },
  }
}

function countCharacters(texts: readonly string[]): number {
  return texts.reduce((sum, { length }) => sum + length, 0)
}

/** The texts of one piece, and whoever waits for their vectors. */
class Submission {
  readonly texts: readonly string[]
  readonly signal: AbortSignal
  readonly result: Promise<EmbeddedTexts>
  /** It shares its call with no other. */
  alone = false
  settled = false
  /** Told when nobody waits any more. */
  onAbort: (() => void) | undefined
  #resolve!: (embedded: EmbeddedTexts) => void
  #reject!: (error: unknown) => void
  readonly #leave: () => void
  readonly #abort = () => {
    this.fail(this.signal.reason)
    this.onAbort?.()
  }

  constructor(texts: readonly string[], signal: AbortSignal, leave: () => void) {
    this.texts = texts
    this.signal = signal
    this.#leave = leave
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    signal.addEventListener('abort', this.#abort, { once: true })
    if (signal.aborted) this.#abort()
  }

  succeed(embedded: EmbeddedTexts): void {
    this.#settle(() => this.#resolve(embedded))
  }

  fail(error: unknown): void {
    this.#settle(() => this.#reject(error))
  }

  #settle(tell: () => void): void {
    if (this.settled) return
    this.settled = true
    this.signal.removeEventListener('abort', this.#abort)
    tell()
    this.#leave()
  }
}

function alone(submission: Submission): Submission {
  submission.alone = true
  return submission
}

/** Takes the submissions of the next call, in their order: at least one if there is any, beyond that no more than `batchSize` texts. */
function takeTogether(waiting: Submission[], batchSize: number): Submission[] {
  const taken: Submission[] = []
  let texts = 0
  for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
    if (!next.settled) {
      const isTooMuch = next.alone || taken[0]?.alone === true || texts + next.texts.length > batchSize
      if (taken.length > 0 && isTooMuch) break
      taken.push(next)
      texts += next.texts.length
    }
    waiting.shift()
  }
  return taken
}
