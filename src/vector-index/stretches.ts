import type { Turns } from '../util/yield.js'

/** Milliseconds of work between two turns. */
const stretchMs = 1

/** Cuts one caller's work into stretches that take turns with everybody else's. */
export class Stretches {
  readonly #turns: Turns
  /** Throws when the work is no longer wanted. */
  readonly check: () => void
  #began = 0

  constructor(turns: Turns, check: () => void) {
    this.#turns = turns
    this.check = check
  }

  /** Call it often: it returns at once unless the stretch is used up. */
  pause(): Promise<void> | undefined {
    return performance.now() - this.#began < stretchMs ? undefined : this.#next()
  }

  async #next(): Promise<void> {
    this.check()
    await this.#turns.next()
    this.check()
    this.#began = performance.now()
  }
}
