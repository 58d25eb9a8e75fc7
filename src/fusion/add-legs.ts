import { RagError } from '../core/errors.js'
import type { FusedMatch, FusionLeg } from './types.js'

/** Adds up, for every number, what each leg of weight above 0 gives it for its score and place (from 1). */
export function addLegs<Leg extends FusionLeg>(
  legs: readonly Leg[],
  gain: (leg: Leg) => (score: number, place: number) => number,
): FusedMatch[] {
  const sums = new Map<number, number>()
  for (const leg of legs) {
    if (!Number.isFinite(leg.weight) || leg.weight < 0) {
      throw new RagError('BAD_OPTION', 'The weight of a leg is a finite number from 0.', {
        data: { weight: leg.weight },
      })
    }
    if (leg.weight === 0) continue
    const gainOf = gain(leg)
    const seen = new Set<number>()
    for (const { number, score } of leg.matches) {
      if (seen.has(number)) continue
      seen.add(number)
      sums.set(number, (sums.get(number) ?? 0) + gainOf(score, seen.size))
    }
  }
  return [...sums]
    .map(([number, score]) => ({ number, score }))
    .sort((a, b) => b.score - a.score || a.number - b.number)
}
