export type { TextEmbedder } from '../interop/embed-rows.js'
export type { HitMetadata } from './documents.js'
export { type FromLangChainOptions, fromLangChainEmbeddings, toLangChainEmbeddings } from './embeddings.js'
export { type LangChainRetrieverOptions, toLangChainRetriever } from './retriever.js'
export {
  type AddOptions,
  type DeleteTarget,
  type OwnStore,
  UltraFastVectorStore,
  type UsedStore,
} from './vector-store.js'
