import type { MetadataValue } from '../core/document.js'
import type { DocumentRecord, FailedDocument } from './types.js'

/**
 * What lies where in the environment: one ordered map from binary keys to values. A key is a kind, then numbers big-endian so
 * that they sort (namespaces 4 bytes, everything that only grows 6), then text in UTF-8. Document ids (<= 1,024 bytes) fit
 * into a key as they are: a page of 4 KiB allows 1,978.
 *
 * | kind | key | value |
 * |---|---|---|
 * | format | – | `{ version, id }` |
 * | counters | – | next generation, next namespace id |
 * | namespace | name | `NamespaceRow` |
 * | document | namespace, document id | `StoredVersion` |
 * | number | namespace, first chunk number | document id |
 * | added | namespace, epoch of the current version's commit | document id |
 * | removed | namespace, epoch | `RemovedRange` |
 * | failure | namespace, document id | `StoredFailure` |
 * | journal | generation that is being written | `JournalRow` |
 * | retired | milliseconds since 1970, generation to be deleted some time after | – |
 * | content | generation, part, place | the directory, pieces and vectors of a version |
 */
export const formatVersion = 1

const kind = {
  format: 1,
  counters: 2,
  namespace: 3,
  document: 16,
  number: 17,
  added: 18,
  removed: 19,
  failure: 20,
  journal: 32,
  retired: 33,
  content: 48,
} as const
const part = { directory: 0, piece: 1, vectors: 2 } as const

export const keys = {
  format: Uint8Array.of(kind.format),
  counters: Uint8Array.of(kind.counters),
  namespace: (name: string): Uint8Array => key(kind.namespace, [], utf8(name)),
  namespaces: (): KeyRange => under(key(kind.namespace, [])),
  document: (namespace: number, id: Uint8Array): Uint8Array => key(kind.document, [u32(namespace)], id),
  documents: (namespace: number): KeyRange => under(key(kind.document, [u32(namespace)])),
  number: (namespace: number, base: number): Uint8Array => key(kind.number, [u32(namespace), u48(base)]),
  numbers: (namespace: number): KeyRange => under(key(kind.number, [u32(namespace)])),
  added: (namespace: number, epoch: number): Uint8Array => key(kind.added, [u32(namespace), u48(epoch)]),
  addedAfter: (namespace: number, epoch: number): KeyRange => ({
    ...under(key(kind.added, [u32(namespace)])),
    start: keys.added(namespace, epoch + 1),
  }),
  removed: (namespace: number, epoch: number): Uint8Array => key(kind.removed, [u32(namespace), u48(epoch)]),
  removedAfter: (namespace: number, epoch: number): KeyRange => ({
    ...under(key(kind.removed, [u32(namespace)])),
    start: keys.removed(namespace, epoch + 1),
  }),
  failure: (namespace: number, id: Uint8Array): Uint8Array => key(kind.failure, [u32(namespace)], id),
  failures: (namespace: number): KeyRange => under(key(kind.failure, [u32(namespace)])),
  journal: (generation: number): Uint8Array => key(kind.journal, [u48(generation)]),
  journals: (): KeyRange => under(key(kind.journal, [])),
  retired: (at: number, generation: number): Uint8Array => key(kind.retired, [u48(at), u48(generation)]),
  retirements: (): KeyRange => under(key(kind.retired, [])),
  content: (generation: number): KeyRange => under(key(kind.content, [u48(generation)])),
  directory: (generation: number): Uint8Array => key(kind.content, [u48(generation), u8(part.directory)]),
  piece: (generation: number, place: number): Uint8Array =>
    key(kind.content, [u48(generation), u8(part.piece), u32(place)]),
  vectors: (generation: number, place: number): Uint8Array =>
    key(kind.content, [u48(generation), u8(part.vectors), u32(place)]),
  /** The first key behind this one. */
  after: (given: Uint8Array): Uint8Array => Uint8Array.of(...given, 0),
  /** The document id at the end of a document's or failure's key. */
  idIn: (given: Uint8Array): string => decoder.decode(given.subarray(5)),
  retirementIn: (given: Uint8Array): { readonly retiredAt: number; readonly generation: number } => ({
    retiredAt: bufferOf(given).readUIntBE(1, 6),
    generation: keys.numberIn(given),
  }),
  /** The generation or epoch at the end of a key. */
  numberIn: (given: Uint8Array): number => bufferOf(given).readUIntBE(given.length - 6, 6),
  /** The name at the end of a namespace's key. */
  nameIn: (given: Uint8Array): string => decoder.decode(given.subarray(1)),
}

/** Keys from `start` (inclusive) to `end` (exclusive). */
export interface KeyRange {
  readonly start: Uint8Array
  readonly end: Uint8Array
}

