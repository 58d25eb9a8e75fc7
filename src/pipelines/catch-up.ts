import { RagError } from '../core/errors.js'
import { pieceOrigin } from '../core/piece.js'
import type { Embedder, FittedEmbedder, PassagePart } from '../embed/types.js'
import type { LexicalIndex } from '../lexical-index/types.js'
import type { MetadataIndex } from '../metadata-index/metadata-index.js'
import type { Recorder } from '../performance/types.js'
import type { Changes, DocumentRecord, StoreNamespace } from '../store/types.js'
import { readAhead } from '../util/read-ahead.js'
import { createTurns } from '../util/yield.js'
import type { VectorIndex } from '../vector-index/types.js'

/** The derived indexes of one namespace. */
export interface NamespaceIndexes {
  readonly lexical: LexicalIndex
  readonly vector: VectorLeg | undefined
  readonly metadata: MetadataIndex
  /** There is an embedder, and its vectors are being made: until then there is no leg. */
  readonly vectorsPending?: true
}

/** A vector index with the embedder whose vectors it holds. */
export interface VectorLeg {
  readonly index: VectorIndex
  /** The vectors of one that was fitted are derived: documents are embedded when the index follows the store. */
  readonly embedder: Embedder | FittedEmbedder
}

const maxAttempts = 5
/** Encoded pieces handed to the index at a time: a millisecond of reading. */
const batchBytes = 256 << 10
const everything = [[0, Number.MAX_SAFE_INTEGER]] as const

/**
 * Brings the indexes of a namespace to the store's latest epoch: what was committed since, by whichever process, is added, what
 * is no longer current removed. The caller makes sure that it runs once at a time.
 */
export async function catchUp(
  namespace: StoreNamespace,
  indexes: NamespaceIndexes,
  tools: { readonly recorder: Recorder; readonly now: () => number },
): Promise<void> {
  const began = tools.now()
  const worked = [
    await whileVersionsVanish(() => catchUpLexical(namespace, indexes.lexical)),
    await whileVersionsVanish(() => catchUpVector(namespace, indexes.vector)),
    await catchUpMetadata(namespace, indexes.metadata),
  ]
  if (worked.includes(true)) tools.recorder.stage('index.catchUp', tools.now() - began)
}

/** A version that is replaced while it is read may be gone before the reader is through: the changes are asked for again. */
async function whileVersionsVanish<Result>(task: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await task()
    } catch (error) {
      if (attempt === maxAttempts || !RagError.isInstance(error, 'NOT_FOUND')) throw error
    }
  }
}

/** The store epoch that all indexes have reached. Cheap: it is asked before every query. */
export function indexedEpoch({ lexical, metadata, vector }: NamespaceIndexes): number {
  return Math.min(lexical.epoch, metadata.epoch, vector === undefined ? Number.POSITIVE_INFINITY : vector.index.epoch)
}

async function catchUpLexical(namespace: StoreNamespace, index: LexicalIndex): Promise<boolean> {
  if (index.epoch >= namespace.epoch()) return false
  await applyToLexical(changesSince(namespace, index.epoch), namespace, index)
  return true
}

/** Builds the indexes afresh from the store; searches see the old ones until the new ones are complete. */
export async function rebuildIndexes(namespace: StoreNamespace, { lexical, vector }: NamespaceIndexes): Promise<void> {
  await whileVersionsVanish(() => applyToLexical(changesSince(namespace, 0), namespace, lexical))
  if (vector !== undefined) await rebuildVector(namespace, vector)
}

/** Fills a vector index with all that is in the store. */
export async function rebuildVector(namespace: StoreNamespace, leg: VectorLeg, signal?: AbortSignal): Promise<void> {
  await whileVersionsVanish(() => applyToVector(changesSince(namespace, 0), namespace, leg, signal))
}

async function applyToLexical(
  { changes, fromNothing }: ChangeSet,
  namespace: StoreNamespace,
  index: LexicalIndex,
): Promise<void> {
  const update = index.update()
  const turns = createTurns()
  try {
    update.remove(fromNothing ? everything : changes.removed)
    for (const document of changes.added) {
      for (const pieces of batches(namespace.pieces(document))) {
        await update.add({ base: document.base, title: document.title, language: document.language, pieces })
        await turns.next()
      }
    }
    await update.publish(changes.epoch)
  } catch (error) {
    update.abort()
    throw error
  }
}

async function catchUpVector(namespace: StoreNamespace, leg: VectorLeg | undefined): Promise<boolean> {
  if (leg === undefined || leg.index.epoch >= namespace.epoch()) return false
  await applyToVector(changesSince(namespace, leg.index.epoch), namespace, leg)
  return true
}

async function applyToVector(
  { changes, fromNothing }: ChangeSet,
  namespace: StoreNamespace,
  { index, embedder }: VectorLeg,
  signal?: AbortSignal,
): Promise<void> {
  const update = index.update()
  try {
    update.remove(fromNothing ? everything : changes.removed)
    const added = isFitted(embedder)
      ? embeddedVectors(namespace, changes.added, embedder, signal)
      : storedVectors(namespace, changes.added, embedder)
    for await (const { firstNumber, vectors } of added) {
      const rows = nonZeroRows(vectors, index.dimensions)
      await update.add(
        rows.map(({ row }) => firstNumber + row),
        rows.length * index.dimensions === vectors.length ? vectors : gather(rows, index.dimensions),
      )
    }
    await update.publish(changes.epoch)
  } catch (error) {
    update.abort()
    throw error
  }
}

export function isFitted(embedder: Embedder | FittedEmbedder): embedder is FittedEmbedder {
  return 'embedParts' in embedder
}

