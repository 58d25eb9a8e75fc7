import { RagError } from '../core/errors.js'
import type { BullmqQueueOptions } from '../queue/index.js'
import type { CommandContext } from './context.js'

/** Flags of the commands that speak to a queue. */
export interface QueueFlags {
  readonly redis?: string
  readonly queue?: string
}

/** Where the queue of a command is, by flags and variables. */
export function queueOptions(context: CommandContext, { queue, redis }: QueueFlags): BullmqQueueOptions {
  const url = redis ?? context.environment.variables.UFRAG_REDIS_URL
  if (url === undefined || url === '') {
    throw new RagError('BAD_OPTION', 'The command needs to know where its queue is.', {
      hint: 'Set UFRAG_REDIS_URL, or give --redis redis://host:6379.',
    })
  }
  const { root } = context.options()
  return {
    url,
    logger: loggerOf(context),
    ...(queue === undefined ? {} : { name: queue }),
    ...(root === undefined ? {} : { root }),
  }
}

/** What an operator should see of a queue that is in trouble. */
function loggerOf(context: CommandContext) {
  const note = (message: string, data: Readonly<Record<string, unknown>> = {}) =>
    context.note(`${message} ${JSON.stringify(data)}`)
  return { debug: () => {}, info: () => {}, warn: note, error: note }
}
