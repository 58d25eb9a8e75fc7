import { closeSync, fsyncSync, openSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { importOptional } from '../../util/import-optional.js'
import type { Critical } from '../segments/graph.js'
import type { Database } from './types.js'

const require = createRequire(import.meta.url)

type Lance = typeof import('@lancedb/lancedb')
export type Connection = Awaited<ReturnType<Lance['connect']>>
export type Table = Awaited<ReturnType<Connection['openTable']>>

/** Apache Arrow, in the version LanceDB has: as much of it as is used here. */
interface Arrow {
  makeData(parts: object): unknown
  readonly Field: new (name: string, type: unknown, nullable: boolean) => { readonly type: unknown }
  readonly FixedSizeList: new (size: number, item: unknown) => unknown
  readonly Float32: new () => unknown
  readonly Float64: new () => unknown
  readonly Int32: new () => unknown
  readonly RecordBatch: new (schema: unknown, data: unknown) => unknown
  readonly Schema: new (fields: readonly unknown[]) => unknown
  readonly Struct: new (fields: readonly unknown[]) => unknown
  readonly Table: new (batch: unknown) => unknown
}

export interface LanceClient {
  readonly lance: Lance
  readonly arrow: Arrow
}

/** What is read of a record batch. */
export interface RowBatch {
  readonly numRows: number
  getChild(name: string): { readonly data: readonly ColumnData[]; get(row: number): unknown } | null
}

interface ColumnData {
  readonly offset: number
  readonly values: ArrayLike<number>
  readonly children: readonly { readonly values: Float32Array }[]
}

/**
 * Loads LanceDB. Its native part answers calls through the thread that made them: a thread that is ended meanwhile takes the process down. So every
 * call is a critical section, but for the building of an index, which survives that.
 */
export async function loadLance(critical: Critical): Promise<LanceClient> {
  const load = async () =>
    critical(() => {
      const lance = require('@lancedb/lancedb') as Lance
      // A peer of LanceDB, found from where LanceDB is.
      const arrow = createRequire(require.resolve('@lancedb/lancedb'))('apache-arrow') as Arrow
      return { lance, arrow }
    })
  return importOptional('@lancedb/lancedb', load, 'npm i @lancedb/lancedb@0.37')
}

export function connect({ lance }: LanceClient, { uri, storageOptions }: Database): Promise<Connection> {
  return lance.connect(uri, storageOptions === undefined ? {} : { storageOptions: { ...storageOptions } })
}

/** Rows as LanceDB takes them, without a copy. */
export function rowsAsArrow(
  { arrow }: LanceClient,
  {
    dimensions,
    numbers,
    places,
    vectors,
  }: {
    readonly dimensions: number
    readonly numbers: Float64Array
    readonly places: Int32Array
    readonly vectors: Float32Array
  },
): never {
  const { Field, FixedSizeList, Float32, Float64, Int32, RecordBatch, Schema, Struct, Table, makeData } = arrow
  const item = new Field('item', new Float32(), true)
  const fields = [
    new Field('place', new Int32(), false),
    new Field('number', new Float64(), false),
    new Field('vector', new FixedSizeList(dimensions, item), false),
  ]
  const length = numbers.length
  const column = (type: unknown, data: ArrayBufferView, values = length) =>
    makeData({ type, length: values, nullCount: 0, data })
  const list = makeData({
    type: fields[2]?.type,
    length,
    nullCount: 0,
    child: column(new Float32(), vectors, length * dimensions),
  })
  const children = [column(fields[0]?.type, places), column(fields[1]?.type, numbers), list]
  const data = makeData({ type: new Struct(fields), length, nullCount: 0, children })
  // Its type names classes of Arrow, which is not ours to import.
  return new Table(new RecordBatch(new Schema(fields), data)) as never
}

/** Calls back with place and vector of each row; the vector is valid only meanwhile. */
export function eachRow(
  batch: RowBatch,
  dimensions: number,
  take: (place: number, vector: Float32Array) => void,
): void {
  const places = batch.getChild('place')
  const list = batch.getChild('vector')?.data[0]
  const values = list?.children[0]?.values
  if (places === null || list === undefined || values === undefined) throw new TypeError('A column is missing.')
  for (let row = 0; row < batch.numRows; row++) {
    const start = (list.offset + row) * dimensions
    take(Number(places.get(row)), values.subarray(start, start + dimensions))
  }
}

/** Puts the files of a table on the disk, which LanceDB leaves to the system; object storage needs no such thing. */
export function syncTable({ uri }: Database, table: string): void {
  if (uri.includes('://')) return
  const folder = join(uri, `${table}.lance`)
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const descriptor = openSync(join(entry.parentPath, entry.name), 'r+')
    try {
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
  }
}
