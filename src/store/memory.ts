import { randomBytes } from 'node:crypto'
import type { Chunk } from '../core/chunk.js'
import type { Piece } from '../core/piece.js'
import { addFailure } from './failures.js'
import { chunkOf, RecentlyRead, readPiece, textWithin, versionGone } from './pieces.js'
import type {
  Changes,
  CommitOptions,
  DocumentRecord,
  DocumentWriter,
  FailedDocument,
  FileStamp,
  NewDocument,
  NewFailure,
  Store,
  StoreCapabilities,
  StoreNamespace,
} from './types.js'
import { checkVectors, originOf, requireIdBytes, requireReplaceable, storeClosed, writerFinished } from './validate.js'

/**
 * A store that lives as long as the process: the same semantics as the others, in plain maps. A replaced version stays readable
 * as long as somebody holds its record.
 */
export function createMemoryStore(): Store {
  return new MemoryStore()
}

class MemoryStore implements Store {
  readonly id = randomBytes(16).toString('hex')
  readonly capabilities: StoreCapabilities = { persistent: false, shared: false, readOnly: false }
  readonly directory = undefined
  readonly #namespaces = new Map<string, MemoryNamespace>()
  readonly #decoded = new RecentlyRead<Piece>(maxPieceBytes)
  #maintained = false
  #closed = false

