import { join } from 'node:path'
import { RagError } from '../core/errors.js'
import { Readers } from '../util/readers.js'
import { TopK } from '../util/top-k.js'
import { createTurns } from '../util/yield.js'
import { checkBatch, checkDimensions } from './checks.js'
import { Stretches } from './stretches.js'
import type {
  VectorIndex,
  VectorIndexOptions,
  VectorMatch,
  VectorSearchOptions,
  VectorStats,
  VectorUpdate,
} from './types.js'
import { Steps, updateIsOpen } from './update.js'

/** Options of {@link createShardedIndex}. */
export interface ShardedIndexOptions extends VectorIndexOptions {
  /** How many, 1 to 64. */
  readonly shards: number
  /** Opens the index of one shard. */
  readonly open: (options: VectorIndexOptions) => Promise<VectorIndex>
}

const maxShards = 64
/** Numbers that stay together: most documents lie in one shard, and a large one is spread. */
const runLength = 1_024

/**
 * Spreads vectors over indexes of any kind, which are updated and searched side by side: more threads for one namespace. The shard of a vector
 * is a hash of its number's run of 1,024. Another number of shards is another index: its shards begin empty with epoch 0, and the
 * caller adds every vector again.
 *
 * Rejects with `BAD_OPTION` for a number of shards out of range.
 */
export async function createShardedIndex({ shards, open, ...options }: ShardedIndexOptions): Promise<VectorIndex> {
  checkDimensions(options.dimensions)
  if (!Number.isInteger(shards) || shards < 1 || shards > maxShards) {
    throw new RagError('BAD_OPTION', `shards is a whole number from 1 to ${maxShards}.`, { data: { shards } })
  }
  const opened = await Promise.allSettled(
    Array.from({ length: shards }, (_, shard) =>
      open({
        ...options,
        fingerprint: `${options.fingerprint}/shard ${shard} of ${shards}`,
        ...(options.directory === undefined ? {} : { directory: join(options.directory, `shard-${shard}`) }),
      }),
    ),
  )
  const indexes = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const failed = opened.find((result) => result.status === 'rejected')
  if (failed !== undefined) {
    await Promise.all(indexes.map((index) => index.close()))
    throw failed.reason
  }
  return new ShardedIndex(options.dimensions, indexes)
}

class ShardedIndex implements VectorIndex {
  readonly id = 'sharded'
  readonly dimensions: number
  readonly capabilities: { readonly exact: boolean }
  readonly #shards: readonly VectorIndex[]
  readonly #readers = new Readers()
  /** While shards publish, one after the other, searches wait: they must not see some before and some after. */
  #publishing: Promise<void> | undefined
  #update: VectorUpdate | undefined
  #closed = false

  constructor(dimensions: number, shards: readonly VectorIndex[]) {
    this.dimensions = dimensions
    this.#shards = shards
    this.capabilities = { exact: shards.every(({ capabilities }) => capabilities.exact) }
  }

  /** Of the shard that is furthest behind: what the others have already is added once more, and replaces itself. */
  get epoch(): number {
    return this.#shards.reduce((least, { epoch }) => Math.min(least, epoch), Number.POSITIVE_INFINITY)
  }

  stats(): VectorStats {
    const all = this.#shards.map((shard) => shard.stats())
    const sum = (value: (stats: VectorStats) => number) => all.reduce((total, stats) => total + value(stats), 0)
    return {
      vectors: sum(({ vectors }) => vectors),
      segments: sum(({ segments }) => segments),
      bytes: sum(({ bytes }) => bytes),
      building: all.some(({ building }) => building),
    }
  }

