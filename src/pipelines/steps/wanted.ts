import type { RetrieveOptions } from '../../core/search.js'
import type { NumberedHit } from '../retrieve.js'
import type { Reranking } from './rerank.js'

/** How many hits there shall be, and how many of one document. */
export interface Wanted {
  readonly topK: number
  readonly perDocument: number
}

export function wantedBy({ groupBy, perDocument = Number.POSITIVE_INFINITY, topK = 5 }: RetrieveOptions): Wanted {
  return { topK, perDocument: groupBy === 'document' ? 1 : perDocument }
}

/**
 * What is looked up so that a reranker has a choice. Of one document twice as many as may stay: the reranker may find another of its
 * passages the best. That is why twice as many as are wanted are enough, and needed, for as many to stay.
 */
export function poolFor({ topK, perDocument }: Wanted, { candidates }: Reranking): Wanted {
  const least = perDocument === Number.POSITIVE_INFINITY ? topK : topK * 2
  return { topK: Math.max(candidates, least), perDocument: perDocument * 2 }
}

/** The first hits, at most `perDocument` of one document. */
export function keepBest(hits: readonly NumberedHit[], { topK, perDocument }: Wanted): NumberedHit[] {
  const ofDocument = new Map<string, number>()
  const kept: NumberedHit[] = []
  for (const one of hits) {
    if (kept.length >= topK) break
    const { documentId } = one.hit.chunk
    const count = ofDocument.get(documentId) ?? 0
    if (count >= perDocument) continue
    ofDocument.set(documentId, count + 1)
    kept.push(one)
  }
  return kept
}
