export interface StageEstimatesOptions {
  /** Milliseconds that never go back. */
  readonly now: () => number
}

/** What is known of one stage. */
interface KnownStage {
  /** Milliseconds, the latest last. */
  readonly took: number[]
  /** When it was last measured, or somebody was let through to measure it again. */
  lookedAt: number
  /** Whether what is known is forgotten with the next measurement. */
  isStale: boolean
}

/** Of what a stage took before, so many in a hundred were done within the estimate. */
const share = 0.9
/** Weight of a measurement beside the one that came after it: some twenty count. */
const decay = 0.95
/** What comes before them has less than a twentieth of the weight of the latest. */
const remembered = 64
/** A stage that nobody has measured for so long may have become faster: a model that was being loaded is there by now. */
const staleMs = 5_000
/** Stages by name; the one that was measured longest ago goes first. */
const maxStages = 256

/**
 * How long stages of a question will take, by what they took lately: an exponentially weighted quantile. A stage that is left out
 * because of its estimate is not measured any more, and would be left out for good: {@link retry} lets one caller through every five seconds.
 */
export class StageEstimates {
  readonly #now: () => number
  readonly #stages = new Map<string, KnownStage>()

  constructor({ now }: StageEstimatesOptions) {
    this.#now = now
  }

  /** Tells how long a stage took, or, where it was cut off, for how long it had gone on. */
  note(stage: string, tookMs: number): void {
    const known = this.#stages.get(stage)
    const took = known === undefined || known.isStale ? [] : known.took
    took.push(Math.max(0, tookMs))
    if (took.length > remembered) took.shift()
    this.#stages.delete(stage)
    this.#stages.set(stage, { took, lookedAt: this.#now(), isStale: false })
    const [oldest] = this.#stages.keys()
    if (this.#stages.size > maxStages && oldest !== undefined) this.#stages.delete(oldest)
  }

  /** Milliseconds; `undefined` for a stage that was never measured. */
  estimate(stage: string): number | undefined {
    const known = this.#stages.get(stage)
    return known && weightedQuantile(known.took)
  }

  /** Whether this caller should find out anew how long a stage takes. Then everybody else is told what was known until it has. */
  retry(stage: string): boolean {
    const known = this.#stages.get(stage)
    if (known === undefined) return true
    const now = this.#now()
    if (now - known.lookedAt < staleMs) return false
    known.lookedAt = now
    known.isStale = true
    return true
  }
}

/** The least value that values of `share` of the weight do not exceed; the last of the list weighs most. */
function weightedQuantile(values: readonly number[]): number {
  const weighted = values.map((value, place) => ({ value, weight: decay ** (values.length - 1 - place) }))
  weighted.sort((a, b) => a.value - b.value)
  const total = weighted.reduce((sum, { weight }) => sum + weight, 0)
  let below = 0
  for (const { value, weight } of weighted) {
    below += weight
    if (below >= share * total) return value
  }
  return weighted.at(-1)?.value ?? 0
}
