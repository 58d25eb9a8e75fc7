import { randomUUID } from 'node:crypto'
import { Document, type DocumentInterface } from '@langchain/core/documents'
import type { EmbeddingsInterface } from '@langchain/core/embeddings'
import { type MaxMarginalRelevanceSearchOptions, VectorStore } from '@langchain/core/vectorstores'
import type { UltraFastRAGOptions } from '../config/options.js'
import type { ChunkedDocument, Metadata } from '../core/document.js'
import { RagError } from '../core/errors.js'
import type { Filter } from '../core/filter.js'
import type { Hit, RetrieveOptions } from '../core/search.js'
import type { IngestReport } from '../pipelines/ingest.js'
import type { RagNamespace, UltraFastRAG } from '../ultra-fast-rag.js'
import { memoizeAsync } from '../util/memoize-async.js'
import { fromLangChainEmbeddings } from './embeddings.js'

/** A vector store over documents that are somebody else's to close. */
export interface UsedStore {
  /** What holds the documents. It must have been made with the same embeddings: see `fromLangChainEmbeddings()`. */
  readonly rag: Pick<RagNamespace, 'ingest' | 'retrieve' | 'remove'>
}

/** A vector store that holds its documents itself: options of `UltraFastRAG`, and these. */
export interface OwnStore extends Omit<UltraFastRAGOptions, 'embedder' | 'rerank' | 'reduction'> {
  readonly rag?: never
  /**
   * Names the vectors: provider, model and whatever else changes them. Needed with `storage`, where vectors outlive the process. Default,
   * in memory: the class of the embeddings.
   */
  readonly fingerprint?: string
  /** Values per vector. Default: those of the first vector that is seen, for which one text may be embedded twice. */
  readonly dimensions?: number
  /** Whose documents; namespaces do not see each other. Default: the root. */
  readonly namespace?: string
}

/** Options of `addDocuments()` and `addVectors()`. */
export interface AddOptions {
  /** One for each document; a known id replaces. Default: the document's own `id`, else a random UUID. */
  readonly ids?: readonly string[]
  readonly signal?: AbortSignal
}

/** What `delete()` removes: documents by id, or those whose metadata hold. */
export type DeleteTarget = { readonly ids: readonly string[] } | { readonly filter: Filter }

/**
 * A LangChain vector store that keeps its documents in an `UltraFastRAG`: on disk and crash-safe with `storage`, in memory without. Each
 * LangChain document is one document of one chunk under its id. Scores are cosines, higher is better. Filters are those of `retrieve()`
 * (docs/filters.md), checked before the search. Metadata come back as they were given, as JSON has them: a `Date` becomes its text.
 * Nothing is opened before the first call; `close()` closes what it holds itself.
 *
 * @example
 * const store = await UltraFastVectorStore.fromTexts(['tea', 'coffee'], [{ shelf: 1 }, { shelf: 2 }], embeddings, {})
 * const [best] = await store.similaritySearch('espresso', 1, { shelf: { $gte: 1 } })
 */
export class UltraFastVectorStore extends VectorStore {
  declare FilterType: Filter
  readonly #open: (dimensions: number | undefined) => Promise<UsedStore['rag']>
  readonly #close: () => Promise<void>

  constructor(embeddings: EmbeddingsInterface, config: UsedStore | OwnStore = {}) {
    // The base keeps what it gets for tracing; the configuration may hold keys.
    super(embeddings, {})
    if (config.rag !== undefined) {
      const { rag } = config
      this.#open = async () => rag
      this.#close = async () => {}
      return
    }
    const own = new OwnRag(embeddings, config)
    this.#open = (dimensions) => own.open(dimensions)
    this.#close = () => own.close()
  }

  _vectorstoreType(): string {
    return 'ultrafast-rag'
  }

  /**
   * Stores documents and resolves with their ids, in order, once they are on disk and can be found. One that has not changed under its id
   * is not embedded again. Rejects with the first reason when a document was not stored or not embedded; the others stay.
   */
  async addDocuments(documents: DocumentInterface[], options: AddOptions = {}): Promise<string[]> {
    return this.#add(documents, undefined, options)
  }

