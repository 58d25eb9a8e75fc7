import type { RangeSet } from '../../core/range-set.js'
import type { VectorIndex, VectorMatch } from '../../vector-index/types.js'

/** A search of an approximate index, as it went. */
export interface VectorSearched {
  readonly index: VectorIndex
  readonly vector: Float32Array
  readonly allow: RangeSet | undefined
  readonly found: readonly VectorMatch[]
  /** Of the index, when it was searched. */
  readonly epoch: number
}

export interface RecallMonitorOptions {
  /** Share of searches that are repeated exactly, 0 to 1. */
  readonly rate: number
  /** In [0, 1). Default `Math.random`. */
  readonly random?: () => number
}

/** Matches that count: recall@10, the figure that indexes are compared by. */
const places = 10
/** Samples that are remembered: the figure is of the index as it is now. */
const remembered = 500
/** What rounding leaves between scores of the same vector that were computed in another order. */
const tolerance = 1e-6

/**
 * Measures how much an approximate index finds of what is there: a sample of searches is repeated exactly, after they were answered, one
 * at a time; those that come meanwhile are not sampled. An exact search looks at every vector, which takes some 0.5 µs for each of 384
 * values, a few milliseconds at a time.
 */
export class RecallMonitor {
  readonly #rate: number
  readonly #random: () => number
  readonly #recalls: number[] = []
  #next = 0
  #samples = 0
  #stale = 0
  #busy = false

  constructor({ rate, random = Math.random }: RecallMonitorOptions) {
    this.#rate = rate
    this.#random = random
  }

  /** Whether this search is to be measured. Whoever asks and hears yes must call {@link measure}. */
  samples({ index, found }: VectorSearched): boolean {
    if (index.capabilities.exact || found.length === 0 || this.#busy || this.#random() >= this.#rate) return false
    this.#busy = true
    return true
  }

  /** Repeats a search exactly. `current`: the index there is now; another one, or another epoch, tells nothing of what was found. */
  async measure(searched: VectorSearched, current: VectorIndex | undefined, signal?: AbortSignal): Promise<void> {
    try {
      const { allow, epoch, found, index, vector } = searched
      const isStale = () => current !== index || index.epoch !== epoch
      if (isStale()) {
        this.#stale++
        return
      }
      const truth = await index.search(vector, {
        topK: places,
        exact: true,
        ...(allow === undefined ? {} : { allow }),
        ...(signal === undefined ? {} : { signal }),
      })
      if (isStale()) this.#stale++
      else this.#record(recallOf(found.slice(0, places), truth))
    } finally {
      this.#busy = false
    }
  }

  /** As gauges of the tracker: recall@10 as the mean and the least of the last 500 samples, and how many there were. */
  gauges(): Readonly<Record<string, number>> {
    const { length } = this.#recalls
    if (length === 0) return { samples: 0, stale: this.#stale }
    const sum = this.#recalls.reduce((total, recall) => total + recall, 0)
    return { recall10: sum / length, least: Math.min(...this.#recalls), samples: this.#samples, stale: this.#stale }
  }

  /** Lets another search be sampled when the measurement never began. */
  giveUp(): void {
    this.#busy = false
  }

  #record(recall: number): void {
    this.#recalls[this.#next] = recall
    this.#next = (this.#next + 1) % remembered
    this.#samples++
  }
}

/** Share of the true matches that were found. One that is as good as the last true one is as good. */
function recallOf(found: readonly VectorMatch[], truth: readonly VectorMatch[]): number {
  const last = truth.at(-1)
  if (last === undefined) return 1
  const numbers = new Set(truth.map(({ number }) => number))
  const right = found.filter(({ number, score }) => numbers.has(number) || score >= last.score - tolerance).length
  return Math.min(right, truth.length) / truth.length
}
