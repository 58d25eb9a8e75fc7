import { AsyncLocalStorage } from 'node:async_hooks'
import { BaseRetriever, type BaseRetrieverInput } from '@langchain/core/retrievers'
import { ensureConfig, type RunnableConfig } from '@langchain/core/runnables'
import type { Retrievable } from '../compose/parallel-search.js'
import type { RetrieveOptions } from '../core/search.js'
import { type HitMetadata, toDocuments } from './documents.js'

/** Options of {@link toLangChainRetriever}: those of every LangChain retriever, and those of `retrieve()`, with the same defaults. */
export interface LangChainRetrieverOptions extends BaseRetrieverInput, Omit<RetrieveOptions, 'signal'> {}

/**
 * A LangChain retriever over an `UltraFastRAG`, a namespace of one, or a thing with the same `retrieve()`. Each document's `pageContent` is
 * the passage, its metadata tell where it stands (see {@link HitMetadata}). The `signal` and `timeout` of a LangChain call stop the search,
 * which LangChain's own retrievers cannot. Errors are the library's; closing stays the caller's.
 *
 * @example
 * const retriever = toLangChainRetriever(rag, { topK: 4 })
 * const chain = RunnableSequence.from([retriever, (documents) => documents.map(({ pageContent }) => pageContent).join('\n'), …])
 */
export function toLangChainRetriever(
  rag: Retrievable,
  options: LangChainRetrieverOptions = {},
): BaseRetriever<HitMetadata> {
  const { callbacks, metadata, tags, verbose, ...retrieve } = options
  const fields = withoutUndefined({ callbacks, metadata, tags, verbose })
  return new UltraFastRetriever(rag, retrieve, fields)
}

class UltraFastRetriever extends BaseRetriever<HitMetadata> {
  static override lc_name(): string {
    return 'UltraFastRetriever'
  }

  readonly lc_namespace = ['ultrafast-rag', 'retrievers']
  readonly #rag: Retrievable
  readonly #options: Omit<RetrieveOptions, 'signal'>
  /** `invoke()` of the base does not hand the signal on to `_getRelevantDocuments()`. */
  readonly #signal = new AsyncLocalStorage<AbortSignal | undefined>()

  /** Only `fields` go to the base: it keeps what it gets for tracing. */
  constructor(rag: Retrievable, options: Omit<RetrieveOptions, 'signal'>, fields: BaseRetrieverInput) {
    super(fields)
    this.#rag = rag
    this.#options = options
  }

  override async invoke(input: string, options?: Partial<RunnableConfig>) {
    // Makes a signal of `timeout`, once: the base finds none left.
    const config = ensureConfig(options)
    return this.#signal.run(config.signal, () => super.invoke(input, config))
  }

  override async _getRelevantDocuments(question: string) {
    const signal = this.#signal.getStore()
    return toDocuments(await this.#rag.retrieve(question, { ...this.#options, ...(signal && { signal }) }))
  }
}

function withoutUndefined(fields: { [Key in keyof BaseRetrieverInput]: BaseRetrieverInput[Key] | undefined }) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as BaseRetrieverInput
}
