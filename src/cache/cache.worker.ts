import { workerData } from 'node:worker_threads'
import { type Environment, getBytes, storageError, transact } from '../lmdb/environment.js'
import { createReserve, type Reserve, rowRoom, trimFile, valueRoom } from '../lmdb/file-length.js'
import { serveTasks, type TaskContext } from '../util/worker-serve.js'
import type { CacheWorkerData, CacheWrite, CacheWriteReply } from './disk.js'
import { type CacheFile, inodeOf, maxAttempts, openCacheFile } from './disk-file.js'
import { ageBytes, ageLength, decodeTotals, encodeTotals, readAge, rows, type Totals } from './disk-format.js'

/** The only thread that writes a disk cache. A transaction holds some megabytes and is flushed to disk when it ends. */

const { directory, mapSize, maxBytes, maxEntries } = workerData as CacheWorkerData
/** What an entry costs beside its bytes: keys, ages, and its share of half-empty pages. */
const rowBytes = 160
/** To put an entry changes the row of its value and that of its age, and those of an entry that gives way to it. */
const rowsRoom = 4 * rowRoom
/** Entries evicted in one transaction at most. */
const maxSteps = 10_000

let file: CacheFile | undefined

serveTasks({
  write: (request: CacheWrite, context: TaskContext) =>
    change(context, (open, reserve) => write(open, reserve, request)),
  prune: (now: number, context: TaskContext) => change(context, (open) => prune(open, now)),
  close: async (_: undefined, context: TaskContext) => {
    if (file === undefined) return
    const { environment } = file
    file = undefined
    context.critical(() => trimFile(environment, directory))
    await environment.close()
  },
})

/** What was written to a file that is deleted meanwhile, or could not be for that reason, is written again, to the one that takes its place. */
async function change<Result>(
  context: TaskContext,
  action: (open: Environment, reserve: Reserve) => Result,
): Promise<Result> {
  try {
    for (let attempt = 1; ; attempt++) {
      const { environment, inode } = await currentFile(context)
      const isLast = () => attempt === maxAttempts || inodeOf(directory) === inode
      try {
        const result = context.critical(() =>
          transact(environment, () => action(environment, createReserve(environment, directory))),
        )
        if (isLast()) return result
      } catch (error) {
        // Room is reserved in the file by its name, which another file may have by now, or none.
        if (isLast()) throw error
      }
    }
  } catch (error) {
    throw storageError(error, directory)
  }
}

/** A file that was deleted while it is open could be written for ever, and nobody would find anything in it. */
async function currentFile(context: TaskContext): Promise<CacheFile> {
  if (file !== undefined && inodeOf(directory) !== file.inode) {
    const { environment } = file
    file = undefined
    await environment.close()
  }
  file ??= await openCacheFile({
    directory,
    mapSize,
    readOnly: false,
    protect: (open) => context.critical(open),
  })
  return file
}

function write(open: Environment, reserve: Reserve, { clear, deleted, entries, touched }: CacheWrite): CacheWriteReply {
  reserve((entries.length + deleted.length + touched.length) * rowsRoom)
  for (const { sealed } of entries) reserve(valueRoom(sealed.length))
  if (clear) open.clearSync()
  let totals = decodeTotals(getBytes(open, rows.totals))
  for (const hash of deleted) totals = remove(open, hash, totals)
  for (const { hash, sealed } of entries) totals = put(open, hash, sealed, totals)
  for (const hash of touched) totals = touch(open, hash, totals)
  const before = totals.entries
  totals = evict(open, totals)
  open.putSync(rows.totals, encodeTotals(totals))
  return { totals, evicted: before - totals.entries, inode: file?.inode }
}

function put(open: Environment, hash: Uint8Array, sealed: Uint8Array, totals: Totals): Totals {
  const bytes = sealed.length + rowBytes
  const { entries, bytes: held, nextAge } = remove(open, hash, totals)
  open.putSync(rows.value(hash), Buffer.concat([ageBytes(nextAge), sealed]))
  open.putSync(rows.age(nextAge), hash)
  return { entries: entries + 1, bytes: held + bytes, nextAge: nextAge + 1 }
}

/** Makes an entry the youngest. */
function touch(open: Environment, hash: Uint8Array, totals: Totals): Totals {
  const value = getBytes(open, rows.value(hash))
  return value === undefined ? totals : put(open, hash, value.subarray(ageLength), totals)
}

function remove(open: Environment, hash: Uint8Array, totals: Totals): Totals {
  const value = getBytes(open, rows.value(hash))
  if (value === undefined) return totals
  const age = rows.age(readAge(value))
  open.removeSync(rows.value(hash))
  open.removeSync(age)
  return { ...totals, entries: totals.entries - 1, bytes: totals.bytes - (value.length - ageLength + rowBytes) }
}

/** Drops the oldest until what is left fits. */
function evict(open: Environment, totals: Totals): Totals {
  const fits = ({ entries, bytes }: Totals) => entries <= maxEntries && bytes <= maxBytes
  if (fits(totals)) return totals
  let left = totals
  for (const hash of oldest(open)) {
    left = remove(open, hash, left)
    if (fits(left)) break
  }
  return left
}

/** Collected first: rows are not deleted under a cursor. */
function oldest(open: Environment): Uint8Array[] {
  return Array.from(open.getRange({ ...rows.ages, limit: maxSteps }), ({ value }) => value.slice())
}

/** Removes what has expired. */
function prune(open: Environment, now: number): number {
  let totals = decodeTotals(getBytes(open, rows.totals))
  const before = totals.entries
  for (const { key, value } of Array.from(open.getRange({ start: Buffer.from('v'), end: Buffer.from('w') }))) {
    const hash = key.subarray(1)
    // A sealed entry is bound to its key, which only its hash is left of: damage is found by whoever asks for it.
    const expiresAt = new DataView(value.buffer, value.byteOffset, value.length).getFloat64(ageLength + 8, true)
    if (expiresAt !== 0 && expiresAt <= now) totals = remove(open, hash, totals)
  }
  open.putSync(rows.totals, encodeTotals(totals))
  return before - totals.entries
}
