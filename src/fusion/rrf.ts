import { RagError } from '../core/errors.js'
import { addLegs } from './add-legs.js'
import type { FusedMatch, FusionLeg } from './types.js'

/** Dampens the first places; the value of the paper, which hardly any data asks to change. */
const defaultRankConstant = 60

/**
 * Reciprocal rank fusion (Cormack, Clarke, Büttcher 2009): the sum, over the legs, of weight / (k + place), places from
 * 1. It needs no comparable scores. Best first, equal scores in the order of their numbers; all matches of all legs.
 * Throws `BAD_OPTION` for an unusable weight or `k`.
 */
export function fuseByRank(legs: readonly FusionLeg[], { k = defaultRankConstant } = {}): FusedMatch[] {
  if (!Number.isFinite(k) || k < 0) throw new RagError('BAD_OPTION', 'k is a finite number from 0.', { data: { k } })
  return addLegs(
    legs,
    ({ weight }) =>
      (_score, place) =>
        weight / (k + place),
  )
}
