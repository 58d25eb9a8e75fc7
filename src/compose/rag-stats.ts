import type { ResolvedConfig } from '../config/resolve.js'
import type { MetadataStats } from '../metadata-index/metadata-index.js'
import type { CacheTierReport } from './cache-monitor.js'
import type { Parts } from './compose.js'
import { type EmbedderReport, reportEmbedder } from './embedder-report.js'
import type { FitReport } from './fitted-leg.js'
import type { NamespaceRuntime } from './namespace-runtime.js'

/** What `stats()` returns. */
export interface RagStats {
  readonly namespace: string
  readonly documents: number
  readonly chunks: number
  /** Number of the last committed change. */
  readonly epoch: number
  readonly storage: { readonly id: string; readonly directory: string | undefined; readonly readOnly: boolean }
  /** What the embedder did in this process, for all namespaces together; absent without one, or where it could not be opened. */
  readonly embedder?: EmbedderReport
  /** Of every cache that was used in this process, tier by tier. */
  readonly caches: readonly CacheTierReport[]
  readonly indexes: {
    /** `bytes` is what the index holds in memory. `building`: whether it is merged or improved in the background; searches are right meanwhile. */
    readonly lexical: {
      readonly chunks: number
      readonly segments: number
      readonly bytes: number
      readonly building: boolean
      readonly epoch: number
    }
    readonly vector?: {
      readonly kind: string
      readonly embedder: string
      readonly vectors: number
      readonly segments: number
      readonly bytes: number
      readonly building: boolean
      readonly epoch: number
    }
    /** What an embedder that learns from the documents has learnt; absent with any other. */
    readonly fit?: FitReport
    /** What filters are answered from: made by the first filter, a column for each path that filters name. */
    readonly metadata: MetadataStats
  }
}

/** Reads what is stored, indexed and cached. */
export async function readStats(
  runtime: NamespaceRuntime,
  { logger }: Pick<ResolvedConfig, 'logger'>,
  { caches, store }: Pick<Parts, 'caches' | 'store'>,
): Promise<RagStats> {
  const { capabilities, directory, id } = await store()
  // An embedder that cannot be had is no reason to say nothing of the rest.
  await runtime.openVectors().catch((error) => {
    logger.warn('The embedder could not be opened.', { error: String(error) })
  })
  await runtime.freshenOpen()
  const { fitted, indexes, namespace } = runtime
  const { lexical, metadata, vector } = indexes
  const { building, bytes, chunks, segments } = lexical.stats()
  return {
    namespace: namespace.name,
    ...namespace.counts(),
    epoch: namespace.epoch(),
    storage: { id, directory, readOnly: capabilities.readOnly },
    ...(vector === undefined ? {} : { embedder: reportEmbedder(vector.embedder) }),
    caches: await caches.report(),
    indexes: {
      lexical: { chunks, segments, bytes, building, epoch: lexical.epoch },
      ...(vector === undefined
        ? {}
        : {
            vector: {
              kind: vector.index.id,
              embedder: vector.embedder.id,
              ...vector.index.stats(),
              epoch: vector.index.epoch,
            },
          }),
      ...(fitted === undefined ? {} : { fit: fitted.report() }),
      metadata: metadata.stats(),
    },
  }
}
