/** A queue between one or more writers and one reader. Writers do not wait; the reader sees every value, then the end or the error. */
export class Channel<Value> implements AsyncIterable<Value> {
  readonly #values: Value[] = []
  #wake: (() => void) | undefined
  #ended = false
  #error: unknown

  push(value: Value): void {
    if (this.#ended) return
    this.#values.push(value)
    this.#wake?.()
  }

  /** Ends the reader's iteration, after what was pushed; with `error` it throws. */
  end(error?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Value, void, undefined> {
    for (;;) {
      while (this.#values.length > 0) yield this.#values.shift() as Value
      if (this.#ended) break
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
    if (this.#error !== undefined) throw this.#error
  }
}
