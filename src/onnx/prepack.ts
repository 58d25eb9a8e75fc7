import { mkdir, readdir, rename, rm, stat, statfs, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Logger } from '../core/lifecycle.js'
import type { EmbeddingModel } from '../models/types.js'
import { systemClock } from '../util/clock.js'
import { sha256Hex } from '../util/hash.js'
import { networkFileSystem } from '../util/network-file-system.js'
import { processorFeatures } from '../util/processor.js'
import { errorCode, isMissingFile } from '../util/system-error.js'
import { waitAtMost } from '../util/wait-at-most.js'
import { WorkerPool } from '../util/worker-pool.js'
import type { PrepackMessage } from './prepack.worker.js'
import { prepackedState } from './prepacked.js'
import { runtimeVersion } from './runtime.js'

/** What sessions on a CPU open instead of the model file; see `openModel`. */
export interface Prepacking {
  /** Absolute folder of the copy, whether it is there or not. */
  readonly folder: string
  /**
   * Resolves when the copy is there, or is not to be had (which is logged, and no failure), or after ten seconds, while it is still being
   * made. Whoever waits shares one attempt.
   */
  prepare(): Promise<void>
  /** Resolves when this process writes nothing any more. */
  close(): Promise<void>
}

export interface PrepackingOptions {
  readonly model: Pick<EmbeddingModel, 'weights' | 'weightsFiles'>
  /** Absolute folder of all copies. `undefined`: none are made or used. */
  readonly directory: string | undefined
  /** The identity of weights by their files. */
  readonly hashWeights: (files: readonly string[]) => Promise<string>
  readonly logger: Logger | undefined
}

/** Smaller ones are opened in a few milliseconds; to make a copy of larger ones would take gigabytes of memory. */
const prepackable = { least: 2 << 20, most: 512 << 20 }
/** Both opened as they are and as they are written, a model was seen to take 3.5 times its bytes. */
const memoryPerByte = 5
const diskPerByte = 4
/** Copies that nobody has opened for so long are removed, and those beyond so many, the ones that were opened last stay. */
const kept = { unusedMs: 60 * 86_400_000, most: 16 }
/** Whoever began so long ago to make a copy has died. Until then nobody else begins: perhaps it was the copy that they died of. */
const unfinishedMs = 3_600_000
/** How long it is believed that a model cannot have a copy. */
const unusableMs = 7 * 86_400_000
const patienceMs = 10_000
const pollMs = 100
const unfinished = '.tmp'

/** Copies that are being made in this process, by their folders. */
const running = new Map<string, Promise<void>>()

/**
 * Finds out where the prepacked copy of a model belongs: a folder whose name is made of the model's weights, the version of the runtime and the
 * features of this processor, since the layout is theirs. `undefined` where none is made or used: weights below 2 MiB or above 512 MiB, no runtime,
 * a folder on a network file system (what is mapped from one may vanish, which kills the process) or one that others may write to.
 */
export async function planPrepacking(options: PrepackingOptions): Promise<Prepacking | undefined> {
  const { model, directory, hashWeights, logger } = options
  const runtime = runtimeVersion()
  if (directory === undefined || runtime === undefined) return undefined
  try {
    const bytes = await sizeOf(model)
    if (bytes < prepackable.least || bytes > prepackable.most || !(await isTrusted(directory))) return undefined
    const hash = await hashWeights(model.weightsFiles)
    const identity = ['prepacked/1', hash, runtime, process.platform, await processorFeatures()]
    const folder = join(directory, sha256Hex(...identity).slice(0, 32))
    return prepackingOf({ ...options, folder, hash, bytes })
  } catch (error) {
    logger?.debug(notPrepacked, { weights: model.weights, directory, error: String(error) })
    return undefined
  }
}

const notPrepacked = 'A model could not be prepacked.'

interface Preparation extends Omit<PrepackingOptions, 'directory'> {
  readonly folder: string
  /** Of the weights when the folder was named. */
  readonly hash: string
  readonly bytes: number
}

function prepackingOf(preparation: Preparation): Prepacking {
  const { folder } = preparation
  return {
    folder,
    async prepare() {
      const attempt = running.get(folder) ?? prepare(preparation).finally(() => running.delete(folder))
      running.set(folder, attempt)
      await waitAtMost(attempt, patienceMs, systemClock)
    },
    close: async () => running.get(folder),
  }
}

