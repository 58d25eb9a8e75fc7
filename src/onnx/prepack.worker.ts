import { serveTasks, type TaskContext } from '../util/worker-serve.js'
import { writePrepacked } from './prepacked.js'

/** What the thread is asked for. */
export interface PrepackMessage {
  /** Absolute path of the model file. */
  readonly weights: string
  /** An empty folder. */
  readonly folder: string
}

serveTasks({
  prepack: ({ weights, folder }: PrepackMessage, { critical }: TaskContext) =>
    writePrepacked(folder, { weights, device: { kind: 'cpu', index: 0 }, threads: 1, critical }),
})
