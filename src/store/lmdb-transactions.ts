import { RagError } from '../core/errors.js'
import { type Environment, getBytes } from '../lmdb/environment.js'
import { type Reserve, rowRoom, valueRoom } from '../lmdb/file-length.js'
import { addFailure } from './failures.js'
import { bytesOf, keys, type NamespaceRow, rows, type StoredFailure, type StoredVersion } from './lmdb-layout.js'
import type { Content, Replies, Request, VersionOf } from './lmdb-messages.js'
import { isAlive, ownIdentity } from './process-identity.js'
import type { DocumentRecord } from './types.js'
import { requireIdBytes, requireReplaceable } from './validate.js'

/** What the changes below know beside the environment. */
export interface TransactionContext {
  readonly environment: Environment
  /** Called before documents are written. What removes, and what cleans up, lives on the margin that this leaves. */
  readonly reserve: Reserve
  readonly session: string
  readonly endedSessions: readonly string[]
  /** Removals that `changes()` remembers, per namespace. A reader further behind starts from nothing. */
  readonly maxRemovals: number
  readonly now: () => number
}

type Of<Kind extends Request['kind']> = Extract<Request, { kind: Kind }>

/**
 * The changes, each to be made inside a write transaction. They keep nothing in memory: what is not in the environment when the
 * transaction fails never happened.
 */
export function execute(context: TransactionContext, request: Request): Replies[keyof Replies] {
  switch (request.kind) {
    case 'append':
      return append(context, request)
    case 'commit':
      return commit(context, request)
    case 'abort':
      return abort(context, request)
    case 'confirm':
      return confirm(context, request)
    case 'remove':
      return remove(context, request)
    case 'close':
      return retireJournals(context, ({ session }) => session === context.session)
    default:
      return request satisfies never
  }
}

/** Lets go of versions whose writer is dead, or ended without closing. */
export function retireAbandoned(context: TransactionContext): undefined {
  return retireJournals(context, (row) => context.endedSessions.includes(row.session) || !isAlive(row))
}

/** Stores a part of a version that nobody sees yet. */
function append(context: TransactionContext, { version, content }: Of<'append'>): number {
  const generation = claim(context, version)
  putContent(context, generation, content)
  return generation
}

/** Makes a version current, unless the current one is the same. */
function commit(context: TransactionContext, request: Of<'commit'>): Replies['commit'] {
  const { environment, now, reserve } = context
  const { version, content, directory, chunks, document, replaces } = request
  const id = requireIdBytes(version.documentId)
  const namespace = readNamespace(context, version.namespace) ?? newNamespace(context)
  const current = readVersion(context, namespace, id)
  environment.removeSync(keys.failure(namespace.id, id))
  if (current?.record.contentHash === document.contentHash && current.record.pipeline === document.pipeline) {
    dropVersion(context, version)
    return { record: current.record, unchanged: true }
  }
  requireReplaceable(version.documentId, current?.record.generation, replaces)

  const generation = version.generation === undefined ? nextGeneration(context) : claim(context, version)
  putContent(context, generation, content)
  reserve(valueRoom(directory.byteLength))
  environment.putSync(keys.directory(generation), bytesOf(directory))
  environment.removeSync(keys.journal(generation))

  const record: DocumentRecord = {
    ...document,
    id: version.documentId,
    chunks,
    generation,
    base: namespace.nextNumber,
    committedAt: now(),
  }
  const without = current === undefined ? namespace : takeAway(context, namespace, current, namespace.epoch + 1)
  const epoch = namespace.epoch + 1
  const row = rows.encode({ epoch, record } satisfies StoredVersion)
  reserve(valueRoom(row.length) + rowRoom)
  environment.putSync(keys.document(namespace.id, id), row)
  if (chunks > 0) environment.putSync(keys.number(namespace.id, record.base), id)
  environment.putSync(keys.added(namespace.id, epoch), id)
  putNamespace(context, version.namespace, {
    ...without,
    epoch,
    nextNumber: namespace.nextNumber + chunks,
    documents: without.documents + 1,
    chunks: without.chunks + chunks,
  })
  return { record, unchanged: false }
}

