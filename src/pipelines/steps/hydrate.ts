import type { LegScores } from '../../core/search.js'
import type { StoreNamespace } from '../../store/types.js'
import type { NumberedHit, RankedList } from '../retrieve.js'
import type { Wanted } from './wanted.js'

/** Chunks read in one stretch, some 20 µs each. */
export const chunksPerTurn = 64

/** Reads the best matches from the store, keeping at most `perDocument` of one document. `turn` lets others compute in between. */
export async function hydrate(
  fused: RankedList['matches'],
  lists: readonly RankedList[],
  { topK, perDocument }: Wanted,
  { namespace, turn }: { readonly namespace: StoreNamespace; readonly turn: () => Promise<void> },
): Promise<{ hits: NumberedHit[]; vanished: number }> {
  const legs = lists.map(({ leg, matches }) => ({
    leg,
    scores: new Map(matches.map(({ number, score }) => [number, score])),
  }))
  const ofDocument = new Map<string, number>()
  const hits: NumberedHit[] = []
  let vanished = 0
  const atOnce = Math.min(topK, chunksPerTurn)
  for (let from = 0; from < fused.length && hits.length < topK; from += atOnce) {
    if (from > 0) await turn()
    const slice = fused.slice(from, from + atOnce)
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