/** What the store says about itself. */
export interface FormatRow {
  readonly version: number
  /** The store's id, 32 hex digits. */
  readonly id: string
}

export interface Counters {
  readonly nextGeneration: number
  readonly nextNamespace: number
}

export interface NamespaceRow {
  readonly id: number
  readonly epoch: number
  /** The next chunk number; never falls. */
  readonly nextNumber: number
  readonly documents: number
  readonly chunks: number
  /** Rows of kind `removed`. */
  readonly removals: number
  /** `changes(since)` is complete for `since` of 0 and of this epoch or later. */
  readonly logStart: number
}

/** A current version, with the epoch of its commit. */
export interface StoredVersion {
  readonly epoch: number
  readonly record: DocumentRecord
}

/** Chunk numbers `[start, end)` that a commit or removal took away; they had been added at `addedAt`. */
export interface RemovedRange {
  readonly start: number
  readonly end: number
  readonly addedAt: number
}

export interface StoredFailure {
  readonly failure: FailedDocument
  /** Grows from one failure to the next. */
  readonly order: number
}

/** Who is writing a generation. */
export interface JournalRow {
  readonly documentId: string
  readonly namespace: string
  readonly pid: number
  /** See `process-identity.ts`. */
  readonly processStart: string
  /** One opening of the store: a process may have several, one after the other or at once. */
  readonly session: string
  readonly startedAt: number
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** JSON in UTF-8: readable with any tool, and lone surrogates survive as escapes. */
export const rows = {
  encode: (value: object): Uint8Array => encoder.encode(JSON.stringify(value)),
  format: (bytes: Uint8Array) => parse(bytes) as FormatRow,
  version: (bytes: Uint8Array) => parse(bytes) as StoredVersion,
  failure: (bytes: Uint8Array) => parse(bytes) as StoredFailure,
  journal: (bytes: Uint8Array) => parse(bytes) as JournalRow,

  encodeText: utf8,
  text: (bytes: Uint8Array): string => decoder.decode(bytes),

  encodeCounters: ({ nextGeneration, nextNamespace }: Counters): Uint8Array => numbers(nextGeneration, nextNamespace),
  counters: (bytes: Uint8Array): Counters => {
    const [nextGeneration = 0, nextNamespace = 0] = readNumbers(bytes)
    return { nextGeneration, nextNamespace }
  },

  encodeNamespace: (row: NamespaceRow): Uint8Array =>
    numbers(row.id, row.epoch, row.nextNumber, row.documents, row.chunks, row.removals, row.logStart),
  /** In numbers, not JSON: its epoch is read before every query. */
  namespace: (bytes: Uint8Array): NamespaceRow => {
    const [id = 0, epoch = 0, nextNumber = 0, documents = 0, chunks = 0, removals = 0, logStart = 0] =
      readNumbers(bytes)
    return { id, epoch, nextNumber, documents, chunks, removals, logStart }
  },

  encodeRemoved: ({ start, end, addedAt }: RemovedRange): Uint8Array => numbers(start, end, addedAt),
  removed: (bytes: Uint8Array): RemovedRange => {
    const [start = 0, end = 0, addedAt = 0] = readNumbers(bytes)
    return { start, end, addedAt }
  },
}

/** Bytes of a typed array. */
export function bytesOf(view: Float32Array | Float64Array): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}

function parse(bytes: Uint8Array): MetadataValue | object {
  return JSON.parse(decoder.decode(bytes))
}

function utf8(text: string): Uint8Array {
  return encoder.encode(text)
}

function numbers(...values: readonly number[]): Uint8Array {
  return bytesOf(Float64Array.from(values))
}

function readNumbers(bytes: Uint8Array): Float64Array {
  return new Float64Array(bytes.slice().buffer)
}

type Field = readonly [bytes: 1 | 4 | 6, value: number]
const u8 = (value: number): Field => [1, value]
const u32 = (value: number): Field => [4, value]
const u48 = (value: number): Field => [6, value]

function key(of: number, fields: readonly Field[], tail?: Uint8Array): Uint8Array {
  let length = 1 + (tail?.length ?? 0)
  for (const [bytes] of fields) length += bytes
  const buffer = Buffer.allocUnsafe(length)
  let offset = buffer.writeUInt8(of, 0)
  for (const [bytes, value] of fields) offset = buffer.writeUIntBE(value, offset, bytes)
  if (tail !== undefined) buffer.set(tail, offset)
  return buffer
}

/** Every key that begins with this one and is longer, or equal to it. */
function under(prefix: Uint8Array): KeyRange {
  const end = Uint8Array.from(prefix)
  let last = end.length - 1
  while (last > 0 && end[last] === 255) end[last--] = 0
  end[last] = (end[last] as number) + 1
  return { start: prefix, end }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
