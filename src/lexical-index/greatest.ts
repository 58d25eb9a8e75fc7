import { unitsPerBlock } from './blocks.js'
import { costOfLookingUp } from './documents.js'
import type { Level } from './level.js'
import type { Pace } from './pace.js'

/** The greatest score of any unit of a level, given what those of each block score at most: nearly always found in the first blocks that are scored. */
export async function greatestScore(level: Level, bounds: readonly Float32Array[], pace: Pace): Promise<number> {
  const scores = new Float32Array(unitsPerBlock)
  const scoreBlock = (view: number, block: number) => {
    const { starts } = (level.units[view] as Level['units'][number]).blocks
    return level.score(view, starts[block] as number, starts[block + 1] as number, scores)
  }
  let greatest = 0
  for (const [view, own] of bounds.entries())
    if (own.length > 0) greatest = Math.max(greatest, scoreBlock(view, highest(own)))
  for (const [view, own] of bounds.entries()) {
    for (let block = nextAbove(own, greatest, 0); block < own.length; block = nextAbove(own, greatest, block + 1)) {
      greatest = Math.max(greatest, scoreBlock(view, block))
      if (pace.spend(level.terms * costOfLookingUp)) await pace.turn()
    }
    if (pace.spend(own.length)) await pace.turn()
  }
  return greatest
}

function highest(bounds: Float32Array): number {
  let highest = 0
  for (let block = 1; block < bounds.length; block++)
    if ((bounds[block] as number) > (bounds[highest] as number)) highest = block
  return highest
}

function nextAbove(bounds: Float32Array, score: number, from: number): number {
  let block = from
  while (block < bounds.length && (bounds[block] as number) <= score) block++
  return block
}
