/**
 * The candidate that a mistyped word most likely meant: smallest edit distance (insert, delete, replace, swap of
 * neighbours; letter case is free), at most a third of the longer word. `undefined` when none is that close.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined
  let least = Number.POSITIVE_INFINITY
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < least && distance <= Math.max(word.length, candidate.length) / 3) {
      best = candidate
      least = distance
    }
  }
  return best
}

/** Words longer than this are not typing errors; the distance is quadratic. */
const longest = 64

/** Optimal string alignment distance. */
function editDistance(a: string, b: string): number {
  if (a === b) return 0
  if (a.length > longest || b.length > longest) return Number.POSITIVE_INFINITY
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      current[column] = Math.min(
        last[column]! + 1,
        current[column - 1]! + 1,
        last[column - 1]! + (same ? 0 : 1),
        swapped ? beforeLast[column - 2]! + 1 : Number.POSITIVE_INFINITY,
      )
    }
    beforeLast = last
    last = current
  }
  return last[b.length]!
}
