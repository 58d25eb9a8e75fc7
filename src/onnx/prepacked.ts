import { open, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { RagError } from '../core/errors.js'
import { sha256Hex } from '../util/hash.js'
import { sealJson, syncFolder, unsealJson } from '../util/safe-files.js'
import { isMissingFile } from '../util/system-error.js'
import { createBatchInputs } from './batch-inputs.js'
import { floatsOf } from './float-data.js'
import { openSession, type Session, type SessionOptions } from './session.js'

/**
 * A prepacked copy of a model is a folder: the graph as the runtime has optimised it, the weights in the layout that this processor
 * multiplies, and a list of both, which is written last. Weights that need not be rearranged are mapped from their file: every session of
 * every process has the same pages, and none has a copy of its own (`docs/decisions/0008-inside-the-session.md`).
 */
const files = { graph: 'model.onnx', weights: 'model.data', list: 'prepacked' } as const

/** What the list says. */
type Prepacked =
  | {
      readonly graphHash: string
      readonly weightsBytes: number
      /** Some of what the model itself gives. */
      readonly probe: readonly number[]
    }
  /** The runtime cannot do it with this model: nobody need try again soon. */
  | { readonly unusable: string }

/** Outputs that are compared, evenly spread over all that a probe gives. */
const probeValues = 64
/** Two texts of ids that every vocabulary has. */
const probeBatch = {
  ids: Int32Array.from({ length: 24 }, (_, place) => 1 + (place % 7)),
  offsets: Int32Array.of(0, 16, 24),
}
/**
 * By how much an output may be off, as a share of the largest, and at all: work shared out among more threads is added up in another order.
 */
const tolerance = { share: 1e-3, least: 1e-4 }

/**
 * Opens a model, on a CPU from its prepacked copy where `prepacked` is the folder of a sound one: that its files are those that were written, and
 * that its matrices compute what the model did then, is tried out in a pass of 24 tokens. A damaged copy is removed, and the model opened as it
 * is. Rejects as {@link openSession} does.
 */
export async function openModel({
  prepacked,
  ...options
}: SessionOptions & { readonly prepacked: string | undefined }): Promise<Session> {
  const copy = prepacked === undefined || options.device.kind !== 'cpu' ? undefined : await openCopy(prepacked, options)
  return copy ?? openSession(options)
}

async function openCopy(folder: string, options: SessionOptions): Promise<Session | undefined> {
  const list = await readList(folder)
  if (list === undefined || 'unusable' in list) return undefined
  if (!(await areFilesSound(folder, list))) return remove(folder)
  const session = await openSession({ ...options, weights: join(folder, files.graph), saved: true }).catch(() => {
    // What this machine lacks (memory, open files), or that the thread is about to end, shows with the model as well.
    return undefined
  })
  if (session === undefined) return undefined
  const found = await probe(session).catch(() => undefined)
  if (found !== undefined && agree(list.probe, found)) return session
  await session.release()
  return found === undefined ? undefined : remove(folder)
}

/** Whether a model has a prepacked copy; `'unusable'` when it cannot have one. */
export async function prepackedState(folder: string): Promise<'there' | 'absent' | 'unusable'> {
  const list = await readList(folder)
  return list === undefined ? 'absent' : 'unusable' in list ? 'unusable' : 'there'
}

/**
 * Writes the prepacked copy of a model into an empty folder, and tries it out. A sound model with which the runtime cannot do it is noted as such.
 * Rejects when files cannot be written, or with what {@link openSession} says of the model.
 */
export async function writePrepacked(folder: string, options: SessionOptions): Promise<void> {
  const list = await writeCopy(folder, options)
  if ('unusable' in list) for (const name of [files.graph, files.weights]) await rm(join(folder, name), { force: true })
  await writeList(folder, list)
}

async function writeCopy(folder: string, options: SessionOptions): Promise<Prepacked> {
  const [graph, weights] = [join(folder, files.graph), join(folder, files.weights)]
  let expected: readonly number[]
  try {
    expected = await runOnce({ ...options, save: { file: graph, weightsName: files.weights } })
    const found = await runOnce({ ...options, weights: graph, saved: true })
    if (!agree(expected, found)) return { unusable: 'It computes something else than the model.' }
  } catch (error) {
    // Throws what is wrong with the model itself, or with this machine.
    await runOnce(options)
    return { unusable: String(error) }
  }
  for (const path of [graph, weights]) await sync(path)
  return { graphHash: sha256Hex(await readFile(graph)), weightsBytes: (await stat(weights)).size, probe: expected }
}

async function runOnce(options: SessionOptions): Promise<readonly number[]> {
  const session = await openSession(options)
  try {
    return await probe(session)
  } finally {
    await session.release()
  }
}

/** Some of what the model gives for {@link probeBatch}. */
async function probe(session: Session): Promise<readonly number[]> {
  const { feeds } = createBatchInputs(session, { paddingId: 0, file: files.graph })(probeBatch)
  const output = session.outputs.find(({ type }) => type === 'float32' || type === 'float16')
  if (output === undefined) throw new RagError('UNSUPPORTED', 'The model gives no floats.')
  const values = floatsOf((await session.run(feeds, output.name)).data)
  return Array.from({ length: probeValues }, (_, place) => {
    return values[Math.floor((place * values.length) / probeValues)] ?? Number.NaN
  })
}

function agree(expected: readonly number[], found: readonly number[]): boolean {
  const allowed = Math.max(tolerance.least, Math.max(...expected.map(Math.abs)) * tolerance.share)
  // Written so that whatever is no number disagrees.
  return expected.every((value, place) => Math.abs(value - (found[place] ?? Number.NaN)) <= allowed)
}

/** `false` only for files that are others than were written, or gone; the weights count by their size. */
async function areFilesSound(folder: string, { graphHash, weightsBytes }: Extract<Prepacked, { graphHash: string }>) {
  try {
    const graph = await readFile(join(folder, files.graph))
    return sha256Hex(graph) === graphHash && (await stat(join(folder, files.weights))).size === weightsBytes
  } catch (error) {
    return !isMissingFile(error)
  }
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r+')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function readList(folder: string): Promise<Prepacked | undefined> {
  try {
    return unsealJson(await readFile(join(folder, files.list))) as Prepacked
  } catch {
    // Absent, damaged or unreadable: there is no copy to be used.
    return undefined
  }
}

async function writeList(folder: string, list: Prepacked): Promise<void> {
  const handle = await open(join(folder, files.list), 'wx')
  try {
    await handle.writeFile(sealJson(list))
    await handle.sync()
  } finally {
    await handle.close()
  }
  await syncFolder(folder)
}

/** What is open elsewhere may stay; without its list it is none. */
async function remove(folder: string): Promise<undefined> {
  await rm(join(folder, files.list), { force: true }).catch(() => undefined)
  await rm(folder, { recursive: true, force: true }).catch(() => undefined)
}
