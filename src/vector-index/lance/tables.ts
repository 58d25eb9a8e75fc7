import { RagError } from '../../core/errors.js'
import type { TaskContext } from '../../util/worker-serve.js'
import { isRemoved, shared } from '../segments/view.js'
import { type Connection, connect, eachRow, loadLance, type RowBatch, rowsAsArrow, syncTable } from './client.js'
import { tableMadeAt } from './names.js'
import type { Database, IndexTableTask, ManifestTask, MergeTablesTask, SealTableTask } from './types.js'

type Context = Pick<TaskContext, 'critical' | 'signal'>

/** Rows written at a time: 25 MB of 384 dimensions. */
const rowsPerWrite = 16_384
/** A table that no list names may be one that another process is about to name; after so long it is a leftover. */
const leftoverAfterMs = 600_000
/** Writes rows to a new table. */
export async function sealTable(task: SealTableTask, { critical }: Context): Promise<void> {
  const { database, dimensions, numbers, rows, table } = task
  const writer = await createWriter(task, { critical })
  for (let start = 0; start < numbers.length; start += rowsPerWrite) {
    const end = Math.min(numbers.length, start + rowsPerWrite)
    await writer({
      numbers: numbers.slice(start, end),
      places: Int32Array.from({ length: end - start }, (_, i) => start + i),
      vectors: rows.subarray(start * dimensions, end * dimensions),
    })
  }
  syncTable(database, table)
}

/** Joins tables to a new one, with an index if one is wanted. Gives its numbers. */
export async function mergeTables(task: MergeTablesTask, { critical, signal }: Context): Promise<Float64Array> {
  const { database, dimensions, index, inputs, table } = task
  const { numbers, placeOf } = placesInOrder(inputs)
  const writer = await createWriter(task, { critical })
  const client = await loadLance(critical)
  let vectors = new Float32Array(Math.min(rowsPerWrite, numbers.length) * dimensions)
  let places: number[] = []
  const flush = async () => {
    if (places.length === 0) return
    const ready = {
      numbers: Float64Array.from(places, (place) => numbers[place] as number),
      places: Int32Array.from(places),
      vectors: vectors.subarray(0, places.length * dimensions),
    }
    await writer(ready)
    vectors = new Float32Array(vectors.length)
    places = []
  }
  for (const [input, { database: from, table: name }] of inputs.entries()) {
    const connection = await critical(() => connect(client, from))
    const source = await critical(() => connection.openTable(name))
    const batches = source.query().select(['place', 'vector'])[Symbol.asyncIterator]()
    for (;;) {
      const next = await critical(() => batches.next())
      if (next.done === true) break
      signal.throwIfAborted()
      const pending: [number, Float32Array][] = []
      eachRow(next.value as unknown as RowBatch, dimensions, (before, vector) => {
        const place = placeOf(input, before)
        if (place !== undefined) pending.push([place, vector])
      })
      for (const [place, vector] of pending) {
        vectors.set(vector, places.length * dimensions)
        places.push(place)
        if (places.length * dimensions === vectors.length) await flush()
      }
    }
    source.close()
  }
  await flush()
  signal.throwIfAborted()
  if (index !== undefined) await indexTable({ database, table, index }, { critical, signal })
  else syncTable(database, table)
  return numbers
}

/** Builds the index of a table, with all cores: minutes for some hundred thousand rows. */
export async function indexTable({ database, index, table }: IndexTableTask, { critical }: Context): Promise<void> {
  const client = await loadLance(critical)
  const { Index } = client.lance
  const connection = await critical(() => connect(client, database))
  const open = await critical(() => connection.openTable(table))
  // Of unit vectors; the partitions of few rows would be poor ones.
  const shape = { distanceType: 'dot', numPartitions: index.partitions } as const
  const config =
    index.kind === 'hnsw-sq'
      ? Index.hnswSq({ ...shape, m: index.M, efConstruction: index.efConstruction })
      : Index.ivfPq({ ...shape, numSubVectors: index.subVectors })
  // Not critical: it takes minutes, and goes on by itself when this thread ends.
  await open.createIndex('vector', { config, replace: true })
  syncTable(database, table)
}

/** The text of the list of tables; `undefined` when there is none. */
export async function readManifest(
  { database, table }: Pick<ManifestTask, 'database' | 'table'>,
  { critical }: Context,
): Promise<string | undefined> {
  const client = await loadLance(critical)
  const connection = await critical(() => connect(client, database))
  if (!(await tablesIn(connection, critical)).includes(table)) return undefined
  const open = await critical(() => connection.openTable(table))
  const rows = (await critical(() => open.query().select(['text']).toArray())) as { readonly text: unknown }[]
  return String(rows[0]?.text)
}

