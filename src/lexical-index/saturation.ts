/** Frequencies and lengths below these are looked up; nearly all passages and most windows are. */
const tableTimes = 16
const tableLengths = 512

/**
 * What repetition and length make of an occurrence: tf / (tf + k1 * (1 - b + b * length / average)), from 0 to 1. The usual values come from a table: the
 * division takes as long as all else that a posting costs.
 */
export class Saturation {
  /** k1 * (1 - b), and k1 * b / average. */
  readonly constant: number
  readonly perToken: number
  readonly #table = new Float64Array(tableTimes * tableLengths)

  constructor({ k1, b, averageLength }: { readonly k1: number; readonly b: number; readonly averageLength: number }) {
    this.constant = k1 * (1 - b)
    this.perToken = (k1 * b) / averageLength
    for (let length = 0; length < tableLengths; length++)
      for (let tf = 1; tf < tableTimes; tf++) this.#table[length * tableTimes + tf] = this.#compute(tf, length)
  }

  of(tf: number, length: number): number {
    return tf < tableTimes && length < tableLengths
      ? (this.#table[length * tableTimes + tf] as number)
      : this.#compute(tf, length)
  }

  #compute(tf: number, length: number): number {
    return tf / (tf + this.constant + this.perToken * length)
  }
}
