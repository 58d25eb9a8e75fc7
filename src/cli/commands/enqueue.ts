import { RagError, type SerializedRagError } from '../../core/errors.js'
import type { EnqueueOptions, JobPriority, JobQueue } from '../../queue/index.js'
import { type Command, type CommandContext, exitCodes } from '../context.js'
import { type QueueFlags, queueOptions } from '../queue-options.js'

interface EnqueueFlags extends QueueFlags {
  readonly priority?: string
  readonly wait?: true
}

interface Enqueued {
  readonly id: string
  readonly source: string
}

/** `ufrag enqueue <inputs...>`: lets workers ingest files, folders and globs. */
export const enqueue: Command<EnqueueFlags> = async (context, inputs, flags) => {
  const options: EnqueueOptions = {
    signal: context.environment.signal,
    priority: readPriority(flags.priority),
    ...(context.namespace === undefined ? {} : { namespace: context.namespace }),
  }
  const queue = await context.environment.openQueue(queueOptions(context, flags))
  try {
    const jobs: Enqueued[] = []
    for (const source of inputs) {
      const id = await enqueueOne(queue, source, { context, options })
      if (id !== undefined) jobs.push({ id, source })
    }
    const done = flags.wait === true ? await waitFor(queue, jobs, context) : jobs.length
    return done === inputs.length ? exitCodes.ok : exitCodes.someFailed
  } finally {
    await queue.close()
  }
}

/** The id of the job; `undefined`, and told, when the input is none. What is wrong with the queue is thrown. */
async function enqueueOne(
  queue: JobQueue,
  source: string,
  { context, options }: { readonly context: CommandContext; readonly options: EnqueueOptions },
): Promise<string | undefined> {
  try {
    const id = await queue.enqueue(source, options)
    if (context.json) context.data({ id, source })
    else context.line([id, source].join('\t'))
    return id
  } catch (error) {
    if (!RagError.isInstance(error) || !ofInput.has(error.code)) throw error
    tellFailure(context, source, error.toJSON())
    return undefined
  }
}

/** What is wrong with one input alone. */
const ofInput: ReadonlySet<string> = new Set(['BAD_INPUT', 'NOT_FOUND', 'LIMIT', 'STORAGE'])

/** Waits until all jobs are over. Returns how many succeeded. */
async function waitFor(queue: JobQueue, jobs: readonly Enqueued[], context: CommandContext): Promise<number> {
  let done = 0
  for (const { id, source } of jobs) {
    const status = await queue.finished(id, { signal: context.environment.signal })
    if (status.state === 'completed') done++
    else tellFailure(context, source, status.error ?? new RagError('CLOSED', 'The job was cancelled.').toJSON())
  }
  return done
}

function tellFailure(context: CommandContext, source: string, error: SerializedRagError): void {
  const { hint, message } = error
  if (context.json) context.data({ source, error })
  else context.note(`${source}: ${message}${hint === undefined ? '' : `\n  ${hint}`}`)
}

function readPriority(text = 'normal'): JobPriority {
  if (text === 'high' || text === 'normal' || text === 'low') return text
  throw new RagError('BAD_OPTION', '--priority is high, normal or low.', { data: { '--priority': text.slice(0, 64) } })
}
