import { crc32 } from 'node:zlib'
import { RagError } from '../core/errors.js'

/**
 * A segment is one immutable block of memory that is also its own file: a header of 64 words, sections in a fixed order whose sizes
 * follow from the counts in the header, and a CRC-32 for each MiB before. Words are in the byte order of the machine that
 * wrote them; another order is not recognised and the index is rebuilt. The memory is shared, so that the worker merges segments that are being searched.
 *
 * A posting is one word: place of the chunk (or window) in the segment in the upper 24 bits, term frequency (at most 255) in the lower 8.
 */
export interface SegmentContent {
  /** First chunk number of each document, ascending. A Float64 holds numbers beyond 2^32. */
  readonly bases: Float64Array
  /** Place of each document's first window, and the count of windows. */
  readonly documentWindows: Uint32Array
  /** Place of each window's first chunk, and the count of chunks. */
  readonly windowChunks: Uint32Array
  /** Tokens of each window, stop words not counted. */
  readonly windowLengths: Uint32Array
  /** Place of each chunk in its document: the chunk's number less the document's base. */
  readonly chunkOrdinals: Uint32Array
  /** Tokens of each chunk, title and headings included, stop words not counted. */
  readonly chunkLengths: Uint32Array
  /** Where each term begins in `termBytes`, and their length. */
  readonly termStarts: Uint32Array
  /** Where each term's postings begin, and their count. */
  readonly chunkStarts: Uint32Array
  readonly windowStarts: Uint32Array
  readonly chunkPostings: Uint32Array
  readonly windowPostings: Uint32Array
  /** Documents that another segment continues. */
  readonly partial: Uint32Array
  /** Terms in UTF-8, in the order of their bytes. */
  readonly termBytes: Uint8Array
  /** Language profiles of the documents, comma-separated. */
  readonly languageBytes: Uint8Array
}

/** A segment that can be read. */
export interface Segment extends SegmentContent {
  readonly buffer: ArrayBuffer
  readonly languages: readonly string[]
}

const magic = 0x35324d42
const version = 1
const headerWords = 64
const blockBytes = 1 << 20
/** Sections in the order of the file. The header holds the number of elements of each, from word 4 on. */
const sections = [
  ['bases', Float64Array],
  ['documentWindows', Uint32Array],
  ['windowChunks', Uint32Array],
  ['windowLengths', Uint32Array],
  ['chunkOrdinals', Uint32Array],
  ['chunkLengths', Uint32Array],
  ['termStarts', Uint32Array],
  ['chunkStarts', Uint32Array],
  ['windowStarts', Uint32Array],
  ['chunkPostings', Uint32Array],
  ['windowPostings', Uint32Array],
  ['partial', Uint32Array],
  ['termBytes', Uint8Array],
  ['languageBytes', Uint8Array],
] as const

/** Lays content out as a segment. */
export function writeSegment(content: SegmentContent): Segment {
  const counts = sections.map(([name]) => content[name].length)
  const { end } = layout(counts)
  const buffer = new ArrayBuffer(end + Math.ceil(end / blockBytes) * 4)
  const header = new Uint32Array(buffer, 0, headerWords)
  header.set([magic, version, end, 0, ...counts])
  const target = view(buffer, counts)
  for (const [name] of sections) target[name].set(content[name])
  header[3] = crc32(new Uint8Array(buffer, 0, headerWords * 4))
  const checksums = new Uint32Array(buffer, end)
  for (let block = 0; block < checksums.length; block++) checksums[block] = blockChecksum(buffer, end, block)
  return view(buffer, counts)
}

/** Bytes of the header: enough to know the length of the whole. */
export const segmentHeaderBytes = headerWords * 4

/** The size in bytes that a header announces. Throws `INTEGRITY` for foreign or damaged bytes, `UNSUPPORTED_VERSION` for a newer format. */
export function segmentBytes(headerBytes: Uint8Array): number {
  return readHeader(headerBytes).bytes
}

/** Names a segment's exact content: the checksum of its header and of all its block checksums. */
export function segmentChecksum(segment: Segment): number {
  const header = readHeader(new Uint8Array(segment.buffer, 0, segmentHeaderBytes))
  return crc32(new Uint8Array(segment.buffer, header.end), header.headerChecksum)
}

