import { crc32 } from 'node:zlib'
import { RagError } from '../../core/errors.js'
import type { LegWeights } from '../types.js'
import { fillTable, type TermTable, tableWords } from './term-table.js'

/** What a fit has learnt, as plain memory: threads share it, and a file holds the same bytes. */
export interface Basis {
  readonly buffer: SharedArrayBuffer
  /** Checksum of all that shapes vectors and weights, in hex. */
  readonly checksum: string
  readonly dimensions: number
  readonly terms: TermTable
  /** By term: its weight in a text, times the step of its row. */
  readonly factors: Float32Array
  /** By term: `dimensions` values in steps of its own, so that the largest is 127 of them. */
  readonly rows: Int8Array
  readonly facts: BasisFacts
}

/** What is kept beside the numbers. */
export interface BasisFacts {
  /** Of the fitter that made it. */
  readonly fingerprint: string
  /** Chunks that the corpus had. */
  readonly corpusChunks: number
  /** Ids of the language profiles of the sample. */
  readonly languages: readonly string[]
  readonly weights: LegWeights
}

export interface BasisContent {
  readonly dimensions: number
  readonly terms: readonly string[]
  /** Weight of each term. */
  readonly weights: ArrayLike<number>
  /** `terms x dimensions`. */
  readonly vectors: Float32Array
  readonly facts: BasisFacts
}

const magic = 0x3141534c
const version = 1
const headerWords = 8
/** Words of the header. */
const [lengthWord, checksumWord, dimensionsWord, termsWord, factsWord] = [2, 3, 4, 5, 6]
const largestByte = 127

/** Lays out what was fitted. A row costs `dimensions + 4` bytes, and 24 to 48 to find its term. */
export function writeBasis({ dimensions, terms, weights, vectors, facts }: BasisContent): Basis {
  const json = Buffer.from(JSON.stringify(facts))
  const layout = layoutOf({ dimensions, terms: terms.length, facts: json.length })
  const buffer = new SharedArrayBuffer(layout.end)
  const header = new Uint32Array(buffer, 0, headerWords)
  header.set([magic, version, layout.end, 0, dimensions, terms.length, json.length])
  new Uint8Array(buffer, layout.facts, json.length).set(json)
  const basis = view(buffer)
  fillTable(basis.terms.slots, terms)
  for (let term = 0; term < terms.length; term++) quantise(basis, term, vectors, weights[term] as number)
  header[checksumWord] = checksumOf(buffer)
  return view(buffer)
}

/** Opens the bytes of a basis. Throws `INTEGRITY` for foreign or damaged ones, `UNSUPPORTED_VERSION` for a newer format. */
export function readBasis(bytes: Uint8Array): Basis {
  const damaged = () => new RagError('INTEGRITY', 'What was fitted cannot be read: the file is damaged.')
  if (bytes.length < headerWords * 4) throw damaged()
  const buffer = new SharedArrayBuffer(bytes.length)
  new Uint8Array(buffer).set(bytes)
  const header = new Uint32Array(buffer, 0, headerWords)
  if (header[0] !== magic) throw damaged()
  if ((header[1] as number) > version) {
    throw new RagError('UNSUPPORTED_VERSION', 'What was fitted was written by a newer version of this library.', {
      data: { found: header[1], supported: version },
    })
  }
  const layout = layoutOf(sizesIn(header))
  if (header[lengthWord] !== bytes.length || layout.end !== bytes.length) throw damaged()
  if (checksumOf(buffer) !== header[checksumWord]) throw damaged()
  return view(buffer)
}

/** Binds memory that {@link writeBasis} filled, here or in another thread. */
export function view(buffer: SharedArrayBuffer): Basis {
  const header = new Uint32Array(buffer, 0, headerWords)
  const sizes = sizesIn(header)
  const layout = layoutOf(sizes)
  // `TextDecoder` and `JSON` take no shared memory.
  const json = Buffer.from(new Uint8Array(buffer, layout.facts, sizes.facts)).toString('utf8')
  return {
    buffer,
    checksum: (header[checksumWord] as number).toString(16).padStart(8, '0'),
    dimensions: sizes.dimensions,
    terms: { slots: new Uint32Array(buffer, layout.slots, tableWords(sizes.terms)) },
    factors: new Float32Array(buffer, layout.factors, sizes.terms),
    rows: new Int8Array(buffer, layout.rows, sizes.terms * sizes.dimensions),
    facts: JSON.parse(json) as BasisFacts,
  }
}

function sizesIn(header: Uint32Array) {
  return {
    dimensions: header[dimensionsWord] as number,
    terms: header[termsWord] as number,
    facts: header[factsWord] as number,
  }
}

function layoutOf({ dimensions, terms, facts }: { dimensions: number; terms: number; facts: number }) {
  const slots = headerWords * 4
  const factors = slots + tableWords(terms) * 4
  const rows = factors + terms * 4
  const factsStart = rows + terms * dimensions
  return { slots, factors, rows, facts: factsStart, end: Math.ceil((factsStart + facts) / 4) * 4 }
}

function checksumOf(buffer: SharedArrayBuffer): number {
  const header = new Uint32Array(buffer.slice(0, headerWords * 4))
  header[checksumWord] = 0
  return crc32(new Uint8Array(buffer, headerWords * 4), crc32(new Uint8Array(header.buffer)))
}

function quantise({ dimensions, factors, rows }: Basis, term: number, vectors: Float32Array, weight: number): void {
  const start = term * dimensions
  let largest = 0
  for (let i = start; i < start + dimensions; i++) largest = Math.max(largest, Math.abs(vectors[i] as number))
  const step = largest / largestByte
  factors[term] = weight * step
  if (step === 0) return
  for (let i = start; i < start + dimensions; i++) rows[i] = Math.round((vectors[i] as number) / step)
}