/** Drops a version that was not committed, and notes why. */
function abort(context: TransactionContext, { version, failure }: Of<'abort'>): undefined {
  dropVersion(context, version)
  if (failure === undefined) return
  const { environment, now } = context
  const id = requireIdBytes(version.documentId)
  const namespace = readNamespace(context, version.namespace) ?? newNamespace(context)
  putNamespace(context, version.namespace, namespace)
  const key = keys.failure(namespace.id, id)
  const earlier = getBytes(environment, key)
  const facts = { documentId: version.documentId, failedAt: now() }
  const noted = addFailure(earlier && rows.failure(earlier).failure, failure, facts)
  environment.putSync(key, rows.encode({ failure: noted, order: nextGeneration(context) } satisfies StoredFailure))
}

/** Forgets a failure, and gives the current version the stamp of its file. */
function confirm(context: TransactionContext, { namespace: name, ...meant }: Of<'confirm'>): undefined {
  const namespace = readNamespace(context, name)
  if (namespace === undefined) return
  const { environment, reserve } = context
  const id = requireIdBytes(meant.documentId)
  environment.removeSync(keys.failure(namespace.id, id))
  const current = readVersion(context, namespace, id)
  if (meant.file === undefined || current?.record.generation !== meant.generation) return
  const row = rows.encode({ ...current, record: { ...current.record, file: meant.file } } satisfies StoredVersion)
  reserve(valueRoom(row.length) + rowRoom)
  environment.putSync(keys.document(namespace.id, id), row)
}

/** Removes documents; each is a change of its own. */
function remove(context: TransactionContext, { namespace: name, documentIds }: Of<'remove'>): number {
  const before = readNamespace(context, name)
  if (before === undefined) return 0
  let namespace = before
  for (const documentId of documentIds) {
    const id = requireIdBytes(documentId)
    context.environment.removeSync(keys.failure(namespace.id, id))
    const current = readVersion(context, namespace, id)
    if (current === undefined) continue
    const epoch = namespace.epoch + 1
    namespace = { ...takeAway(context, namespace, current, epoch), epoch }
    context.environment.removeSync(keys.document(namespace.id, id))
  }
  putNamespace(context, name, namespace)
  return namespace.epoch - before.epoch
}

/** Takes a current version out of everything but the documents, where it is replaced or removed, and lets it go. */
function takeAway(
  { environment, maxRemovals, now }: TransactionContext,
  namespace: NamespaceRow,
  { epoch: addedAt, record }: StoredVersion,
  epoch: number,
): NamespaceRow {
  const { base, chunks, generation } = record
  environment.removeSync(keys.added(namespace.id, addedAt))
  retire(environment, generation, now())
  const without = { ...namespace, documents: namespace.documents - 1, chunks: namespace.chunks - chunks }
  if (chunks === 0) return without
  environment.removeSync(keys.number(namespace.id, base))
  environment.putSync(
    keys.removed(namespace.id, epoch),
    rows.encodeRemoved({ start: base, end: base + chunks, addedAt }),
  )
  return trimLog(environment, { ...without, removals: without.removals + 1 }, maxRemovals)
}

/** Forgets the oldest removals, two for each that comes. */
function trimLog(environment: Environment, namespace: NamespaceRow, maxRemovals: number): NamespaceRow {
  if (namespace.removals <= maxRemovals) return namespace
  const oldest = [...environment.getKeys({ ...keys.removedAfter(namespace.id, 0), limit: 2 })]
  for (const key of oldest) environment.removeSync(key)
  return {
    ...namespace,
    removals: namespace.removals - oldest.length,
    logStart: Math.max(namespace.logStart, ...oldest.map(keys.numberIn)),
  }
}

/** The generation of a version; a new one is entered into the journal, an old one must still be ours. */
function claim({ environment, session, now }: TransactionContext, version: VersionOf): number {
  const { generation, documentId, namespace } = version
  if (generation === undefined) {
    const fresh = nextGeneration({ environment })
    const row = { documentId, namespace, ...ownIdentity(), session, startedAt: now() }
    environment.putSync(keys.journal(fresh), rows.encode(row))
    return fresh
  }
  const row = getBytes(environment, keys.journal(generation))
  if (row !== undefined && rows.journal(row).session === session) return generation
  throw new RagError('STORAGE', 'The unfinished version of a document was taken for abandoned and deleted.', {
    data: { documentId, generation },
    hint: 'Ingest the document again. Processes that share a store must see each other: one machine, one PID namespace.',
    retryable: true,
  })
}

