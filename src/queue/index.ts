export type { BullmqQueueOptions } from './bullmq/options.js'
export { createBullmqQueue } from './bullmq.js'
export { createInProcessQueue, type InProcessQueueOptions } from './in-process.js'
export type {
  ActiveJob,
  EnqueueOptions,
  GivenBack,
  JobCounts,
  JobEvent,
  JobHandler,
  JobInput,
  JobPriority,
  JobProcessor,
  JobProgress,
  JobQueue,
  JobResult,
  JobState,
  JobStatus,
  ProcessOptions,
} from './types.js'
export { createWorker, type QueueWorker, type WorkedJob, type WorkerOptions, type WorkerRag } from './worker.js'
