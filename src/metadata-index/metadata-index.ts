import { RagError } from '../core/errors.js'
import type { Filter } from '../core/filter.js'
import type { Closable } from '../core/lifecycle.js'
import { RangeSet } from '../core/range-set.js'
import type { Changes, StoreNamespace } from '../store/types.js'
import { type FilterPlan, planFilter, toPredicate } from '../util/filter.js'
import { createPause, type Turns } from '../util/yield.js'
import type { Bits } from './bits.js'
import { Column } from './column.js'
import { evaluate } from './evaluate.js'
import { RecentMatches } from './recent-matches.js'
import { ascendingOrder, type MetadataRow, RowTable, rowsOf } from './rows.js'
import { takeUnsure, testInStore } from './unsure.js'

/**
 * The metadata of one namespace in memory, as columns, so that a filter need not read the documents. A column holds one path and is
 * made when a filter first names it; until then nothing is held. Derived from the store: it follows its epochs like an index, and may
 * be forgotten at any time.
 */
export interface MetadataIndex extends Closable {
  /** Store epoch that a match reflects; infinite while nothing is held, for then nothing can lag. */
  readonly epoch: number
  stats(): MetadataStats
  /** Makes the columns that a filter names, reading every document once. False: the filter names more paths than are held. */
  prepare(filter: Filter): Promise<boolean>
  /** Chunk numbers the filter allows; `undefined` when its columns are not there (any more): prepare again. */
  match(filter: Filter, signal?: AbortSignal): Promise<RangeSet | undefined>
  /** Takes over what was committed since {@link MetadataIndex.epoch}. One call at a time. */
  follow(changes: Changes): Promise<void>
  /** Lets go of everything: the next filter begins anew. */
  forget(): void
}

export interface MetadataStats {
  /** Documents, and chunks that bring metadata of their own. */
  readonly rows: number
  /** Paths that are held. */
  readonly columns: number
  /** Bytes held, of texts an estimate. */
  readonly bytes: number
}

export interface MetadataIndexOptions {
  readonly namespace: StoreNamespace
  readonly turns: Turns
}

/** Paths held at once; the least recently used column makes room. A row costs 9 bytes in each, and its texts. */
const maxColumns = 64
/** Rows that are gone are kept until there are so many more than a fourth of the living ones. */
const goneRowsKept = 1_024

export function createMetadataIndex(options: MetadataIndexOptions): MetadataIndex {
  return new ColumnIndex(options)
}

type Pause = () => Promise<void> | undefined

/** Rows with their columns. Replaced as a whole when rows are moved, so that whoever reads it goes on with what it has. */
interface Table {
  readonly rows: RowTable
  /** By path, in the order of their last use. */
  readonly columns: Map<string, Column>
  /** Columns that are being filled from the store; rows that come meanwhile are added to them. */
  readonly filling: Map<string, Filling>
  readonly matches: RecentMatches
}

interface Filling {
  readonly column: Column
  readonly done: Promise<void>
}

class ColumnIndex implements MetadataIndex {
  readonly #namespace: StoreNamespace
  readonly #turns: Turns
  #table: Table | undefined
  #opening: Promise<void> | undefined
  #epoch = Number.POSITIVE_INFINITY
  #closed = false

  constructor({ namespace, turns }: MetadataIndexOptions) {
    this.#namespace = namespace
    this.#turns = turns
  }

  get epoch(): number {
    return this.#epoch
  }

  stats(): MetadataStats {
    if (this.#table === undefined) return { rows: 0, columns: 0, bytes: 0 }
    const { rows, columns, matches } = this.#table
    const held = [...columns.values()].reduce((sum, { bytes }) => sum + bytes, 0)
    return { rows: rows.count - rows.goneCount, columns: columns.size, bytes: rows.bytes + matches.bytes + held }
  }

  async prepare(filter: Filter): Promise<boolean> {
    const paths = [...pathsOf(planFilter(filter))]
    if (paths.length > maxColumns) return false
    while (!this.#closed) {
      const table = this.#table
      if (table === undefined) await this.#openedWith(paths)
      else {
        const missing = paths.filter((path) => !table.columns.has(path))
        if (missing.length === 0) return true
        this.#fill(
          table,
          missing.filter((path) => !table.filling.has(path)),
        )
        await Promise.all(missing.map((path) => table.filling.get(path)?.done))
      }
    }
    throw new RagError('CLOSED', 'The namespace was closed.')
  }

