import { RagError } from '../core/errors.js'
import { addLegs } from './add-legs.js'
import type { FusedMatch, FusionLeg } from './types.js'

/** A leg whose scores mean something. */
export interface ScoredLeg extends FusionLeg {
  /** The lowest score there can be: 0 for BM25, -1 for the inner product of unit vectors. */
  readonly lowest: number
}

/**
 * Convex combination of scores (Bruch, Gai, Ingber 2023): each leg is scaled so that its theoretical minimum is 0 and
 * its best match 1, then weighted and added; a leg that did not see a number adds 0. Best first, equal scores in the
 * order of their numbers. Throws `BAD_OPTION` for an unusable weight or minimum and `BAD_INPUT` for a score that is not
 * finite.
 */
export function fuseByScore(legs: readonly ScoredLeg[]): FusedMatch[] {
  return addLegs(legs, ({ matches, weight, lowest }) => {
    if (!Number.isFinite(lowest)) {
      throw new RagError('BAD_OPTION', 'The lowest score of a leg is a finite number.', { data: { lowest } })
    }
    let best = lowest
    for (const { score } of matches) {
      if (!Number.isFinite(score)) {
        throw new RagError('BAD_INPUT', 'A score is not finite.', { hint: 'The index that gave it is at fault.' })
      }
      best = Math.max(best, score)
    }
    const range = best - lowest
    // Without a range the leg says nothing about its matches: they count as its minimum. Rounding may leave a score
    // below it.
    return (score) => (range === 0 ? 0 : weight * Math.max(0, (score - lowest) / range))
  })
}
