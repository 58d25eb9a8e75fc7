import { randomUUID } from 'node:crypto'
import { mkdir, readdir, realpath, rename, rm, stat, statfs, utimes } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Logger } from '../core/lifecycle.js'
import { type Environment, prepackedDirectory } from '../models/places.js'
import { sha256Hex } from '../util/hash.js'
import { processorFeatures } from '../util/processor.js'
import { isMissingFile } from '../util/system-error.js'
import { WorkerPool } from '../util/worker-pool.js'
import type { Device } from './devices.js'
import type { PrepackMessage } from './prepack.worker.js'
import { prepackedState } from './prepacked.js'
import { runtimeVersion } from './runtime.js'

/** What sessions on a CPU open instead of the model file; see `openModel`. */
export interface Prepacking {
  /** Absolute folder of the copy, whether it is there or not. */
  readonly folder: string
  /** Resolves when the copy is there, or is not to be had: that is logged, and no failure. Whoever waits shares one attempt. */
  prepare(): Promise<void>
  /** Resolves when nothing is being written any more. */
  close(): Promise<void>
}

export interface PrepackingOptions {
  /** Absolute path of the model file. */
  readonly weights: string
  /** The device that sessions are opened on first. */
  readonly device: Device
  /** Folder of all copies; `false`: none are made or used. Default: `UFRAG_PREPACKED`, else `ultrafast-rag/prepacked` in the user's cache. */
  readonly directory: string | false | undefined
  readonly logger: Logger | undefined
  /** Default: those of the process. */
  readonly environment?: Environment
}

/** Smaller ones are opened in a few milliseconds, and what larger ones would take of the disk is not ours to decide. */
const prepackable = { least: 2 << 20, most: 2 ** 30 }
/** Copies that nobody has opened for so long are removed when another is made. */
const unusedMs = 60 * 86_400_000
/** What began so long ago and was not finished belongs to a process that has died. */
const unfinishedMs = 3_600_000
const unfinished = '.tmp'

/** Copies that are being made in this process, by their folders. */
const running = new Map<string, Promise<void>>()

/**
 * Finds out where the prepacked copy of a model belongs: a folder whose name is made of the model file (place, size, time of its last change,
 * that of the files beside it that hold its weights), the version of the runtime and the features of this processor, since the layout is theirs.
 * `undefined` where none is to be made: another device, a model file below 2 MiB or above 1 GiB, no runtime, or a folder that cannot be.
 */
export async function planPrepacking(options: PrepackingOptions): Promise<Prepacking | undefined> {
  const { weights, device, directory: given, logger, environment } = options
  const directory = prepackedDirectory(given, environment)
  const runtime = runtimeVersion()
  if (device.kind !== 'cpu' || directory === undefined || runtime === undefined) return undefined
  const model = await identify(weights)
  if (model === undefined || model.bytes < prepackable.least || model.bytes > prepackable.most) return undefined
  const identity = ['prepacked/1', ...model.identity, runtime, process.platform, await processorFeatures()]
  const folder = join(directory, sha256Hex(...identity).slice(0, 32))
  return {
    folder,
    prepare: () => {
      const attempt =
        running.get(folder) ??
        prepare({ folder, weights, bytes: model.bytes, logger }).finally(() => running.delete(folder))
      running.set(folder, attempt)
      return attempt
    },
    close: async () => running.get(folder),
  }
}

/** A model file with all that may hold weights of it: what begins with its name. */
async function identify(
  weights: string,
): Promise<{ readonly bytes: number; readonly identity: readonly string[] } | undefined> {
  try {
    const path = await realpath(weights)
    const names = (await readdir(dirname(weights))).filter((name) => name.startsWith(basename(weights))).sort()
    const stats = await Promise.all(
      names.map(async (name) => ({ name, ...pick(await stat(join(dirname(weights), name))) })),
    )
    const bytes = stats.reduce((sum, { size }) => sum + size, 0)
    return { bytes, identity: [path, ...stats.map(({ name, size, mtimeMs }) => `${name}:${size}:${mtimeMs}`)] }
  } catch {
    // A model that is not there, or not readable, is told by whoever opens it.
    return undefined
  }
}

const pick = ({ size, mtimeMs }: { readonly size: number; readonly mtimeMs: number }) => ({ size, mtimeMs })

interface Preparation {
  readonly folder: string
  readonly weights: string
  readonly bytes: number
  readonly logger: Logger | undefined
}

async function prepare({ folder, weights, bytes, logger }: Preparation): Promise<void> {
  try {
    if ((await prepackedState(folder)) === 'absent') await make({ folder, weights, bytes })
    else await touch(folder)
  } catch (error) {
    // A disk that is full or must not be written: the model is opened as it is, which takes longer and more memory.
    logger?.debug('A model could not be prepacked.', { weights, folder, error: String(error) })
  }
}

/** Written under another name and renamed: what is there is whole. */
async function make({ folder, weights, bytes }: Omit<Preparation, 'logger'>): Promise<void> {
  const directory = dirname(folder)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await removeOld(directory)
  await requireRoom(directory, bytes)
  const temporary = `${folder}-${randomUUID()}${unfinished}`
  await mkdir(temporary)
  const pool = new WorkerPool({
    worker: 'prepack',
    size: 1,
    abortGraceMs: Number.POSITIVE_INFINITY,
    priority: 'normal',
  })
  try {
    await pool.run({ type: 'prepack', payload: { weights, folder: temporary } satisfies PrepackMessage })
    await rename(temporary, folder)
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    // Another process was faster.
    if ((await prepackedState(folder)) === 'absent') throw error
  } finally {
    await pool.close()
  }
}

/** Packed weights took up to 1.5 times the bytes of those they were made of. */
async function requireRoom(directory: string, bytes: number): Promise<void> {
  const { bavail, blocks, bsize } = await statfs(directory)
  // Some network file systems do not tell.
  if (blocks > 0 && bavail * bsize < bytes * 4) throw new Error(`There is not room for a copy in ${directory}.`)
}

async function touch(folder: string): Promise<void> {
  const now = new Date()
  await utimes(folder, now, now)
}

async function removeOld(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name)
    try {
      const age = Date.now() - (await stat(path)).mtimeMs
      const limit = name.endsWith(unfinished) ? unfinishedMs : unusedMs
      if (isOurs.test(name) && age > limit) await rm(path, { recursive: true, force: true })
    } catch (error) {
      // Another process removes it, too, or Windows holds on to what is open.
      if (!isMissingFile(error)) continue
    }
  }
}

/** Whatever else lies in the folder is not to be touched. */
const isOurs = /^[0-9a-f]{32}(?:-[0-9a-f-]{36}\.tmp)?$/