/** Replaces the list of tables in one step, then deletes tables that it does not name. */
export async function writeManifest(task: ManifestTask, { critical }: Context): Promise<void> {
  const { database, keep, table, text } = task
  const client = await loadLance(critical)
  const connection = await critical(() => connect(client, database))
  // To overwrite what is not there is warned of, on stderr.
  const mode = (await tablesIn(connection, critical)).includes(table) ? 'overwrite' : 'create'
  const written = await critical(() => connection.createTable(table, [{ text }], { mode }))
  syncTable(database, table)
  // Its earlier versions; whoever reads one now has done so in ten minutes.
  await critical(() => written.optimize({ cleanupOlderThan: new Date(Date.now() - leftoverAfterMs) }))
  for (const name of await tablesIn(connection, critical)) {
    const made = tableMadeAt(name)
    if (made === undefined || keep.includes(name)) continue
    if (Date.now() - made > leftoverAfterMs) await critical(() => connection.dropTable(name))
  }
}

/** The numbers of a table, by place. */
export async function readNumbers(
  { database, table, count }: { readonly database: Database; readonly table: string; readonly count: number },
  { critical }: Context,
): Promise<Float64Array> {
  const numbers = new Float64Array(shared(count * 8).buffer).fill(-1)
  await eachBatch({ database, table, columns: ['place', 'number'] }, critical, (batch) => {
    const places = batch.getChild('place')
    const own = batch.getChild('number')
    for (let row = 0; row < batch.numRows; row++) numbers[Number(places?.get(row))] = Number(own?.get(row))
  })
  for (let i = 0; i < count; i++) {
    if ((numbers[i] as number) > (i === 0 ? -1 : (numbers[i - 1] as number))) continue
    throw new RagError('INTEGRITY', 'A table of vectors does not hold what it should.', { data: { table, count } })
  }
  return numbers
}

/** All rows of a table, by place. */
export async function readRows(
  {
    database,
    table,
    count,
    dimensions,
  }: { readonly database: Database; readonly table: string; readonly count: number; readonly dimensions: number },
  { critical }: Context,
): Promise<Float32Array> {
  const rows = new Float32Array(count * dimensions)
  await eachBatch({ database, table, columns: ['place', 'vector'] }, critical, (batch) =>
    eachRow(batch, dimensions, (place, vector) => rows.set(vector, place * dimensions)),
  )
  return rows
}

export async function dropTables(
  { database, tables }: { readonly database: Database; readonly tables: readonly string[] },
  { critical }: Context,
): Promise<void> {
  const client = await loadLance(critical)
  const connection = await critical(() => connect(client, database))
  for (const table of tables) await critical(() => connection.dropTable(table))
}

type Writer = (rows: {
  readonly numbers: Float64Array
  readonly places: Int32Array
  readonly vectors: Float32Array
}) => Promise<void>

async function createWriter(
  { database, dimensions, table }: Pick<SealTableTask, 'database' | 'dimensions' | 'table'>,
  { critical }: Pick<Context, 'critical'>,
): Promise<Writer> {
  const client = await loadLance(critical)
  const connection = await critical(() => connect(client, database))
  let open: Awaited<ReturnType<Connection['createTable']>> | undefined
  return async (rows) => {
    const data = rowsAsArrow(client, { dimensions, ...rows })
    if (open === undefined) open = await critical(() => connection.createTable(table, data))
    else await critical(() => open?.add(data) as Promise<unknown>)
  }
}

async function eachBatch(
  { columns, database, table }: { readonly database: Database; readonly table: string; readonly columns: string[] },
  critical: Context['critical'],
  take: (batch: RowBatch) => void,
): Promise<void> {
  const client = await loadLance(critical)
  const connection = await critical(() => connect(client, database))
  const open = await critical(() => connection.openTable(table))
  const batches = open.query().select(columns)[Symbol.asyncIterator]()
  for (;;) {
    const next = await critical(() => batches.next())
    if (next.done === true) break
    take(next.value as unknown as RowBatch)
  }
  open.close()
}

/** All names: they come in pages. */
async function tablesIn(connection: Connection, critical: Context['critical']): Promise<string[]> {
  const names: string[] = []
  for (;;) {
    const last = names.at(-1)
    const page = await critical(() =>
      connection.tableNames({ limit: 1_000, ...(last === undefined ? {} : { startAfter: last }) }),
    )
    names.push(...page)
    if (page.length < 1_000) return names
  }
}

/** Numbers of what is left, ascending, and where each row of each input goes. */
function placesInOrder(inputs: MergeTablesTask['inputs']) {
  const kept: [number: number, input: number, place: number][] = []
  for (const [input, { numbers, removed }] of inputs.entries()) {
    for (let place = 0; place < numbers.length; place++) {
      if (!isRemoved(removed, place)) kept.push([numbers[place] as number, input, place])
    }
  }
  kept.sort((a, b) => a[0] - b[0])
  const numbers = new Float64Array(shared(kept.length * 8).buffer)
  const places = inputs.map(({ numbers: { length } }) => new Int32Array(length).fill(-1))
  for (const [place, [number, input, before]] of kept.entries()) {
    numbers[place] = number
    ;(places[input] as Int32Array)[before] = place
  }
  return {
    numbers,
    placeOf: (input: number, before: number): number | undefined => {
      const place = places[input]?.[before] ?? -1
      return place < 0 ? undefined : place
    },
  }
}
