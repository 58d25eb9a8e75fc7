import { RagError } from '../../core/errors.js'
import { decodePiece, embeddedText, type Piece, type PieceChunk } from '../../core/piece.js'
import type { Recorder } from '../../performance/types.js'
import type { DocumentRecord, StoreNamespace } from '../../store/types.js'
import type { EmbeddedTexts, PassageEmbedder } from './passage-embedder.js'
import type { PreparedPiece } from './prepare.js'

export interface PassageEmbeddingOptions {
  readonly passages: PassageEmbedder
  readonly namespace: StoreNamespace
  /** The version that is being replaced: chunks that stay the same keep their vectors. */
  readonly current: DocumentRecord | undefined
  readonly title: string
  /** Vectors the caller brought along, by ordinal. */
  readonly own: readonly (Float32Array | readonly number[] | undefined)[] | undefined
  /** Characters of a chunk that are embedded; 0: all. */
  readonly maxTextLength: number
  readonly recorder: Recorder
}

/** Begins the embedding of one piece after the other. Resolves when the embedder takes it; the vectors of its chunks follow. */
export type PassageEmbedding = (
  piece: PreparedPiece,
  signal: AbortSignal,
) => Promise<{ readonly result: Promise<EmbeddedTexts> }>

/** Up to this many chunks the vectors of an old version are held in memory for reuse. */
export const maxReusedChunks = 20_000

export function createPassageEmbedding(options: PassageEmbeddingOptions): PassageEmbedding {
  const { maxTextLength, own, passages, recorder, title } = options
  const { dimensions } = passages.embedder
  // Read with the first piece: a document that waits for its turn holds nothing.
  let known: ReadonlyMap<string, Float32Array> | undefined

  return async ({ bytes, firstOrdinal }, signal) => {
    known ??= knownVectors(options)
    const piece = decodePiece(bytes)
    const given = new Map<number, Float32Array>()
    const missing: { readonly row: number; readonly text: string }[] = []
    for (const [row, chunk] of piece.chunks.entries()) {
      const vector =
        ownVector(own?.[firstOrdinal + row], dimensions, firstOrdinal + row) ?? known.get(keyOf(piece, chunk))
      if (vector !== undefined) given.set(row, vector)
      else missing.push({ row, text: embeddedText(title, piece, chunk, maxTextLength) })
    }
    recorder.count('embed.reused', given.size)

    const toVectors = (made: Float32Array): Float32Array => {
      if (given.size === 0) return made
      const vectors = new Float32Array(piece.chunks.length * dimensions)
      for (const [row, vector] of given) vectors.set(vector, row * dimensions)
      for (const [index, { row }] of missing.entries())
        vectors.set(made.subarray(index * dimensions, (index + 1) * dimensions), row * dimensions)
      return vectors
    }
    if (missing.length === 0)
      return { result: Promise.resolve({ vectors: toVectors(new Float32Array()), failures: [], tokens: 0 }) }

    const { embedded } = await passages.submit(
      missing.map(({ text }) => text),
      signal,
    )
    return { result: embedded.then(({ vectors, ...rest }) => ({ ...rest, vectors: toVectors(vectors) })) }
  }
}

/** What tells whether a vector is still that of a chunk: its id is told by title, headings and text, not by what was added. */
function keyOf({ above = [], bare }: Piece, { added = [], id }: PieceChunk): string {
  const more = bare === true || above.length + added.length > 0
  return more ? `${id}${JSON.stringify([bare === true, above, added])}` : id
}

/** Vectors of the replaced version by {@link keyOf}. */
function knownVectors({ passages, namespace, current }: PassageEmbeddingOptions): Map<string, Float32Array> {
  const { embedder } = passages
  const known = new Map<string, Float32Array>()
  if (current === undefined || current.embedder !== embedder.fingerprint || current.chunks > maxReusedChunks)
    return known
  const { dimensions } = embedder
  const keys: string[] = []
  for (const bytes of namespace.pieces(current)) {
    const piece = decodePiece(bytes)
    for (const chunk of piece.chunks) keys.push(keyOf(piece, chunk))
  }
  for (const { firstOrdinal, vectors } of namespace.vectors(current)) {
    for (let row = 0; row * dimensions < vectors.length; row++) {
      const vector = vectors.subarray(row * dimensions, (row + 1) * dimensions)
      const key = keys[firstOrdinal + row]
      if (key !== undefined && vector.some((value) => value !== 0)) known.set(key, vector)
    }
  }
  return known
}

/** Checks a caller's vector and scales it to unit length. */
function ownVector(
  vector: Float32Array | readonly number[] | undefined,
  dimensions: number,
  ordinal: number,
): Float32Array | undefined {
  if (vector === undefined) return undefined
  if (vector.length !== dimensions) {
    throw new RagError(
      'BAD_INPUT',
      `The vector of chunk ${ordinal} has ${vector.length} values; the embedder has ${dimensions}.`,
      {
        data: { ordinal, length: vector.length, dimensions },
        hint: 'Use vectors made by the same model as the "embedder" option.',
      },
    )
  }
  let squares = 0
  for (let i = 0; i < dimensions; i++) squares += (vector[i] as number) ** 2
  if (!(squares > 0) || !Number.isFinite(squares)) {
    throw new RagError('BAD_INPUT', `The vector of chunk ${ordinal} is zero or not finite.`, {
      data: { ordinal },
      hint: 'Leave the vector out to have the chunk embedded.',
    })
  }
  const scale = 1 / Math.sqrt(squares)
  const unit = new Float32Array(dimensions)
  for (let i = 0; i < dimensions; i++) unit[i] = (vector[i] as number) * scale
  return unit
}
