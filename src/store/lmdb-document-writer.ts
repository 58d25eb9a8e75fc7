import { crc32 } from 'node:zlib'
import { noVectors, PieceDirectory, type PieceEntry } from './directory.js'
import { bytesOf } from './lmdb-layout.js'
import type { Content, StoredPiece, VersionOf } from './lmdb-messages.js'
import type { WriterThread } from './lmdb-writer.js'
import type { CommitOptions, DocumentRecord, DocumentWriter, NewDocument, NewFailure } from './types.js'
import { checkVectors, originOf, requireIdBytes, writerFinished } from './validate.js'

/** Bytes that wait here until they are sent to be written. A document below it is written in one transaction, with its commit. */
const partBytes = 1 << 20
/** Bytes that are not yet on disk, at most. */
const maxHeldBytes = 8 << 20

/** Writes one version: in parts under a generation of its own, then the commit that makes it visible. */
export class LmdbDocumentWriter implements DocumentWriter {
  readonly #thread: WriterThread
  readonly #namespace: string
  readonly #documentId: string
  #state: 'open' | 'committing' | 'ended' = 'open'
  #generation: number | undefined
  readonly #entries: PieceEntry[] = []
  #waiting: StoredPiece[] = []
  #waitingBytes = 0
  #sentBytes = 0
  #chunks = 0
  #dimensions: number | undefined
  /** The part on its way; one at a time, so that what gathers meanwhile goes together. */
  #sending: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined

  constructor(thread: WriterThread, namespace: string, documentId: string) {
    requireIdBytes(documentId)
    this.#thread = thread
    this.#namespace = namespace
    this.#documentId = documentId
  }

  async write(piece: Uint8Array, chunks: number, vectors?: Float32Array): Promise<void> {
    this.#requireOpen()
    this.#entries.push(this.#entryOf(piece, chunks, vectors))
    // The caller may go on to index the vectors; the piece is ours.
    this.#waiting.push({ bytes: piece, vectors: vectors?.slice() })
    this.#waitingBytes += sizeOf(piece, vectors)
    this.#chunks += chunks
    if (this.#waitingBytes >= partBytes) this.#sending ??= this.#send()
    while (this.#waitingBytes + this.#sentBytes > maxHeldBytes && this.#sending !== undefined) await this.#sending
    this.#throwFailure()
  }

  async commit(
    document: NewDocument,
    { replaces }: CommitOptions = {},
  ): Promise<{ readonly record: DocumentRecord; readonly unchanged: boolean }> {
    this.#requireOpen()
    this.#state = 'committing'
    try {
      await this.#sending
      this.#throwFailure()
      const bytes = this.#waitingBytes
      const { content, transfer } = this.#takeWaiting()
      const result = await this.#thread.request<'commit'>(
        {
          kind: 'commit',
          version: this.#version,
          content,
          directory: PieceDirectory.from(this.#entries).cells,
          chunks: this.#chunks,
          document,
          replaces,
        },
        { bytes, transfer },
      )
      this.#state = 'ended'
      return result
    } catch (error) {
      this.#failure ??= { error }
      throw error
    }
  }

  async abort(failure?: NewFailure): Promise<void> {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#waiting = []
    this.#waitingBytes = 0
    await this.#sending
    if (this.#generation === undefined && failure === undefined) return
    try {
      await this.#thread.request<'abort'>({ kind: 'abort', version: this.#version, failure })
    } catch (error) {
      // Callers abort because something failed already, which this must not hide. The parts are deleted later.
      this.#thread.warn('An unfinished document version could not be deleted at once.', error)
    }
  }

  get #version(): VersionOf {
    return { namespace: this.#namespace, documentId: this.#documentId, generation: this.#generation }
  }

  #requireOpen(): void {
    if (this.#state !== 'open') throw writerFinished(this.#documentId)
    this.#throwFailure()
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  #entryOf(piece: Uint8Array, chunks: number, vectors: Float32Array | undefined): PieceEntry {
    const { firstOrdinal, start } = originOf(this.#documentId, piece, this.#chunks)
    if (vectors !== undefined) this.#dimensions = checkVectors(chunks, vectors, this.#dimensions)
    return {
      firstOrdinal,
      start,
      checksum: crc32(piece),
      vectorsChecksum: vectors === undefined ? noVectors : crc32(bytesOf(vectors)),
    }
  }

  /** Sends what waits, and what gathers meanwhile, until less than a part is left. A failure is kept for the next call. */
  async #send(): Promise<void> {
    try {
      while (this.#waitingBytes >= partBytes && this.#state !== 'ended') {
        const bytes = this.#waitingBytes
        const { content, transfer } = this.#takeWaiting()
        this.#sentBytes = bytes
        this.#generation = await this.#thread.request<'append'>(
          { kind: 'append', version: this.#version, content },
          { bytes, transfer },
        )
        this.#sentBytes = 0
      }
    } catch (error) {
      this.#failure = { error }
    }
    this.#sentBytes = 0
    this.#sending = undefined
  }

  #takeWaiting(): { readonly content: Content; readonly transfer: ArrayBuffer[] } {
    const pieces = this.#waiting.map(({ bytes, vectors }) => ({ bytes: movable(bytes), vectors }))
    const transfer = new Set(pieces.flatMap(({ bytes, vectors }) => [bytes.buffer, vectors?.buffer ?? bytes.buffer]))
    this.#waiting = []
    this.#waitingBytes = 0
    return { content: { place: this.#entries.length - pieces.length, pieces }, transfer: [...transfer] }
  }
}

/** The bytes in a buffer of their own, which can be moved to another thread. */
function movable(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer
  return whole ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes)
}

function sizeOf(piece: Uint8Array, vectors: Float32Array | undefined): number {
  return piece.byteLength + (vectors?.byteLength ?? 0)
}
