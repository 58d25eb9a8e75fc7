import { TopK } from '../../util/top-k.js'
import { dot } from '../../util/vector-math.js'
import { type Places, placesOf } from '../flat-view.js'
import type { Critical } from '../segments/graph.js'
import { packMatches, pairsOf, type SegmentMatches } from '../segments/storage.js'
import { isRemoved } from '../segments/view.js'
import { type Connection, connect, eachRow, loadLance, type RowBatch, type Table } from './client.js'
import type { TableRef, TableSearch } from './types.js'

/** Ranges of a condition at most: LanceDB looks at each for each row. Beyond them ranges are joined, and what lies between is left out here. */
const maxRanges = 64

/** Searches tables, which it opens when they are first asked for. */
export class TableSearcher {
  readonly #connections = new Map<string, Promise<Connection>>()
  readonly #open = new Map<number, Promise<Table>>()

  async open(tables: readonly TableRef[], critical: Critical): Promise<void> {
    for (const table of tables) await this.#find(table, critical)
  }

  async search(
    { allow, dimensions, exact, options, queries, tables, topK }: TableSearch,
    critical: Critical,
  ): Promise<SegmentMatches> {
    const results: { number: number; score: number }[][] = []
    for (let start = 0; start < queries.length; start += dimensions) {
      const query = queries.slice(start, start + dimensions)
      const best = new TopK(topK)
      for (const ref of tables) {
        const places: readonly Places[] =
          allow === undefined ? [[0, ref.count]] : placesOf({ numbers: ref.numbers, count: ref.count }, pairsOf(allow))
        const living = livingRanges(places, ref)
        const table = await this.#find(ref, critical)
        await searchTable(table, { query, best, topK, ref, living, exact, options, critical })
      }
      results.push(best.drain())
    }
    return packMatches(results, 0)
  }

  async drop(ids: readonly number[]): Promise<void> {
    for (const id of ids) {
      const table = await this.#open.get(id)?.catch(() => undefined)
      this.#open.delete(id)
      table?.close()
    }
  }

  #find(ref: TableRef, critical: Critical): Promise<Table> {
    let table = this.#open.get(ref.id)
    if (table === undefined) {
      table = this.#connect(ref, critical).then((connection) => critical(() => connection.openTable(ref.table)))
      this.#open.set(ref.id, table)
      table.catch(() => this.#open.delete(ref.id))
    }
    return table
  }

  #connect({ database }: TableRef, critical: Critical): Promise<Connection> {
    let connection = this.#connections.get(database.uri)
    if (connection === undefined) {
      connection = loadLance(critical).then((client) => critical(() => connect(client, database)))
      this.#connections.set(database.uri, connection)
      connection.catch(() => this.#connections.delete(database.uri))
    }
    return connection
  }
}

interface Living {
  readonly ranges: readonly Places[]
  readonly count: number
}

interface OneSearch {
  readonly query: Float32Array
  readonly best: TopK
  readonly topK: number
  readonly ref: TableRef
  readonly living: Living
  readonly exact: boolean
  readonly options: TableSearch['options']
  readonly critical: Critical
}

/**
 * Offers the nearest of a table to `best`, scored with the full vectors. What is allowed is a condition that LanceDB applies before it searches: applied
 * after, it leaves few or none. A search of the index that comes back with too few is done again over every allowed row.
 */
async function searchTable(table: Table, search: OneSearch): Promise<void> {
  const { best, exact, living, options, query, ref, topK } = search
  const wanted = Math.min(topK, living.count)
  if (wanted === 0) return
  const asked = wanted * options.refineFactor
  const byIndex = ref.indexed && !exact && living.count > options.scannedRows && asked * 8 < living.count
  let found = byIndex ? await nearest(table, { ...search, limit: asked, byIndex }) : undefined
  if (found === undefined || found.length < wanted) {
    found = await nearest(table, { ...search, limit: wanted, byIndex: false })
  }
  for (const { place, vector } of found) {
    best.push(dot(query, 0, vector, 0, query.length), ref.numbers[place] as number)
  }
}

interface Found {
  readonly place: number
  readonly vector: Float32Array
}

/** About the `limit` nearest that are living; of conditions with many ranges, more and more until there are enough. */
async function nearest(
  table: Table,
  {
    byIndex,
    critical,
    limit,
    living,
    options,
    query,
    ref,
  }: OneSearch & { readonly limit: number; readonly byIndex: boolean },
): Promise<Found[]> {
  const conditions = living.count === ref.count ? undefined : joinedRanges(living.ranges)
  const within = conditions?.reduce((sum, [start, end]) => sum + end - start, 0) ?? ref.count
  const isLiving = within === living.count ? () => true : livingTest(living, ref.count)
  for (let asked = Math.ceil((limit * within) / living.count); ; asked *= 2) {
    const search = table
      .vectorSearch(query)
      .distanceType('dot')
      .limit(Math.min(asked, within))
      // A search that does not name the distance is warned of, on stderr, each time.
      .select(['place', 'vector', '_distance'])
    if (conditions !== undefined) search.where(conditionOf(conditions))
    if (byIndex) search.nprobes(options.nprobes).ef(Math.max(options.efSearch, asked))
    else search.bypassVectorIndex()
    const answer = (await critical(() => search.toArrow())) as unknown as { readonly batches: readonly RowBatch[] }
    const found: Found[] = []
    for (const batch of answer.batches) {
      eachRow(batch, query.length, (place, vector) => {
        if (isLiving(place)) found.push({ place, vector })
      })
    }
    if (found.length >= Math.min(limit, living.count) || asked >= within || byIndex) return found.slice(0, limit)
  }
}

/** SQL of numbers alone: nothing a caller wrote is in it. */
function conditionOf(ranges: readonly Places[]): string {
  return ranges
    .map(([start, end]) => (end === start + 1 ? `place = ${start}` : `(place >= ${start} AND place < ${end})`))
    .join(' OR ')
}

/** Ranges that cover these: no more than {@link maxRanges}, joined where the gaps are smallest. */
export function joinedRanges(ranges: readonly Places[]): readonly Places[] {
  if (ranges.length <= maxRanges) return ranges
  const gaps = ranges.slice(1).map(([start], i) => start - (ranges[i] as Places)[1])
  const least = gaps.toSorted((a, b) => b - a)[maxRanges - 2] as number
  const joined: [number, number][] = []
  let kept = 0
  for (const [i, [start, end]] of ranges.entries()) {
    const last = joined.at(-1)
    const gap = gaps[i - 1] ?? Number.POSITIVE_INFINITY
    // Of equal gaps only as many are kept as there is room for.
    if (last === undefined || (gap >= least && kept < maxRanges - 1)) {
      if (last !== undefined) kept++
      joined.push([start, end])
    } else last[1] = end
  }
  return joined
}

/** Places that are allowed and there. */
function livingRanges(places: readonly Places[], { removed, alive, count }: TableRef): Living {
  if (removed === undefined || alive === count) {
    return { ranges: places, count: places.reduce((sum, [start, end]) => sum + end - start, 0) }
  }
  const ranges: [number, number][] = []
  let living = 0
  for (const [start, end] of places) {
    for (let place = start; place < end; place++) {
      if (isRemoved(removed, place)) continue
      living++
      const last = ranges.at(-1)
      if (last !== undefined && last[1] === place) last[1] = place + 1
      else ranges.push([place, place + 1])
    }
  }
  return { ranges, count: living }
}

function livingTest({ ranges }: Living, count: number): (place: number) => boolean {
  const bits = new Uint8Array(count)
  for (const [start, end] of ranges) bits.fill(1, start, end)
  return (place) => bits[place] === 1
}
