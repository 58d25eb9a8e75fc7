import { decodePiece, encodePiece, type Piece, type PieceChunk, pieceChunkText } from '../../core/piece.js'
import type { Enricher, EnrichPassage } from '../../enrich/types.js'
import type { Recorder } from '../../performance/types.js'
import { Gate } from '../../util/gate.js'
import { readAhead } from '../../util/read-ahead.js'
import { nothingPrepared, type PreparedDocument, type PreparedPiece } from './prepare.js'

/** What enriches documents on one side of a thread. */
export interface EnrichTools {
  readonly enrichers: readonly Enricher[]
  /** Bytes of pieces that are being enriched, of all documents together. */
  readonly room: Gate
}

/** What is known of the document that a piece is of. */
export interface EnrichedDocument {
  readonly title: string
  readonly language: string
}

export interface EnrichPiecesOptions {
  readonly unenriched: Unenriched
  readonly signal: AbortSignal
  readonly recorder: Recorder
  readonly now: () => number
}

/** Bytes of pieces whose enrichment is under way: some five thousand passages wait for their calls at most. */
const roomBytes = 2 << 20
/** Bytes of one document's pieces that may wait for a piece before them. */
const aheadBytes = 1 << 20

export function createEnrichTools(enrichers: readonly Enricher[]): EnrichTools {
  return { enrichers, room: new Gate(roomBytes) }
}

/** What could not be enriched, counted while pieces are read. */
export class Unenriched {
  /** Chunks that miss something. */
  chunks = 0
  /** Why the first of them does. */
  failure: unknown

  add(chunks: number, failure: unknown): void {
    if (chunks === 0) return
    if (this.chunks === 0) this.failure = failure
    this.chunks += chunks
  }
}

/**
 * Gives pieces, in their order, with what the enrichers add to them; those behind are under way meanwhile. What fails is missing, and counted
 * in `unenriched`. Rejects only with `signal.reason` and what the pieces reject with.
 */
export async function* enrichPieces(
  pieces: AsyncIterable<PreparedPiece>,
  document: EnrichedDocument,
  options: EnrichTools & EnrichPiecesOptions,
): AsyncGenerator<PreparedPiece> {
  const { enrichers, now, recorder, room, signal, unenriched } = options
  let beginning: string | undefined

  async function* begin() {
    for await (const prepared of pieces) {
      const weight = prepared.bytes.length
      await room.enter(weight, signal)
      const piece = decodePiece(prepared.bytes)
      beginning ??= piece.text.slice(0, beginningCharacters)
      const facts = { ...document, beginning }
      const began = now()
      const result = enrichPiece(piece, facts, enrichers, signal).finally(() => {
        room.leave(weight)
        recorder.stage('ingest.enrich', now() - began)
      })
      result.catch(() => {}) // Thrown where its turn comes; until then nobody waits for it.
      yield { prepared, weight, result }
    }
  }

  for await (const { prepared, result } of readAhead(begin(), {
    capacity: aheadBytes,
    weigh: ({ weight }) => weight,
  })) {
    const { failure, failed, piece } = await result
    unenriched.add(failed, failure)
    yield { ...prepared, bytes: encodePiece(piece) }
  }
}

/** Adds what computes by itself to a document that is being prepared, where that happens; `bare` keeps title and headings out. */
export async function* enrichPrepared(
  document: PreparedDocument,
  { bare, enrichers, language }: LocalEnrichment,
  signal: AbortSignal | undefined,
): PreparedDocument {
  const facts = { title: '', language, beginning: '' }
  try {
    for (;;) {
      const { done, value } = await document.next()
      if (done === true) return value
      if (value.type !== 'piece') {
        if (value.type === 'opened') facts.language = value.language ?? language
        yield value
        continue
      }
      const { failed, failure, piece } = await enrichPiece(decodePiece(value.bytes), facts, enrichers, signal)
      // What is computed here fails of a mistake, not of the weather.
      if (failed > 0) throw failure
      yield { ...value, bytes: encodePiece(bare ? { ...piece, bare: true } : piece) }
    }
  } finally {
    await document.return(nothingPrepared)
  }
}

