import { RagError } from '../core/errors.js'
import type { Filter } from '../core/filter.js'
import type { StoreNamespace } from '../store/types.js'
import { compileFilter, metadataReader } from '../util/filter.js'
import { inBatches } from '../util/in-batches.js'
import { createPause, createTurns } from '../util/yield.js'

/** Ids removed in one transaction. */
const batchSize = 1_000

/** Removes documents by id or by filter; resolves with how many there were. An abort leaves what was removed until then removed. */
export async function removeDocuments(
  target: { readonly documentId: string | readonly string[] } | { readonly filter: Filter },
  namespace: StoreNamespace,
  signal?: AbortSignal,
): Promise<number> {
  const given: object = typeof target === 'object' && target !== null ? target : {}
  if ('filter' in given === 'documentId' in given) {
    throw new RagError('BAD_INPUT', 'remove() takes either { documentId: string | string[] } or { filter }.')
  }
  if ('filter' in target && target.filter === undefined) {
    // A variable that was not set must not empty the store.
    throw new RagError('BAD_FILTER', 'remove({ filter }) was called without a filter.', {
      hint: 'Pass {} to remove everything.',
    })
  }
  let removed = 0
  const wanted = 'filter' in target ? matchingIds(target.filter, namespace) : givenIds(target.documentId)
  for await (const ids of inBatches(wanted, batchSize)) {
    signal?.throwIfAborted()
    removed += await namespace.remove(ids)
  }
  return removed
}

function givenIds(ids: string | readonly string[]): readonly string[] {
  const list = typeof ids === 'string' ? [ids] : ids
  if (Array.isArray(list) && list.every((id) => typeof id === 'string')) return list
  throw new RagError('BAD_INPUT', 'remove() takes { documentId: string | string[] } or { filter }.')
}

async function* matchingIds(filter: Filter, namespace: StoreNamespace): AsyncGenerator<string> {
  const matches = compileFilter(filter)
  const pause = createPause(createTurns())
  for (const document of namespace.list()) {
    await pause()
    if (matches(metadataReader(document, document.metadata))) yield document.id
  }
}
