import type { Filter } from '../../core/filter.js'
import { decodePiece } from '../../core/piece.js'
import { RangeSet } from '../../core/range-set.js'
import type { MetadataIndex } from '../../metadata-index/metadata-index.js'
import type { StoreNamespace } from '../../store/types.js'
import { compileFilter, isEmptyFilter, metadataReader } from '../../util/filter.js'
import type { NamespaceIndexes } from '../catch-up.js'
import type { RetrieveTools } from '../retrieve.js'
import { timed } from './timed.js'

/** Attempts to find the columns there that were just made: they may be forgotten when the store no longer lists its changes. */
const maxAttempts = 3

/** The chunk numbers a question's filter allows; `undefined` without one. */
export async function allowFor(
  filter: Filter | undefined,
  { metadata }: Pick<NamespaceIndexes, 'metadata'>,
  tools: RetrieveTools,
  signal?: AbortSignal,
): Promise<RangeSet | undefined> {
  if (filter === undefined || isEmptyFilter(filter)) return undefined
  const { freshen, namespace } = tools
  return timed('query.filter', tools, () => allowedNumbers(filter, { metadata, namespace, freshen }, signal))
}

/**
 * The chunk numbers a filter allows, told from the metadata in memory. `freshen` brings what was just made to the epoch that the
 * query must see. A filter of more paths than are held is tested against the documents.
 */
export async function allowedNumbers(
  filter: Filter,
  { metadata, namespace, freshen }: AllowTools,
  signal?: AbortSignal,
): Promise<RangeSet> {
  for (let attempt = 1; attempt <= maxAttempts; attempt++) {
    if (!(await metadata.prepare(filter))) break
    signal?.throwIfAborted()
    await freshen()
    const allowed = await metadata.match(filter, signal)
    if (allowed !== undefined) return allowed
  }
  return scanDocuments(filter, namespace, signal)
}

export interface AllowTools {
  readonly metadata: MetadataIndex
  readonly namespace: StoreNamespace
  readonly freshen: () => Promise<void>
}

/** Documents tested before the event loop gets a turn. */
const documentsPerTurn = 256

/**
 * The chunk numbers a filter allows, by testing every document of the namespace. A chunk with metadata of its own (see
 * `OwnChunk`) is tested by itself.
 */
export async function scanDocuments(
  filter: Filter,
  namespace: StoreNamespace,
  signal?: AbortSignal,
): Promise<RangeSet> {
  const matches = compileFilter(filter)
  const ranges: (readonly [start: number, end: number])[] = []
  let tested = 0
  for (const document of namespace.list()) {
    if (document.chunkMetadata === true) {
      for (const bytes of namespace.pieces(document)) {
        const { firstOrdinal, chunks } = decodePiece(bytes)
        for (const [row, { metadata }] of chunks.entries()) {
          const number = document.base + firstOrdinal + row
          if (matches(metadataReader(document, { ...document.metadata, ...metadata })))
            ranges.push([number, number + 1])
        }
      }
    } else if (matches(metadataReader(document, document.metadata))) {
      ranges.push([document.base, document.base + document.chunks])
    }
    if (++tested % documentsPerTurn === 0) {
      await new Promise(setImmediate)
      signal?.throwIfAborted()
    }
  }
  return RangeSet.from(ranges)
}
