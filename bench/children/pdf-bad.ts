import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { RagError } from '../../src/core/errors.js'
import { readWithOurs } from './pdf-read.js'

/** How one file ended: an error code, `text`, or what must not happen: `hang`, `died`, `untyped`, `empty`. */
export interface BadPdfOutcome {
  readonly file: string
  readonly outcome: string
  readonly milliseconds: number
}

/** Outcomes that a caller could not handle. */
export const unhandledOutcomes: ReadonlySet<string> = new Set(['hang', 'died', 'untyped', 'empty'])

/** Reads each file in a worker thread that is ended when it takes longer than `limitMs`. */
export default async function readBadPdfs(options: {
  readonly files: readonly string[]
  readonly limitMs: number
}): Promise<readonly BadPdfOutcome[]> {
  const outcomes: BadPdfOutcome[] = []
  let worker: Worker | undefined
  for (const file of options.files) {
    worker ??= new Worker(workerSource, { eval: true })
    const began = performance.now()
    const outcome = await outcomeIn(worker, file, options.limitMs)
    outcomes.push({ file, outcome, milliseconds: Math.round(performance.now() - began) })
    if (outcome !== 'hang' && outcome !== 'died') continue
    await worker.terminate()
    worker = undefined
  }
  await worker?.terminate()
  return outcomes
}

/** Plain JavaScript that loads this module with tsx: its loader does not reach into worker threads by itself. */
const workerSource = `
  import(${JSON.stringify(import.meta.resolve('tsx/esm/api'))}).then(({ register }) => {
    register()
    return import(${JSON.stringify(import.meta.url)})
  })`

async function outcomeIn(worker: Worker, file: string, limitMs: number): Promise<string> {
  const waiting = new AbortController()
  const { signal } = waiting
  const timer = setTimeout(() => waiting.abort(), limitMs)
  try {
    worker.postMessage(file)
    const [outcome] = await Promise.race([
      once(worker, 'message', { signal }),
      once(worker, 'exit', { signal }).then(() => ['died']),
    ])
    return outcome
  } catch {
    // `once` rejects when the time is over, or with the error that the worker died of.
    return signal.aborted ? 'hang' : 'died'
  } finally {
    clearTimeout(timer)
    waiting.abort()
  }
}

async function outcomeOf(file: string): Promise<string> {
  try {
    const { text } = await readWithOurs(file, await readFile(file))
    return text.trim() === '' ? 'empty' : 'text'
  } catch (error) {
    return RagError.isInstance(error) ? error.code : 'untyped'
  }
}

if (!isMainThread) parentPort?.on('message', async (file: string) => parentPort?.postMessage(await outcomeOf(file)))
