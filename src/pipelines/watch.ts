import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { RagError } from '../core/errors.js'
import type { IngestProgress } from '../core/events.js'
import type { Logger } from '../core/lifecycle.js'
import { abortable, type FollowingAbort, followSignal } from '../util/abort.js'
import type { Clock } from '../util/clock.js'
import { errorCode } from '../util/system-error.js'
import type { GonePaths, IngestReport } from './ingest.js'
import { asRagError } from './steps/as-rag-error.js'
import { liesInDocument } from './steps/attempts.js'
import type { FolderObserver, ObserveFolder } from './steps/observe-folder.js'
import { SettlingPaths } from './steps/settling-paths.js'

/** What a watch tells. */
export type WatchEvent =
  /** A look at the whole folder is done: the first one, or one that was due. */
  | { readonly type: 'scanned'; readonly report: IngestReport }
  /** Files that changed are in the index, and those that are gone are not. */
  | { readonly type: 'updated'; readonly report: IngestReport }
  /** Something did not work. The watch goes on, and looks at the whole folder again after a while. */
  | { readonly type: 'error'; readonly error: RagError }

/** Options of `watch()`. */
export interface WatchOptions {
  /** Closes the watch. */
  readonly signal?: AbortSignal
  /** Milliseconds for which a file must have been left alone before it is read, 100 to 3,600,000. Default 300. */
  readonly settleMs?: number
  /**
   * Milliseconds between two looks at the whole folder, for what the system did not tell: its queue may run over, and it may have no more
   * watches to give. Each costs a stat per file. Default 600,000; 0: only the first one, and after errors.
   */
  readonly rescanMs?: number
  /**
   * Milliseconds between two looks at every file, in place of being told by the system: for network file systems, which do not tell.
   * Default 0: told by the system.
   */
  readonly pollMs?: number
  /** Called with each event. What it throws is logged. Default: errors go to the logger. */
  readonly onEvent?: (event: WatchEvent) => void
  /** As for `ingest()`, of whatever is being ingested. */
  readonly onProgress?: (progress: IngestProgress) => void
}

/** A folder that an index follows, until it is closed. It keeps the process running. */
export interface FolderWatch {
  /** Absolute. */
  readonly folder: string
  /** What the first look at the folder did. */
  readonly report: IngestReport
  /** Resolves when the watch has ended, by whomever: `close()`, its signal, or the `close()` of the whole. */
  readonly closed: Promise<void>
  /** Gives up what is being ingested, and ends. What was committed stays; the next watch goes on. Safe twice. */
  close(): Promise<void>
  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/** What a watch works with; `compose` provides it. */
export interface WatchTools {
  readonly ingest: (
    inputs: readonly string[],
    options: {
      readonly signal: AbortSignal
      readonly sync?: true
      readonly gone?: GonePaths
      readonly onProgress?: (progress: IngestProgress) => void
    },
  ) => Promise<IngestReport>
  readonly observe: ObserveFolder
  /** Whether an absolute path below the folder holds no documents. */
  readonly ignores: (path: string) => boolean
  readonly clock: Clock
  readonly logger: Logger
}

/** What holds where the options do not say otherwise, in milliseconds. */
export const watchDefaults = { settleMs: 300, rescanMs: 600_000, pollMs: 0 } as const

/** Until the whole folder is looked at again after something failed, doubled each time. */
const firstBackoffMs = 2_000
const lastBackoffMs = 300_000
/** Between two looks at what has settled. */
const leastPauseMs = 25

/**
 * Keeps an index in step with a folder (absolute): adds, changes, renames and removals, batch by batch, as files settle. Resolves when the first
 * look at everything is done; observing begins before it, so that nothing falls between the two. Rejects with `NOT_FOUND` when there is
 * no such folder, and with what keeps the first ingest from ending. Links are followed by looks at the whole folder only.
 */
export async function watchFolder(folder: string, options: WatchOptions, tools: WatchTools): Promise<FolderWatch> {
  const watch = new Watch(folder, options, tools)
  await watch.begin()
  return watch
}

class Watch implements FolderWatch {
  readonly folder: string
  readonly closed: Promise<void>
  readonly #options: WatchOptions
  readonly #tools: WatchTools
  readonly #lifetime: FollowingAbort
  readonly #paths: SettlingPaths
  readonly #rescanMs: number
  #report: IngestReport | undefined
  #observer: FolderObserver | undefined
  /** Device and inode of the folder that is observed. */
  #observed: string | undefined
  #rescanAt = Number.POSITIVE_INFINITY
  #backoffMs = firstBackoffMs
  /** Kinds of trouble that were told since the last look at everything: each file may have the same. */
  readonly #told = new Set<string>()
  #wake = () => {}
  #end = () => {}