  /** The same with vectors made elsewhere, of unit length or not. */
  async addVectors(vectors: number[][], documents: DocumentInterface[], options: AddOptions = {}): Promise<string[]> {
    if (vectors.length !== documents.length) {
      throw new RagError('BAD_INPUT', 'There must be one vector for each document.', {
        data: { vectors: vectors.length, documents: documents.length },
      })
    }
    return this.#add(documents, vectors, options)
  }

  /** Removes documents, for good; unknown ids are no error. Rejects with `BAD_INPUT` without `ids` or `filter`: everything is never meant. */
  override async delete(target?: DeleteTarget): Promise<void> {
    const given = Object(target) as { readonly [Key in 'ids' | 'filter']?: unknown }
    const rag = await this.#open(undefined)
    if (Array.isArray(given.ids)) await rag.remove({ documentId: given.ids as string[] })
    else if (given.filter !== undefined) await rag.remove({ filter: given.filter as Filter })
    else throw new RagError('BAD_INPUT', 'delete() takes { ids } or { filter }.')
  }

  /** The `k` nearest documents (0 to 10,000; fewer where there are fewer) with their cosines, best first. */
  async similaritySearchVectorWithScore(
    query: number[],
    k: number,
    filter?: this['FilterType'],
  ): Promise<[Document, number][]> {
    const hits = await this.#search(query, { topK: k, ...(filter === undefined ? {} : { filter }), rerank: false })
    return hits.map((hit) => [toDocument(hit), hit.scores.vector ?? hit.score])
  }

  /**
   * The nearest documents, those that say what a better one has said put back (maximal marginal relevance): of `fetchK` (default 20, at
   * most 1,000) the best `k`. `lambda` (default 0.5): 1 is the order of the search, 0 counts only what is new.
   */
  override async maxMarginalRelevanceSearch(
    query: string,
    { fetchK = 20, filter, k, lambda = 0.5 }: MaxMarginalRelevanceSearchOptions<this['FilterType']>,
  ): Promise<Document[]> {
    const hits = await this.#search(await this.embeddings.embedQuery(query), {
      topK: k,
      ...(filter === undefined ? {} : { filter }),
      rerank: { kind: 'mmr', candidates: fetchK, lambda },
    })
    return hits.map(toDocument)
  }

  /** Closes the documents it holds itself. Safe twice. */
  async close(): Promise<void> {
    return this.#close()
  }

  /** `close()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  static override async fromTexts(
    texts: string[],
    metadatas: object[] | object,
    embeddings: EmbeddingsInterface,
    config: UsedStore | OwnStore = {},
  ): Promise<UltraFastVectorStore> {
    const metadataOf = (place: number) => (Array.isArray(metadatas) ? metadatas[place] : metadatas) ?? {}
    const documents = texts.map((pageContent, place) => new Document({ pageContent, metadata: metadataOf(place) }))
    return UltraFastVectorStore.fromDocuments(documents, embeddings, config)
  }

  static override async fromDocuments(
    documents: DocumentInterface[],
    embeddings: EmbeddingsInterface,
    config: UsedStore | OwnStore = {},
  ): Promise<UltraFastVectorStore> {
    const store = new UltraFastVectorStore(embeddings, config)
    try {
      await store.addDocuments(documents)
      return store
    } catch (error) {
      await store.close() // Nobody else could.
      throw error
    }
  }

  async #add(
    documents: readonly DocumentInterface[],
    vectors: readonly (readonly number[])[] | undefined,
    { ids: givenIds, signal }: AddOptions,
  ): Promise<string[]> {
    if (givenIds !== undefined && givenIds.length !== documents.length) {
      throw new RagError('BAD_INPUT', 'There must be one id for each document.', {
        data: { ids: givenIds.length, documents: documents.length },
      })
    }
    if (documents.length === 0) return []
    const ids = documents.map(({ id }, place) => givenIds?.[place] ?? id ?? randomUUID())
    const rag = await this.#open(vectors?.[0]?.length)
    const inputs = documents.map((document, place) => toInput(document, ids[place] as string, vectors?.[place]))
    refuseFailures(await rag.ingest(inputs, signal === undefined ? {} : { signal }))
    return ids
  }

  async #search(vector: readonly number[], options: RetrieveOptions): Promise<Hit[]> {
    if (options.topK === 0) return []
    const rag = await this.#open(vector.length)
    return rag.retrieve({ vector: Float32Array.from(vector) }, options)
  }
}

/** The documents that a vector store holds itself, opened when the width of the vectors is known. */
class OwnRag {
  readonly #config: OwnStore
  readonly #open: () => Promise<UltraFastRAG>
  #dimensions: number | undefined
  #opening: Promise<UltraFastRAG> | undefined
  #isClosed = false

