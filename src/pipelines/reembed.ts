import { RagError } from '../core/errors.js'
import { decodePiece } from '../core/piece.js'
import type { Recorder } from '../performance/types.js'
import type { DocumentRecord, DocumentWriter, NewDocument, StoreNamespace } from '../store/types.js'
import { type FollowingAbort, followSignal } from '../util/abort.js'
import { runMany } from '../util/run-many.js'
import { createPassageEmbedding } from './steps/embed-passages.js'
import { inOrder, type LastWrites } from './steps/in-order.js'
import { isIncomplete, pipelineAfter } from './steps/incomplete.js'
import { countUnwritten, documentGate, type Unwritten, type WriteLimits } from './steps/limits.js'
import type { PassageEmbedder } from './steps/passage-embedder.js'
import type { PreparedPiece } from './steps/prepare.js'
import { writePieces } from './steps/write-pieces.js'

export interface ReembedTools {
  readonly namespace: StoreNamespace
  readonly passages: PassageEmbedder
  readonly lastWrites: LastWrites
  readonly limits: WriteLimits
  /** Characters of a chunk that are embedded; 0: all. */
  readonly maxTextLength: number
  readonly recorder: Recorder
}

/** Documents looked at between two turns of the event loop, where none has anything to wait for: about a millisecond. */
const documentsPerTurn = 128

/**
 * Gives every document whose vectors are missing or were made by another embedder new ones, from the text in the store, several
 * documents at once. Each changes over as a whole; interrupted, the next call goes on with the rest.
 */
export async function reembedDocuments(tools: ReembedTools, signal: AbortSignal): Promise<void> {
  const { lastWrites, namespace, passages } = tools
  const run = followSignal(signal)
  const documents = documentGate(passages)
  const isStale = (document: DocumentRecord) =>
    document.embedder !== passages.embedder.fingerprint || isIncomplete(document)

  async function* stale(): AsyncGenerator<DocumentRecord> {
    let seen = 0
    for (const document of namespace.list()) {
      run.signal.throwIfAborted()
      if (isStale(document)) yield document
      else if (++seen % documentsPerTurn === 0) await new Promise(setImmediate)
    }
  }

  try {
    await runMany(
      stale(),
      ({ id }) =>
        inOrder(lastWrites, id, async () => {
          const document = namespace.get(id)
          // It may have been removed, or ingested anew, while it waited.
          if (document !== undefined && isStale(document)) await reembed(document, tools, run.signal)
        }),
      {
        admit: async () => {
          await documents.enter(1, run.signal)
          return () => documents.leave(1)
        },
        onFailure: run.abort,
      },
    )
  } finally {
    run.dispose()
  }
}

async function reembed(document: DocumentRecord, tools: ReembedTools, signal: AbortSignal): Promise<void> {
  const own = followSignal(signal)
  const unwritten = countUnwritten(tools.limits)
  const writer = tools.namespace.begin(document.id)
  const isCurrent = () => tools.namespace.get(document.id)?.generation === document.generation
  try {
    const version = await writeVectors(document, { ...tools, writer, unwritten, own })
    // Whoever replaced or removed it meanwhile came later, and wins.
    if (isCurrent()) await writer.commit(version)
    else await writer.abort()
  } catch (error) {
    await writer.abort()
    // A version that is not current any more may vanish while it is read.
    if (isCurrent() || !RagError.isInstance(error, 'NOT_FOUND')) throw error
  } finally {
    unwritten.end()
    own.dispose()
  }
}

interface VectorOptions extends ReembedTools {
  readonly writer: DocumentWriter
  readonly unwritten: Unwritten
  readonly own: FollowingAbort
}

/** Writes the document's pieces again, with vectors of the embedder there is now. */
async function writeVectors(document: DocumentRecord, options: VectorOptions): Promise<NewDocument> {
  const { own, passages } = options
  const { dimensions, fingerprint } = passages.embedder
  const written = await writePieces(storedPieces(document, options, own.signal), {
    ...options,
    embedding: createPassageEmbedding({ ...options, current: document, title: document.title, own: undefined }),
    dimensions,
    signal: own.signal,
    stop: own.abort,
  })
  const { id: _id, chunks, generation: _generation, base: _base, committedAt: _at, ...facts } = document
  // The pipeline of the old version no longer describes this one: the next ingest of the document looks at it afresh.
  const pipeline = pipelineAfter(written, chunks, `reembedded:${fingerprint}`)
  return { ...facts, pipeline, embedder: fingerprint }
}

/** Read as documents are prepared: not before the pieces ahead of them were given to the embedder. */
async function* storedPieces(
  document: DocumentRecord,
  { limits, namespace }: ReembedTools,
  signal: AbortSignal,
): AsyncGenerator<PreparedPiece> {
  await limits.preparing.enter(1, signal)
  try {
    await limits.unwritten.enter(0, signal)
    for (const bytes of namespace.pieces(document)) {
      const { chunks, firstOrdinal } = decodePiece(bytes)
      const page = chunks.at(-1)?.span.page ?? 0
      yield { type: 'piece', bytes, firstOrdinal, chunks: chunks.length, page }
    }
  } finally {
    limits.preparing.leave(1)
  }
}