async function sizeOf({ weightsFiles }: PrepackingOptions['model']): Promise<number> {
  const sizes = await Promise.all(weightsFiles.map(async (file) => (await stat(file)).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** Local, and nobody but this user and the administrator can put something there. */
async function isTrusted(directory: string): Promise<boolean> {
  if ((await networkFileSystem(directory)) !== undefined) return false
  try {
    const { uid, mode } = await stat(directory)
    const own = process.getuid?.()
    return own === undefined || ((uid === own || uid === 0) && (mode & 0o022) === 0)
  } catch (error) {
    // It is made for this user alone.
    if (isMissingFile(error)) return true
    throw error
  }
}

async function prepare(preparation: Preparation): Promise<void> {
  const { folder, logger, model } = preparation
  try {
    const state = await prepackedState(folder)
    if (state === 'there') await touch(folder)
    await removeOld(dirname(folder))
    if (state === 'there') return
    if (state === 'absent' || (await ageOf(folder)) > unusableMs) await make(preparation)
  } catch (error) {
    // A disk that is full or must not be written: the model is opened as it is, which takes longer and more memory.
    logger?.debug(notPrepacked, { weights: model.weights, folder, error: String(error) })
  }
}

/** Written under another name and renamed: what is there is whole. The other name is the lock: one process makes it, the others wait. */
async function make({ folder, model, hash, hashWeights, bytes }: Preparation): Promise<void> {
  const directory = dirname(folder)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await requireRoom(directory, bytes)
  const temporary = `${folder}${unfinished}`
  if (!(await begin(temporary))) return awaitOther(folder, temporary)
  try {
    const pool = new WorkerPool({
      worker: 'prepack',
      size: 1,
      abortGraceMs: Number.POSITIVE_INFINITY,
      priority: 'normal',
    })
    try {
      const payload: PrepackMessage = { weights: model.weights, folder: temporary }
      await pool.run({ type: 'prepack', payload })
    } finally {
      await pool.close()
    }
    if ((await hashWeights(model.weightsFiles)) !== hash) throw new Error('The model was replaced meanwhile.')
    // What is there without a list is of no use to anybody; nor is what is said of a model for too long.
    await rm(folder, { recursive: true, force: true })
    await rename(temporary, folder)
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    throw error
  }
}

/** Whether the lock is ours now. */
async function begin(temporary: string): Promise<boolean> {
  try {
    await mkdir(temporary)
    return true
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
    return false
  }
}

/** Until another process has the copy in its place, has given up, or has been at it for so long that it may have died. */
async function awaitOther(folder: string, temporary: string): Promise<void> {
  while ((await prepackedState(folder)) === 'absent') {
    const age = await ageOf(temporary).catch(() => Number.POSITIVE_INFINITY)
    if (age > patienceMs) return
    await systemClock.sleep(pollMs)
  }
}

async function requireRoom(directory: string, bytes: number): Promise<void> {
  const { bavail, blocks, bsize } = await statfs(directory)
  // Some file systems do not tell.
  if (blocks > 0 && bavail * bsize < bytes * diskPerByte) throw new Error('There is not room for a copy on the disk.')
  if (process.availableMemory() < bytes * memoryPerByte) throw new Error('There is not the memory to make a copy.')
}

/** The time of its last use. */
async function touch(folder: string): Promise<void> {
  const now = new Date()
  await utimes(folder, now, now).catch(() => {
    // Of a copy on a disk that must not be written the time does not matter.
  })
}

async function ageOf(path: string): Promise<number> {
  return Date.now() - (await stat(path)).mtimeMs
}

/** Another process may be at it, too, and Windows holds on to what is open: what stays is removed another time. */
async function removeOld(directory: string): Promise<void> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => isOurs.test(name))
  const ages = await Promise.all(
    names.map(async (name) => ({
      path: join(directory, name),
      age: await ageOf(join(directory, name)).catch(() => 0),
    })),
  )
  const copies = ages.filter(({ path }) => !path.endsWith(unfinished)).sort((one, other) => one.age - other.age)
  const old = [
    ...ages.filter(({ path, age }) => path.endsWith(unfinished) && age > unfinishedMs),
    ...copies.filter(({ age }, place) => age > kept.unusedMs || place >= kept.most),
  ]
  for (const { path } of old) await rm(path, { recursive: true, force: true }).catch(() => undefined)
}

/** Whatever else lies in the folder is not to be touched. */
const isOurs = /^[0-9a-f]{32}(?:\.tmp)?$/
