import { basename, join } from 'node:path'
import type { VectorIndexChoice } from '../config/options.js'
import type { ResolvedConfig } from '../config/resolve.js'
import { RagError } from '../core/errors.js'
import type { Embedder } from '../embed/types.js'
import { createMetadataIndex } from '../metadata-index/metadata-index.js'
import type { Store } from '../store/types.js'
import { systemClock } from '../util/clock.js'
import { sha256Hex } from '../util/hash.js'
import type { VectorIndex, VectorIndexOptions } from '../vector-index/types.js'
import { catalogue } from './catalogue.js'
import type { Parts } from './compose.js'
import { FitFile } from './fit-file.js'
import { FittedLeg } from './fitted-leg.js'
import { NamespaceRuntime } from './namespace-runtime.js'

const { now } = systemClock

interface Entry {
  readonly opening: Promise<NamespaceRuntime>
  /** Calls that use it, those that wait for its opening included: an idle namespace may be closed. */
  users: number
}

/** The open namespaces: opened on first use, the least recently used idle one closed when there are too many. */
export class Namespaces {
  readonly #config: ResolvedConfig
  readonly #parts: Parts
  /** In the order of their last use. */
  readonly #open = new Map<string, Entry>()
  /** These never reject. */
  readonly #closing = new Map<string, Promise<void>>()
  #closed = false

  constructor(config: ResolvedConfig, parts: Parts) {
    this.#config = config
    this.#parts = parts
  }

  /** Runs a task in a namespace, which stays open meanwhile. */
  async use<Result>(name: string, task: (runtime: NamespaceRuntime) => Promise<Result>): Promise<Result> {
    const runtime = await this.acquire(name)
    try {
      return await task(runtime)
    } finally {
      this.release(name)
    }
  }

