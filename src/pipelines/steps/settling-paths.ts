import { lstat } from 'node:fs/promises'
import type { Clock } from '../../util/clock.js'

interface Restless {
  /** When it was last heard of, by `clock.now()`. */
  heardAt: number
  /** What it looked like at the last look. */
  stamp: string | undefined
}

/** Paths that something happened to, until nothing has happened to them for a while. */
export class SettlingPaths {
  readonly #clock: Pick<Clock, 'now' | 'date'>
  readonly #settleMs: number
  readonly #paths = new Map<string, Restless>()

  constructor(options: { readonly clock: Pick<Clock, 'now' | 'date'>; readonly settleMs: number }) {
    this.#clock = options.clock
    this.#settleMs = options.settleMs
  }

  get isEmpty(): boolean {
    return this.#paths.size === 0
  }

  add(path: string): void {
    this.#paths.set(path, { heardAt: this.#clock.now(), stamp: undefined })
  }

  /** Milliseconds until a path may have settled; `undefined` without any. */
  dueIn(): number | undefined {
    if (this.isEmpty) return undefined
    let first = Number.POSITIVE_INFINITY
    for (const { heardAt } of this.#paths.values()) first = Math.min(first, heardAt)
    return Math.max(0, first + this.#settleMs - this.#clock.now())
  }

  /** Takes the paths that have settled: files that nobody writes to, folders, what is gone, and what is neither, such as a link. */
  async take(): Promise<{ readonly there: string[]; readonly all: string[] }> {
    const now = this.#clock.now()
    const quiet = [...this.#paths].filter(([, { heardAt }]) => now - heardAt >= this.#settleMs)
    const there: string[] = []
    const all: string[] = []
    for (const [path, entry] of quiet) {
      const found = await lstat(path).catch(() => undefined) // Gone, or out of reach: whoever takes it looks again.
      // Heard of meanwhile: it is another entry.
      if (this.#paths.get(path) !== entry) continue
      if (found?.isFile() && !this.#hasSettled(entry, found)) continue
      this.#paths.delete(path)
      all.push(path)
      if (found?.isFile() || found?.isDirectory()) there.push(path)
    }
    return { there, all }
  }

  /** A file rests when its time says so, or, where clocks differ, when it looks as it did a while ago. */
  #hasSettled(entry: Restless, { mtimeMs, size }: { readonly mtimeMs: number; readonly size: number }): boolean {
    const stamp = `${size}/${mtimeMs}`
    if (this.#clock.date() - mtimeMs >= this.#settleMs || entry.stamp === stamp) return true
    entry.heardAt = this.#clock.now()
    entry.stamp = stamp
    return false
  }
}
