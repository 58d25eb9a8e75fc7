import type { DocumentInput } from '../core/document.js'
import type { SerializedRagError } from '../core/errors.js'
import type { WaitOptions } from '../core/lifecycle.js'

/**
 * What a job may ingest: whatever `ingest()` takes. Files and folders travel as paths, so whoever runs the job must see them under the
 * same path (relative ones below its own `root`). A `password`, or an address with one in it, is refused: queues are read by many.
 */
export type JobInput = DocumentInput

/** `'high'` jobs begin before `'normal'` ones, those before `'low'` ones; within a priority, the first come begins first. */
export type JobPriority = 'high' | 'normal' | 'low'

/** Options of {@link JobQueue.enqueue}. */
export interface EnqueueOptions extends WaitOptions {
  /** Whose documents. Default: the root. */
  readonly namespace?: string
  /** Default `'normal'`. */
  readonly priority?: JobPriority
  /**
   * When too much waits already: `'wait'` (default) until there is room, or `'reject'` with `OVERLOADED`.
   */
  readonly whenFull?: 'wait' | 'reject'
  /**
   * What tells the content from any other of the same document, if you know it (a version, an ETag). The file is then not read here, and
   * need not be visible from here.
   */
  readonly contentHash?: string
}

/** `waiting` holds those that wait for another attempt, too. */
export type JobState = 'waiting' | 'active' | 'completed' | 'failed' | 'cancelled'

/** How far a job is. */
export interface JobProgress {
  /** Documents that have reached an end, and those known so far. */
  readonly documentsDone: number
  readonly documentsTotal: number
  readonly failed: number
  readonly chunks: number
}

/** What a completed job did. */
export interface JobResult {
  /** New and changed documents that were committed. */
  readonly documents: number
  readonly unchanged: number
  readonly chunks: number
  /** Nothing was done, because a newer content of the same document was enqueued after this one. */
  readonly superseded?: true
}

/** What is known of a job. Times are milliseconds since 1970. */
export interface JobStatus {
  readonly id: string
  readonly state: JobState
  /** Path, URL, or `memory:` name. */
  readonly source: string
  readonly namespace: string
  readonly priority: JobPriority
  /** Attempts that failed or succeeded; one that was interrupted (its worker died or closed) does not count. */
  readonly attempts: number
  readonly enqueuedAt: number
  readonly startedAt?: number
  readonly finishedAt?: number
  readonly progress?: JobProgress
  readonly result?: JobResult
  /** Why the job, or its last attempt, failed. */
  readonly error?: SerializedRagError
}

/** Jobs by state. `completed` and `failed` count those that are still remembered. */
export interface JobCounts {
  readonly waiting: number
  readonly active: number
  readonly completed: number
  readonly failed: number
}

/** What happens to a job. A `retrying` job failed and waits for `delayMs`; a `stalled` one was taken from a worker that is gone. */
export type JobEvent =
  | { readonly type: 'waiting' | 'active' | 'cancelled' | 'stalled'; readonly id: string }
  | { readonly type: 'progress'; readonly id: string; readonly progress: JobProgress }
  | { readonly type: 'completed'; readonly id: string; readonly result: JobResult }
  | { readonly type: 'retrying'; readonly id: string; readonly delayMs: number }
  | { readonly type: 'failed'; readonly id: string; readonly error: SerializedRagError }

/** A job that waited in this process alone when its queue was closed. */
export interface GivenBack {
  readonly id: string
  readonly input: JobInput
  readonly namespace: string
  readonly priority: JobPriority
}

/** What the one who runs a job gets. */
export interface ActiveJob {
  readonly id: string
  readonly input: JobInput
  readonly source: string
  readonly namespace: string
  /** 1 for the first attempt. */
  readonly attempt: number
  /** Fires when the job is cancelled, was lost to another worker, or the worker is closed before it ends. */
  readonly signal: AbortSignal
  report(progress: JobProgress): void
  /** Resolves while the job is this worker's. Otherwise fires `signal` and rejects with its reason. Ask before what cannot be undone. */
  confirm(): Promise<void>
}

/** Runs one job. What it throws is the job's failure; a failure worth another attempt is a `RagError` that is `retryable`. */
export type JobHandler = (job: ActiveJob) => Promise<JobResult>

/** Options of {@link JobQueue.process}. */
export interface ProcessOptions {
  /** Jobs at a time, from 1. */
  readonly concurrency: number
  /** What the jobs write to. A shared queue lets in only workers that write to the same. */
  readonly target: string
}

/** What takes jobs from a queue. */
export interface JobProcessor {
  /** Takes no more jobs, and waits up to `waitMs` for those that run; the rest is stopped and waits again. Safe twice. */
  close(waitMs: number): Promise<void>
  /** Resolves once closed; rejects when it had to stop by itself (another target, a handler that cannot work). */
  readonly ended: Promise<void>
}

/**
 * Jobs that ingest documents, later or elsewhere.
 *
 * - The same content of the same document is one job with one id, however often it is enqueued; enqueued again when the job is over, it
 *   runs again under that id (which costs next to nothing when nothing has changed).
 * - Of a document's contents the one that was enqueued last wins: jobs with older ones do nothing (`superseded`), and no two jobs of a
 *   document run at once.
 * - A job runs at least once. One whose worker dies goes to another worker, so that it may run twice: ingest is idempotent.
 */
export interface JobQueue {
  readonly id: string
  /** `shared`: by several processes. `persistent`: jobs outlive this process. */
  readonly capabilities: { readonly shared: boolean; readonly persistent: boolean }

  /**
   * Resolves with the job's id once the job is accepted. Rejects with `BAD_INPUT`, `NOT_FOUND` (no such file), `LIMIT` (too large to be
   * carried), `OVERLOADED` (full, see `whenFull`), `PROVIDER` (the server does not answer; calling again is safe) and `CLOSED`.
   */
  enqueue(input: JobInput, options?: EnqueueOptions): Promise<string>

  /** Removes a waiting job and stops a running one. False when there is no such job, or it is over. */
  cancel(id: string): Promise<boolean>

  /** Lets a failed job wait again, with all its attempts. False when it has not failed, or was superseded or forgotten. */
  retry(id: string): Promise<boolean>

  /** `undefined` when it is unknown, or was forgotten. */
  job(id: string): Promise<JobStatus | undefined>
  counts(): Promise<JobCounts>

  /** Failed jobs that are remembered, the last first, at most `limit` (default 100). */
  failed(options?: { readonly limit?: number }): Promise<JobStatus[]>

  /** Resolves with the status of a job that is over. Rejects with `NOT_FOUND` when there is no such job. */
  finished(id: string, options?: WaitOptions): Promise<JobStatus>

  /** Resolves when nothing waits and nothing runs. */
  idle(options?: WaitOptions): Promise<void>

  /** Calls `listener` with every event from now on. Returns what ends that. What the listener throws is ignored. */
  subscribe(listener: (event: JobEvent) => void): () => void

  /** Begins to run jobs. Use `createWorker`, which hands them to a `UltraFastRAG`. */
  process(handler: JobHandler, options: ProcessOptions): JobProcessor

  /**
   * Closes what runs jobs here (they are given 30 s) and lets go of connections. Resolves with the jobs that nobody else knows: those an
   * in-process queue had not run. A shared queue keeps its jobs, so there are none. Safe twice.
   */
  close(): Promise<readonly GivenBack[]>
}
