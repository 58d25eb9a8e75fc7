import { blocksOf } from './blocks.js'
import type { Level } from './level.js'
import type { Pace } from './pace.js'
import { findBase } from './segment.js'
import type { SegmentView } from './view.js'

/** Postings that looking a term up in a list costs as much as. */
export const costOfLookingUp = 12

/** Scores of documents: that of a document is the score of its best window, wherever that lies. */
export class DocumentScores {
  readonly #views: readonly SegmentView[]
  readonly #windows: Level
  readonly #pace: Pace
  /** Of documents of several windows, by base: one may have a thousand. */
  readonly #known = new Map<number, number>()

  constructor(views: readonly SegmentView[], windows: Level, pace: Pace) {
    this.#views = views
    this.#windows = windows
    this.#pace = pace
  }

  /** The score at once, or `undefined` for a document that `scoreScattered()` has to score first. */
  score(view: number, document: number): number | undefined {
    const { segment } = this.#views[view] as SegmentView
    const window = segment.documentWindows[document] as number
    if ((segment.documentWindows[document + 1] as number) - window === 1 && !isContinued(segment.partial, document))
      return this.#windows.scoreOf(view, window)
    return this.#known.get(segment.bases[document] as number)
  }

  async scoreScattered(view: number, document: number): Promise<number> {
    const { segment } = this.#views[view] as SegmentView
    const base = segment.bases[document] as number
    let best = 0
    for (const [v, window] of this.#windowsOf(view, document)) {
      best = Math.max(best, this.#windows.scoreOf(v, window))
      if (this.#pace.spend(this.#windows.terms * costOfLookingUp)) await this.#pace.turn()
    }
    this.#known.set(base, best)
    return best
  }

  *#windowsOf(view: number, document: number): Generator<readonly [view: number, window: number]> {
    const { bases, partial } = (this.#views[view] as SegmentView).segment
    for (const [v, { segment }] of this.#views.entries()) {
      if (v !== view && !isContinued(partial, document)) continue
      const own = v === view ? document : findBase(segment.bases, bases[document] as number)
      if (segment.bases[own] !== bases[document] || (v !== view && !isContinued(segment.partial, own))) continue
      const end = segment.documentWindows[own + 1] as number
      for (let window = segment.documentWindows[own] as number; window < end; window++) yield [v, window]
    }
  }
}

/** Gives every block that holds windows of a scattered document the greatest bound of any of them: all its chunks have its best window's score. */
export function joinScattered(views: readonly SegmentView[], windowBounds: readonly Float32Array[]): void {
  const greatest = new Map<number, number>()
  for (const isRaising of [false, true]) {
    for (const [view, { segment }] of views.entries()) {
      const { windows, scattered } = blocksOf(segment)
      const bounds = windowBounds[view] as Float32Array
      for (const document of scattered) {
        const base = segment.bases[document] as number
        const end = segment.documentWindows[document + 1] as number
        let best = greatest.get(base) ?? 0
        for (let window = segment.documentWindows[document] as number; window < end; window++) {
          const block = windows.of[window] as number
          if (!isRaising) best = Math.max(best, bounds[block] as number)
          else if ((bounds[block] as number) < best) bounds[block] = best
        }
        greatest.set(base, best)
      }
    }
  }
}

function isContinued(partial: Uint32Array, document: number): boolean {
  return partial.length > 0 && partial.includes(document)
}
