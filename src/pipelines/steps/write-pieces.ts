import { RagError } from '../../core/errors.js'
import type { DocumentWriter } from '../../store/types.js'
import { readAhead } from '../../util/read-ahead.js'
import type { PassageEmbedding } from './embed-passages.js'
import type { Unwritten, WriteLimits } from './limits.js'
import type { EmbeddedTexts } from './passage-embedder.js'
import type { PreparedPiece } from './prepare.js'

export interface WritePiecesOptions {
  readonly writer: DocumentWriter
  readonly limits: WriteLimits
  /** Told what the store is given. */
  readonly unwritten: Unwritten
  /** Absent: the pieces have no vectors. */
  readonly embedding: PassageEmbedding | undefined
  /** Values per vector; 0 without an embedder. */
  readonly dimensions: number
  readonly signal: AbortSignal
  /** Told of each piece when it is written. */
  readonly onWritten?: ((step: WrittenStep) => void) | undefined
  /** Ends what is under way for this document, when writing it has failed. */
  readonly stop: (reason: unknown) => void
}

/** How far a document has come with one more piece. */
export interface WrittenStep {
  /** Of this piece. */
  readonly chunks: number
  /** The last page it is of; 0 for media without. */
  readonly page: number
  /** That were embedded for it, where the embedder tells. */
  readonly tokens: number
}

/** What {@link writePieces} has done. */
export interface WrittenPieces {
  /** Chunks without a vector, and why the first of them is. */
  readonly unembedded: number
  readonly failure: unknown
  /** Those of them that may get one when they are tried again. */
  readonly retryable: number
}

/** Bytes of one document's pieces that may wait for a piece before them. */
const aheadBytes = 16 << 20

/** Writes pieces in their order, while those behind them are prepared and embedded. */
export async function writePieces(
  pieces: AsyncIterable<PreparedPiece>,
  options: WritePiecesOptions,
): Promise<WrittenPieces> {
  const { embedding, limits, signal, stop, unwritten, writer } = options
  /** Of `limits.pieces`. */
  let held = 0
  const failures = { unembedded: 0, failure: undefined as unknown, retryable: 0 }

  async function* begin(): AsyncGenerator<PieceUnderWay> {
    for await (const piece of pieces) {
      const weight = weigh(piece, options.dimensions)
      await limits.pieces.enter(weight, signal)
      held += weight
      const begun = await embedding?.(piece, signal)
      begun?.result.catch(() => {}) // Thrown where its turn comes; until then nobody waits for it.
      yield { piece, weight, result: begun?.result }
    }
  }

  // Without vectors to wait for, reading ahead would only fill the memory.
  const capacity = embedding === undefined ? 1 : aheadBytes
  try {
    for await (const { piece, weight, result } of readAhead(begin(), { capacity, weigh: weightOf })) {
      try {
        const embedded = await result
        unwritten.add(piece.bytes.length + (embedded?.vectors.byteLength ?? 0))
        await writer.write(piece.bytes, piece.chunks, embedded?.vectors)
        options.onWritten?.({ chunks: piece.chunks, page: piece.page, tokens: embedded?.tokens ?? 0 })
        for (const failure of embedded?.failures ?? []) {
          if (RagError.isInstance(failure, 'EMPTY')) continue // Nothing is missing where there was nothing to embed.
          if (failures.unembedded++ === 0) failures.failure = failure
          if (RagError.isInstance(failure) && failure.retryable) failures.retryable++
        }
      } catch (error) {
        // Before the iteration ends, which waits for what is being read and embedded.
        stop(error)
        throw error
      }
      limits.pieces.leave(weight)
      held -= weight
    }
  } finally {
    limits.pieces.leave(held)
  }
  return failures
}

/** A piece whose vectors are on their way. */
interface PieceUnderWay {
  readonly piece: PreparedPiece
  readonly weight: number
  readonly result: Promise<EmbeddedTexts> | undefined
}

const weightOf = ({ weight }: PieceUnderWay): number => weight

/** Bytes a piece holds until it is written: encoded, as texts of one or two bytes a character, and vectors with the writer's copy. */
function weigh({ bytes, chunks }: PreparedPiece, dimensions: number): number {
  return 3 * bytes.length + 2 * Float32Array.BYTES_PER_ELEMENT * chunks * dimensions
}