  constructor(folder: string, options: WatchOptions, tools: WatchTools) {
    const { rescanMs = watchDefaults.rescanMs, settleMs = watchDefaults.settleMs } = options
    this.folder = folder
    this.#options = options
    this.#tools = tools
    this.#rescanMs = rescanMs
    this.#paths = new SettlingPaths({ clock: tools.clock, settleMs })
    this.#lifetime = followSignal(options.signal)
    this.closed = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  get report(): IngestReport {
    return this.#report as IngestReport // Nobody has the watch before begin() is done.
  }

  async begin(): Promise<void> {
    try {
      await this.#observe()
      this.#report = await this.#scan()
    } catch (error) {
      await this.#finish()
      throw error
    }
    // It ends by itself, and never rejects.
    void this.#run()
  }

  async close(): Promise<void> {
    this.#lifetime.abort(new RagError('CLOSED', 'The watch was closed.'))
    this.#wake()
    await this.closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run(): Promise<void> {
    const { signal } = this.#lifetime
    const wake = () => this.#wake()
    signal.addEventListener('abort', wake, { once: true })
    while (!signal.aborted) {
      try {
        await this.#pause()
        if (signal.aborted) break
        if (this.#tools.clock.now() >= this.#rescanAt) {
          this.#rescanAt = Number.POSITIVE_INFINITY
          await this.#observe()
          await this.#scan()
        } else await this.#update()
      } catch (error) {
        if (signal.aborted) break
        this.#recover(error)
      }
    }
    signal.removeEventListener('abort', wake)
    await this.#finish()
  }

  async #finish(): Promise<void> {
    this.#lifetime.dispose()
    await this.#observer?.close()
    this.#end()
  }

  /** Observes the folder, anew when it is not the one it was: a folder that comes back after it was deleted is another. */
  async #observe(): Promise<void> {
    const { folder } = this
    const { pollMs = watchDefaults.pollMs } = this.#options
    const { ignores, observe } = this.#tools
    const identity = await identityOf(folder)
    if (identity === this.#observed) return
    await this.#observer?.close()
    this.#observed = undefined
    this.#observer = undefined
    const observing = observe({
      folder,
      ignores,
      pollMs,
      onChange: (path) => this.#notice(path),
      onError: (error) => this.#recover(observingFailed(folder, error)),
    })
    // Whoever closes does not wait for a large folder to be walked.
    observing
      .then(async (late) => {
        if (this.#lifetime.signal.aborted) await late.close()
      })
      .catch(() => {}) // Thrown below.
    this.#observer = await abortable(observing, this.#lifetime.signal)
    this.#observed = identity
  }

  #notice(path: string): void {
    // Whatever comes in the place of a folder that went may have its number.
    if (path === this.folder) this.#observed = undefined
    const first = this.#paths.isEmpty
    this.#paths.add(path)
    // The others are looked for when the first one is due.
    if (first) this.#wake()
  }

  /** Looks at the whole folder. */
  async #scan(): Promise<IngestReport> {
    const { clock, ingest } = this.#tools
    this.#rescanAt = this.#rescanMs > 0 ? clock.now() + this.#rescanMs : Number.POSITIVE_INFINITY
    this.#told.clear()
    const report = await ingest([this.folder], { ...this.#ingestOptions(), sync: true })
    this.#finished('scanned', report)
    return report
  }

  /** Takes in what has settled. */
  async #update(): Promise<void> {
    const { all, there } = await this.#paths.take()
    if (all.length === 0) return
    // The scan below waits its turn: without its folder everything would be gone.
    if ((await identityOf(this.folder)) !== this.#observed) {
      this.#rescanAt = this.#tools.clock.now()
      return
    }
    const report = await this.#tools.ingest(outermost(there), {
      ...this.#ingestOptions(),
      gone: { paths: all, folder: this.folder },
    })
    // A file that came and went: it is not there, and its document neither.
    const failed = report.failed.filter(({ error }) => error.code !== 'NOT_FOUND')
    this.#finished('updated', { ...report, failed })
  }