/** Opens a segment from memory. With `verify` (the default) it checks every checksum, letting the event loop run between blocks. */
export async function openSegment(buffer: ArrayBuffer, options: { readonly verify?: boolean } = {}): Promise<Segment> {
  const { counts, end, bytes } = readHeader(new Uint8Array(buffer, 0, Math.min(segmentHeaderBytes, buffer.byteLength)))
  if (bytes !== buffer.byteLength) throw damaged('A segment is not as long as its header says.')
  if (options.verify ?? true) {
    const checksums = new Uint32Array(buffer, end)
    for (let block = 0; block < checksums.length; block++) {
      if (blockChecksum(buffer, end, block) !== checksums[block]) throw damaged('A segment fails its checksum.')
      // A block takes about half a millisecond.
      if (block % 4 === 3) await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return view(buffer, counts)
}

/** Opens a segment this process wrote. */
export function viewSegment(buffer: ArrayBuffer): Segment {
  return view(buffer, readHeader(new Uint8Array(buffer, 0, segmentHeaderBytes)).counts)
}

function readHeader(bytes: Uint8Array) {
  if (bytes.length < segmentHeaderBytes) throw damaged('A segment is shorter than its header.')
  const header = new Uint32Array(headerWords)
  const copy = new Uint8Array(header.buffer)
  copy.set(bytes.subarray(0, segmentHeaderBytes))
  if (header[0] !== magic) throw damaged('A file is not a segment of this index.')
  if ((header[1] as number) > version)
    throw new RagError('UNSUPPORTED_VERSION', 'A segment was written by a newer version of this library.', {
      data: { found: header[1], supported: version },
    })
  const headerChecksum = header[3] as number
  header[3] = 0
  if (crc32(copy) !== headerChecksum) throw damaged('The header of a segment fails its checksum.')
  const counts = [...header.subarray(4, 4 + sections.length)]
  const { end } = layout(counts)
  return { counts, end, headerChecksum, bytes: end + Math.ceil(end / blockBytes) * 4 }
}

function damaged(message: string): RagError {
  return new RagError('INTEGRITY', message)
}

function layout(counts: readonly number[]): { readonly starts: readonly number[]; readonly end: number } {
  let end = segmentHeaderBytes
  const starts = sections.map(([, type], i) => {
    const start = end
    end = start + (counts[i] as number) * type.BYTES_PER_ELEMENT
    return start
  })
  return { starts, end: Math.ceil(end / 4) * 4 }
}

function blockChecksum(buffer: ArrayBuffer, end: number, block: number): number {
  const start = block * blockBytes
  return crc32(new Uint8Array(buffer, start, Math.min(blockBytes, end - start)))
}

function view(buffer: ArrayBuffer, counts: readonly number[]): Segment {
  const { starts } = layout(counts)
  const arrays = Object.fromEntries(
    sections.map(([name, type], i) => {
      const View: new (buffer: ArrayBufferLike, start?: number, length?: number) => ArrayBufferView = type
      return [name, new View(buffer, starts[i], counts[i])]
    }),
  )
  // The table above names every section of SegmentContent with its type.
  const content = arrays as unknown as SegmentContent
  const languages = Buffer.from(content.languageBytes).toString('utf8')
  return { ...content, buffer, languages: languages === '' ? [] : languages.split(',') }
}

/** The place of a term (UTF-8) in the dictionary, or -1. */
export function findTerm(segment: Segment, term: Uint8Array): number {
  const { termStarts, termBytes } = segment
  let low = 0
  let high = termStarts.length - 2
  while (low <= high) {
    const middle = (low + high) >>> 1
    const order = compareBytes(
      termBytes,
      termStarts[middle] as number,
      termStarts[middle + 1] as number,
      term,
      0,
      term.length,
    )
    if (order === 0) return middle
    if (order < 0) low = middle + 1
    else high = middle - 1
  }
  return -1
}

/** Negative, zero or positive as `a[aStart..aEnd)` sorts before, with or after `b[bStart..bEnd)`. */
export function compareBytes(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const length = Math.min(aEnd - aStart, bEnd - bStart)
  for (let i = 0; i < length; i++) {
    const difference = (a[aStart + i] as number) - (b[bStart + i] as number)
    if (difference !== 0) return difference
  }
  return aEnd - aStart - (bEnd - bStart)
}

/** The place of the first document whose base is not below `base`. */
export function findBase(bases: Float64Array, base: number): number {
  let low = 0
  let high = bases.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((bases[middle] as number) < base) low = middle + 1
    else high = middle
  }
  return low
}
