import { RagError } from '../core/errors.js'
import type { Embedder } from '../embed/types.js'
import type { LexicalIndex } from '../lexical-index/types.js'
import type { MetadataIndex } from '../metadata-index/metadata-index.js'
import type { Recorder } from '../performance/types.js'
import type { Changes, DocumentRecord, StoreNamespace } from '../store/types.js'
import { createTurns } from '../util/yield.js'
import type { VectorIndex } from '../vector-index/types.js'

/** The derived indexes of one namespace. */
export interface NamespaceIndexes {
  readonly lexical: LexicalIndex
  readonly vector: VectorLeg | undefined
  readonly metadata: MetadataIndex
}

/** A vector index with the embedder whose vectors it holds. */
export interface VectorLeg {
  readonly index: VectorIndex
  readonly embedder: Embedder
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
  if (vector === undefined) return
  await whileVersionsVanish(() => applyToVector(changesSince(namespace, 0), namespace, vector))
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
): Promise<void> {
  for (const document of changes.added) checkFingerprint(document, embedder)
  const update = index.update()
  try {
    update.remove(fromNothing ? everything : changes.removed)
    for (const document of changes.added) {
      for (const { firstOrdinal, vectors } of namespace.vectors(document)) {
        const rows = nonZeroRows(vectors, index.dimensions)
        await update.add(
          rows.map(({ row }) => document.base + firstOrdinal + row),
          rows.length * index.dimensions === vectors.length ? vectors : gather(rows, index.dimensions),
        )
      }
    }
    await update.publish(changes.epoch)
  } catch (error) {
    update.abort()
    throw error
  }
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
  if (changes === undefined) throw new RagError('STORAGE', 'The store could not list its documents.')
  return { changes: { ...changes, epoch: Math.max(changes.epoch, latest) }, fromNothing: some === undefined }
}

/** Groups pieces into batches of about a megabyte. */
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