/** See {@link enrichPrepared}. */
export interface LocalEnrichment {
  readonly enrichers: readonly Enricher[]
  readonly bare: boolean
  /** Of documents that do not tell theirs. */
  readonly language: string
}

const beginningCharacters = 1_500
const aroundCharacters = 1_000

interface EnrichedPiece {
  readonly piece: Piece
  /** Chunks that miss something, and why the first does. */
  readonly failed: number
  readonly failure: unknown
}

/** What one enricher gave: lines for all chunks, or for each. */
interface Given {
  readonly above: readonly string[]
  readonly added: readonly (readonly string[])[]
  /** Rows of chunks that miss it. */
  readonly failed: readonly { readonly row: number; readonly error: unknown }[]
}

async function enrichPiece(
  piece: Piece,
  facts: Pick<EnrichPassage, 'title' | 'language' | 'beginning'>,
  enrichers: readonly Enricher[],
  signal: AbortSignal | undefined,
): Promise<EnrichedPiece> {
  const given = await Promise.all(
    enrichers.map((enricher) => {
      const give = enricher.capabilities.scope === 'part' ? givePart : givePassages
      return give(piece, facts, enricher, signal)
    }),
  )
  const failures = given.flatMap(({ failed }) => failed)
  const above = [...(piece.above ?? []), ...given.flatMap((one) => one.above)]
  const chunks = piece.chunks.map((chunk, row): PieceChunk => {
    const added = [...(chunk.added ?? []), ...given.flatMap((one) => one.added[row] ?? [])]
    return added.length === 0 ? chunk : { ...chunk, added }
  })
  return {
    piece: { ...piece, chunks, ...(above.length === 0 ? {} : { above }) },
    failed: new Set(failures.map(({ row }) => row)).size,
    failure: failures[0]?.error,
  }
}

type Give = (
  piece: Piece,
  facts: Pick<EnrichPassage, 'title' | 'language' | 'beginning'>,
  enricher: Enricher,
  signal: AbortSignal | undefined,
) => Promise<Given>

const givePart: Give = async (piece, facts, enricher, signal) => {
  const hasText = piece.chunks.length > 0 && /\S/.test(piece.text)
  if (!hasText) return { above: [], added: [], failed: [] }
  const part: EnrichPassage = { ...facts, text: piece.text, headings: [], before: '', after: '' }
  const { failed, lines } = await ask(enricher, [part], signal)
  const [failure] = failed
  return {
    above: lines[0] ?? [],
    added: [],
    failed: failure === undefined ? [] : piece.chunks.map((_, row) => ({ row, error: failure.error })),
  }
}

const givePassages: Give = async (piece, facts, enricher, signal) => {
  const wanted = piece.chunks.flatMap((chunk, row) => {
    const passage = passageOf(piece, chunk, facts)
    return /\S/.test(passage.text) ? [{ row, passage }] : []
  })
  if (wanted.length === 0) return { above: [], added: [], failed: [] }
  const passages = wanted.map(({ passage }) => passage)
  const { failed, lines } = await ask(enricher, passages, signal)
  const added: (readonly string[])[] = []
  for (const [place, { row }] of wanted.entries()) added[row] = lines[place] ?? []
  return { above: [], added, failed: failed.map(({ error, index }) => ({ row: wanted[index]?.row ?? 0, error })) }
}

function passageOf(
  piece: Piece,
  chunk: PieceChunk,
  facts: Pick<EnrichPassage, 'title' | 'language' | 'beginning'>,
): EnrichPassage {
  const start = chunk.span.start - piece.start
  const end = chunk.span.end - piece.start
  return {
    ...facts,
    text: pieceChunkText(piece, chunk),
    headings: chunk.headings,
    before: piece.text.slice(Math.max(0, start - aroundCharacters), start).trim(),
    after: piece.text.slice(end, end + aroundCharacters).trim(),
  }
}

/** A call that fails as a whole has failed for all. */
async function ask(enricher: Enricher, passages: readonly EnrichPassage[], signal: AbortSignal | undefined) {
  try {
    return await enricher.enrich(passages, signal === undefined ? {} : { signal })
  } catch (error) {
    signal?.throwIfAborted()
    return { lines: passages.map(() => []), failed: passages.map((_, index) => ({ index, error })) }
  }
}
