/** Those who use something now, so that it is not taken away under their hands. */
export class Readers {
  readonly #reading = new Set<Promise<unknown>>()

  while<Result>(read: () => Promise<Result>): Promise<Result> {
    const reading = read()
    this.#reading.add(reading)
    const leave = () => this.#reading.delete(reading)
    reading.then(leave, leave)
    return reading
  }

  /** Resolves when everyone who reads now has left. */
  async left(): Promise<void> {
    await Promise.allSettled(this.#reading)
  }
}
