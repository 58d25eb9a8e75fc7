import { setTimeout as delay } from 'node:timers/promises'
import { RagError } from '../core/errors.js'
import type { LexicalIndex } from '../lexical-index/types.js'
import type { MetadataIndex } from '../metadata-index/metadata-index.js'
import type { Recorder } from '../performance/types.js'
import { catchUp, indexedEpoch, type NamespaceIndexes, rebuildIndexes, type VectorLeg } from '../pipelines/catch-up.js'
import type { Store, StoreNamespace } from '../store/types.js'
import { abortable } from '../util/abort.js'
import { memoizeAsync } from '../util/memoize-async.js'
import type { VectorIndex } from '../vector-index/types.js'
import type { FittedLeg } from './fitted-leg.js'

export interface NamespaceRuntimeOptions {
  readonly store: Store
  readonly namespace: StoreNamespace
  readonly lexical: LexicalIndex
  /** Opens the leg of an embedder whose vectors are stored with the documents. */
  readonly openVector: (() => Promise<VectorLeg>) | undefined
  /** Of an embedder that is fitted to the documents; never both. */
  readonly fitted: FittedLeg | undefined
  readonly metadata: MetadataIndex
  /** Runs one maintenance of the store after the other. */
  readonly maintain: <Result>(task: () => Promise<Result>) => Promise<Result>
  readonly recorder: Recorder
  readonly now: () => number
  /** Told of failures nobody waits for. */
  readonly onBackgroundError: (error: unknown) => void
}

/** Commits are gathered for so long before the indexes follow them in the background. */
const followDelayMs = 50
/** Chunks added or removed since the last snapshot that make a new one worth writing before `close()`. */
const snapshotAfterChunks = 20_000
/** Milliseconds between two looks for whether another process has ended its maintenance. */
const lookEveryMs = 250

/** One open namespace: its part of the store, its indexes, and the rule of when they follow the store. */
export class NamespaceRuntime {
  readonly namespace: StoreNamespace
  /** The last writer of each document id. */
  readonly lastWrites = new Map<string, Promise<unknown>>()
  readonly #options: NamespaceRuntimeOptions
  /**
   * Opens the vectors' index, which is not done before somebody needs it: an embedder that cannot be had is in nobody's way who needs
   * none. Rejects with why it cannot; the next call tries again.
   */
  readonly openVectors: () => Promise<void>
  #vector: VectorLeg | undefined
  #following: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #activeIngests = 0
  /** Calls under way that replace vectors of another embedder. */
  #replacingVectors = 0
  /** Epoch that every query from now on must see. */
  #requiredEpoch = 0
  #chunksAtSnapshot: number
  #closed = false

  constructor(options: NamespaceRuntimeOptions) {
    this.#options = options
    this.namespace = options.namespace
    this.#chunksAtSnapshot = options.lexical.stats().chunks
    this.openVectors = memoizeAsync(async () => {
      this.#vector = await options.openVector?.()
    })
  }

  get readOnly(): boolean {
    return this.#options.store.capabilities.readOnly
  }

  /**
   * The indexes there are now: a vector leg that is fitted to the documents comes, changes and goes with them; while vectors of another
   * embedder are replaced, there is none.
   */
  get indexes(): NamespaceIndexes {
    const { fitted, lexical, metadata } = this.#options
    if (this.#replacingVectors > 0) return { lexical, metadata, vector: undefined, vectorsPending: true }
    return { lexical, metadata, vector: fitted === undefined ? this.#vector : fitted.current }
  }

  get fitted(): FittedLeg | undefined {
    return this.#options.fitted
  }

  /** Gives the indexes there are now to `use`, and keeps them open meanwhile. */
  useIndexes<Result>(use: (indexes: NamespaceIndexes) => Promise<Result>): Promise<Result> {
    const { fitted } = this.#options
    return fitted === undefined ? use(this.indexes) : fitted.reading(() => use(this.indexes))
  }

  /**
   * Resolves once the indexes reflect what a query must see: everything committed, by whichever process; but while this process
   * ingests, only what finished calls committed, so that a query never waits for the run that is going on. Rejects when the embedder
   * cannot be opened.
   */
  async freshen(): Promise<void> {
    await this.openVectors()
    await this.freshenOpen()
  }

  /** {@link freshen}, of the indexes that are open: the vectors may be missing. */
  async freshenOpen(): Promise<void> {
    const target = this.#activeIngests > 0 ? this.#requiredEpoch : this.namespace.epoch()
    await this.#reach(target)
    // An ingest of this process ends with a fit; what others have added is no reason to let a question wait.
    if (this.#activeIngests === 0) this.#options.fitted?.followSoon()
  }

  /** Tells that documents were committed: the indexes follow soon. */
  committed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#reach(this.namespace.epoch()).catch(this.#options.onBackgroundError)
    }, followDelayMs).unref()
  }

