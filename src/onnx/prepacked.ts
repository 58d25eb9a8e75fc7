import { open, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { RagError } from '../core/errors.js'
import { sealJson, syncFolder, unsealJson } from '../util/safe-files.js'
import { errorCode } from '../util/system-error.js'
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
  | { readonly sizes: { readonly graph: number; readonly weights: number }; readonly probe: readonly number[] }
  /** The runtime cannot do it with this model: nobody need try again. */
  | { readonly unusable: string }

/** Outputs that are compared, evenly spread over all that a probe gives. */
const probeValues = 64
/** Two texts of ids that every vocabulary has. */
const probeBatch = {
  ids: Int32Array.from({ length: 24 }, (_, place) => 1 + (place % 7)),
  offsets: Int32Array.of(0, 16, 24),
}
/** Share of the largest output by which others may be off: work shared out among more threads is added up in another order. */
const tolerance = 1e-3

/**
 * Opens a model, on a CPU from its prepacked copy where `prepacked` is the folder of a sound one: that its files have their sizes, and that it
 * computes what the model did when the copy was made, is tried out in a pass of 24 tokens. A copy that fails is removed, and the model
 * opened as it is. Rejects as {@link openSession} does.
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
  let session: Session | undefined
  try {
    await requireSizes(folder, list.sizes)
    session = await openSession({ ...options, weights: join(folder, files.graph), saved: true })
    requireAgreement(list.probe, await probe(session))
    return session
  } catch (error) {
    await session?.release()
    // Throws when the thread is about to end, which says nothing of the copy.
    options.critical(() => undefined)
    // What is wrong with this machine, and not with the copy, shows with the model as well.
    if (!RagError.isInstance(error, 'LIMIT')) await removeFolder(folder)
    return undefined
  }
}

/** Whether a model has a prepacked copy; `'unusable'` when it cannot have one. */
export async function prepackedState(folder: string): Promise<'there' | 'absent' | 'unusable'> {
  const list = await readList(folder)
  return list === undefined ? 'absent' : 'unusable' in list ? 'unusable' : 'there'
}

/**
 * Writes the prepacked copy of a model into an empty folder, and tries it out. A model with which the runtime cannot do it is noted as such.
 * Rejects when files cannot be written, or with what {@link openSession} says of the model.
 */
export async function writePrepacked(folder: string, options: SessionOptions): Promise<void> {
  const list = await writeCopy(folder, options).catch(asUnusable)
  if ('unusable' in list) for (const name of [files.graph, files.weights]) await rm(join(folder, name), { force: true })
  await writeList(folder, list)
}

async function writeCopy(folder: string, options: SessionOptions): Promise<Prepacked> {
  const [graph, weights] = [join(folder, files.graph), join(folder, files.weights)]
  const expected = await runOnce({ ...options, save: { file: graph, weightsName: files.weights } })
  requireAgreement(expected, await runOnce({ ...options, weights: graph, saved: true }))
  for (const path of [graph, weights]) await sync(path)
  return { sizes: { graph: (await stat(graph)).size, weights: (await stat(weights)).size }, probe: expected }
}

/** What the runtime says of a model or of its copy; not what the machine lacks. */
function asUnusable(error: unknown): Prepacked {
  const isOfTheModel = (['INTEGRITY', 'PROVIDER', 'UNSUPPORTED'] as const).some((code) =>
    RagError.isInstance(error, code),
  )
  if (!isOfTheModel) throw error
  return { unusable: String(error) }
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

function requireAgreement(expected: readonly number[], found: readonly number[]): void {
  const largest = Math.max(...expected.map(Math.abs))
  // Written so that whatever is no number disagrees.
  const agrees = expected.every((value, place) => Math.abs(value - (found[place] ?? Number.NaN)) <= largest * tolerance)
  if (!agrees) throw new RagError('INTEGRITY', 'The prepacked model computes something else than the model.')
}

async function requireSizes(folder: string, sizes: { graph: number; weights: number }): Promise<void> {
  for (const part of ['graph', 'weights'] as const) {
    const { size } = await stat(join(folder, files[part]))
    if (size !== sizes[part])
      throw new RagError('INTEGRITY', 'A prepacked model has a file of another size than was written.')
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

/** Removes a folder; what is in use, or gone already, stays as it is. */
async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true }).catch((error: unknown) => {
    if (errorCode(error) === undefined) throw error
  })
}
