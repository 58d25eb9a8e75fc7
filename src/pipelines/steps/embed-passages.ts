import { RagError } from '../../core/errors.js'
import { decodePiece, indexedText, pieceChunkText } from '../../core/piece.js'
import type { Embedder } from '../../embed/types.js'
import type { Recorder } from '../../performance/types.js'
import type { DocumentRecord, StoreNamespace } from '../../store/types.js'
import type { PreparedPiece } from './prepare.js'

export interface PassageEmbeddingOptions {
  readonly embedder: Embedder
  readonly namespace: StoreNamespace
  /** The version that is being replaced: chunks that stay the same keep their vectors. */
  readonly current: DocumentRecord | undefined
  readonly title: string
  /** Vectors the caller brought along, by ordinal. */
  readonly own: readonly (Float32Array | readonly number[] | undefined)[] | undefined
  readonly tools: { readonly recorder: Recorder; readonly maxTextLength: number; readonly now: () => number }
}

/** Above this many chunks the old version's vectors are not held in memory for reuse. */
const maxReusedChunks = 20_000

/** Returns a function that gives the vectors (`chunks x dimensions`) of one piece after the other. A chunk that cannot be embedded gets a zero row. */
export function createPassageEmbedding(
  options: PassageEmbeddingOptions,
): (piece: PreparedPiece, signal: AbortSignal) => Promise<Float32Array> {
  const { embedder, title, own, tools } = options
  const { dimensions } = embedder
  const known = knownVectors(options)

  return async ({ bytes, firstOrdinal }, signal) => {
    const piece = decodePiece(bytes)
    const vectors = new Float32Array(piece.chunks.length * dimensions)
    const missing: { readonly row: number; readonly text: string }[] = []
    for (const [row, chunk] of piece.chunks.entries()) {
      const vector = ownVector(own?.[firstOrdinal + row], dimensions, firstOrdinal + row) ?? known.get(chunk.id)
      if (vector !== undefined) vectors.set(vector, row * dimensions)
      else {
        const text = indexedText(title, chunk.headings, pieceChunkText(piece, chunk))
        missing.push({ row, text: tools.maxTextLength > 0 ? text.slice(0, tools.maxTextLength) : text })
      }
    }
    tools.recorder.count('embed.reused', piece.chunks.length - missing.length)
    if (missing.length === 0) return vectors

    const began = tools.now()
    const texts = missing.map(({ text }) => text)
    const result = await embedder.embed(texts, { kind: 'passage', signal })
    tools.recorder.stage('ingest.embed', tools.now() - began)
    tools.recorder.count('embed.passages', missing.length)
    tools.recorder.count('embed.failed', result.failed.length)
    for (const [index, { row }] of missing.entries()) {
      vectors.set(result.vectors.subarray(index * dimensions, (index + 1) * dimensions), row * dimensions)
    }
    return vectors
  }
}

/** Vectors of the replaced version by chunk id. */
function knownVectors({ embedder, namespace, current }: PassageEmbeddingOptions): Map<string, Float32Array> {
  const known = new Map<string, Float32Array>()
  if (current === undefined || current.embedder !== embedder.fingerprint || current.chunks > maxReusedChunks)
    return known
  const { dimensions } = embedder
  const ids: string[] = []
  for (const bytes of namespace.pieces(current)) for (const { id } of decodePiece(bytes).chunks) ids.push(id)
  for (const { firstOrdinal, vectors } of namespace.vectors(current)) {
    for (let row = 0; row * dimensions < vectors.length; row++) {
      const vector = vectors.subarray(row * dimensions, (row + 1) * dimensions)
      const id = ids[firstOrdinal + row]
      if (id !== undefined && vector.some((value) => value !== 0)) known.set(id, vector)
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
    throw new RagError('BAD_INPUT', `The vector of chunk ${ordinal} is zero or not finite.`, { data: { ordinal } })
  }
  const scale = 1 / Math.sqrt(squares)
  return Float32Array.from(vector, (value) => value * scale)
}
