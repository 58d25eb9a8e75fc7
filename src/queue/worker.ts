import type { DocumentFailure } from '../core/document.js'
import { RagError, type RagErrorCode, ragErrorCodes } from '../core/errors.js'
import type { IngestProgress } from '../core/events.js'
import type { Logger } from '../core/lifecycle.js'
import type { IngestReport } from '../index.js'
import type { RagNamespace } from '../ultra-fast-rag.js'
import { checkWhole } from './check-whole.js'
import { Listeners } from './listeners.js'
import { requireLocalStorage } from './local-storage.js'
import { asJobError, isPassing, UnfitWorker } from './outcome.js'
import type { ActiveJob, JobHandler, JobProgress, JobQueue, JobResult } from './types.js'

/** Options of {@link createWorker}. */
export interface WorkerOptions {
  readonly queue: JobQueue
  /** What the documents are written to: a `UltraFastRAG`. It stays the caller's: close it after the worker. */
  readonly rag: WorkerRag
  /** Jobs at a time, from 1. Default 2: one is read while the other is embedded. */
  readonly concurrency?: number
  /** Milliseconds a job may take before it fails with `DEADLINE`. Default: no limit, as every step of an ingest has its own. */
  readonly jobTimeoutMs?: number
  /** Called as each attempt at a job ends here, be it well or with an error. What it throws is ignored. */
  readonly onJob?: (job: WorkedJob) => void
  readonly logger?: Logger
}

/** What a worker needs of a `UltraFastRAG`. */
export interface WorkerRag extends Pick<RagNamespace, 'ingest' | 'stats'> {
  namespace(name: string): Pick<RagNamespace, 'ingest'>
}

/** An attempt at a job that has ended. */
export interface WorkedJob extends Pick<ActiveJob, 'id' | 'source' | 'namespace' | 'attempt'> {
  /** Absent when it failed. */
  readonly result?: JobResult
  /** Also that the job was cancelled or given back: then its code is `CLOSED`. */
  readonly error?: RagError
}

/** Runs the jobs of a queue. Made by {@link createWorker}. */
export interface QueueWorker {
  /**
   * Takes no more jobs, waits up to `waitMs` (default 30,000) for those that run, and gives back the rest: they wait again, for
   * whoever comes next. Safe twice.
   */
  close(options?: { readonly waitMs?: number }): Promise<void>
  /**
   * Resolves once the worker is closed. Rejects when it gave up, as none of its jobs could succeed: the `UltraFastRAG` was closed or may
   * not be written, or the queue belongs to another storage. The job it had is given back.
   */
  readonly ended: Promise<void>
}

const defaultWaitMs = 30_000
/** Failures of `ingest()` itself after which no other job would fare better. */
const hopeless: ReadonlySet<RagErrorCode> = new Set([
  'CLOSED',
  'READ_ONLY',
  'MISSING_PEER',
  'FINGERPRINT',
  'UNSUPPORTED_VERSION',
])
/** Documents of a folder named in the failure of its job. */
const failuresTold = 20

/**
 * Begins to ingest what a queue holds. Rejects with what keeps the storage from being opened, and with `UNSUPPORTED` when a shared queue
 * would be written to a network file system.
 *
 * @example
 * const worker = await createWorker({ queue, rag })
 * process.once('SIGTERM', () => worker.close().then(() => rag.close()))
 */
export async function createWorker(options: WorkerOptions): Promise<QueueWorker> {
  const { queue, rag, concurrency = 2, jobTimeoutMs, logger, onJob } = options
  const told = new Listeners<WorkedJob>()
  if (onJob !== undefined) told.add(onJob)
  checkWhole({ concurrency, ...(jobTimeoutMs === undefined ? {} : { jobTimeoutMs }) }, 1)
  const { storage } = await rag.stats()
  if (storage.readOnly) throw new RagError('READ_ONLY', 'A worker writes, and this storage was opened read-only.')
  if (queue.capabilities.shared && storage.directory !== undefined) await requireLocalStorage(storage.directory)
  const handler: JobHandler = async (job) => {
    const { id, source, namespace, attempt } = job
    try {
      const result = await runJob(job, { rag, jobTimeoutMs })
      told.emit({ id, source, namespace, attempt, result })
      return result
    } catch (error) {
      told.emit({
        id,
        source,
        namespace,
        attempt,
        error: asJobError(error instanceof UnfitWorker ? error.cause : error),
      })
      throw error
    }
  }
  const processor = queue.process(handler, { concurrency, target: storage.id })
  processor.ended.catch((error: unknown) => logger?.error('A worker gave up.', { error: String(error) }))
  return {
    ended: processor.ended,
    close: ({ waitMs = defaultWaitMs } = {}) => processor.close(waitMs),
  }
}

async function runJob(
  job: ActiveJob,
  { rag, jobTimeoutMs }: { readonly rag: WorkerRag; readonly jobTimeoutMs: number | undefined },
): Promise<JobResult> {
  const report = await ingest(job, rag, jobTimeoutMs)
  if (report.failed.length > 0) throw failureOf(report)
  // Whoever has lost the job meanwhile has not done it.
  await job.confirm()
  const { documents, unchanged, chunks, quarantined } = report
  const [leftOut] = quarantined
  if (leftOut !== undefined && documents + unchanged === 0) throw quarantineOf(leftOut)
  return { documents, unchanged, chunks }
}

/** A file that is left out because it failed before has not been ingested. */
function quarantineOf({ attempts, code, message, source }: DocumentFailure): RagError {
  const known = ragErrorCodes.find((one) => one === code)
  return new RagError(known ?? 'CORRUPT', message, {
    data: { source, attempts },
    hint: 'It failed too often and is left out until it changes; ingest it with `retry: true` to have it tried again.',
  })
}

async function ingest(job: ActiveJob, rag: WorkerRag, jobTimeoutMs: number | undefined): Promise<IngestReport> {
  try {
    const documents = job.namespace === '' ? rag : rag.namespace(job.namespace)
    return await documents.ingest([job.input], {
      signal: job.signal,
      beforeCommit: () => job.confirm(),
      ...(jobTimeoutMs === undefined ? {} : { deadlineMs: jobTimeoutMs }),
      onProgress: (progress) => job.report(toJobProgress(progress)),
    })
  } catch (error) {
    const isHopeless = RagError.isInstance(error) && hopeless.has(error.code)
    throw isHopeless && !job.signal.aborted ? new UnfitWorker(error) : error
  }
}

function toJobProgress({ documentsDone, documentsTotal, failed, chunks }: IngestProgress): JobProgress {
  return { documentsDone, documentsTotal, failed, chunks }
}

/** One document's failure is the job's; of a folder's, the first that may pass speaks for all, so that the job is tried again. */
function failureOf({ failed, documents, unchanged }: IngestReport): RagError {
  const failures = failed.map(({ source, error }) => ({ source, error: asJobError(error) }))
  const { error: first } = failures.find(({ error }) => isPassing(error)) ?? (failures[0] as (typeof failures)[number])
  const total = failures.length + documents + unchanged
  if (total === 1) return first
  return new RagError(first.code, `${failures.length} of ${total} documents failed; the others are stored.`, {
    cause: first,
    data: {
      documents,
      unchanged,
      failed: failures.slice(0, failuresTold).map(({ source, error }) => ({ source, code: error.code })),
    },
    ...(first.hint === undefined ? {} : { hint: first.hint }),
    retryable: isPassing(first),
  })
}