  #ingestOptions() {
    const { onProgress } = this.#options
    return { signal: this.#lifetime.signal, ...(onProgress === undefined ? {} : { onProgress }) }
  }

  #finished(type: 'scanned' | 'updated', report: IngestReport): void {
    const hasChanged = report.documents + report.removed + report.failed.length + report.quarantined.length > 0
    if (type === 'scanned' || hasChanged) this.#tell({ type, report })
    const passing = [...report.failed, ...report.embeddingFailures, ...report.enrichmentFailures].filter(({ error }) =>
      mayPass(error),
    )
    if (passing.length > 0) this.#retryLater()
    else if (type === 'scanned') this.#backoffMs = firstBackoffMs
  }

  /** Tells of trouble, and looks at everything again after a while: nobody knows what was missed. */
  #recover(error: unknown): void {
    this.#retryLater()
    const known = asRagError(error, this.folder)
    const kind = `${known.code} ${String(known.data.code ?? '')}`
    if (this.#told.has(kind)) return
    this.#told.add(kind)
    this.#tell({ type: 'error', error: known })
  }

  #retryLater(): void {
    const { clock } = this.#tools
    const at = clock.now() + this.#backoffMs
    if (at >= this.#rescanAt) return
    this.#rescanAt = at
    this.#backoffMs = Math.min(2 * this.#backoffMs, lastBackoffMs)
    this.#wake()
  }

  #tell(event: WatchEvent): void {
    const { logger } = this.#tools
    const { onEvent } = this.#options
    if (onEvent === undefined) {
      if (event.type === 'error') logger.warn(event.error.message, { code: event.error.code, ...event.error.data })
      return
    }
    // It may be async, and then rejects.
    void (async () => onEvent(event))().catch((error: unknown) =>
      logger.error('The onEvent of a watch threw.', { error: String(error) }),
    )
  }

  /** Sleeps until something may have settled, a look at everything is due, or somebody calls. */
  async #pause(): Promise<void> {
    const { clock } = this.#tools
    const dueIn = Math.min(this.#paths.dueIn() ?? Number.POSITIVE_INFINITY, this.#rescanAt - clock.now())
    const nap = new AbortController()
    this.#wake = () => nap.abort()
    if (this.#lifetime.signal.aborted) return
    await clock.sleep(Math.max(leastPauseMs, dueIn), nap.signal).catch(() => {}) // Woken.
  }
}

/** Whether trying again may help without anybody doing anything. */
function mayPass(error: RagError): boolean {
  return error.retryable || (error.code !== 'PROVIDER' && !liesInDocument(error))
}

async function identityOf(folder: string): Promise<string> {
  const found = await stat(folder).catch(() => undefined) // Said below.
  if (found?.isDirectory()) return `${found.dev}/${found.ino}`
  throw new RagError('NOT_FOUND', `There is no folder at "${folder}".`, {
    data: { folder },
    hint: 'Only folders can be watched. A watch goes on when its folder comes back.',
  })
}

/** Without what lies in a folder that is among them. */
function outermost(paths: readonly string[]): string[] {
  const given = new Set(paths)
  return [...given].filter((path) => {
    for (let above = dirname(path); above !== dirname(above); above = dirname(above)) {
      if (given.has(above)) return false
    }
    return true
  })
}

function observingFailed(folder: string, cause: unknown): RagError {
  const code = errorCode(cause)
  const tooMany = code === 'ENOSPC' || code === 'EMFILE' || code === 'ENFILE'
  return new RagError(tooMany ? 'LIMIT' : 'STORAGE', `"${folder}" cannot be observed as a whole.`, {
    data: { folder, code },
    cause,
    retryable: true,
    hint: tooMany
      ? 'Raise fs.inotify.max_user_watches (or "ulimit -n"), or set pollMs. Until then changes are found by the looks at the whole folder.'
      : 'Check its permissions. Until then changes are found by the looks at the whole folder.',
  })
}
