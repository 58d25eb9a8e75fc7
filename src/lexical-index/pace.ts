import type { Turns } from '../util/yield.js'

/** Postings or places between two turns of the event loop: one to two milliseconds. */
const stepsPerTurn = 500_000

/** Counts the work of one search, and lets others have their turn. */
export class Pace {
  readonly #turns: Turns
  #left = stepsPerTurn

  constructor(turns: Turns) {
    this.#turns = turns
  }

  /** Notes steps done; true when it is time to await `turn()`. */
  spend(steps: number): boolean {
    this.#left -= steps
    return this.#left <= 0
  }

  turn(): Promise<void> {
    this.#left = stepsPerTurn
    return this.#turns.next()
  }
}
