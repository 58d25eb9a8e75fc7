import { resolve } from 'node:path'
import pLimit from 'p-limit'
import type { ResolvedConfig } from '../config/resolve.js'
import { RagError } from '../core/errors.js'
import type { Closable } from '../core/lifecycle.js'
import type { Embedder } from '../embed/types.js'
import type { Fuse } from '../fusion/types.js'
import type { Llm } from '../llm/types.js'
import { createPerformanceTracker, type PerformanceTracker } from '../performance/tracker.js'
import type { Store } from '../store/types.js'
import { memoizeAsync } from '../util/memoize-async.js'
import { createTurns, type Turns } from '../util/yield.js'
import { catalogue } from './catalogue.js'
import { Namespaces } from './namespaces.js'
import { inlinePreparation, type Preparation, pooledPreparation } from './preparation.js'

/** Every part of one `UltraFastRAG`, each opened by the first call that needs it. */
export interface Parts {
  readonly config: ResolvedConfig
  readonly tracker: PerformanceTracker
  readonly turns: Turns
  /** Bounds the documents in preparation, over all namespaces. */
  readonly limit: <Result>(task: () => Promise<Result>) => Promise<Result>
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  readonly store: () => Promise<Store>
  readonly preparation: () => Promise<Preparation>
  /** Absent: passages are found by their words alone. */
  readonly embedder: (() => Promise<Embedder>) | undefined
  readonly fuse: () => Promise<Fuse>
  readonly llm: () => Promise<Llm>
  readonly namespaces: Namespaces
  /** Closes what was opened, in the right order; what the caller brought along stays open. */
  close(): Promise<void>
}

/** The one place that knows which adapter stands behind which port. */
export function composeParts(config: ResolvedConfig): Parts {
  const tracker = createPerformanceTracker()
  const now = () => performance.now()
  const opened = new Opened()

  const store = opened.part(() => openStore(config), isOwn(config.storage))
  const preparation = opened.part(() => openPreparation(config))
  const embedder = config.embedder === false ? undefined : opened.part(() => openEmbedder(config), isOwn(config.embedder))
  const fuse = memoizeAsync(() => openFusion(config))
  const llm = opened.part(() => openLlm(config), isOwn(config.llm))
  const namespaces = new Namespaces({ config, tracker, now, store, embedder })

  return {
    config,
    tracker,
    turns: createTurns(),
    limit: pLimit(config.maxWorkers + 1),
    now,
    store,
    preparation,
    embedder,
    fuse,
    llm,
    namespaces,
    close: async () => {
      await namespaces.close()
      await opened.close()
    },
  }
}