  namespace(name: string): StoreNamespace {
    const known = this.#namespaces.get(name)
    if (known !== undefined) return known
    const made = new MemoryNamespace(name, { requireOpen: () => this.#requireOpen(), decoded: this.#decoded })
    this.#namespaces.set(name, made)
    return made
  }

  namespaces(): string[] {
    this.#requireOpen()
    return [...this.#namespaces.values()].flatMap((namespace) => (namespace.epoch() > 0 ? [namespace.name] : [])).sort()
  }

  async acquireMaintenance(): Promise<(() => Promise<void>) | undefined> {
    this.#requireOpen()
    if (this.#maintained) return undefined
    this.#maintained = true
    let mine = true
    return async () => {
      if (mine) this.#maintained = mine = false
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#namespaces.clear()
  }

  #requireOpen(): void {
    if (this.#closed) throw storeClosed()
  }
}

interface StoredPiece {
  readonly firstOrdinal: number
  readonly start: number
  readonly chunks: number
  readonly bytes: Uint8Array
  readonly vectors: Float32Array | undefined
}

interface Version {
  readonly epoch: number
  readonly record: DocumentRecord
  readonly pieces: readonly StoredPiece[]
}

interface Removal {
  readonly epoch: number
  readonly start: number
  readonly end: number
  readonly addedAt: number
}

/** Bytes of pieces, before they were decoded, that are kept at hand. */
const maxPieceBytes = 4 << 20
/** Removals that `changes()` remembers. A reader further behind starts from nothing. */
const maxRemovals = 65_536
/** One counter for all: generations are unique in the process. */
let nextGeneration = 1

class MemoryNamespace implements StoreNamespace {
  readonly name: string
  readonly #requireOpen: () => void
  readonly #documents = new Map<string, Version>()
  /** Every current version, and some that no longer are, in the order of their commits: epochs and bases grow along it. */
  #log: Version[] = []
  #removals: Removal[] = []
  #logStart = 0
  readonly #pieces = new WeakMap<DocumentRecord, readonly StoredPiece[]>()
  /** Of all namespaces: generations are unique in the process. */
  readonly #decoded: RecentlyRead<Piece>
  readonly #failures = new Map<string, FailedDocument>()
  /** Ids in order; forgotten when a document comes or goes. */
  #sorted: readonly string[] | undefined
  #epoch = 0
  #nextNumber = 0
  #chunks = 0

  constructor(
    name: string,
    { requireOpen, decoded }: { readonly requireOpen: () => void; readonly decoded: RecentlyRead<Piece> },
  ) {
    this.name = name
    this.#requireOpen = requireOpen
    this.#decoded = decoded
  }

  epoch(): number {
    this.#requireOpen()
    return this.#epoch
  }

  nextNumber(): number {
    this.#requireOpen()
    return this.#nextNumber
  }

  counts(): { readonly documents: number; readonly chunks: number } {
    this.#requireOpen()
    return { documents: this.#documents.size, chunks: this.#chunks }
  }

  get(documentId: string): DocumentRecord | undefined {
    this.#requireOpen()
    return this.#documents.get(documentId)?.record
  }

  *list({ after }: { readonly after?: string } = {}): Generator<DocumentRecord> {
    this.#requireOpen()
    this.#sorted ??= [...this.#documents.keys()].sort(compareCodePoints)
    const ids = this.#sorted
    for (let place = after === undefined ? 0 : firstAfter(ids, after); place < ids.length; place++) {
      const record = this.get(ids[place] as string)
      if (record !== undefined) yield record
    }
  }

  begin(documentId: string): DocumentWriter {
    this.#requireOpen()
    requireIdBytes(documentId)
    return new MemoryDocumentWriter(documentId, this.#requireOpen, {
      commit: (version) => this.#commit(documentId, version),
      fail: (failure) => this.#fail(documentId, failure),
    })
  }

  async remove(documentIds: readonly string[]): Promise<number> {
    this.#requireOpen()
    let removed = 0
    for (const documentId of documentIds) {
      this.#failures.delete(documentId)
      const current = this.#documents.get(documentId)
      if (current === undefined) continue
      this.#epoch++
      this.#documents.delete(documentId)
      this.#sorted = undefined
      this.#takeAway(current)
      removed++
    }
    return removed
  }

  changes(since: number): Changes | undefined {
    this.#requireOpen()
    if (since > this.#epoch || (since > 0 && since < this.#logStart)) return undefined
    const added = this.#log.slice(firstWhere(this.#log, ({ epoch }) => epoch > since)).filter((v) => this.#isCurrent(v))
    const removed = this.#removals.slice(firstWhere(this.#removals, ({ epoch }) => epoch > since))
    return {
      epoch: this.#epoch,
      added: added.map(({ record }) => record),
      removed: removed.flatMap(({ start, end, addedAt }) => (addedAt <= since ? [[start, end] as const] : [])),
    }
  }

  *pieces(document: DocumentRecord, fromOrdinal = 0): Generator<Uint8Array> {
    this.#requireOpen()
    for (const { firstOrdinal, chunks, bytes } of this.#piecesOf(document)) {
      if (fromOrdinal <= 0 || firstOrdinal + chunks > fromOrdinal) yield bytes.slice()
    }
  }

  *vectors(
    document: DocumentRecord,
    fromOrdinal = 0,
  ): Generator<{ readonly firstOrdinal: number; readonly vectors: Float32Array }> {
    this.#requireOpen()
    for (const { firstOrdinal, chunks, vectors } of this.#piecesOf(document)) {
      const isBefore = fromOrdinal > 0 && firstOrdinal + chunks <= fromOrdinal
      if (vectors !== undefined && !isBefore) yield { firstOrdinal, vectors: vectors.slice() }
    }
  }

  locate(number: number): DocumentRecord | undefined {
    this.#requireOpen()
    return this.#versionOf(number)?.record
  }

  chunks(numbers: readonly number[]): (Chunk | undefined)[] {
    this.#requireOpen()
    return numbers.map((number) => {
      const version = this.#versionOf(number)
      if (version === undefined) return undefined
      const { record, pieces } = version
      const ordinal = number - record.base
      const place = firstWhere(pieces, ({ firstOrdinal }) => firstOrdinal > ordinal) - 1
      const stored = pieces[place]
      if (stored === undefined) return undefined
      const piece = this.#decoded.get(`${record.generation}/${place}`, () => ({
        value: readPiece(record, stored.bytes),
        bytes: stored.bytes.length,
      }))
      return chunkOf(record, piece, ordinal)
    })
  }

  text(documentId: string, start: number, end: number): string {
    this.#requireOpen()
    const version = this.#documents.get(documentId)
    if (version === undefined) return ''
    const { record, pieces } = version
    const from = Math.max(0, firstWhere(pieces, (piece) => piece.start > start) - 1)
    const to = firstWhere(pieces, (piece) => piece.start >= end)
    return pieces
      .slice(from, to)
      .map(({ bytes }) => textWithin(readPiece(record, bytes), start, end))
      .join('')
  }

  async confirm({ generation, id }: DocumentRecord, file?: FileStamp): Promise<void> {
    this.#requireOpen()
    this.#failures.delete(id)
    const current = this.#documents.get(id)
    if (file === undefined || current?.record.generation !== generation) return
    const version = { ...current, record: { ...current.record, file: { ...file } } }
    this.#documents.set(id, version)
    this.#log[firstWhere(this.#log, ({ epoch }) => epoch >= current.epoch)] = version
    this.#pieces.set(version.record, version.pieces)
  }

  failure(documentId: string): FailedDocument | undefined {
    this.#requireOpen()
    return this.#failures.get(documentId)
  }

  *failures(): Generator<FailedDocument> {
    this.#requireOpen()
    yield* [...this.#failures.values()].reverse()
  }

  #commit(id: string, { document, pieces, replaces }: Parameters<Commits['commit']>[0]) {
    const current = this.#documents.get(id)
    const isSame = current?.record.contentHash === document.contentHash && current.record.pipeline === document.pipeline
    if (!isSame) requireReplaceable(id, current?.record.generation, replaces)
    this.#failures.delete(id)
    if (isSame) return { record: current.record, unchanged: true }
    this.#epoch++
    if (current === undefined) this.#sorted = undefined
    else this.#takeAway(current)
    const chunks = pieces.reduce((sum, piece) => sum + piece.chunks, 0)
    const base = this.#nextNumber
    const record: DocumentRecord = {
      // Through JSON, as in the other stores: later changes by the caller are not seen.
      ...(JSON.parse(JSON.stringify(document)) as NewDocument),
      id,
      chunks,
      generation: nextGeneration++,
      base,
      committedAt: Date.now(),
    }
    const version = { epoch: this.#epoch, record, pieces }
    this.#nextNumber += chunks
    this.#chunks += chunks
    this.#documents.set(id, version)
    this.#log.push(version)
    this.#pieces.set(record, pieces)
    return { record, unchanged: false }
  }

  #fail(documentId: string, failure: NewFailure): void {
    const noted = addFailure(this.#failures.get(documentId), failure, { documentId, failedAt: Date.now() })
    // Set again, so that it becomes the newest.
    this.#failures.delete(documentId)
    this.#failures.set(documentId, noted)
  }

  /** Takes a current version away, in the epoch that has just begun. */
  #takeAway({ epoch: addedAt, record: { base, chunks } }: Version): void {
    this.#chunks -= chunks
    if (chunks > 0) this.#removals.push({ epoch: this.#epoch, start: base, end: base + chunks, addedAt })
    if (this.#removals.length > 2 * maxRemovals) {
      const forgotten = this.#removals.length - maxRemovals
      this.#logStart = this.#removals[forgotten - 1]?.epoch ?? this.#logStart
      this.#removals = this.#removals.slice(forgotten)
    }
    if (this.#log.length > 2 * this.#documents.size + 1000) {
      this.#log = this.#log.filter((version) => this.#isCurrent(version))
    }
  }

  #isCurrent(version: Version): boolean {
    return this.#documents.get(version.record.id) === version
  }

  #piecesOf(document: DocumentRecord): readonly StoredPiece[] {
    const held = this.#pieces.get(document)
    if (held !== undefined) return held
    // A copy of the record of a current version.
    const current = this.#documents.get(document.id)
    if (current?.record.generation === document.generation) return current.pieces
    throw versionGone(document)
  }