/** Vectors of consecutive chunks. */
interface Vectors {
  readonly firstNumber: number
  /** `rows x dimensions`. */
  readonly vectors: Float32Array
}

async function* storedVectors(
  namespace: StoreNamespace,
  documents: Iterable<DocumentRecord>,
  embedder: Embedder,
): AsyncGenerator<Vectors> {
  const turns = createTurns()
  for (const document of documents) {
    checkFingerprint(document, embedder)
    for (const { firstOrdinal, vectors } of namespace.vectors(document)) {
      yield { firstNumber: document.base + firstOrdinal, vectors }
      await turns.next()
    }
  }
}

/** Parts of one call, which are read in one stretch. */
const partsPerCall = 128
/** Calls of a fitted embedder that are under way. */
const embeddingsAhead = 3

/** Reads documents and has them embedded, several calls ahead of who takes the vectors. */
async function* embeddedVectors(
  namespace: StoreNamespace,
  documents: Iterable<DocumentRecord>,
  embedder: FittedEmbedder,
  signal: AbortSignal | undefined,
): AsyncGenerator<Vectors> {
  async function* begin() {
    const turns = createTurns()
    for (const group of groupsOf(namespace, documents)) {
      await turns.next()
      signal?.throwIfAborted()
      const parts = group.map(({ part }) => part)
      const embedded = embedder.embedParts(parts, signal === undefined ? {} : { signal })
      embedded.catch(() => {}) // Thrown where its turn comes; until then nobody waits for it.
      yield { group, embedded }
    }
  }
  for await (const { group, embedded } of readAhead(begin(), { capacity: embeddingsAhead, weigh: () => 1 })) {
    for (const [place, vectors] of (await embedded).entries()) {
      yield { firstNumber: (group[place] as NumberedPart).firstNumber, vectors }
    }
  }
}

interface NumberedPart {
  readonly part: PassagePart
  readonly firstNumber: number
}

/** Parts of documents, of {@link batchBytes} together: a call for each small document would cost more than its work. */
function* groupsOf(namespace: StoreNamespace, documents: Iterable<DocumentRecord>): Generator<NumberedPart[]> {
  let group: NumberedPart[] = []
  let bytes = 0
  for (const document of documents) {
    const { base, language, title } = document
    for (const stored of batches(namespace.pieces(document))) {
      // Copies, which are moved to the thread: what the store gives is its own, or a view of far more.
      const pieces = stored.map((piece) => new Uint8Array(piece))
      const [first] = pieces
      if (first === undefined) continue
      group.push({ part: { title, language, pieces }, firstNumber: base + pieceOrigin(first).firstOrdinal })
      bytes += pieces.reduce((sum, { length }) => sum + length, 0)
      if (bytes < batchBytes && group.length < partsPerCall) continue
      yield group
      group = []
      bytes = 0
    }
  }
  if (group.length > 0) yield group
}

async function catchUpMetadata(namespace: StoreNamespace, index: MetadataIndex): Promise<boolean> {
  if (index.epoch >= namespace.epoch()) return false
  const { changes, fromNothing } = changesSince(namespace, index.epoch)
  // The next filter reads what it needs.
  if (fromNothing) index.forget()
  else await index.follow(changes)
  return true
}

interface ChangeSet {
  readonly changes: Changes
  /** The changes list everything that is current: whatever else an index holds is to go. */
  readonly fromNothing: boolean
}

function changesSince(namespace: StoreNamespace, epoch: number): ChangeSet {
  // Changes that cancel each other out leave no entry, so the latest epoch is read first: the changes reach at least that far.
  const latest = namespace.epoch()
  const some = epoch === 0 ? undefined : namespace.changes(epoch)
  const changes = some ?? namespace.changes(0)
  if (changes === undefined)
    throw new RagError('STORAGE', 'The store could not list its documents.', {
      hint: 'changes(0) of a store lists everything that it holds.',
    })
  return { changes: { ...changes, epoch: Math.max(changes.epoch, latest) }, fromNothing: some === undefined }
}

/** Groups pieces into batches of {@link batchBytes}, or one larger piece. */
function* batches(pieces: Iterable<Uint8Array>): Generator<Uint8Array[]> {
  let batch: Uint8Array[] = []
  let bytes = 0
  for (const piece of pieces) {
    batch.push(piece)
    bytes += piece.length
    if (bytes < batchBytes) continue
    yield batch
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield batch
}

/** Vectors of another embedder must never be compared with ours. */
function checkFingerprint(document: DocumentRecord, embedder: Embedder): void {
  if (document.embedder === embedder.fingerprint) return
  const what = document.embedder === undefined ? 'without vectors' : 'with vectors of another embedder'
  throw new RagError('FINGERPRINT', `Documents were stored ${what}; "${embedder.id}" cannot search them.`, {
    data: { documentId: document.id, stored: document.embedder ?? null, configured: embedder.fingerprint },
    hint: 'Call reindex() (or run `ufrag reindex`), which embeds them anew, or configure the embedder they were made with.',
  })
}

interface Row {
  readonly row: number
  readonly vector: Float32Array
}

/** A row of zeros stands for a chunk that could not be embedded. */
function nonZeroRows(vectors: Float32Array, dimensions: number): Row[] {
  const rows: Row[] = []
  for (let row = 0; (row + 1) * dimensions <= vectors.length; row++) {
    const vector = vectors.subarray(row * dimensions, (row + 1) * dimensions)
    if (vector.some((value) => value !== 0)) rows.push({ row, vector })
  }
  return rows
}

function gather(rows: readonly Row[], dimensions: number): Float32Array {
  const vectors = new Float32Array(rows.length * dimensions)
  for (const [place, { vector }] of rows.entries()) vectors.set(vector, place * dimensions)
  return vectors
}
