import { RagError, type RagErrorCode } from '../../core/errors.js'
import type { Embedder, Embeddings } from '../../embed/types.js'
import type { Recorder } from '../../performance/types.js'
import { abortable } from '../../util/abort.js'
import { Gate } from '../../util/gate.js'

/** An embedder as ingests use it, all together: it is given as much as keeps it busy, and no more. */
export interface PassageEmbedder {
  readonly embedder: Embedder
  /** Texts that keep it busy, in however many calls. */
  readonly window: number
  /**
   * Hands texts over. Resolves when the embedder takes them, which may be a while, with their embeddings to come; whoever has given
   * so far has reason to prepare the next. Rejects only with `signal.reason`.
   */
  submit(texts: readonly string[], signal: AbortSignal): Promise<{ readonly embeddings: Promise<Embeddings> }>
  /** Whether an error says that the embedder itself cannot work: then no other document can be embedded either. */
  isUnusable(error: unknown): boolean
}

export interface PassageEmbedderOptions {
  /** Calls at once for an embedder that does not say how many it wants. */
  readonly defaultCalls: number
  readonly recorder: Recorder
  readonly now: () => number
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

export function createPassageEmbedder(embedder: Embedder, options: PassageEmbedderOptions): PassageEmbedder {
  const { defaultCalls, now, recorder } = options
  const { batchSize, concurrency } = embedder.capabilities
  const gate = new Gate(concurrency === undefined ? defaultCalls : concurrency * batchSize)
  const weigh = (texts: number) => (concurrency === undefined ? 1 : Math.min(texts, batchSize))
  const loadFailures = new WeakSet<object>()
  let loading: Promise<void> | undefined

  /**
   * Loads ahead of the first call, so that a model which cannot be loaded is told from a text which cannot be embedded. The load is
   * everybody's: no caller's signal ends it.
   */
  function load(): Promise<void> {
    loading ??= (async () => embedder.warmUp?.())().catch((error) => {
      loadFailures.add(error)
      // Forgotten only when the run has ended of it: the next one tries again, not the next document.
      setImmediate(() => {
        loading = undefined
      })
      throw error
    })
    return loading
  }

  async function embed(texts: readonly string[], signal: AbortSignal): Promise<Embeddings> {
    await abortable(load(), signal)
    const began = now()
    const result = await embedder.embed(texts, { kind: 'passage', signal })
    recorder.stage('ingest.embed', now() - began)
    recorder.count('embed.passages', texts.length)
    recorder.count('embed.failed', result.failed.length)
    return result
  }

  return {
    embedder,
    window: batchSize * (concurrency ?? defaultCalls),
    async submit(texts, signal) {
      const weight = weigh(texts.length)
      await gate.enter(weight, signal)
      return { embeddings: embed(texts, signal).finally(() => gate.leave(weight)) }
    },
    isUnusable: (error) => RagError.isInstance(error) && (unusable.has(error.code) || loadFailures.has(error)),
  }
}