  update(): VectorUpdate {
    this.#assertOpen()
    if (this.#update !== undefined) throw updateIsOpen()
    const update = new ShardedUpdate(this.dimensions, this.#shards, {
      publish: (publish) => this.#publish(publish),
      ended: () => {
        if (this.#update === update) this.#update = undefined
      },
    })
    this.#update = update
    return update
  }

  async persist(): Promise<void> {
    this.#assertOpen()
    await Promise.all(this.#shards.map((shard) => shard.persist()))
  }

  async settled(): Promise<void> {
    do await Promise.all(this.#shards.map((shard) => shard.settled?.()))
    while (
      // One may have begun anew while another was waited for.
      this.#shards.some((shard) => shard.settled !== undefined && shard.stats().building)
    )
  }

  async search(vector: Float32Array, options: VectorSearchOptions): Promise<VectorMatch[]> {
    while (this.#publishing !== undefined) await this.#publishing
    this.#assertOpen()
    return this.#readers.while(async () => {
      const found = await Promise.all(this.#shards.map((shard) => shard.search(vector, options)))
      const best = new TopK(options.topK)
      for (const { number, score } of found.flat()) best.push(score, number)
      return best.drain()
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#update?.abort()
    await Promise.all(this.#shards.map((shard) => shard.close()))
  }

  async #publish(publish: () => Promise<void>): Promise<void> {
    let done = () => {}
    this.#publishing = new Promise((resolve) => {
      done = resolve
    })
    try {
      await this.#readers.left()
      await publish()
    } finally {
      this.#publishing = undefined
      done()
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new RagError('CLOSED', 'The vector index was closed.')
  }
}

interface UpdateHost {
  /** Publishes while nobody searches. */
  publish(publish: () => Promise<void>): Promise<void>
  ended(): void
}

class ShardedUpdate implements VectorUpdate {
  readonly #dimensions: number
  readonly #updates: readonly VectorUpdate[]
  readonly #host: UpdateHost
  readonly #steps = new Steps()
  readonly #stretches: Stretches
  #ended = false

  constructor(dimensions: number, shards: readonly VectorIndex[], host: UpdateHost) {
    this.#dimensions = dimensions
    this.#updates = shards.map((shard) => shard.update())
    this.#host = host
    this.#stretches = new Stretches(createTurns(), () => {})
  }

  async add(numbers: readonly number[], vectors: Float32Array): Promise<void> {
    this.#assertOpen()
    await this.#steps.run(async () => {
      // Before any shard takes a row: one of them could refuse what others have taken.
      await checkBatch(numbers, vectors, this.#dimensions, this.#stretches)
      const places = this.#updates.map((): number[] => [])
      for (const [place, number] of numbers.entries()) {
        ;(places[shardOf(number, this.#updates.length)] as number[]).push(place)
      }
      await Promise.all(
        places.map(async (own, shard) => {
          if (own.length > 0) await this.#addTo(shard, own, { numbers, vectors })
        }),
      )
    })
  }

  remove(ranges: readonly (readonly [start: number, end: number])[]): void {
    this.#assertOpen()
    const copy = ranges.map(([start, end]) => [start, end] as const)
    void this.#steps.run(async () => {
      for (const update of this.#updates) update.remove(copy)
    })
  }

  async publish(epoch: number): Promise<void> {
    this.#assertOpen()
    this.#ended = true
    try {
      await this.#steps.run(() =>
        this.#host.publish(async () => {
          const results = await Promise.allSettled(this.#updates.map((update) => update.publish(epoch)))
          const failed = results.find((result) => result.status === 'rejected')
          // Those that succeeded are ahead; the epoch of all stays where it was, and the changes come once more.
          if (failed !== undefined) throw failed.reason
        }),
      )
    } finally {
      this.#host.ended()
    }
  }

  abort(): void {
    if (this.#ended) return
    this.#ended = true
    for (const update of this.#updates) update.abort()
    this.#host.ended()
  }

  async #addTo(
    shard: number,
    places: readonly number[],
    { numbers, vectors }: { readonly numbers: readonly number[]; readonly vectors: Float32Array },
  ): Promise<void> {
    const { length } = places
    const rows = length === numbers.length ? vectors : new Float32Array(length * this.#dimensions)
    if (rows !== vectors) {
      for (const [row, place] of places.entries()) {
        rows.set(vectors.subarray(place * this.#dimensions, (place + 1) * this.#dimensions), row * this.#dimensions)
      }
    }
    await (this.#updates[shard] as VectorUpdate).add(
      places.map((place) => numbers[place] as number),
      rows,
    )
  }

  #assertOpen(): void {
    if (this.#ended) throw new RagError('CLOSED', 'The update has ended.')
  }
}

/** A multiplicative hash (Knuth, volume 3, 6.4) of the run a number lies in. */
function shardOf(number: number, shards: number): number {
  const run = Math.floor(number / runLength)
  const mixed = Math.imul((run % 2 ** 32) ^ Math.floor(run / 2 ** 32), 0x9e3779b1) >>> 0
  return Math.floor((mixed / 2 ** 32) * shards)
}