  /**
   * Runs an ingest or a removal; when it ends, the indexes are up to date, an embedder that the documents have outgrown is fitted anew, and, if
   * much has changed, everything is written to disk. `signal` ends the waiting for a fit, not the fit.
   */
  async changing<Result>(task: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    this.#activeIngests++
    try {
      return await task()
    } finally {
      this.#activeIngests--
      this.#requiredEpoch = Math.max(this.#requiredEpoch, this.namespace.epoch())
      // A fit reads the store, not the other indexes, which follow meanwhile.
      const fitted = this.#activeIngests === 0 ? this.#options.fitted?.follow() : undefined
      fitted?.catch(() => {}) // Thrown below.
      // What was committed stays committed: a failure here is met again, and thrown, by the next query.
      await this.#reach(this.#requiredEpoch).catch(this.#options.onBackgroundError)
      await abortable(fitted ?? Promise.resolve(), signal)
      if (Math.abs(this.indexes.lexical.stats().chunks - this.#chunksAtSnapshot) >= snapshotAfterChunks)
        await this.persist().catch(this.#options.onBackgroundError)
    }
  }

  /**
   * Runs a task that makes missing and foreign vectors, then builds the indexes afresh and swaps them in. Where the vectors are of another
   * embedder, none of the new ones is compared with anything before all are there: until then passages are found by their words.
   */
  async reindex(makeVectors: () => Promise<void>): Promise<void> {
    const replacing = await this.#holdsForeignVectors()
    if (replacing) this.#replacingVectors++
    try {
      await makeVectors()
      await this.#rebuild()
    } finally {
      if (replacing) this.#replacingVectors--
    }
  }

  async #holdsForeignVectors(): Promise<boolean> {
    try {
      await this.freshen()
      return false
    } catch (error) {
      if (RagError.isInstance(error, 'FINGERPRINT')) return true
      throw error
    }
  }

  /** Builds the indexes afresh from the store and swaps them in; searches go on with the old ones until then. */
  async #rebuild(): Promise<void> {
    // Whatever stopped it is met again, or mended, by what follows.
    while (this.#following !== undefined) await this.#following.catch(this.#options.onBackgroundError)
    const { fitted, lexical, metadata } = this.#options
    this.#following = rebuildIndexes(this.namespace, { lexical, metadata, vector: this.#vector }).finally(() => {
      this.#following = undefined
    })
    await this.#following
    await fitted?.refit()
    await this.#reach(this.namespace.epoch())
    await this.persist()
  }

  /** Writes the indexes to disk when this process may and something has changed. */
  async persist(): Promise<void> {
    await this.#persist()
  }

  #persist(): Promise<boolean> {
    return this.#maintaining(async () => {
      await this.indexes.lexical.persist()
      await this.#persistVectors()
      this.#chunksAtSnapshot = this.indexes.lexical.stats().chunks
    })
  }

  /** Tells that a graph was built: it is written now, not when somebody closes this, as that may be late, or never. */
  improved(): void {
    if (!this.#closed) this.#maintaining(() => this.#persistVectors()).catch(this.#options.onBackgroundError)
  }

  /**
   * Resolves when the indexes reflect what is committed, a fit that is due has been made, nothing is merged or built in the background any more, and all
   * of it is written: while another process maintains the store, that is waited for. While documents are ingested no fit is made.
   */
  async settled(signal: AbortSignal): Promise<void> {
    while (!(await this.#settle())) await delay(lookEveryMs, undefined, { signal })
  }

  /** False when another process is at what is left to do. */
  async #settle(): Promise<boolean> {
    await this.freshen()
    if (this.#activeIngests === 0) await this.fitted?.follow()
    let waitedFor: VectorIndex | undefined
    do {
      const { lexical, vector } = this.indexes
      waitedFor = vector?.index
      await Promise.all([lexical.settled?.(), waitedFor?.settled?.()])
      // A fit may have put another index in its place.
    } while (waitedFor !== this.indexes.vector?.index)
    // Whoever waits is told elsewhere that this was closed.
    if (this.#closed) return true
    const isFitDue = this.#activeIngests === 0 && this.fitted?.isDue === true
    return (await this.#persist()) && !isFitDue
  }

  async #persistVectors(): Promise<void> {
    await this.#vector?.index.persist()
    await this.#options.fitted?.persist()
  }

  /** Runs a task that writes beside the store, if this process ever may. False when another one maintains the store now. */
  async #maintaining(task: () => Promise<void>): Promise<boolean> {
    const { maintain, store } = this.#options
    const { persistent, readOnly } = store.capabilities
    if (!persistent || readOnly || store.directory === undefined) return true
    return maintain(async () => {
      const stepBack = await store.acquireMaintenance()
      if (stepBack === undefined) return false
      try {
        await task()
        return true
      } finally {
        await stepBack()
      }
    })
  }

  /** Ends background work, writes snapshots, frees the indexes. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    const { fitted, lexical, metadata } = this.#options
    await fitted?.stop()
    await this.#following?.catch(this.#options.onBackgroundError)
    await this.persist().catch(this.#options.onBackgroundError)
    const closed = await Promise.allSettled([
      lexical.close(),
      this.#vector?.index.close(),
      fitted?.close(),
      metadata.close(),
    ])
    for (const one of closed) if (one.status === 'rejected') throw one.reason
  }

  async #reach(epoch: number): Promise<void> {
    while (indexedEpoch(this.indexes) < epoch) {
      this.#following ??= this.useIndexes((indexes) => catchUp(this.namespace, indexes, this.#options)).finally(() => {
        this.#following = undefined
      })
      await this.#following
    }
  }
}
