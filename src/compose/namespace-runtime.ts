import type { LexicalIndex } from '../lexical-index/types.js'
import type { MetadataIndex } from '../metadata-index/metadata-index.js'
import type { Recorder } from '../performance/types.js'
import { catchUp, indexedEpoch, type NamespaceIndexes, rebuildIndexes, type VectorLeg } from '../pipelines/catch-up.js'
import type { Store, StoreNamespace } from '../store/types.js'

export interface NamespaceRuntimeOptions {
  readonly store: Store
  readonly namespace: StoreNamespace
  readonly lexical: LexicalIndex
  readonly vector: VectorLeg | undefined
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

/** One open namespace: its part of the store, its indexes, and the rule of when they follow the store. */
export class NamespaceRuntime {
  readonly namespace: StoreNamespace
  readonly indexes: NamespaceIndexes
  /** The last writer of each document id. */
  readonly lastWrites = new Map<string, Promise<unknown>>()
  readonly #options: NamespaceRuntimeOptions
  #following: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #activeIngests = 0
  /** Epoch that every query from now on must see. */
  #requiredEpoch = 0
  #chunksAtSnapshot: number

  constructor(options: NamespaceRuntimeOptions) {
    this.#options = options
    this.namespace = options.namespace
    const { lexical, metadata, vector } = options
    this.indexes = { lexical, metadata, vector }
    this.#chunksAtSnapshot = options.lexical.stats().chunks
  }

  get readOnly(): boolean {
    return this.#options.store.capabilities.readOnly
  }

  /**
   * Resolves once the indexes reflect what a query must see: everything committed, by whichever process; but while this process
   * ingests, only what finished calls committed, so that a query never waits for the run that is going on.
   */
  async freshen(): Promise<void> {
    const target = this.#activeIngests > 0 ? this.#requiredEpoch : this.namespace.epoch()
    await this.#reach(target)
  }

  /** Tells that documents were committed: the indexes follow soon. */
  committed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#reach(this.namespace.epoch()).catch(this.#options.onBackgroundError)
    }, followDelayMs).unref()
  }

  /** Runs an ingest or a removal; when it ends, the indexes are up to date and, if much has changed, written to disk. */
  async changing<Result>(task: () => Promise<Result>): Promise<Result> {
    this.#activeIngests++
    try {
      return await task()
    } finally {
      this.#activeIngests--
      this.#requiredEpoch = Math.max(this.#requiredEpoch, this.namespace.epoch())
      // What was committed stays committed: a failure here is met again, and thrown, by the next query.
      await this.#reach(this.#requiredEpoch).catch(this.#options.onBackgroundError)
      if (Math.abs(this.indexes.lexical.stats().chunks - this.#chunksAtSnapshot) >= snapshotAfterChunks)
        await this.persist().catch(this.#options.onBackgroundError)
    }
  }

  /** Builds the indexes afresh from the store and swaps them in; searches go on with the old ones until then. */
  async rebuild(): Promise<void> {
    // Whatever stopped it is met again, or mended, by what follows.
    while (this.#following !== undefined) await this.#following.catch(this.#options.onBackgroundError)
    this.#following = rebuildIndexes(this.namespace, this.indexes).finally(() => {
      this.#following = undefined
    })
    await this.#following
    await this.#reach(this.namespace.epoch())
    await this.persist()
  }

  /** Writes the indexes to disk when this process may and something has changed. */
  async persist(): Promise<void> {
    const { maintain, store } = this.#options
    const { persistent, readOnly } = store.capabilities
    if (!persistent || readOnly || store.directory === undefined) return
    await maintain(async () => {
      const stepBack = await store.acquireMaintenance()
      if (stepBack === undefined) return
      try {
        await this.indexes.lexical.persist()
        await this.indexes.vector?.index.persist()
        this.#chunksAtSnapshot = this.indexes.lexical.stats().chunks
      } finally {
        await stepBack()
      }
    })
  }

  /** Settles background work, writes snapshots, frees the indexes. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#following?.catch(this.#options.onBackgroundError)
    await this.persist().catch(this.#options.onBackgroundError)
    await this.indexes.lexical.close()
    await this.indexes.vector?.index.close()
    await this.indexes.metadata.close()
  }

  async #reach(epoch: number): Promise<void> {
    while (indexedEpoch(this.indexes) < epoch) {
      this.#following ??= catchUp(this.namespace, this.indexes, this.#options).finally(() => {
        this.#following = undefined
      })
      await this.#following
    }
  }
}
