import { RagError } from '../core/errors.js'
import { decodePiece, ownText, type Piece, sharedLines } from '../core/piece.js'
import type { Analyzer } from '../text/analyzer.js'
import { type Segment, writeSegment } from './segment.js'
import type { LexicalDocumentPart } from './types.js'

/** What becomes one segment. */
export interface Batch {
  readonly parts: readonly LexicalDocumentPart[]
  /** Documents (by base) that another batch continues or began. */
  readonly partial: readonly number[]
}

/** Tokens of a window, stop words not counted: a long document is ranked by its best window, not drowned by its own length. */
const windowTokens = 20_000

/** Indexes a batch. `analyzerFor` gives the analyzer of a language. Throws `RagError` `INTEGRITY` for bytes that are no piece. */
export async function buildSegment(
  batch: Batch,
  analyzerFor: (language: string) => Promise<Analyzer>,
): Promise<Segment> {
  const builder = new SegmentBuilder()
  // Stable, so the parts of a document stay in order; ascending bases make chunk numbers ascend within a segment.
  for (const part of batch.parts.toSorted((a, b) => a.base - b.base)) {
    const analyzer = await analyzerFor(part.language)
    builder.beginPart(part.base, part.title, analyzer)
    for (const bytes of part.pieces) builder.addPiece(decode(bytes))
  }
  return builder.finish(batch.partial)
}

function decode(bytes: Uint8Array): Piece {
  try {
    return decodePiece(bytes)
  } catch (cause) {
    throw new RagError('INTEGRITY', 'A stored piece cannot be read.', { cause, data: { bytes: bytes.length } })
  }
}

/** Numbers that are appended one by one. */
class Column {
  #values = new Uint32Array(1024)
  length = 0

