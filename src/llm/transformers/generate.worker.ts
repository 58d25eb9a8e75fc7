import { workerData } from 'node:worker_threads'
import { memoizeAsync } from '../../util/memoize-async.js'
import { serveTasks, type TaskContext } from '../../util/worker-serve.js'
import type { GenerateEnd } from '../types.js'
import { type GenerateMessage, openGenerator, type WritingModel } from './generator.js'

const model = workerData as WritingModel
let critical: TaskContext['critical']
const opened = memoizeAsync(() => openGenerator(model, critical))

serveTasks({
  async load(_: undefined, context: TaskContext): Promise<void> {
    critical = context.critical
    await opened()
  },

  async generate(message: GenerateMessage, context: TaskContext): Promise<GenerateEnd> {
    // The same for every task of this thread.
    critical = context.critical
    const generator = await opened()
    context.signal.throwIfAborted()
    let told: Promise<void> = Promise.resolve()
    const end = await generator.generate(message, {
      signal: context.signal,
      // An answer is short: its reader is not waited for, since others wait for the model.
      onText: (text) => {
        told = context.emit(text)
        // After an abort there is nobody to tell.
        told.catch(() => {})
      },
    })
    await told
    return end
  },
})
