import { withDeadline } from '../../util/abort.js'
import type { NumberedHit } from '../retrieve.js'
import type { BudgetTools } from './budget.js'
import { maxReranked, type Reranking, type RerankQuestion, type RerankTools, rerankHits } from './rerank.js'

/** Hits in the reranker's order, or in that of the search where there was no time for it. */
export interface RankedInTime {
  readonly hits: readonly NumberedHit[]
  readonly isDropped: boolean
}

/**
 * {@link rerankHits} within the budget of the call: it is not begun where it is known to take longer than there is time, and given up when the
 * time is over. `onBegin` is told when it begins.
 */
export async function rerankInTime(
  hits: readonly NumberedHit[],
  question: RerankQuestion,
  reranking: Reranking,
  { onBegin, ...tools }: RerankTools & BudgetTools & { readonly onBegin: () => void },
): Promise<RankedInTime> {
  const { budget, estimates, now } = tools
  // One hit can be in no other order: there is nothing to be saved.
  const isNeeded = hits.length > 1
  const measuredAs = nameOf(reranking, hits.length)
  const room = budget === undefined || !isNeeded ? Number.POSITIVE_INFINITY : budget.admit('rerank', measuredAs)
  if (room === undefined) return { hits, isDropped: true }
  onBegin()
  const { signal } = question
  const limit = withDeadline({
    ...(signal === undefined ? {} : { signal }),
    ...(room === Number.POSITIVE_INFINITY ? {} : { deadlineMs: room }),
  })
  const began = now()
  try {
    const reranked = await rerankHits(hits, { ...question, signal: limit.signal }, reranking, tools)
    if (isNeeded) estimates.note(measuredAs, now() - began)
    return { hits: reranked, isDropped: false }
  } catch (error) {
    signal?.throwIfAborted()
    if (limit.signal?.aborted !== true) throw error
    estimates.note(measuredAs, now() - began)
    budget?.drop('rerank')
    return { hits, isDropped: true }
  } finally {
    limit.dispose()
  }
}

/** Rerankers take longer for more hits; twice as many are another stage. */
function nameOf({ id }: Reranking, hits: number): string {
  return `rerank.${id}.${Math.ceil(Math.log2(Math.min(hits, maxReranked) || 1))}`
}
