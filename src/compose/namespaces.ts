import { join } from 'node:path'
import type { ResolvedConfig } from '../config/resolve.js'
import { RagError } from '../core/errors.js'
import { catalogue } from './catalogue.js'
import type { Parts } from './compose.js'
import { NamespaceRuntime } from './namespace-runtime.js'

/** The open namespaces: opened on first use, the least recently used idle one closed when there are too many. */
export class Namespaces {
  readonly #config: ResolvedConfig
  readonly #parts: Parts
  /** In the order of their last use. */
  readonly #open = new Map<string, Promise<NamespaceRuntime>>()
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
      this.release(runtime)
    }
  }

  /** Opens a namespace and keeps it open until {@link release}. */
  async acquire(name: string): Promise<NamespaceRuntime> {
    if (this.#closed) throw closedError()
    await this.#closing.get(name)
    const opening = this.#open.get(name) ?? this.#openOne(name)
    this.#open.delete(name)
    this.#open.set(name, opening)
    const runtime = await opening
    if (this.#closed) throw closedError()
    runtime.active++
    return runtime
  }

  release(runtime: NamespaceRuntime): void {
    runtime.active--
    void this.#closeIdle()
  }

  /** Waits for what runs, then closes every namespace. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#closing.values())
    const names = [...this.#open.keys()]
    await Promise.all(names.map((name) => this.#closeOne(name)))
  }

  #openOne(name: string): Promise<NamespaceRuntime> {
    const opening = this.#make(name)
    opening.catch(() => {
      // The callers hold the same promise and see the error; the next one tries again.
      if (this.#open.get(name) === opening) this.#open.delete(name)
    })
    return opening
  }

  async #make(name: string): Promise<NamespaceRuntime> {
    const { lexicalIndex, logger, vectorIndex } = this.#config
    const { embedder: openEmbedder, tracker, turns } = this.#parts
    const store = await this.#parts.store()
    const embedder = await openEmbedder?.()
    const { kind, documentWeight: _searchTime, ...parameters } = lexicalIndex
    const lexical = await catalogue.lexicalIndexes[kind]({
      ...parameters,
      ...(store.directory === undefined ? {} : { directory: join(store.directory, 'indexes', folderOf(name)) }),
      readOnly: store.capabilities.readOnly,
      warn: (problem) => logger.warn(problem.message, { namespace: name, ...problem.data }),
    })
    const vector = embedder && {
      index: await catalogue.vectorIndexes[vectorIndex.kind]({ dimensions: embedder.dimensions, turns }),
      embedder,
      epoch: 0,
    }
    return new NamespaceRuntime({
      store,
      namespace: store.namespace(name),
      lexical,
      vector,
      recorder: tracker,
      now: () => performance.now(),
      onBackgroundError: (error) => logger.warn('Background work failed.', { namespace: name, error: String(error) }),
    })
  }

  async #closeIdle(): Promise<void> {
    for (const [name, opening] of this.#open) {
      if (this.#open.size <= this.#config.limits.maxOpenNamespaces || this.#closed) return
      const runtime = await opening
      if (runtime.active === 0 && this.#open.get(name) === opening) await this.#closeOne(name)
    }
  }

  async #closeOne(name: string): Promise<void> {
    const opening = this.#open.get(name)
    if (opening === undefined) return
    this.#open.delete(name)
    const closing = opening.then((runtime) => runtime.close()).finally(() => this.#closing.delete(name))
    this.#closing.set(name, closing)
    await closing
  }
}

/** Namespace names differ in case, file systems may not: capitals are marked. The root namespace has no name. */
function folderOf(name: string): string {
  return name === '' ? '@root' : name.replace(/[A-Z]/g, (letter) => `@${letter.toLowerCase()}`)
}

export function closedError(): RagError {
  return new RagError('CLOSED', 'This UltraFastRAG was closed.', { hint: 'Make a new one.' })
}