  /** Opens a namespace and keeps it open until {@link release}. */
  async acquire(name: string): Promise<NamespaceRuntime> {
    // Whoever waited with us may have opened and closed it once more.
    while (this.#closing.has(name)) await this.#closing.get(name)
    if (this.#closed) throw closedError()
    const entry = this.#open.get(name) ?? this.#openOne(name)
    this.#open.delete(name)
    this.#open.set(name, entry)
    // Counted before anything is awaited: nobody may find it idle in between.
    entry.users++
    try {
      const runtime = await entry.opening
      if (this.#closed) throw closedError()
      return runtime
    } catch (error) {
      entry.users--
      this.#closeIdle()
      throw error
    }
  }

  /** Tells that a call which acquired the namespace is done with it. */
  release(name: string): void {
    // Absent only after `close()`: what is in use is not closed otherwise.
    const entry = this.#open.get(name)
    if (entry !== undefined) entry.users--
    this.#closeIdle()
  }

  /** Closes every namespace, also those in use. Never rejects: what cannot be closed is logged. */
  async close(): Promise<void> {
    this.#closed = true
    for (const [name, entry] of this.#open) this.#closeOne(name, entry)
    await Promise.all(this.#closing.values())
  }

  #openOne(name: string): Entry {
    const entry = { opening: this.#make(name), users: 0 }
    entry.opening.catch(() => {
      // The callers hold the same promise and see the error; the next one tries again.
      if (this.#open.get(name) === entry) this.#open.delete(name)
    })
    return entry
  }

  async #make(name: string): Promise<NamespaceRuntime> {
    const { lexicalIndex, logger, vectorIndex } = this.#config
    const { embedder: openEmbedder, fitter: openFitter, maintain, tracker, turns } = this.#parts
    const store = await this.#parts.store()
    const folder = store.directory && join(store.directory, 'indexes', folderOf(name))
    const readOnly = store.capabilities.readOnly
    const warn = (problem: RagError): void => logger.warn(problem.message, { namespace: name, ...problem.data })
    let runtime: NamespaceRuntime | undefined
    // What may fail comes before what would stay open then.
    const fitter = await openFitter?.()
    const { kind, documentWeight: _searchTime, ...parameters } = lexicalIndex
    const lexical = await catalogue.lexicalIndexes[kind]({
      ...parameters,
      ...(folder === undefined ? {} : { directory: folder }),
      readOnly,
      warn,
    })
    const openIndex = ({ dimensions, fingerprint }: Embedder, directory: string | undefined) =>
      openVectorIndex(vectorIndex, {
        dimensions,
        fingerprint,
        ...(directory === undefined ? {} : { directory }),
        readOnly,
        turns,
        improved: () => runtime?.improved(),
        warn,
        placeBelow: (uri) => placeOfIndex(uri, store, name),
      })
    const openVector =
      openEmbedder &&
      (async () => {
        const embedder = await openEmbedder()
        return { index: await openIndex(embedder, folder && join(folder, 'vectors')), embedder }
      })
    const namespace = store.namespace(name)
    const fitted =
      fitter &&
      new FittedLeg({
        store,
        namespace,
        fitter,
        openIndex,
        file: folder === undefined ? undefined : new FitFile(folder),
        maintain,
        recorder: tracker,
        now,
        warn,
      })
    try {
      await fitted?.open()
    } catch (error) {
      await lexical.close()
      throw error
    }
    runtime = new NamespaceRuntime({
      store,
      namespace,
      lexical,
      openVector,
      fitted,
      metadata: createMetadataIndex({ namespace, turns }),
      maintain,
      recorder: tracker,
      now,
      onBackgroundError: (error) => this.#warn(name, error),
    })
    return runtime
  }

  #closeIdle(): void {
    for (const [name, entry] of this.#open) {
      if (this.#open.size <= this.#config.limits.maxOpenNamespaces || this.#closed) return
      if (entry.users === 0) this.#closeOne(name, entry)
    }
  }

  #closeOne(name: string, { opening }: Entry): void {
    this.#open.delete(name)
    const closing = opening
      .then(
        (runtime) => runtime.close(),
        () => {}, // Its callers saw why it could not be opened.
      )
      .catch((error) => this.#warn(name, error))
      .finally(() => this.#closing.delete(name))
    this.#closing.set(name, closing)
  }

  #warn(name: string, error: unknown): void {
    this.#config.logger.warn('Background work failed.', { namespace: name, error: String(error) })
  }
}

interface OpenOptions extends VectorIndexOptions {
  /** The place of this index below one that several share. */
  readonly placeBelow: (uri: string) => string
}

async function openVectorIndex(
  choice: VectorIndexChoice,
  { placeBelow, ...options }: OpenOptions,
): Promise<VectorIndex> {
  switch (choice.kind) {
    case 'auto':
    case 'usearch': {
      const { kind, ...parameters } = choice
      return catalogue.vectorIndexes[kind]({ ...options, ...parameters })
    }
    case 'hnswlib': {
      const { kind, ...parameters } = choice
      return catalogue.vectorIndexes[kind]({ ...options, ...parameters })
    }
    case 'flat':
      return catalogue.vectorIndexes.flat(options)
    case 'lancedb': {
      const { kind, uri, ...parameters } = choice
      const place = uri === undefined ? {} : { uri: placeBelow(uri) }
      return catalogue.vectorIndexes[kind]({ ...options, ...parameters, ...place })
    }
    case 'sharded': {
      const { index, shards } = choice
      const open = ({ directory, ...one }: VectorIndexOptions) => {
        const shard = directory === undefined ? '' : basename(directory)
        return openVectorIndex(index, {
          ...one,
          ...(directory === undefined ? {} : { directory }),
          placeBelow: (uri) => `${placeBelow(uri)}/${shard}`,
        })
      }
      return catalogue.vectorIndexes.sharded({ ...options, shards, open })
    }
    default:
      return choice satisfies never
  }
}

/**
 * Store, namespace: two stores never share an index, as epochs of one mean nothing to the other. All fits of an embedder share one place, because
 * nothing else would delete those of earlier fits.
 */
function placeOfIndex(uri: string, { id }: Store, name: string): string {
  return [uri.replace(/\/+$/, ''), id, folderOf(name), 'vectors'].join('/')
}

/** Names that are a folder's name as they are, on every file system; the others, with capitals or dots at an end, are hashed. */
const plainName = /^[a-z0-9_-](?:[a-z0-9._-]{0,62}[a-z0-9_-])?$/

/** The folder of a namespace's indexes. The root namespace has no name; `@` occurs in none. */
function folderOf(name: string): string {
  if (name === '') return '@root'
  return plainName.test(name) ? name : `@${sha256Hex(name).slice(0, 32)}`
}

export function closedError(): RagError {
  return new RagError('CLOSED', 'This UltraFastRAG was closed.', { hint: 'Make a new one.' })
}
