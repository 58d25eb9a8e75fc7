export type { TextEmbedder } from '../interop/embed-rows.js'
export { type AiSdkEmbeddingModelOptions, type EmbeddingModelV3, toAiSdkEmbeddingModel } from './embedding-model.js'
export { type RetrievalToolOptions, type RetrievedPassage, retrievalTool } from './retrieval-tool.js'
