import type { DroppedStage } from '../../core/answer.js'
import type { StageEstimates } from './stage-estimates.js'

/** What cannot be left out, by the names it is measured under. */
export type NeededStage = 'retrieve' | 'pack' | 'firstToken'

export interface BudgetOptions {
  /** Milliseconds from `began` to the hits, or to the first words of the answer. */
  readonly budgetMs: number
  /** When the call was made. */
  readonly began: number
  /** What the call is for. */
  readonly until: 'hits' | 'first-token'
  readonly estimates: StageEstimates
  readonly now: () => number
  /** Told of every stage that was dropped, once. */
  readonly onDrop: (stage: DroppedStage) => void
}

/**
 * The latency budget of one question: stages that can be left out ask, right before they begin, whether there is time for them beside all
 * that must still come. One that was never measured is tried while any time is left.
 */
export class Budget {
  readonly #options: BudgetOptions
  readonly #dropped = new Set<DroppedStage>()

  constructor(options: BudgetOptions) {
    this.#options = options
  }

  /** What was left out so far, in the order it was decided. */
  get dropped(): readonly DroppedStage[] {
    return [...this.#dropped]
  }

  /** Milliseconds that a stage may take now, when all that is needed behind it takes as long as it is wont to; may be negative. */
  room(stage: DroppedStage): number {
    const { began, budgetMs, estimates, now } = this.#options
    const needed = this.#neededBehind(stage).reduce((sum, one) => sum + (estimates.estimate(one) ?? 0), 0)
    return began + budgetMs - now() - needed
  }

  /** How many milliseconds a stage may take, or `undefined` where it is dropped. `measuredAs` is what it is known under. */
  admit(stage: DroppedStage, measuredAs: string): number | undefined {
    const { estimates } = this.#options
    const room = this.room(stage)
    const estimate = estimates.estimate(measuredAs)
    if (room > 0 && (estimate === undefined || estimate <= room || estimates.retry(measuredAs))) return room
    this.drop(stage)
    return undefined
  }

  /** Notes that a stage came to nothing because the time for it was over. */
  drop(stage: DroppedStage): void {
    if (this.#dropped.has(stage)) return
    this.#dropped.add(stage)
    this.#options.onDrop(stage)
  }

  /** The same budget for what is done beside the question, and not told of. */
  apart(): Budget {
    return new Budget({ ...this.#options, onDrop: () => {} })
  }

  /** As much for another question, which begins now. */
  anew(): Budget {
    return new Budget({ ...this.#options, began: this.#options.now() })
  }

  #neededBehind(stage: DroppedStage): readonly NeededStage[] {
    const last: readonly NeededStage[] = this.#options.until === 'hits' ? [] : ['pack', 'firstToken']
    return stage === 'rerank' || stage === 'expand' ? last : ['retrieve', ...last]
  }
}

/** What takes part in keeping budgets: every question is measured, whether it has one or not. */
export interface BudgetTools {
  readonly estimates: StageEstimates
  /** Absent: nothing is left out. */
  readonly budget?: Budget | undefined
  readonly now: () => number
}

/** Runs a stage that must be and notes how long it took. */
export async function measured<Result>(
  stage: NeededStage,
  { estimates, now }: BudgetTools,
  task: () => Result | Promise<Result>,
): Promise<Result> {
  const began = now()
  const result = await task()
  estimates.note(stage, now() - began)
  return result
}