  push(value: number): void {
    if (this.length === this.#values.length) this.#grow()
    this.#values[this.length++] = value
  }

  values(): Uint32Array {
    return this.#values.subarray(0, this.length)
  }

  #grow(): void {
    const larger = new Uint32Array(this.#values.length * 2)
    larger.set(this.#values)
    this.#values = larger
  }
}

/** Term frequencies of the unit (chunk or window) being read, and the postings of those before it, in the order they were read. */
class Postings {
  readonly #terms = new Column()
  readonly #values = new Column()
  /** Frequency in the current unit by term. */
  #frequencies = new Uint32Array(1024)
  readonly #seen: number[] = []

  count(term: number): void {
    if (term >= this.#frequencies.length) {
      const larger = new Uint32Array(Math.max(term + 1, this.#frequencies.length * 2))
      larger.set(this.#frequencies)
      this.#frequencies = larger
    }
    if (increment(this.#frequencies, term) === 0) this.#seen.push(term)
  }

  /** Ends the unit with this place. */
  end(place: number): void {
    for (const term of this.#seen) {
      this.#terms.push(term)
      this.#values.push(((place << 8) | Math.min(255, this.#frequencies[term] as number)) >>> 0)
      this.#frequencies[term] = 0
    }
    this.#seen.length = 0
  }

  /** Groups the postings by term (counting sort): `ranks[term]` is the term's place in the dictionary. */
  group(ranks: Uint32Array): { starts: Uint32Array; postings: Uint32Array } {
    const terms = this.#terms.values()
    const values = this.#values.values()
    const starts = new Uint32Array(ranks.length + 1)
    for (let i = 0; i < terms.length; i++) increment(starts, (ranks[terms[i] as number] as number) + 1)
    for (let rank = 1; rank < starts.length; rank++)
      starts[rank] = (starts[rank] as number) + (starts[rank - 1] as number)
    const next = starts.slice()
    const postings = new Uint32Array(values.length)
    for (let i = 0; i < terms.length; i++)
      postings[increment(next, ranks[terms[i] as number] as number)] = values[i] as number
    return { starts, postings }
  }
}

/** Adds one and returns what was there before. */
function increment(counts: Uint32Array, place: number): number {
  const before = counts[place] as number
  counts[place] = before + 1
  return before
}

interface AnalysedText {
  readonly terms: readonly number[]
  /** Terms that are no stop words. */
  readonly length: number
}

class SegmentBuilder {
  readonly #termIds = new Map<string, number>()
  readonly #languages = new Set<string>()
  readonly #bases: number[] = []
  readonly #documentWindows = new Column()
  readonly #windowChunks = new Column()
  readonly #windowLengths = new Column()
  readonly #chunkOrdinals = new Column()
  readonly #chunkLengths = new Column()
  readonly #chunkPostings = new Postings()
  readonly #windowPostings = new Postings()
  #analyzer: Analyzer | undefined
  #title = ''
  /** Title, headings and summaries by line, analysed: they repeat from chunk to chunk. */
  readonly #lines = new Map<string, AnalysedText>()
  readonly #linesOfWindow = new Set<string>()
  #windowLength = 0
  #windowOpen = false

  beginPart(base: number, title: string, analyzer: Analyzer): void {
    if (this.#analyzer !== analyzer || this.#title !== title) this.#lines.clear()
    this.#analyzer = analyzer
    this.#title = title
    this.#languages.add(analyzer.language)
    if (this.#bases.at(-1) === base) return
    this.#endWindow()
    this.#bases.push(base)
    this.#documentWindows.push(this.#windowLengths.length)
  }

  addPiece(piece: Piece): void {
    piece.chunks.forEach((chunk, i) => {
      const lines = sharedLines(this.#title, piece, chunk)
      this.#addChunk(piece.firstOrdinal + i, lines, this.#analyse(ownText(piece, chunk)))
    })
  }

  finish(partial: readonly number[]): Segment {
    this.#endWindow()
    this.#documentWindows.push(this.#windowLengths.length)
    this.#windowChunks.push(this.#chunkOrdinals.length)
    const { ranks, termStarts, termBytes } = sortTerms([...this.#termIds.keys()])
    const chunks = this.#chunkPostings.group(ranks)
    const windows = this.#windowPostings.group(ranks)
    return writeSegment({
      bases: Float64Array.from(this.#bases),
      documentWindows: this.#documentWindows.values(),
      windowChunks: this.#windowChunks.values(),
      windowLengths: this.#windowLengths.values(),
      chunkOrdinals: this.#chunkOrdinals.values(),
      chunkLengths: this.#chunkLengths.values(),
      termStarts,
      chunkStarts: chunks.starts,
      windowStarts: windows.starts,
      chunkPostings: chunks.postings,
      windowPostings: windows.postings,
      partial: Uint32Array.from(partial.map((base) => this.#bases.indexOf(base)).filter((place) => place >= 0)),
      termBytes,
      languageBytes: Buffer.from([...this.#languages].sort().join(',')),
    })
  }

  #addChunk(ordinal: number, lines: readonly string[], text: AnalysedText): void {
    if (!this.#windowOpen) this.#beginWindow()
    let { length } = text
    // The window counts each line once.
    for (const line of lines) {
      const analysed = this.#analyseLine(line)
      length += analysed.length
      for (const term of analysed.terms) this.#chunkPostings.count(term)
      if (this.#linesOfWindow.has(line)) continue
      this.#linesOfWindow.add(line)
      this.#countInWindow(analysed)
    }
    for (const term of text.terms) this.#chunkPostings.count(term)
    this.#countInWindow(text)
    this.#chunkPostings.end(this.#chunkOrdinals.length)
    this.#chunkOrdinals.push(ordinal)
    this.#chunkLengths.push(length)
    if (this.#windowLength >= windowTokens) this.#endWindow()
  }

  #beginWindow(): void {
    this.#windowOpen = true
    this.#windowLength = 0
    this.#linesOfWindow.clear()
    this.#windowChunks.push(this.#chunkOrdinals.length)
  }

  #countInWindow(text: AnalysedText): void {
    this.#windowLength += text.length
    for (const term of text.terms) this.#windowPostings.count(term)
  }

  #endWindow(): void {
    if (!this.#windowOpen) return
    this.#windowOpen = false
    this.#windowPostings.end(this.#windowLengths.length)
    this.#windowLengths.push(this.#windowLength)
  }

  #analyseLine(line: string): AnalysedText {
    const known = this.#lines.get(line)
    if (known !== undefined) return known
    const analysed = this.#analyse(line)
    this.#lines.set(line, analysed)
    return analysed
  }

  #analyse(text: string): AnalysedText {
    const analyzer = this.#analyzer as Analyzer
    let length = 0
    const terms = analyzer.terms(text).map((term) => {
      if (!analyzer.isStopWord(term)) length++
      return this.#termId(term)
    })
    return { terms, length }
  }

  #termId(term: string): number {
    const known = this.#termIds.get(term)
    if (known !== undefined) return known
    const id = this.#termIds.size
    this.#termIds.set(term, id)
    return id
  }
}

/** The dictionary in the order of its UTF-8 bytes, and each term's place in it by id. */
function sortTerms(terms: readonly string[]) {
  const bytes = terms.map((term) => Buffer.from(term))
  // Code unit order, which is fast, is byte order except above the surrogates.
  const order = terms.some((term) => /[\ud800-\uffff]/.test(term))
    ? terms.map((_, id) => id).sort((a, b) => Buffer.compare(bytes[a] as Buffer, bytes[b] as Buffer))
    : terms.map((_, id) => id).sort((a, b) => ((terms[a] as string) < (terms[b] as string) ? -1 : 1))
  const ranks = new Uint32Array(terms.length)
  const termStarts = new Uint32Array(terms.length + 1)
  order.forEach((id, rank) => {
    ranks[id] = rank
    termStarts[rank + 1] = (termStarts[rank] as number) + (bytes[id] as Buffer).length
  })
  return { ranks, termStarts, termBytes: Buffer.concat(order.map((id) => bytes[id] as Buffer)) }
}
