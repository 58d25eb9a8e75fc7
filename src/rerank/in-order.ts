import type { RerankCandidate, RerankedMatch } from './types.js'

/** Candidates with their scores, best first; equal ones keep the order of the candidates. `undefined` leaves a candidate out. */
export function inOrder(
  candidates: readonly Pick<RerankCandidate, 'number'>[],
  scores: ArrayLike<number | undefined>,
): RerankedMatch[] {
  return (
    candidates
      .flatMap(({ number }, place) => {
        const score = scores[place]
        return score === undefined ? [] : [{ number, score }]
      })
      // The sort is stable.
      .sort((a, b) => b.score - a.score)
  )
}
