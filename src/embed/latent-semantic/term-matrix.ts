import type { SparseMatrix } from './sparse-matrix.js'

/** How often each term occurs in each of some units: a growing list of rows. */
export class TermCounts {
  readonly #numbers = new Map<string, number>()
  readonly #starts: number[] = [0]
  #places = new Uint32Array(1 << 16)
  #counts = new Float32Array(1 << 16)

  get rows(): number {
    return this.#starts.length - 1
  }

  /** Distinct terms in the order in which they were first met. */
  get terms(): readonly string[] {
    return [...this.#numbers.keys()]
  }

  /** Adds a unit. Terms may repeat. */
  add(terms: Iterable<string>): void {
    const row = new Map<number, number>()
    for (const term of terms) {
      const number = this.#number(term)
      row.set(number, (row.get(number) ?? 0) + 1)
    }
    let end = this.#starts.at(-1) as number
    this.#reserve(end + row.size)
    for (const [number, count] of [...row].sort(([a], [b]) => a - b)) {
      this.#places[end] = number
      this.#counts[end++] = count
    }
    this.#starts.push(end)
  }

  matrix(): SparseMatrix {
    const end = this.#starts.at(-1) as number
    return {
      rows: this.rows,
      columns: this.#numbers.size,
      starts: Uint32Array.from(this.#starts),
      places: this.#places.subarray(0, end),
      values: this.#counts.subarray(0, end),
    }
  }

  #number(term: string): number {
    const known = this.#numbers.get(term)
    if (known !== undefined) return known
    const number = this.#numbers.size
    this.#numbers.set(term, number)
    return number
  }

  #reserve(length: number): void {
    if (length <= this.#places.length) return
    const places = new Uint32Array(Math.max(length, this.#places.length * 2))
    const counts = new Float32Array(places.length)
    places.set(this.#places)
    counts.set(this.#counts)
    this.#places = places
    this.#counts = counts
  }
}