  #versionOf(number: number): Version | undefined {
    const last = firstWhere(this.#log, ({ record }) => record.base > number)
    // Versions without chunks share their base with the next one that has some.
    for (let place = last - 1; place >= 0; place--) {
      const version = this.#log[place] as Version
      const { base, chunks } = version.record
      if (chunks === 0) continue
      return number < base + chunks && number >= base && this.#isCurrent(version) ? version : undefined
    }
    return undefined
  }
}

interface Commits {
  commit(version: {
    readonly document: NewDocument
    readonly pieces: readonly StoredPiece[]
    readonly replaces: number | undefined
  }): { readonly record: DocumentRecord; readonly unchanged: boolean }
  fail(failure: NewFailure): void
}

class MemoryDocumentWriter implements DocumentWriter {
  readonly #documentId: string
  readonly #requireOpen: () => void
  readonly #commits: Commits
  #pieces: StoredPiece[] = []
  #chunks = 0
  #dimensions: number | undefined
  #ended = false

  constructor(documentId: string, requireOpen: () => void, commits: Commits) {
    this.#documentId = documentId
    this.#requireOpen = requireOpen
    this.#commits = commits
  }

  async write(bytes: Uint8Array, chunks: number, vectors?: Float32Array): Promise<void> {
    this.#requireWritable()
    const { firstOrdinal, start } = originOf(this.#documentId, bytes, this.#chunks)
    if (vectors !== undefined) this.#dimensions = checkVectors(chunks, vectors, this.#dimensions)
    this.#pieces.push({ firstOrdinal, start, chunks, bytes, vectors: vectors?.slice() })
    this.#chunks += chunks
  }

  async commit(
    document: NewDocument,
    { replaces }: CommitOptions = {},
  ): Promise<{ readonly record: DocumentRecord; readonly unchanged: boolean }> {
    this.#requireWritable()
    this.#ended = true
    return this.#commits.commit({ document, pieces: this.#pieces, replaces })
  }

  async abort(failure?: NewFailure): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    this.#pieces = []
    if (failure !== undefined) this.#commits.fail(failure)
  }

  #requireWritable(): void {
    this.#requireOpen()
    if (this.#ended) throw writerFinished(this.#documentId)
  }
}

/** The first place whose value fulfils what all later ones fulfil too, else the length. */
function firstWhere<Value>(values: readonly Value[], holds: (value: Value) => boolean): number {
  let low = 0
  let high = values.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(values[middle] as Value)) high = middle
    else low = middle + 1
  }
  return low
}

function firstAfter(ids: readonly string[], after: string): number {
  return firstWhere(ids, (id) => compareCodePoints(id, after) > 0)
}

/** The order of ids in UTF-8, which is that of code points; `<` compares UTF-16 and puts U+1F600 before U+FF21. */
function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let place = 0; place < length; place++) {
    const left = a.charCodeAt(place)
    const right = b.charCodeAt(place)
    if (left === right) continue
    const bothSurrogate = isSurrogate(left) === isSurrogate(right)
    return bothSurrogate ? left - right : (a.codePointAt(place) as number) - (b.codePointAt(place) as number)
  }
  return a.length - b.length
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff
}
