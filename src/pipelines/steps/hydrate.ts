import type { LegScores } from '../../core/search.js'
import type { StoreNamespace } from '../../store/types.js'
import type { NumberedHit, RankedList } from '../retrieve.js'
import type { Wanted } from './wanted.js'

/** Reads the best matches from the store, keeping at most `perDocument` of one document. */
export function hydrate(
  fused: RankedList['matches'],
  lists: readonly RankedList[],
  { topK, perDocument }: Wanted,
  namespace: StoreNamespace,
): { hits: NumberedHit[]; vanished: number } {
  const legs = lists.map(({ leg, matches }) => ({
    leg,
    scores: new Map(matches.map(({ number, score }) => [number, score])),
  }))
  const ofDocument = new Map<string, number>()
  const hits: NumberedHit[] = []
  let vanished = 0
  for (let from = 0; from < fused.length && hits.length < topK; from += topK) {
    const slice = fused.slice(from, from + topK)
    const chunks = namespace.chunks(slice.map(({ number }) => number))
    for (const [place, { number, score }] of slice.entries()) {
      const chunk = chunks[place]
      if (chunk === undefined) {
        vanished++
        continue
      }
      const count = ofDocument.get(chunk.documentId) ?? 0
      if (count >= perDocument || hits.length >= topK) continue
      ofDocument.set(chunk.documentId, count + 1)
      hits.push({ number, hit: { chunk, score, scores: legScores(number, legs, score) } })
    }
  }
  return { hits, vanished }
}

function legScores(
  number: number,
  legs: readonly { readonly leg: 'lexical' | 'vector'; readonly scores: ReadonlyMap<number, number> }[],
  fused: number,
): LegScores {
  const scores: { lexical?: number; vector?: number; fused?: number } = {}
  for (const { leg, scores: found } of legs) {
    const score = found.get(number)
    if (score !== undefined) scores[leg] = score
  }
  if (legs.length > 1) scores.fused = fused
  return scores
}
