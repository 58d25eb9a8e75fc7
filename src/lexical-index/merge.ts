import { compareBytes, type Segment, viewSegment, writeSegment } from './segment.js'

/** A segment to merge, with the chunks (bit by place) that were removed from it. */
export interface MergeInput {
  readonly buffer: ArrayBuffer
  readonly removed: Uint8Array | undefined
}

const gone = 0xffffffff

/** Makes one segment of several, without what was removed. Documents that were continued in another segment are put together again. */
export function mergeSegments(inputs: readonly MergeInput[]): Segment {
  const sources = inputs.map(({ buffer, removed }) => new Source(viewSegment(buffer), removed))
  const units = mergeUnits(sources)
  return writeSegment({
    ...units,
    ...mergeTerms(sources),
    languageBytes: Buffer.from([...new Set(sources.flatMap(({ segment }) => segment.languages))].sort().join(',')),
  })
}

class Source {
  /** New place of each chunk and window, or `gone`. */
  readonly chunks: Uint32Array
  readonly windows: Uint32Array
  /** Place of the next term to merge. */
  term = 0

  constructor(
    readonly segment: Segment,
    readonly removed: Uint8Array | undefined,
  ) {
    this.chunks = new Uint32Array(segment.chunkOrdinals.length).fill(gone)
    this.windows = new Uint32Array(segment.windowLengths.length).fill(gone)
  }

  lives(chunk: number): boolean {
    return this.removed === undefined || ((this.removed[chunk >> 3] as number) & (1 << (chunk & 7))) === 0
  }
}

/** Documents, windows and chunks that live, in the order of their numbers; fills in the new places. */
function mergeUnits(sources: readonly Source[]) {
  const bases: number[] = []
  const documentWindows: number[] = []
  const windowChunks: number[] = []
  const windowLengths: number[] = []
  const chunkOrdinals: number[] = []
  const chunkLengths: number[] = []
  const partial: number[] = []
  for (const { source, document } of documentsInOrder(sources)) {
    const { segment } = source
    const base = segment.bases[document] as number
    for (
      let w = segment.documentWindows[document] as number;
      w < (segment.documentWindows[document + 1] as number);
      w++
    ) {
      const first = chunkOrdinals.length
      for (let c = segment.windowChunks[w] as number; c < (segment.windowChunks[w + 1] as number); c++) {
        if (!source.lives(c)) continue
        source.chunks[c] = chunkOrdinals.length
        chunkOrdinals.push(segment.chunkOrdinals[c] as number)
        chunkLengths.push(segment.chunkLengths[c] as number)
      }
      if (chunkOrdinals.length === first) continue
      if (bases.at(-1) !== base) {
        bases.push(base)
        documentWindows.push(windowLengths.length)
      }
      source.windows[w] = windowLengths.length
      windowChunks.push(first)
      windowLengths.push(segment.windowLengths[w] as number)
    }
    if (segment.partial.includes(document) && bases.at(-1) === base && partial.at(-1) !== bases.length - 1)
      partial.push(bases.length - 1)
  }
  documentWindows.push(windowLengths.length)
  windowChunks.push(chunkOrdinals.length)
  return {
    bases: Float64Array.from(bases),
    documentWindows: Uint32Array.from(documentWindows),
    windowChunks: Uint32Array.from(windowChunks),
    windowLengths: Uint32Array.from(windowLengths),
    chunkOrdinals: Uint32Array.from(chunkOrdinals),
    chunkLengths: Uint32Array.from(chunkLengths),
    partial: Uint32Array.from(partial),
  }
}

function documentsInOrder(sources: readonly Source[]) {
  const documents = sources.flatMap((source) =>
    Array.from(source.segment.bases, (base, document) => {
      const { documentWindows, windowChunks, chunkOrdinals } = source.segment
      const chunk = windowChunks[documentWindows[document] as number] as number
      return { source, document, base, ordinal: chunkOrdinals[chunk] ?? 0 }
    }),
  )
  return documents.sort((a, b) => a.base - b.base || a.ordinal - b.ordinal)
}

