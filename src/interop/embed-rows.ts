import type { AsyncEmbedding } from '../async-embedding.js'
import { RagError } from '../core/errors.js'
import type { Embedder, EmbedOptions } from '../embed/types.js'
import { createPause, createTurns } from '../util/yield.js'

/** An embedder; or an `AsyncEmbedding`, which makes one from the options of `UltraFastRAG`. */
export type TextEmbedder = Pick<Embedder, 'embed'> | Pick<AsyncEmbedding, 'embedBatch'>

/** What {@link embedRows} resolves with. */
export interface EmbeddedRows {
  /** One list of numbers for each text. */
  readonly rows: number[][]
  readonly tokens: number
}

/**
 * Embeds texts for an interface that knows plain lists of numbers and no partial failures: one text that cannot be embedded rejects the
 * whole call, with its reason and its place (`data.index`).
 */
export async function embedRows(
  embedder: TextEmbedder,
  texts: readonly string[],
  options: EmbedOptions,
): Promise<EmbeddedRows> {
  if (texts.length === 0) return { rows: [], tokens: 0 }
  const { failed, tokens, vectors } =
    'embedBatch' in embedder ? await embedder.embedBatch(texts, options) : await embedder.embed(texts, options)
  const [first] = failed
  if (first !== undefined) throw failure(first, failed.length, texts.length)
  const { signal } = options
  const pause = createPause(createTurns(), () => signal?.throwIfAborted())
  const dimensions = vectors.length / texts.length
  const rows: number[][] = []
  for (let start = 0; start < vectors.length; start += dimensions) {
    await pause()
    rows.push(Array.from(vectors.subarray(start, start + dimensions)))
  }
  return { rows, tokens }
}

function failure({ error, index }: { readonly error: unknown; readonly index: number }, failed: number, texts: number) {
  const code = RagError.isInstance(error) ? error.code : 'PROVIDER'
  const reason = RagError.isInstance(error) ? `: ${error.message}` : '.'
  return new RagError(code, `The text at place ${index} of ${texts} was not embedded${reason}`, {
    data: { index, texts, failed },
    cause: error,
    hint: 'Leave out texts without words; embed() and embedBatch() tell of each text that failed, and keep the others.',
  })
}
