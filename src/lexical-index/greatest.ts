import { unitsPerBlock } from './blocks.js'
import type { LentArrays } from './bound-arrays.js'
import type { BoundArithmetic } from './bound-kernel.js'
import { costOfLookingUp } from './documents.js'
import type { Level } from './level.js'
import type { Pace } from './pace.js'

/** The greatest score of any unit of a level, given what those of each block score at most: nearly always found in the first blocks that are scored. */
export async function greatestScore(level: Level, { arrays, arithmetic }: LentArrays, pace: Pace): Promise<number> {
  const scores = new Float32Array(unitsPerBlock)
  const scoreBlock = (view: number, block: number) => {
    const { starts } = (level.units[view] as Level['units'][number]).blocks
    return level.score(view, starts[block] as number, starts[block + 1] as number, scores)
  }
  let greatest = 0
  for (const [view, bounds] of arrays.entries()) {
    const block = highest(bounds, arithmetic)
    if (block !== undefined) greatest = Math.max(greatest, scoreBlock(view, block))
  }
  for (const [view, bounds] of arrays.entries()) {
    const next = (from: number) => arithmetic.next(bounds, from, greatest)
    for (let block = next(0); block < bounds.length; block = next(block + 1)) {
      greatest = Math.max(greatest, scoreBlock(view, block))
      if (pace.spend(level.terms * costOfLookingUp)) await pace.turn()
    }
    if (pace.spend(bounds.length >>> 2)) await pace.turn()
  }
  return greatest
}

/** The first of the blocks with the highest bound; `undefined` when none holds a term. */
function highest(bounds: Float32Array, arithmetic: BoundArithmetic): number | undefined {
  let highest: number | undefined
  let block = arithmetic.next(bounds, 0, 0)
  while (block < bounds.length) {
    highest = block
    const bound = bounds[block] as number
    // The least float32 that is greater, or one a little above it.
    block = arithmetic.next(bounds, block + 1, bound * (1 + 2 ** -23))
  }
  return highest
}