/** Terms that still occur, with their postings at the new places. */
function mergeTerms(sources: readonly Source[]) {
  const total = (count: (segment: Segment) => number) => sources.reduce((sum, { segment }) => sum + count(segment), 0)
  const maxTerms = total(({ termStarts }) => termStarts.length - 1)
  const termStarts = new Uint32Array(maxTerms + 1)
  const termBytes = new Uint8Array(total((segment) => segment.termBytes.length))
  const chunks = new PostingList(
    maxTerms,
    total((segment) => segment.chunkPostings.length),
  )
  const windows = new PostingList(
    maxTerms,
    total((segment) => segment.windowPostings.length),
  )
  let terms = 0
  for (let next = smallestTerm(sources); next !== undefined; next = smallestTerm(sources)) {
    const same = sources.filter((source) => source === next || compareTerms(source, next as Source) === 0)
    for (const { segment, term, chunks: places } of same)
      chunks.append(
        segment.chunkPostings,
        segment.chunkStarts[term] as number,
        segment.chunkStarts[term + 1] as number,
        places,
      )
    for (const { segment, term, windows: places } of same)
      windows.append(
        segment.windowPostings,
        segment.windowStarts[term] as number,
        segment.windowStarts[term + 1] as number,
        places,
      )
    // A window keeps its counts until all its chunks are gone, so a term may live on in windows alone.
    const occurs = [chunks.end(terms), windows.end(terms)].includes(true)
    if (occurs) {
      const { segment, term } = next
      const bytes = segment.termBytes.subarray(segment.termStarts[term], segment.termStarts[term + 1])
      termBytes.set(bytes, termStarts[terms])
      termStarts[terms + 1] = (termStarts[terms] as number) + bytes.length
      terms++
    }
    for (const source of same) source.term++
  }
  return {
    termStarts: termStarts.subarray(0, terms + 1),
    termBytes: termBytes.subarray(0, termStarts[terms]),
    chunkStarts: chunks.starts.subarray(0, terms + 1),
    chunkPostings: chunks.postings.subarray(0, chunks.length),
    windowStarts: windows.starts.subarray(0, terms + 1),
    windowPostings: windows.postings.subarray(0, windows.length),
  }
}

function smallestTerm(sources: readonly Source[]): Source | undefined {
  let smallest: Source | undefined
  for (const source of sources) {
    if (source.term >= source.segment.termStarts.length - 1) continue
    if (smallest === undefined || compareTerms(source, smallest) < 0) smallest = source
  }
  return smallest
}

/** Compares the next terms of two sources; one that has come to its end sorts last. */
function compareTerms(a: Source, b: Source): number {
  if (a.term >= a.segment.termStarts.length - 1) return 1
  return compareBytes(
    a.segment.termBytes,
    a.segment.termStarts[a.term] as number,
    a.segment.termStarts[a.term + 1] as number,
    b.segment.termBytes,
    b.segment.termStarts[b.term] as number,
    b.segment.termStarts[b.term + 1] as number,
  )
}

/** Postings of one kind, term after term. */
class PostingList {
  readonly starts: Uint32Array
  readonly postings: Uint32Array
  length = 0
  #ascending = true
  #last = 0

  constructor(terms: number, postings: number) {
    this.starts = new Uint32Array(terms + 1)
    this.postings = new Uint32Array(postings)
  }

  append(postings: Uint32Array, from: number, to: number, places: Uint32Array): void {
    for (let i = from; i < to; i++) {
      const posting = postings[i] as number
      const place = places[posting >>> 8] as number
      if (place === gone) continue
      const moved = ((place << 8) | (posting & 255)) >>> 0
      if (this.#last > moved) this.#ascending = false
      this.#last = moved
      this.postings[this.length++] = moved
    }
  }

  /** Ends a term; false when nothing of it is left. */
  end(term: number): boolean {
    const start = this.starts[term] as number
    // Numbers grow from segment to segment as a rule, so sorting is rarely needed.
    if (!this.#ascending) this.postings.subarray(start, this.length).sort()
    this.#ascending = true
    this.#last = 0
    this.starts[term + 1] = this.length
    return this.length > start
  }
}
