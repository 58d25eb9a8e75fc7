import { Embeddings, type EmbeddingsInterface } from '@langchain/core/embeddings'
import { RagError } from '../core/errors.js'
import type { Embedder, EmbedOptions } from '../embed/types.js'
import { embedRows, type TextEmbedder } from '../interop/embed-rows.js'
import { abortable } from '../util/abort.js'
import { allFinite, normalise } from '../util/vector-math.js'

/**
 * LangChain embeddings over an embedder or an `AsyncEmbedding`. Questions and passages are embedded as what they are. LangChain has no
 * word for one text that failed: a call with a text that cannot be embedded rejects (`data.index` tells which). Closing stays the caller's.
 *
 * @example
 * const embedding = new AsyncEmbedding({ preset: 'production' })
 * const embeddings = toLangChainEmbeddings(embedding)
 */
export function toLangChainEmbeddings(embedder: TextEmbedder): Embeddings {
  return new UltraFastEmbeddings(embedder)
}

class UltraFastEmbeddings extends Embeddings {
  readonly #embedder: TextEmbedder

  constructor(embedder: TextEmbedder) {
    super({})
    this.#embedder = embedder
  }

  async embedDocuments(texts: string[]): Promise<number[][]> {
    return (await embedRows(this.#embedder, texts, { kind: 'passage' })).rows
  }

  async embedQuery(text: string): Promise<number[]> {
    const { rows } = await embedRows(this.#embedder, [text], { kind: 'query' })
    return rows[0] as number[]
  }
}

/** Options of {@link fromLangChainEmbeddings}. */
export interface FromLangChainOptions {
  /** Names the vectors: provider, model and whatever else changes them. Vectors of two fingerprints are never mixed. */
  readonly fingerprint: string
  /** Values per vector. */
  readonly dimensions: number
  /** Texts per call of `embedDocuments()`, 1 to 10,000. Default 64. */
  readonly batchSize?: number
}

const usualBatchSize = 64
const maxBatchSize = 10_000
/** Calls of `embedQuery()`, which takes one question, at a time. */
const questionsAtOnce = 8

/**
 * Any LangChain embeddings as the option `embedder`. Vectors are scaled to length 1; a text without anything but white space is not sent
 * and listed as failed; one that `embedDocuments()` rejects for fails the texts of its call. LangChain's calls cannot be cancelled: an abort
 * rejects at once, the request ends by itself. Throws `BAD_OPTION`.
 */
export function fromLangChainEmbeddings(embeddings: EmbeddingsInterface, options: FromLangChainOptions): Embedder {
  const { batchSize = usualBatchSize, dimensions, fingerprint } = checkOptions(embeddings, options)
  return {
    id: 'langchain',
    fingerprint: `langchain/1/${fingerprint}/${dimensions}`,
    dimensions,
    capabilities: { fitted: false, batchSize },
    async embed(texts, { kind, signal }) {
      const vectors = new Float32Array(texts.length * dimensions)
      const failed: { index: number; error: unknown }[] = []
      const places: number[] = []
      for (const [index, text] of texts.entries()) {
        if (text.trim() === '') failed.push({ index, error: new RagError('EMPTY', 'The text holds no words.') })
        else places.push(index)
      }
      const size = kind === 'query' ? questionsAtOnce : batchSize
      for (let from = 0; from < places.length; from += size) {
        signal?.throwIfAborted()
        const group = places.slice(from, from + size)
        const rows: unknown = await abortable(
          call(
            embeddings,
            group.map((place) => texts[place] as string),
            kind,
          ),
          signal,
        )
        const list = checkRows(rows, group.length)
        for (const [at, place] of group.entries()) {
          const problem = copyRow(list[at], vectors, { start: place * dimensions, dimensions })
          if (problem !== undefined) failed.push({ index: place, error: problem })
        }
      }
      return { vectors, failed: failed.sort((one, other) => one.index - other.index), tokens: 0 }
    },
    async close() {},
  }
}

function checkOptions(embeddings: EmbeddingsInterface, options: FromLangChainOptions): FromLangChainOptions {
  const { batchSize = usualBatchSize, dimensions, fingerprint } = options
  const isWhole = (value: unknown, most: number) =>
    Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most
  if (typeof embeddings?.embedDocuments !== 'function' || typeof embeddings.embedQuery !== 'function') {
    throw new RagError('BAD_OPTION', 'These are no LangChain embeddings: embedDocuments() or embedQuery() is missing.')
  }
  if (typeof fingerprint !== 'string' || fingerprint === '') {
    throw new RagError('BAD_OPTION', 'fingerprint is a text that names the vectors.', {
      hint: 'Name the provider, the model and its options: "openai/text-embedding-3-small".',
    })
  }
  if (!isWhole(dimensions, 65_536)) {
    throw new RagError('BAD_OPTION', 'dimensions is a whole number from 1 to 65536.', { data: { dimensions } })
  }
  if (!isWhole(batchSize, maxBatchSize)) {
    throw new RagError('BAD_OPTION', `batchSize is a whole number from 1 to ${maxBatchSize}.`, { data: { batchSize } })
  }
  return options
}

async function call(embeddings: EmbeddingsInterface, texts: string[], kind: EmbedOptions['kind']): Promise<unknown> {
  if (kind === 'passage') return embeddings.embedDocuments(texts)
  return Promise.all(texts.map((text) => embeddings.embedQuery(text)))
}

function checkRows(rows: unknown, wanted: number): readonly unknown[] {
  if (Array.isArray(rows) && rows.length === wanted) return rows
  throw new RagError('PROVIDER', `The LangChain embeddings did not return ${wanted} vectors.`, {
    data: { wanted, got: Array.isArray(rows) ? rows.length : null },
  })
}

/** Copies a vector and scales it to length 1; returns what is wrong with one that cannot be used, and leaves its row zero. */
function copyRow(
  row: unknown,
  vectors: Float32Array,
  { dimensions, start }: { readonly dimensions: number; readonly start: number },
): RagError | undefined {
  const length = Array.isArray(row) || row instanceof Float32Array ? row.length : null
  if (length !== dimensions) {
    throw new RagError(
      'BAD_INPUT',
      `The LangChain embeddings returned a vector of ${length} values, not ${dimensions}.`,
      {
        data: { dimensions, length },
        hint: 'Set dimensions to what the model returns.',
      },
    )
  }
  vectors.set(row as ArrayLike<number>, start)
  if (allFinite(vectors, start, start + dimensions) && normalise(vectors, start, dimensions) > 0) return undefined
  vectors.fill(0, start, start + dimensions)
  return new RagError('PROVIDER', 'The LangChain embeddings returned a vector without direction.', {
    data: { dimensions },
  })
}