function putContent(
  { environment, reserve }: Pick<TransactionContext, 'environment' | 'reserve'>,
  generation: number,
  content: Content,
): void {
  for (const [index, { bytes, vectors }] of content.pieces.entries()) {
    const place = content.place + index
    reserve(valueRoom(bytes.length) + valueRoom(vectors?.byteLength ?? 0))
    environment.putSync(keys.piece(generation, place), bytes)
    if (vectors !== undefined) environment.putSync(keys.vectors(generation, place), bytesOf(vectors))
  }
}

function dropVersion({ environment }: TransactionContext, { generation }: VersionOf): void {
  if (generation !== undefined && environment.removeSync(keys.journal(generation))) retireNow(environment, generation)
}

function retireJournals(
  { environment }: TransactionContext,
  isOver: (row: ReturnType<typeof rows.journal>) => boolean,
): undefined {
  for (const key of [...environment.getKeys(keys.journals())]) {
    const row = getBytes(environment, key)
    if (row === undefined || !isOver(rows.journal(row))) continue
    environment.removeSync(key)
    retireNow(environment, keys.numberIn(key))
  }
}

/** Nobody ever saw it, so nobody can still be reading it. */
function retireNow(environment: Environment, generation: number): void {
  retire(environment, generation, 0)
}

function retire(environment: Environment, generation: number, at: number): void {
  environment.putSync(keys.retired(at, generation), present)
}

/** The value of a row whose key says it all. */
const present = Uint8Array.of(1)

/** Rows that one transaction deletes. */
const deletedAtOnce = 256

/**
 * Deletes a bounded part of what was retired at least `retireMs` ago. Returns the milliseconds after which there is more to do:
 * 0 when it is due already, `undefined` when nothing is waiting.
 */
export function deleteRetired({ environment, now }: TransactionContext, retireMs: number): number | undefined {
  let budget = deletedAtOnce
  while (budget > 0) {
    const [oldest] = [...environment.getKeys({ ...keys.retirements(), limit: 1 })]
    if (oldest === undefined) return undefined
    const { retiredAt, generation } = keys.retirementIn(oldest)
    const age = now() - retiredAt
    // An age below zero means that the clock was set back; to wait for it again could take years.
    if (age >= 0 && age < retireMs) return retireMs - age
    const content = [...environment.getKeys({ ...keys.content(generation), limit: budget })]
    for (const key of content) environment.removeSync(key)
    if (content.length < budget) environment.removeSync(oldest)
    budget -= content.length + 1
  }
  return 0
}

function nextGeneration({ environment }: Pick<TransactionContext, 'environment'>): number {
  const counters = readCounters(environment)
  environment.putSync(keys.counters, rows.encodeCounters({ ...counters, nextGeneration: counters.nextGeneration + 1 }))
  return counters.nextGeneration
}

function newNamespace({ environment }: TransactionContext): NamespaceRow {
  const counters = readCounters(environment)
  const { nextNamespace: id } = counters
  environment.putSync(keys.counters, rows.encodeCounters({ ...counters, nextNamespace: id + 1 }))
  return { id, epoch: 0, nextNumber: 0, documents: 0, chunks: 0, removals: 0, logStart: 0 }
}

function readCounters(environment: Environment) {
  const row = getBytes(environment, keys.counters)
  return row === undefined ? { nextGeneration: 1, nextNamespace: 1 } : rows.counters(row)
}

function readNamespace({ environment }: TransactionContext, name: string): NamespaceRow | undefined {
  const row = getBytes(environment, keys.namespace(name))
  return row === undefined ? undefined : rows.namespace(row)
}

function putNamespace({ environment }: TransactionContext, name: string, row: NamespaceRow): void {
  environment.putSync(keys.namespace(name), rows.encodeNamespace(row))
}

function readVersion(
  { environment }: TransactionContext,
  namespace: NamespaceRow,
  id: Uint8Array,
): StoredVersion | undefined {
  const row = getBytes(environment, keys.document(namespace.id, id))
  return row === undefined ? undefined : rows.version(row)
}
