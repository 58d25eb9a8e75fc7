import { RagError } from '../../core/errors.js'
import type { WorkedJob } from '../../queue/index.js'
import { type Command, type CommandContext, describeError, errorData, exitCodes } from '../context.js'
import { type QueueFlags, queueOptions } from '../queue-options.js'

interface WorkerFlags extends QueueFlags {
  readonly concurrency?: string
  readonly wait?: string
}

/** `ufrag worker`: ingests what others enqueue, until it is ended. */
export const worker: Command<WorkerFlags> = async (context, _, flags) => {
  const { signal } = context.environment
  const options = queueOptions(context, flags)
  const concurrency = readCount(flags.concurrency, '--concurrency', 1)
  const waitSeconds = readCount(flags.wait, '--wait', 0) ?? 30
  const { storage } = context.options()
  const { createWorker } = await import('../../queue/worker.js')
  const { requireLocalStorage } = await import('../../queue/local-storage.js')
  // Before the storage is opened: what refuses it must not have touched it.
  if (typeof storage === 'string') await requireLocalStorage(storage)

  const queue = await context.environment.openQueue(options)
  try {
    await context.withRoot(async (rag) => {
      const working = await createWorker({
        queue,
        rag,
        onJob: (job) => tell(context, job),
        ...(concurrency === undefined ? {} : { concurrency }),
      })
      context.note(`Working on the queue "${flags.queue ?? 'ingest'}" until ended.`)
      const aborted = new Promise<void>((resolve) => {
        if (signal.aborted) resolve()
        else signal.addEventListener('abort', () => resolve(), { once: true })
      })
      try {
        await Promise.race([aborted, working.ended])
      } finally {
        if (signal.aborted) context.note('Finishing what runs.')
        await working.close({ waitMs: waitSeconds * 1000 })
      }
    })
  } finally {
    await queue.close()
  }
  return exitCodes.ok
}

function tell(context: CommandContext, { id, source, namespace, attempt, result, error }: WorkedJob): void {
  const outcome = error === undefined ? { result } : { error: errorData(error) }
  if (context.json) context.data({ id, source, namespace, attempt, ...outcome })
  else if (error !== undefined) context.note(`${source}: ${describeError(error)}`)
  else context.line([source, result?.chunks ?? 0, result?.documents === 0 ? 'unchanged' : 'stored'].join('\t'))
}

function readCount(text: string | undefined, flag: string, least: number): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,9}$/.test(text) && Number(text) >= least) return Number(text)
  throw new RagError('BAD_OPTION', `${flag} is a whole number from ${least}.`, { data: { [flag]: text.slice(0, 64) } })
}