  constructor(embeddings: EmbeddingsInterface, config: OwnStore) {
    if (config.storage !== undefined && config.fingerprint === undefined) {
      throw new RagError('BAD_OPTION', 'Vectors that are kept need a name.', {
        data: { option: 'fingerprint' },
        hint: 'Name the provider, the model and its options: fingerprint: "openai/text-embedding-3-small".',
      })
    }
    this.#config = config
    this.#dimensions = config.dimensions
    this.#open = memoizeAsync(async () => {
      this.#dimensions ??= (await embeddings.embedQuery('dimensions')).length
      return openOwn(embeddings, config, this.#dimensions)
    })
  }

  /** `dimensions`: of a vector that is at hand; the first one that is seen counts. */
  async open(dimensions: number | undefined): Promise<UsedStore['rag']> {
    const { namespace } = this.#config
    this.#refuseClosed()
    this.#dimensions ??= dimensions
    this.#opening = this.#open()
    const rag = await this.#opening
    this.#refuseClosed()
    return namespace === undefined ? rag : rag.namespace(namespace)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    // What could not be opened has told whoever opened it.
    const rag = await this.#opening?.catch(() => undefined)
    await rag?.close()
  }

  #refuseClosed(): void {
    if (this.#isClosed) throw new RagError('CLOSED', 'This vector store was closed.', { hint: 'Make a new one.' })
  }
}

/** Made by the first call that needs it: the rest of the library is loaded only then. */
async function openOwn(embeddings: EmbeddingsInterface, config: OwnStore, dimensions: number): Promise<UltraFastRAG> {
  const { UltraFastRAG } = await import('../ultra-fast-rag.js')
  const { dimensions: _dimensions, fingerprint = embeddings.constructor.name, namespace: _namespace, ...rest } = config
  return new UltraFastRAG({
    ...rest,
    rerank: false,
    embedder: fromLangChainEmbeddings(embeddings, { fingerprint, dimensions }),
  })
}

function toInput(
  { metadata, pageContent }: DocumentInterface,
  id: string,
  vector: readonly number[] | undefined,
): ChunkedDocument {
  return {
    id,
    // Whatever JSON can carry; the rest is refused by name.
    metadata: metadata as Metadata,
    chunks: [{ text: pageContent, ...(vector === undefined ? {} : { vector }) }],
  }
}

function toDocument({ chunk }: Hit): Document {
  return new Document({ id: chunk.documentId, pageContent: chunk.text, metadata: { ...chunk.metadata } })
}

/** LangChain knows all or an error. */
function refuseFailures({ embeddingFailures, failed, unembedded }: IngestReport): void {
  const [first] = [...failed, ...embeddingFailures]
  if (first === undefined) return
  const { code, message, retryable } = first.error
  const count = failed.length + unembedded
  throw new RagError(code, `${count} of the documents were not stored or not embedded. The first: ${message}`, {
    data: { failed: failed.length, unembedded, ids: [...failed, ...embeddingFailures].slice(0, 10).map(idOf) },
    cause: first.error,
    retryable,
    ...(first.error.hint === undefined ? {} : { hint: first.error.hint }),
  })
}

function idOf({ source }: { readonly source: string }): string {
  return source.replace(/^memory:/, '')
}