  async match(filter: Filter, signal?: AbortSignal): Promise<RangeSet | undefined> {
    const plan = planFilter(filter)
    const table = this.#table
    const columns = table && usedColumns(table, pathsOf(plan))
    if (table === undefined || columns === undefined) return undefined
    const { matches, rows } = table
    const key = matches.keyOf(plan)
    const known = matches.get(key)
    if (known !== undefined) return known

    const { version } = matches
    const pause = createPause(this.#turns, () => signal?.throwIfAborted())
    const column = (path: string) => columns.get(path) as Column
    const bits = await evaluate(plan, { count: rows.count, column, pause })
    const unsure = await takeUnsure(bits, rows, [...columns.values()], pause)
    await testInStore(bits, unsure, { rows, namespace: this.#namespace, matches: toPredicate(plan), pause })
    const ranges = await toRanges(bits, rows, pause)
    matches.add(key, ranges, version)
    return ranges
  }

  async follow({ added, epoch, removed }: Changes): Promise<void> {
    const table = this.#table
    if (table === undefined) return
    const pause = createPause(this.#turns)
    for (const document of added) {
      for (const row of rowsOf(document, this.#namespace)) {
        await pause()
        // Numbers only grow: what lies below was taken over by an update that did not come to its end.
        if (row.base >= table.rows.end) append(table, row)
      }
    }
    if (this.#table !== table) return
    for (const [start, end] of removed) table.rows.remove(start, end)
    table.matches.clear()
    this.#epoch = epoch
    await this.#compact(table, pause)
  }

  forget(): void {
    this.#table = undefined
    this.#epoch = Number.POSITIVE_INFINITY
  }

  async close(): Promise<void> {
    this.#closed = true
    this.forget()
  }

  /** Opens the table, or waits for whoever opens it; the columns are then another's. */
  #openedWith(paths: readonly string[]): Promise<void> {
    this.#opening ??= this.#open(paths).finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  /** Reads every document, in the order of ids, and brings the rows into that of their numbers. */
  async #open(paths: readonly string[]): Promise<void> {
    const namespace = this.#namespace
    const pause = createPause(this.#turns)
    const { epoch, nextNumber } = moment(namespace)
    const table: Table = {
      rows: new RowTable(),
      columns: new Map(paths.map((path) => [path, new Column()])),
      filling: new Map(),
      matches: new RecentMatches(),
    }
    for (const document of namespace.list()) {
      await pause()
      if (this.#closed) return
      // What was committed since is among the changes since.
      if (document.base >= nextNumber) continue
      for (const row of rowsOf(document, namespace)) {
        append(table, row)
        await pause()
      }
    }
    const order = await ascendingOrder(table.rows.bases.subarray(0, table.rows.count), pause)
    const ordered = await picked(table, order, pause)
    if (this.#closed) return
    this.#table = ordered
    this.#epoch = epoch
  }

  /** Begins to fill columns from the store. Rows whose version is replaced meanwhile stay unknown: they are tested one by one. */
  #fill(table: Table, paths: readonly string[]): void {
    if (paths.length === 0) return
    const columns = new Map(paths.map((path) => [path, new Column()]))
    const done = this.#read(table, columns)
      .then(() => {
        for (const [path, column] of columns) table.columns.set(path, column)
        for (const path of [...table.columns.keys()].slice(0, -maxColumns)) table.columns.delete(path)
      })
      .finally(() => {
        for (const path of paths) table.filling.delete(path)
      })
    // Whoever waits for it is told; nobody may.
    done.catch(() => {})
    for (const [path, column] of columns) table.filling.set(path, { column, done })
  }

  async #read(table: Table, columns: ReadonlyMap<string, Column>): Promise<void> {
    const { rows } = table
    const pause = createPause(this.#turns)
    for (const column of columns.values()) column.extend(rows.count)
    for (const document of this.#namespace.list()) {
      await pause()
      if (this.#table !== table) return
      for (const { base, read } of rowsOf(document, this.#namespace)) {
        await pause()
        const row = rows.from(base)
        if (row === rows.count || rows.bases[row] !== base) continue
        for (const [path, column] of columns) column.fill(row, read(path))
      }
    }
  }

  /** Gives the memory of rows that are gone back when there are many. Matches go on with the old table. */
  async #compact(table: Table, pause: Pause): Promise<void> {
    const { rows } = table
    const living = rows.count - rows.goneCount
    if (rows.goneCount <= goneRowsKept + living / 4) return
    const order = new Uint32Array(living)
    let place = 0
    for (let row = 0; row < rows.count; row++) if (!rows.isGone(row)) order[place++] = row
    const compacted = await picked(table, order, pause)
    if (this.#table === table) this.#table = compacted
  }
}

function pathsOf(plan: FilterPlan): Set<string> {
  switch (plan.kind) {
    case 'everything':
      return new Set()
    case 'and':
    case 'or':
      return new Set(plan.parts.flatMap((part) => [...pathsOf(part)]))
    case 'not':
      return pathsOf(plan.part)
    case 'test':
      return new Set([plan.path])
    default:
      return plan satisfies never
  }
}

/** The columns of these paths, which become the last that were used; `undefined` when one is not there. */
function usedColumns({ columns }: Table, paths: Iterable<string>): Map<string, Column> | undefined {
  const named = new Map<string, Column>()
  for (const path of paths) {
    const column = columns.get(path)
    if (column === undefined) return undefined
    named.set(path, column)
    columns.delete(path)
    columns.set(path, column)
  }
  return named
}

/** An epoch, and the number that the first chunk committed after it will have. */
function moment(namespace: StoreNamespace): { readonly epoch: number; readonly nextNumber: number } {
  for (;;) {
    const epoch = namespace.epoch()
    const nextNumber = namespace.nextNumber()
    // Another process may commit between the two.
    if (namespace.epoch() === epoch) return { epoch, nextNumber }
  }
}

function append({ rows, columns, filling }: Table, row: MetadataRow): void {
  const place = rows.count
  rows.push(row)
  const add = (path: string, column: Column) => {
    column.extend(rows.count)
    column.fill(place, row.read(path))
  }
  for (const [path, column] of columns) add(path, column)
  for (const [path, { column }] of filling) add(path, column)
}

/** The given rows of a table, in this order; none of them is gone. */
async function picked({ rows, columns }: Table, order: Uint32Array, pause: Pause): Promise<Table> {
  const ordered = new Map<string, Column>()
  for (const [path, column] of columns) ordered.set(path, await column.picked(order, pause))
  return { rows: rows.picked(order), columns: ordered, filling: new Map(), matches: new RecentMatches() }
}

/** Words of bits turned into ranges between two looks at the clock. */
const wordsPerLook = 512

/** The numbers of the rows whose bits are set. */
async function toRanges(bits: Bits, { bases, chunks }: RowTable, pause: Pause): Promise<RangeSet> {
  // There are no more ranges than rows; what is left over is cut off.
  const most = bits.size
  const starts = new Float64Array(most)
  const ends = new Float64Array(most)
  let ranges = 0
  let end = -1
  for (let place = 0; place < bits.words.length; place++) {
    if (place % wordsPerLook === 0) await pause()
    for (let word = bits.words[place] as number; word !== 0; word &= word - 1) {
      const row = place * 32 + 31 - Math.clz32(word & -word)
      const base = bases[row] as number
      if (base !== end) starts[ranges++] = base
      end = base + (chunks[row] as number)
      ends[ranges - 1] = end
    }
  }
  return RangeSet.fromSorted(starts.slice(0, ranges), ends.slice(0, ranges))
}
