/** Functions that are told of events. What one of them throws is its own affair. */
export class Listeners<Event> {
  readonly #listeners = new Set<(event: Event) => void>()

  /** Returns what removes it again. */
  add(listener: (event: Event) => void): () => void {
    // Wrapped, so that one function that is added twice is two listeners.
    const own = (event: Event) => listener(event)
    this.#listeners.add(own)
    return () => void this.#listeners.delete(own)
  }

  emit(event: Event): void {
    for (const listener of [...this.#listeners]) {
      // Whoever listens must not be able to stop the queue, nor the process: a function that is async rejects.
      void (async () => listener(event))().catch(() => {})
    }
  }
}
