import { decodePiece } from '../core/piece.js'
import type { Embedder } from '../embed/types.js'
import type { DocumentRecord, StoreNamespace } from '../store/types.js'
import { createPassageEmbedding, type PassageEmbeddingOptions } from './steps/embed-passages.js'

/**
 * Gives every document whose vectors are missing or were made by another embedder new ones, from the text in the store. Each
 * document changes over as a whole; interrupted, the next call goes on with the rest.
 */
export async function reembedDocuments(
  embedder: Embedder,
  namespace: StoreNamespace,
  tools: PassageEmbeddingOptions['tools'],
  signal: AbortSignal,
): Promise<void> {
  for (const document of namespace.list()) {
    signal.throwIfAborted()
    if (document.embedder !== embedder.fingerprint) await reembed(document, embedder, namespace, tools, signal)
  }
}

async function reembed(
  document: DocumentRecord,
  embedder: Embedder,
  namespace: StoreNamespace,
  tools: PassageEmbeddingOptions['tools'],
  signal: AbortSignal,
): Promise<void> {
  const embed = createPassageEmbedding({
    embedder,
    namespace,
    current: undefined,
    title: document.title,
    own: undefined,
    tools,
  })
  const writer = namespace.begin(document.id)
  try {
    for (const bytes of namespace.pieces(document)) {
      const { firstOrdinal, chunks } = decodePiece(bytes)
      const vectors = await embed({ type: 'piece', bytes, firstOrdinal, chunks: chunks.length }, signal)
      await writer.write(bytes, chunks.length, vectors)
    }
    const { id: _id, chunks: _chunks, generation: _generation, base: _base, committedAt: _at, ...facts } = document
    // The pipeline of the old version no longer describes this one: the next ingest of the document looks at it afresh.
    await writer.commit({ ...facts, pipeline: `reembedded:${embedder.fingerprint}`, embedder: embedder.fingerprint })
  } catch (error) {
    await writer.abort()
    throw error
  }
}
